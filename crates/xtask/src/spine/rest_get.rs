//! `GET /v1/analytics/{clientId}` of the sandbox's clients, on 32 connections: how many a second there can be, then how long they take
//! at half of that.

use super::Bench;
use super::cores::{self, Cores};
use crate::load::{self, Ask, Connection, Target};
use crate::report::Measurement;
use crate::server::{Server, token};
use anyhow::Context as _;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What 99 of 100 requests may take, in milliseconds.
const P99_MS: f64 = 5.0;
const CONNECTIONS: usize = 32;
/// Closed loops after one to warm up; the best counts.
const ROUNDS: u32 = 3;

/// Serves the sandbox and asks for scores.
pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let riskmesh = bench.riskmesh()?;
    let dir = bench.scratch()?;
    let server = Server::start(&riskmesh, dir.path())?;
    let cores = Cores::split()?;
    cores::pin(server.process.id(), &cores.server)?;
    cores::pin(std::process::id(), &cores.load)?;
    let target = Target {
        address: server.address,
        token: Some(token(&riskmesh, dir.path(), "analyst")?),
        asks: Vec::new(),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    let measurement = runtime.block_on(requests(target, bench.args.time()))?;
    let measurement = measurement.with("server_cores", cores.server).with("load_cores", cores.load);
    // Connections close with the runtime; a server that drains would wait for them.
    drop(runtime);
    server.stop()?;
    Ok(vec![measurement])
}

async fn requests(mut target: Target, time: Duration) -> anyhow::Result<Measurement> {
    target.asks = asks(&target).await?;
    let clients = target.asks.len();
    let target = Arc::new(target);
    let connect = || Connection::open_all(&target, CONNECTIONS);
    let round = time / ROUNDS;
    load::closed(connect().await?, round).await.context("warm up")?;
    let mut peak: f64 = 0.0;
    for _ in 0..ROUNDS {
        let found = load::closed(connect().await?, round).await.context("find the peak")?;
        peak = peak.max(found.per_s);
    }
    let open = load::open(connect().await?, peak / 2.0, time).await.context("measure at half of the peak")?;
    let ms = |quantile| open.times.micros(quantile) / 1e3;
    let p99 = ms(0.99);
    Ok(Measurement::new("rest_get", format!("p99_ms < {P99_MS}"), p99 < P99_MS)
        .with("connections", CONNECTIONS)
        .with("clients", clients)
        .with_decimals("peak_per_s", peak)
        .with_decimals("offered_per_s", peak / 2.0)
        .with_decimals("answered_per_s", open.per_s)
        .with("requests", open.times.len())
        .with_decimals("p50_ms", ms(0.5))
        .with_decimals("p99_ms", p99)
        .with_decimals("p999_ms", ms(0.999))
        .with_decimals("max_ms", open.times.micros(1.0) / 1e3))
}

/// A request for each client that has a score.
async fn asks(target: &Target) -> anyhow::Result<Vec<Ask>> {
    let target = Target { address: target.address, token: target.token.clone(), asks: Vec::new() };
    let page = Ask::get("/v2/analytics?limit=1000");
    let page = Connection::open(Arc::new(target)).await?.answer(&page).await?;
    let page: Value = serde_json::from_slice(&page).context("read the list of scores")?;
    let listed = page["analytics"].as_array().context("the list of scores has no analytics")?;
    let ids = listed.iter().map(|entry| entry["clientId"].as_str().context("a score without a client"));
    let asks: Vec<Ask> =
        ids.map(|id| Ok(Ask::get(format!("/v1/analytics/{}", id?)))).collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!asks.is_empty(), "the sandbox has no scores");
    Ok(asks)
}
