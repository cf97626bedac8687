//! The subjects: processes that turn HTTP with JSON into gRPC before the same upstream, each with two threads to work on.

mod envoy;
mod gateway;

use super::upstream::READY;
use super::{Bench, WORKERS};
use anyhow::{Context as _, bail};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use testkit::{Process, address_in};

/// How long a subject may take until it accepts connections.
const STARTUP: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// The transcoder of this workspace: its example `proxy`.
    Riskmesh,
    /// Envoy's gRPC-JSON transcoder filter.
    Envoy,
    /// Generated Go code.
    GrpcGateway,
    /// No transcoder: gRPC to the upstream, whose own CPU is counted. The floor.
    Tonic,
}

impl Subject {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Riskmesh => "riskmesh",
            Self::Envoy => "envoy",
            Self::GrpcGateway => "grpc-gateway",
            Self::Tonic => "tonic",
        }
    }
}

/// A process that answers.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

/// The upstream: this program under its hidden command.
pub(super) fn upstream() -> anyhow::Result<Server> {
    let this = std::env::current_exe().context("find this program")?;
    let process = Process::start(&this, &["bench", "transcode-upstream"], &[])?;
    let lines = process.wait_for(READY)?;
    let address = lines.iter().find_map(|line| address_in(line)).context("the upstream names no address")?;
    Ok(Server { process, address })
}

/// Starts a subject before the upstream; of `tonic` there is nothing to start.
pub(super) fn start(bench: &Bench, subject: Subject, upstream: SocketAddr) -> anyhow::Result<Option<Server>> {
    // None of them can say which port it was given, so each is told a free one.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut process = match subject {
        Subject::Tonic => return Ok(None),
        Subject::Envoy => envoy::start(bench, address, upstream)?,
        Subject::GrpcGateway => {
            let gateway = gateway::build(bench)?;
            let args = ["-listen", &address.to_string(), "-upstream", &upstream.to_string()];
            Process::start(&gateway, &args, &[("GOMAXPROCS", &WORKERS.to_string())])?
        }
        Subject::Riskmesh => {
            let front = bench.transcode_example("proxy")?;
            let descriptors = bench.descriptors()?;
            let (upstream, listen) = (format!("http://{upstream}"), address.to_string());
            let descriptors = descriptors.to_str().context("the directory's name is not UTF-8")?;
            let args = ["--descriptors", descriptors, "--upstream", &upstream, "--listen", &listen];
            Process::start(&front, &args, &[])?
        }
    };
    let deadline = Instant::now() + STARTUP;
    while TcpStream::connect(address).is_err() {
        if !process.is_running()? || Instant::now() > deadline {
            bail!("{} does not accept connections", subject.name());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(Some(Server { process, address }))
}

/// What the peers are, for the first line of the output.
pub(super) fn versions() -> [(&'static str, &'static str); 4] {
    [
        ("envoy", envoy::VERSION),
        ("grpc_gateway", gateway::GATEWAY),
        ("grpc_go", gateway::GRPC),
        ("protobuf_go", gateway::PROTOBUF),
    ]
}
