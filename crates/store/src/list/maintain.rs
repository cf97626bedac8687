//! Keeping the stored counts: settling blocks that have come to rest, taking over from processes that died, reading what others
//! have changed, and rebuilding everything.

use super::block::{Block, MARK_FRESH};
use super::cache::{self, Mark, State, block_of, live};
use super::{COUNTS, ENTRIES, Inner, lease, lock};
use crate::error::Error;
use crate::limits;
use crate::read::{Get, TokenScan};
use crate::write::{Batch, Cas, Outcome, delete, upsert};
use riskmesh_core::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A block that nobody has changed for this long has come to rest.
const REST: Duration = Duration::from_secs(2);
/// A mark this old belongs to a process that died: a living one renews it or takes it away.
const MARK_DEAD: Duration = Duration::from_mins(10);
/// The counts of a list in use are read again when they are this old.
const REFRESH: Duration = Duration::from_secs(5);
/// A list that nobody has used for this long is not read again.
const IDLE: Duration = Duration::from_mins(1);
/// Attempts to write a count.
const ATTEMPTS: usize = 64;

fn is_over(since: Timestamp, period: Duration, now: Timestamp) -> bool {
    now >= since.plus(period)
}

pub(super) async fn all(inner: &Inner) -> Result<(), Error> {
    let lists: Vec<Arc<State>> = lock(&inner.lists).values().cloned().collect();
    for state in lists {
        let blocks: Vec<_> =
            lock(&state.blocks).iter().map(|(number, block)| (*number, block.clone())).collect();
        for (number, block) in blocks {
            settle(inner, &state, number, &block).await?;
        }
        let now = inner.clock.now();
        let due = state.read_at().is_some_and(|at| is_over(at, REFRESH, now));
        if due && !is_over(state.used_at(), IDLE, now) {
            let owner = lease::owner(inner).await?;
            for mark in cache::refresh(inner, &state).await? {
                if mark.owner != owner && is_over(mark.marked_at, MARK_DEAD, now) {
                    take_over(inner, &state, mark).await?;
                }
            }
        }
    }
    Ok(())
}

/// Writes the count of a block that has come to rest, or whose mark grows old, and takes this process's mark away.
async fn settle(inner: &Inner, state: &State, number: u32, block: &Arc<Block>) -> Result<(), Error> {
    let mut held = block.held.lock().await;
    let now = inner.clock.now();
    let resting = held.changed_at.is_none_or(|at| is_over(at, REST, now));
    let ageing = held.marked_at.is_some_and(|at| is_over(at, MARK_FRESH / 2, now));
    if !resting && !ageing {
        return Ok(());
    }
    if held.marked_at.is_some() {
        let owner = lease::owner(inner).await?;
        let count = write_count(inner, state, number).await?;
        unmark(inner, state, number, owner).await?;
        held.marked_at = None;
        state.settled(number, count);
    }
    // Forget the block unless somebody waits for it: the map, the caller's list and this are two references.
    let mut blocks = lock(&state.blocks);
    if Arc::strong_count(block) == 2 {
        blocks.remove(&number);
    }
    Ok(())
}

/// Ends the work of a process that died.
async fn take_over(inner: &Inner, state: &State, mark: Mark) -> Result<(), Error> {
    write_count(inner, state, mark.block).await?;
    unmark(inner, state, mark.block, mark.owner).await
}

async fn unmark(inner: &Inner, state: &State, number: u32, owner: i64) -> Result<(), Error> {
    let batch = Batch::new(&COUNTS, state.list.key()).with(delete((number as i32, owner)));
    inner.store.apply(vec![batch]).await
}

/// Brings the stored count of a block to what its bitmap says. The bitmap is read again after the count was written: of several
/// processes that write it, the last one finds what the others did.
async fn write_count(inner: &Inner, state: &State, number: u32) -> Result<u32, Error> {
    let row = (number as i32, 0_i64);
    let latest = Get::row(&COUNTS, state.list.key(), row).latest();
    let stored = |found: Option<crate::Row>| found.map(|row| row.int("count")).transpose();
    let mut seen = stored(inner.store.get(latest.clone()).await?)?;
    let mut count = read_count(inner, state, number).await?;
    for _ in 0..ATTEMPTS {
        if seen == Some(count as i32) {
            let again = read_count(inner, state, number).await?;
            if again == count {
                return Ok(count);
            }
            count = again;
            continue;
        }
        let cas = Cas::new(&COUNTS, state.list.key())
            .if_equals(row, "count", seen)
            .with(upsert(row).set("count", count as i32));
        seen = match inner.store.cas(cas).await? {
            Outcome::Applied => Some(count as i32),
            Outcome::Conflict(current) => stored(current.row(row).cloned())?,
            Outcome::Unknown => stored(inner.store.get(latest.clone()).await?)?,
        };
    }
    Err(Error::Unknown { operation: "write count of list", source: None })
}

async fn read_count(inner: &Inner, state: &State, number: u32) -> Result<u32, Error> {
    let get = Get::statics(&ENTRIES, state.list.block_key(number)).latest();
    Ok(live(inner.store.get(get).await?.as_ref())?.count())
}

pub(super) async fn rebuild(inner: &Inner, state: &State) -> Result<u64, Error> {
    let mut scan = TokenScan::new(&ENTRIES, limits::PAGE_ROWS).partitions();
    loop {
        let page = inner.store.token_scan(scan.clone()).await?;
        for row in &page.rows {
            if crate::value::Values::from((row.text("tenant")?, row.text("list")?)) == state.list.key() {
                write_count(inner, state, block_of(row)?).await?;
            }
        }
        if page.resume.is_none() {
            break;
        }
        scan.resume = page.resume;
    }
    cache::refresh(inner, state).await?;
    Ok(state.counts(super::counts::Counts::total))
}
