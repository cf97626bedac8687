//! From the start of the process to `ready`, on a directory that holds the sandbox.

use super::Bench;
use crate::report::Measurement;
use crate::server::Server;
use std::time::Duration;

/// What the slowest start may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Starts and stops a server several times, and once more after a kill -9.
pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let riskmesh = bench.riskmesh()?;
    let dir = bench.scratch()?;
    let seeding = Server::start(&riskmesh, dir.path())?;
    let seeded = seeding.startup;
    seeding.stop()?;
    let mut starts = Vec::new();
    for _ in 0..bench.args.runs {
        let server = Server::start(&riskmesh, dir.path())?;
        starts.push(server.startup);
        server.stop()?;
    }
    let mut server = Server::start(&riskmesh, dir.path())?;
    server.process.kill()?;
    let server = Server::start(&riskmesh, dir.path())?;
    let after_kill = server.startup;
    server.stop()?;

    starts.sort_unstable();
    let (median, slowest) = (starts[starts.len() / 2], starts[starts.len() - 1].max(after_kill));
    let measurement =
        Measurement::new("cold_start", format!("slowest_s < {}", LIMIT.as_secs()), slowest < LIMIT)
            .with("runs", starts.len())
            .with_decimals("median_s", median.as_secs_f64())
            .with_decimals("slowest_s", slowest.as_secs_f64())
            .with_decimals("after_kill_s", after_kill.as_secs_f64())
            .with_decimals("first_start_with_seeding_s", seeded.as_secs_f64());
    Ok(vec![measurement])
}
