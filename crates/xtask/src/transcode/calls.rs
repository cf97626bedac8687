//! Calls through every subject: CPU of the process a request, requests a second in a closed loop, times at a rate that all of
//! them bear.

use super::cases::{Call, Direct};
use super::peers::{self, Server, Subject};
use super::upstream::proto::bench_service_client::BenchServiceClient;
use super::{Bench, usage};
use crate::load::{self, Client, Connection, Target};
use crate::report::Measurement;
use anyhow::Context as _;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Endpoint;

/// Clients of a loop, each with a connection; those of gRPC share one, as a proxy's requests do.
const CLIENTS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(500);

/// One run, or the median of some.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    cpu_us: f64,
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Measures these calls: the subjects take turns, so that a minute in which the machine is slow is slow for all of them.
pub(super) fn measure(
    bench: &Bench,
    calls: &[Call],
    print: &impl Fn(&Measurement) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let upstream = peers::upstream()?;
    let mut servers = Vec::new();
    for subject in bench.subjects() {
        let server = peers::start(bench, subject, upstream.address);
        servers.push((subject, server.with_context(|| format!("start {}", subject.name()))?));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    for call in calls {
        let mut runs = vec![Vec::new(); servers.len()];
        for _ in 0..bench.args.rounds {
            for ((subject, server), runs) in servers.iter().zip(&mut runs) {
                let run = runtime.block_on(run(bench, *call, server.as_ref(), &upstream));
                runs.push(run.with_context(|| format!("{} of {}", call.name(), subject.name()))?);
            }
        }
        let medians: Vec<(Subject, Numbers)> =
            servers.iter().zip(&runs).map(|((subject, _), runs)| (*subject, median(runs))).collect();
        let envoy =
            medians.iter().find(|(subject, _)| *subject == Subject::Envoy).map(|(_, numbers)| *numbers);
        for (subject, numbers) in &medians {
            print(&measurement(*call, *subject, *numbers, envoy))?;
        }
    }
    Ok(())
}

fn measurement(call: Call, subject: Subject, numbers: Numbers, envoy: Option<Numbers>) -> Measurement {
    let ratio = envoy.map(|envoy| envoy.cpu_us / numbers.cpu_us);
    let measurement = match (call.goal(), ratio) {
        (Some(goal), Some(ratio)) if subject == Subject::Riskmesh => {
            Measurement::new(call.name(), format!("1/{goal} of Envoy's CPU"), ratio >= goal)
        }
        _ => Measurement::without_goal(call.name()),
    };
    let measurement = measurement
        .with("subject", subject.name())
        .with_decimals("cpu_us", numbers.cpu_us)
        .with_decimals("rps", numbers.per_s)
        .with_decimals("p50_us", numbers.p50_us)
        .with_decimals("p99_us", numbers.p99_us)
        .with_decimals("offered_rps", call.rate());
    match ratio {
        Some(ratio) if subject != Subject::Envoy => measurement.with_decimals("envoy_cpu_ratio", ratio),
        _ => measurement,
    }
}

async fn run(
    bench: &Bench<'_>,
    call: Call,
    server: Option<&Server>,
    upstream: &Server,
) -> anyhow::Result<Numbers> {
    if let Some(server) = server {
        let target = Arc::new(Target { address: server.address, token: None, asks: vec![call.ask()] });
        let mut first = Connection::open(target.clone()).await?;
        call.check(&first.answer(&call.ask()).await?)?;
        drop(first);
        let clients = [
            Connection::open_all(&target, CLIENTS).await?,
            Connection::open_all(&target, CLIENTS).await?,
            Connection::open_all(&target, CLIENTS).await?,
        ];
        return loops(bench, call, server, clients).await;
    }
    let channel =
        Endpoint::try_from(format!("http://{}", upstream.address))?.tcp_nodelay(true).connect().await?;
    let clients = || {
        let client = BenchServiceClient::new(channel.clone());
        (0..CLIENTS).map(|_| Direct { client: client.clone(), call }).collect()
    };
    loops(bench, call, upstream, [clients(), clients(), clients()]).await
}

/// Warms up, then measures in a closed loop and in an open one, each with clients of its own.
async fn loops<C: Client>(
    bench: &Bench<'_>,
    call: Call,
    server: &Server,
    [first, second, third]: [Vec<C>; 3],
) -> anyhow::Result<Numbers> {
    load::closed(first, WARM_UP).await.context("warm up")?;
    let before = usage::cpu(server.process.id())?;
    let closed = load::closed(second, bench.time()).await.context("ask as fast as it answers")?;
    let cpu = usage::cpu(server.process.id())?.saturating_sub(before);
    let open = load::open(third, call.rate(), bench.time()).await.context("ask at a rate")?;
    Ok(Numbers {
        cpu_us: cpu.as_secs_f64() * 1e6 / closed.count as f64,
        per_s: closed.per_s,
        p50_us: open.times.micros(0.5),
        p99_us: open.times.micros(0.99),
    })
}

/// The median of each number by itself.
fn median(runs: &[Numbers]) -> Numbers {
    let of = |number: fn(&Numbers) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(number).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Numbers {
        cpu_us: of(|run| run.cpu_us),
        per_s: of(|run| run.per_s),
        p50_us: of(|run| run.p50_us),
        p99_us: of(|run| run.p99_us),
    }
}
