//! `riskmesh serve`.

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::node::{Node, Purpose};
use crate::seed;
use anyhow::Context as _;
use authn::Role;
use riskmesh_core::TenantId;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the token in the greeting lives.
const GREETING_TTL: Duration = Duration::from_hours(1);

/// Serves until SIGTERM or SIGINT; SIGHUP reads files anew that can be changed meanwhile.
pub async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let otlp = (!config.telemetry.otlp_endpoint.is_empty())
        .then(|| telemetry::Otlp { endpoint: config.telemetry.otlp_endpoint.clone(), sample_ratio: 1.0 });
    let _telemetry = telemetry::init(&telemetry::Config {
        format: config.telemetry.log_format.into(),
        filter: config.telemetry.log_filter.clone(),
        otlp,
        service: "riskmesh".into(),
        role: "all".into(),
    })?;
    for name in Config::unknown_variables() {
        tracing::warn!(name, "environment variable is not known");
    }
    let signals = Signals::new().context("listen for signals")?;
    let node = Node::start(&config, Purpose::Serve).await?;
    config.remember()?;
    until_ended(&config, &node, signals).await?;
    tracing::info!("stopping");
    node.stop().await;
    Ok(())
}

/// Makes the node ready, says so, and waits for the end; it may come before that.
async fn until_ended(config: &Config, node: &Node, signals: Signals) -> anyhow::Result<()> {
    let mut end = std::pin::pin!(signals.end(node));
    let made_ready = tokio::select! {
        made_ready = node.make_ready(config) => Some(made_ready),
        () = &mut end => None,
    };
    if let Some(made_ready) = made_ready {
        made_ready?;
        greet(config, node)?;
        end.await;
    }
    Ok(())
}

/// Says where everything is, with a request that can be pasted, and `ready`.
fn greet(config: &Config, node: &Node) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(address) = node.edge_address() {
        writeln!(out, "REST, gRPC, gRPC-Web  http://{address}")?;
        writeln!(out, "API reference         http://{address}/docs")?;
        writeln!(
            out,
            "OpenAPI               http://{address}/openapi/v1.json  http://{address}/openapi/v2.json"
        )?;
        if let Some(admin) = node.admin_address() {
            writeln!(out, "metrics, health       http://{admin}/metrics  http://{admin}/readyz")?;
        }
        if config.sandbox.enabled {
            let tenant = TenantId::new(seed::TENANT)?;
            let token = node.token(Role::Analyst, tenant, None, GREETING_TTL)?;
            writeln!(out, "\n{}\n", example(address, &token))?;
        }
    }
    writeln!(out, "ready")?;
    out.flush()?;
    Ok(())
}

fn example(address: SocketAddr, token: &str) -> String {
    format!("curl -H 'Authorization: Bearer {token}' 'http://{address}/v2/analytics?limit=3'")
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the one that ends the process; does what the others ask for.
    async fn end(mut self, node: &Node) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => node.reload(),
            }
        }
    }
}
