//! Reserving ordinals. A process takes a lease of consecutive ordinals from the list's allocator and hands them out from memory;
//! leases grow with demand, so that a busy list costs one conditional write for thousands of members, and a quiet one wastes
//! few ordinals when the process ends. A lease stays within a block: processes that append do not share blocks for long.

use super::cache::State;
use super::{ALLOCATORS, BLOCK, BLOCKS, Inner, Ordinal};
use crate::error::Error;
use crate::read::Get;
use crate::value::Values;
use crate::write::{Cas, Outcome, upsert};
use std::ops::Range;
use std::sync::Arc;

/// The first lease; each next one is twice as long, up to a block.
const FIRST: u64 = 16;
/// Attempts to take a lease from an allocator that others use too.
const ATTEMPTS: usize = 64;

/// What a process has leased of a list.
#[derive(Debug)]
pub(super) struct Lease {
    left: Range<u64>,
    /// The length of the next one.
    next: u64,
}

impl Default for Lease {
    fn default() -> Self {
        Self { left: 0..0, next: FIRST }
    }
}

pub(super) async fn reserve(inner: &Inner, state: &Arc<State>) -> Result<Ordinal, Error> {
    let mut lease = state.lease.lock().await;
    if lease.left.is_empty() {
        lease.left = take(inner, &state.list.key(), lease.next, BLOCK).await?;
        lease.next = (lease.next * 2).min(BLOCK);
    }
    let ordinal = lease.left.start;
    lease.left.start += 1;
    if ordinal / BLOCK < BLOCKS {
        Ok(Ordinal(ordinal))
    } else {
        Err(Error::Request { table: ALLOCATORS.name, what: "the list has no ordinals left" })
    }
}

/// A number that no other process has.
pub(super) async fn owner(inner: &Inner) -> Result<i64, Error> {
    let take_one = || async {
        let number = take(inner, &("", "owners").into(), 1, u64::MAX).await?.start;
        // Owner 0 is the count.
        Ok(number as i64 + 1)
    };
    inner.owner.get_or_try_init(take_one).await.copied()
}

/// Takes up to `len` numbers that do not cross a multiple of `within`.
async fn take(inner: &Inner, key: &Values, len: u64, within: u64) -> Result<Range<u64>, Error> {
    let mut seen = None;
    for _ in 0..ATTEMPTS {
        let start = seen.unwrap_or(0) as u64;
        let end = (start + len).min((start / within + 1).saturating_mul(within));
        let cas =
            Cas::new(&ALLOCATORS, key).if_equals((), "next", seen).with(upsert(()).set("next", end as i64));
        match inner.store.cas(cas).await? {
            Outcome::Applied => return Ok(start..end),
            Outcome::Conflict(current) => {
                seen = current.row(()).map(|row| row.bigint("next")).transpose()?;
            }
            // If it was applied, these numbers are lost: nobody else has them either.
            Outcome::Unknown => {
                let row = inner.store.get(Get::row(&ALLOCATORS, key, ()).latest()).await?;
                seen = row.map(|row| row.bigint("next")).transpose()?;
            }
        }
    }
    Err(Error::Unknown { operation: "reserve ordinals", source: None })
}
