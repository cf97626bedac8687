//! What a process knows about a list: the counts of its blocks, its lease, and the blocks that it is changing.

use super::bitmap::Bitmap;
use super::block::Block;
use super::counts::Counts;
use super::lease::Lease;
use super::{BLOCKS, CACHED_LISTS, COUNTS, ENTRIES, Inner, List, lock};
use crate::error::Error;
use crate::limits;
use crate::read::{Get, Scan};
use crate::row::Row;
use riskmesh_core::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// Bitmaps read at once.
const READ_BLOCKS: usize = 512;

pub(super) struct State {
    pub(super) list: List,
    known: Mutex<Known>,
    /// Held while the counts are loaded, so that a list is loaded once.
    loading: tokio::sync::Mutex<()>,
    pub(super) lease: tokio::sync::Mutex<Lease>,
    pub(super) blocks: Mutex<HashMap<u32, Arc<Block>>>,
    /// When the list was last used, in milliseconds since the epoch.
    used: AtomicI64,
}

#[derive(Default)]
struct Known {
    counts: Counts,
    /// When the counts were last read; `None` before the first time.
    read_at: Option<Timestamp>,
    /// Exact counts of the blocks that this process is changing: newer than anything that is read.
    own: HashMap<u32, u32>,
    /// How often one left `own`: a reading that began before may not know its count.
    settled: u64,
}

/// A mark of a process that may have died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) block: u32,
    pub(super) owner: i64,
    pub(super) marked_at: Timestamp,
}

impl Inner {
    /// What is known about a list.
    pub(super) fn state(&self, list: &List) -> Arc<State> {
        let now = self.clock.now().millis();
        let mut lists = lock(&self.lists);
        if let Some(state) = lists.get(list) {
            state.used.store(now, Ordering::Relaxed);
            return state.clone();
        }
        if lists.len() >= CACHED_LISTS {
            // Only what nobody is using can go; it is read again when it is needed.
            let idle = lists
                .values()
                .filter(|state| Arc::strong_count(state) == 1 && lock(&state.blocks).is_empty());
            let oldest = idle.min_by_key(|state| state.used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|state| state.list.clone()) {
                lists.remove(&oldest);
            }
        }
        let state = Arc::new(State {
            list: list.clone(),
            known: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            lease: tokio::sync::Mutex::default(),
            blocks: Mutex::default(),
            used: AtomicI64::new(now),
        });
        lists.insert(list.clone(), state.clone());
        state
    }
}

impl State {
    /// Looks at the counts.
    pub(super) fn counts<T>(&self, look: impl FnOnce(&Counts) -> T) -> T {
        look(&lock(&self.known).counts)
    }

    /// Notes the exact count of a block that this process has just changed.
    pub(super) fn changed(&self, block: u32, count: u32) {
        let mut known = lock(&self.known);
        known.own.insert(block, count);
        known.counts.set(block, count);
    }

    /// Notes a count that was read on the way, unless this process knows better.
    pub(super) fn seen(&self, block: u32, count: u32) {
        let mut known = lock(&self.known);
        if !known.own.contains_key(&block) && known.counts.get(block) != count {
            known.counts.set(block, count);
        }
    }

    /// Notes that the stored count of a block is right, and its mark gone.
    pub(super) fn settled(&self, block: u32, count: u32) {
        let mut known = lock(&self.known);
        known.own.remove(&block);
        known.settled += 1;
        known.counts.set(block, count);
    }

    /// When the counts were last read.
    pub(super) fn read_at(&self) -> Option<Timestamp> {
        lock(&self.known).read_at
    }

    pub(super) fn used_at(&self) -> Timestamp {
        Timestamp(self.used.load(Ordering::Relaxed))
    }
}

/// Reads the counts if they never were.
pub(super) async fn load(inner: &Inner, state: &State) -> Result<(), Error> {
    if state.read_at().is_some() {
        return Ok(());
    }
    let _loading = state.loading.lock().await;
    while state.read_at().is_none() {
        refresh(inner, state).await?;
    }
    Ok(())
}

/// Reads the counts; gives the marks of other processes. Changes nothing if a block came to rest meanwhile: the next reading
/// will know it.
pub(super) async fn refresh(inner: &Inner, state: &State) -> Result<Vec<Mark>, Error> {
    let (now, settled) = (inner.clock.now(), lock(&state.known).settled);
    let (mut counts, marks) = stored(inner, &state.list).await?;
    let mut doubtful: Vec<u32> = marks.iter().map(|mark| mark.block).collect();
    doubtful.dedup();
    for chunk in doubtful.chunks(READ_BLOCKS) {
        let gets = chunk.iter().map(|block| Get::statics(&ENTRIES, state.list.block_key(*block))).collect();
        for (block, row) in chunk.iter().zip(inner.store.get_many(gets).await?) {
            put(&mut counts, *block, live(row.as_ref())?.count());
        }
    }
    let mut known = lock(&state.known);
    if known.settled == settled {
        let mut counts = Counts::new(counts);
        for (block, count) in &known.own {
            counts.set(*block, *count);
        }
        known.counts = counts;
        known.read_at = Some(now);
    }
    Ok(marks)
}

/// The stored counts by block, and the marks in order of their blocks.
async fn stored(inner: &Inner, list: &List) -> Result<(Vec<u32>, Vec<Mark>), Error> {
    let (mut counts, mut marks) = (Vec::new(), Vec::new());
    let mut scan = Scan::new(&COUNTS, list.key(), limits::PAGE_ROWS);
    loop {
        let page = inner.store.scan(scan.clone()).await?;
        for row in &page.rows {
            let block = block_of(row)?;
            match row.bigint("owner")? {
                0 => put(&mut counts, block, row.int("count")?.max(0) as u32),
                owner => marks.push(Mark { block, owner, marked_at: row.timestamp("marked_at")? }),
            }
        }
        match page.rows.last() {
            Some(last) if page.more => scan.after = last.clustering(),
            _ => return Ok((counts, marks)),
        }
    }
}

fn put(counts: &mut Vec<u32>, block: u32, count: u32) {
    let index = block as usize;
    if index >= counts.len() {
        counts.resize(index + 1, 0);
    }
    counts[index] = count;
}

/// The block that a row of [`COUNTS`] or [`ENTRIES`] is about.
pub(super) fn block_of(row: &Row) -> Result<u32, Error> {
    let block = u32::try_from(row.int("block")?).ok().filter(|block| u64::from(*block) < BLOCKS);
    block.ok_or(Error::Corrupt { table: row.table().name, what: "block number" })
}

/// The bitmap in the statics of a block; empty where there are none.
pub(super) fn live(statics: Option<&Row>) -> Result<Bitmap, Error> {
    let stored = statics.map(|row| row.blob_opt("live")).transpose()?.flatten();
    Bitmap::decode(stored.map(|bytes| &bytes[..]))
        .ok_or(Error::Corrupt { table: ENTRIES.name, what: "bitmap of a block" })
}
