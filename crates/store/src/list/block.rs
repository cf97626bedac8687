//! Changing a block. Changes to one block from one process queue up behind the write that is under way; whoever comes next
//! writes all of them in one conditional batch.

use super::bitmap::Bitmap;
use super::cache::{State, live};
use super::{COUNTS, ENTRIES, Inner, lease, lock};
use crate::error::Error;
use crate::read::Get;
use crate::row::Row;
use crate::text::Text;
use crate::write::{Batch, Cas, Current, Outcome, delete, upsert, upsert_statics};
use riskmesh_core::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// A mark is written again when it is this old, long before others take it for a dead process's.
pub(super) const MARK_FRESH: Duration = Duration::from_mins(4);
/// Attempts to change a block that other processes change too.
const ATTEMPTS: usize = 128;
/// Changes that one write takes along.
const TOGETHER: usize = 4096;

/// A position and who shall be there; `None` is nobody.
pub(super) type Change = (u16, Option<Text>);

/// A block that this process is changing.
#[derive(Default)]
pub(super) struct Block {
    queue: Mutex<Vec<Queued>>,
    pub(super) held: tokio::sync::Mutex<Held>,
}

/// Changes of one call, to be made together or refused together.
struct Queued {
    changes: Arc<[Change]>,
    /// Closed if the caller has gone.
    done: oneshot::Sender<Result<(), Error>>,
}

/// What the one who writes knows.
#[derive(Default)]
pub(super) struct Held {
    /// The bitmap after the last write or read; `None` if it must be read.
    live: Option<Bitmap>,
    /// When this process left its mark.
    pub(super) marked_at: Option<Timestamp>,
    pub(super) changed_at: Option<Timestamp>,
}

pub(super) async fn change(
    inner: &Inner,
    state: &State,
    number: u32,
    changes: Arc<[Change]>,
) -> Result<(), Error> {
    let block = lock(&state.blocks).entry(number).or_default().clone();
    loop {
        let (done, mut outcome) = oneshot::channel();
        lock(&block.queue).push(Queued { changes: changes.clone(), done });
        let mut held = block.held.lock().await;
        match outcome.try_recv() {
            Ok(outcome) => return outcome,
            // Whoever wrote it has failed, or was dropped.
            Err(oneshot::error::TryRecvError::Closed) => {}
            Err(oneshot::error::TryRecvError::Empty) => {
                let queued = take_queued(&block);
                write(inner, state, number, &mut held, queued).await?;
                if let Ok(outcome) = outcome.try_recv() {
                    return outcome;
                }
            }
        }
    }
}

/// The next changes that somebody waits for. One whose caller has gone must not be made late: who knows what came after.
fn take_queued(block: &Block) -> Vec<Queued> {
    let mut queue = lock(&block.queue);
    queue.retain(|queued| !queued.done.is_closed());
    let mut size = 0;
    let fits = queue.iter().take_while(|queued| {
        size += queued.changes.len();
        size <= TOGETHER
    });
    // At least one, however long: no call can name more than the positions of a block that matter.
    let count = fits.count().max(1).min(queue.len());
    queue.drain(..count).collect()
}

async fn write(
    inner: &Inner,
    state: &State,
    number: u32,
    held: &mut Held,
    queued: Vec<Queued>,
) -> Result<(), Error> {
    mark(inner, state, number, held).await?;
    let key = state.list.block_key(number);
    for _ in 0..ATTEMPTS {
        let before = match held.live.take() {
            Some(live) => live,
            None => live(inner.store.get(Get::statics(&ENTRIES, &key).latest()).await?.as_ref())?,
        };
        let members = members(inner, state, number, &before, &queued).await?;
        let Plan { slots, after, accepted } = plan(&before, &members, &queued);
        let outcome = if slots.is_empty() {
            Outcome::Applied
        } else {
            let mut cas = Cas::new(&ENTRIES, &key).if_static("live", before.encode());
            for (pos, member) in slots {
                let pos = i32::from(pos);
                cas = match member {
                    Some(member) => cas.with(upsert(pos).set("member", member)),
                    None => cas.with(delete(pos)),
                };
            }
            inner.store.cas(cas.with(upsert_statics().set("live", after.encode()))).await?
        };
        match outcome {
            Outcome::Applied => {
                state.changed(number, after.count());
                held.live = Some(after);
                held.changed_at = Some(inner.clock.now());
                for (queued, accepted) in queued.into_iter().zip(accepted) {
                    let outcome = if accepted { Ok(()) } else { Err(occupied()) };
                    // A caller that has gone does not mind.
                    let _ = queued.done.send(outcome);
                }
                return Ok(());
            }
            Outcome::Conflict(Current { statics, .. }) => held.live = Some(live(statics.as_ref())?),
            // Made or not, the changes can be made again on what is there then.
            Outcome::Unknown => {}
        }
    }
    Err(Error::Unknown { operation: "change list", source: None })
}

const fn occupied() -> Error {
    Error::Request { table: ENTRIES.name, what: "another member has this ordinal" }
}

/// Leaves this process's mark, before anything changes.
async fn mark(inner: &Inner, state: &State, number: u32, held: &mut Held) -> Result<(), Error> {
    let now = inner.clock.now();
    if held.marked_at.is_some_and(|at| now < at.plus(MARK_FRESH)) {
        return Ok(());
    }
    let owner = lease::owner(inner).await?;
    let mark = upsert((number as i32, owner)).set("marked_at", now);
    let batch = Batch::new(&COUNTS, state.list.key()).with(mark);
    inner.store.apply(vec![batch]).await?;
    held.marked_at = Some(now);
    Ok(())
}

/// Who is at the taken positions that are to be written: they may be the same, or others.
async fn members(
    inner: &Inner,
    state: &State,
    number: u32,
    before: &Bitmap,
    queued: &[Queued],
) -> Result<BTreeMap<u16, Text>, Error> {
    let written = queued.iter().flat_map(|queued| queued.changes.iter());
    let taken = written.filter(|(pos, member)| member.is_some() && before.get(*pos));
    let gets: Vec<_> = taken
        .map(|(pos, _)| Get::row(&ENTRIES, state.list.block_key(number), i32::from(*pos)).latest())
        .collect();
    if gets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let member = |row: Row| Ok((row.int("pos")? as u16, row.text("member")?.into()));
    inner.store.get_many(gets).await?.into_iter().flatten().map(member).collect()
}

/// What a write comes to.
struct Plan {
    /// The positions to write.
    slots: BTreeMap<u16, Option<Text>>,
    after: Bitmap,
    /// Whether each call's changes are made.
    accepted: Vec<bool>,
}

/// Makes the changes one after the other, in memory.
fn plan(before: &Bitmap, members: &BTreeMap<u16, Text>, queued: &[Queued]) -> Plan {
    let mut plan = Plan { slots: BTreeMap::new(), after: before.clone(), accepted: Vec::new() };
    for queued in queued {
        let free = |plan: &Plan, (pos, member): &Change| {
            let there = match plan.slots.get(pos) {
                Some(there) => there.as_ref(),
                None => members.get(pos).filter(|_| plan.after.get(*pos)),
            };
            member.is_none() || there.is_none() || there == member.as_ref()
        };
        let accepted = queued.changes.iter().all(|change| free(&plan, change));
        plan.accepted.push(accepted);
        if !accepted {
            continue;
        }
        for (pos, member) in queued.changes.iter() {
            if member.is_none() && !plan.after.get(*pos) {
                continue;
            }
            plan.after.set(*pos, member.is_some());
            plan.slots.insert(*pos, member.clone());
        }
    }
    // What stands there already need not be written, and what never stood there not deleted.
    plan.slots.retain(|pos, member| match member {
        Some(member) => !before.get(*pos) || members.get(pos) != Some(member),
        None => before.get(*pos),
    });
    plan
}
