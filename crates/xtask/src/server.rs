//! A server as its users run it, on free ports of loopback and without a quota.

use crate::process;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{Process, address_in};

/// How long making a token may take.
const TOKEN_LIMIT: Duration = Duration::from_mins(1);

/// A running server that has printed `ready`.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Where REST is.
    pub(crate) address: SocketAddr,
    /// From start to `ready`.
    pub(crate) startup: Duration,
}

impl Server {
    /// Starts one on a data directory, seeding the sandbox where it is not there.
    pub(crate) fn start(riskmesh: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        let data_dir = data_dir.to_str().context("the data directory's name is not UTF-8")?;
        let args =
            ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data_dir];
        let start = Instant::now();
        let process = Process::start(riskmesh, &args, &[("RISKMESH_RATE_LIMIT_PER_MINUTE", "0")])?;
        let greeting = process.wait_for("ready")?;
        let startup = start.elapsed();
        let line = greeting.iter().find(|line| line.starts_with("REST"));
        let address = line.and_then(|line| address_in(line)).context("the greeting names no address")?;
        Ok(Self { process, address, startup })
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        let status = self.process.terminate()?;
        anyhow::ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

/// A token of the sandbox for a role, for an hour.
pub(crate) fn token(riskmesh: &Path, data_dir: &Path, role: &str) -> anyhow::Result<String> {
    let data_dir = data_dir.to_str().context("the data directory's name is not UTF-8")?;
    let args = ["token", "--data-dir", data_dir, "--role", role, "--client-id", "xtask", "--ttl", "1h"];
    Ok(process::run(riskmesh, &args, TOKEN_LIMIT)?.trim().to_owned())
}
