//! Memory of server streams that are open and silent: each has a connection of its own, has given one message, and waits.

use super::peers::{self, Subject};
use super::{Bench, usage};
use crate::load::{Ask, Connection, Target};
use crate::report::Measurement;
use anyhow::Context as _;
use std::sync::Arc;

const STREAMS: usize = 1000;
/// What one may take, in kB.
const GOAL_KB: f64 = 20.0;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Measurement> {
    let upstream = peers::upstream()?;
    let front = peers::start(bench, Subject::Riskmesh, upstream.address)?.context("no front")?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    let target = Arc::new(Target { address: front.address, token: None, asks: Vec::new() });
    let grown = runtime.block_on(async {
        // The first stream opens the connection to the upstream, which all share.
        let mut open = vec![stream(&target).await?];
        let before = usage::resident(front.process.id())?;
        for _ in 0..STREAMS {
            open.push(stream(&target).await?);
        }
        let after = usage::resident(front.process.id())?;
        drop(open);
        anyhow::Ok(after.saturating_sub(before))
    })?;
    let kb = grown as f64 / 1000.0 / STREAMS as f64;
    Ok(Measurement::new("idle_streams", format!("kb_a_stream < {GOAL_KB}"), kb < GOAL_KB)
        .with("subject", Subject::Riskmesh.name())
        .with("streams", STREAMS)
        .with_decimals("kb_a_stream", kb))
}

/// Opens a stream and waits for its first message.
async fn stream(target: &Arc<Target>) -> anyhow::Result<impl Sized + use<>> {
    let ask = Ask::get("/v1/accounts/a/transactions:watch");
    Connection::open(target.clone()).await?.start(&ask).await
}
