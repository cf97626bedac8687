//! A change of state and its event as one step, where no write spans both.
//!
//! 1. The service writes a *pointer* into the outbox: where to look for the event ([`Outbox::intend`]). Harmless if nothing follows.
//! 2. It changes its state, in one conditional write that also notes the event as pending, or so that the event can be made again
//!    from the state and the pointer.
//! 3. It publishes the event, clears what is pending, and removes the pointer ([`Outbox::settle`]).
//!
//! If the process dies in between, the [`Relay`] finds the pointer, asks the service's [`PendingSource`] what is pending, and does
//! step 3. Event ids are derived from the change ([`event::id`](crate::event::id)), so whoever gets an event twice can tell.
//!
//! A pointer's reference is the service's own business: one key, or the name of a whole chunk of rows; a bulk load writes few
//! pointers for many rows.

mod relay;

pub use relay::{Config, Relay, Swept};

use crate::error::{Error, Source};
use crate::event;
use crate::record::Record;
use async_trait::async_trait;
use bytes::Bytes;
use riskmesh_core::{Clock, Timestamp};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Batch, Store, Table, Token, asc, bigint, blob, delete, int, text, timestamp, upsert, uuid};
use uuid::Uuid;

/// The pointers that are not settled.
pub static OUTBOX: Table = Table::new("outbox", &[bigint("minute"), int("shard")])
    .clustering(&[asc(uuid("event_id"))])
    .values(&[timestamp("at"), text("kind"), blob("reference")]);

/// Partitions a minute, so that one minute's pointers do not all go to one place.
const SHARDS: i32 = 8;
/// How long after its pointer was written a change of state may take, and after it was given up may still come true.
pub const GRACE: Duration = Duration::from_secs(10);
/// Bytes of a reference.
pub const MAX_REFERENCE_BYTES: usize = 64 << 10;
/// Pointers of one call.
pub const MAX_POINTERS: usize = 10_000;
/// Pointers and bytes of one write.
const WRITE_POINTERS: usize = 4096;
const WRITE_BYTES: usize = 4 << 20;
const ROW_BYTES: usize = 256;

/// Where to look for events that may have to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Names the [`PendingSource`] that understands the reference.
    pub kind: &'static str,
    /// What the source needs to find them; at most 64 KiB.
    pub reference: Bytes,
}

impl Pointer {
    /// A pointer for the source of this kind.
    pub fn new(kind: &'static str, reference: impl Into<Bytes>) -> Self {
        Self { kind, reference: reference.into() }
    }
}

/// A record and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: &'static str,
    /// The record.
    pub record: Record,
}

/// What a service implements, so that events left behind by a crash are published.
#[async_trait]
pub trait PendingSource: Send + Sync + 'static {
    /// The kind of its pointers; unique in the product.
    fn kind(&self) -> &'static str;

    /// The events that are pending at a reference, as of a read that sees every acknowledged write, with the ids that the direct
    /// publication would have given them. None if the change of state did not happen, has not happened yet, or was cleared.
    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Source>;

    /// These events were published: takes them, and no later ones, off what is pending. Nothing to do where events are made from
    /// the state alone.
    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Source>;
}

/// The outbox of one process; cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    instance: String,
    sequence: AtomicU64,
    in_hand: Mutex<InHand>,
}

/// The pointers of this process that the relay leaves alone.
#[derive(Default)]
struct InHand {
    ids: HashSet<Uuid>,
    /// Those whose [`Intents`] were dropped, and when. They stay for [`GRACE`]: a request that was given up may have left a write
    /// behind that is still on its way.
    dropped: VecDeque<(Timestamp, Vec<Uuid>)>,
}

impl InHand {
    /// Forgets what was dropped long ago.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        while let Some((_, ids)) = self.dropped.pop_front_if(|(since, _)| since.plus(GRACE) <= now) {
            for id in ids {
                self.ids.remove(&id);
            }
        }
        self
    }
}

impl Inner {
    fn in_hand(&self) -> MutexGuard<'_, InHand> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the relay must leave this pointer alone.
    fn is_in_hand(&self, id: Uuid, now: Timestamp) -> bool {
        self.in_hand().at(now).ids.contains(&id)
    }
}

/// Where a pointer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    minute: i64,
    shard: i32,
    id: Uuid,
}

/// Pointers that were written and not settled. As long as this lives, the relay of the same process leaves them to it; dropped
/// unsettled, it leaves them to the relay, [`GRACE`] later.
#[must_use = "dropped, it leaves the pointers to the relay; settle them when the events are published"]
pub struct Intents {
    inner: Arc<Inner>,
    places: Vec<Place>,
}

impl Drop for Intents {
    fn drop(&mut self) {
        let now = self.inner.clock.now();
        let mut in_hand = self.inner.in_hand();
        let in_hand = in_hand.at(now);
        let unsettled: Vec<_> =
            self.places.iter().map(|place| place.id).filter(|id| in_hand.ids.contains(id)).collect();
        if !unsettled.is_empty() {
            in_hand.dropped.push_back((now, unsettled));
        }
    }
}

impl Outbox {
    /// An outbox over this store. `instance` names this start of this process: unique among all processes and all their starts.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, instance: impl Into<String>) -> Self {
        let (instance, sequence) = (instance.into(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { store, clock, instance, sequence, in_hand: Mutex::default() }) }
    }

    /// Writes pointers, before the change of state. When this returns they are durable, and the change must now be made within
    /// [`GRACE`]: bound it by a deadline.
    pub async fn intend(&self, pointers: Vec<Pointer>) -> Result<Intents, Error> {
        check(&pointers)?;
        let at = self.inner.clock.now();
        let minute = minute_of(at);
        let mut intents = Intents { inner: self.inner.clone(), places: Vec::with_capacity(pointers.len()) };
        let mut shards: BTreeMap<i32, (Vec<Batch>, usize)> = BTreeMap::new();
        for pointer in pointers {
            let id = self.next_id();
            let shard = shard_of(id);
            intents.places.push(Place { minute, shard, id });
            let bytes = pointer.reference.len() + pointer.kind.len() + ROW_BYTES;
            let (batches, written) = shards.entry(shard).or_default();
            let full = batches
                .last()
                .is_none_or(|last| last.mutations.len() >= WRITE_POINTERS || *written + bytes > WRITE_BYTES);
            if full {
                batches.push(Batch::new(&OUTBOX, (minute, shard)));
                *written = 0;
            }
            *written += bytes;
            let row = upsert(id).set("at", at).set("kind", pointer.kind).set("reference", pointer.reference);
            if let Some(batch) = batches.last_mut() {
                batch.mutations.push(row.into());
            }
        }
        self.inner.in_hand().at(at).ids.extend(intents.places.iter().map(|place| place.id));
        let batches = shards.into_values().flat_map(|(batches, _)| batches).collect();
        self.inner.store.apply(batches).await.map_err(Error::store("write pointers"))?;
        Ok(intents)
    }

    /// Removes pointers, after their events were published and cleared, or when it is certain that the change of state will not
    /// happen. If this fails the relay does it.
    pub async fn settle(&self, intents: Intents) -> Result<(), Error> {
        self.remove(&intents.places).await?;
        let mut in_hand = self.inner.in_hand();
        for place in &intents.places {
            in_hand.ids.remove(&place.id);
        }
        Ok(())
    }

    async fn remove(&self, places: &[Place]) -> Result<(), Error> {
        let mut shards: BTreeMap<(i64, i32), Vec<Uuid>> = BTreeMap::new();
        for place in places {
            shards.entry((place.minute, place.shard)).or_default().push(place.id);
        }
        let batches = shards
            .iter()
            .flat_map(|(shard, ids)| ids.chunks(WRITE_POINTERS).map(move |ids| (*shard, ids)))
            .map(|(shard, ids)| {
                ids.iter().fold(Batch::new(&OUTBOX, shard), |batch, id| batch.with(delete(*id)))
            })
            .collect();
        self.inner.store.apply(batches).await.map_err(Error::store("remove pointers"))
    }

    /// Not random, so that a simulation can be repeated; and unique, since the instance is.
    fn next_id(&self) -> Uuid {
        let sequence = self.inner.sequence.fetch_add(1, Ordering::Relaxed);
        event::id(&[b"outbox", self.inner.instance.as_bytes(), &sequence.to_be_bytes()])
    }
}

fn check(pointers: &[Pointer]) -> Result<(), Error> {
    let refuse = |what, actual, limit| Err(Error::TooLarge { what, actual, limit });
    if pointers.len() > MAX_POINTERS {
        return refuse("number of pointers", pointers.len(), MAX_POINTERS);
    }
    match pointers.iter().map(|pointer| pointer.reference.len()).max() {
        Some(longest) if longest > MAX_REFERENCE_BYTES => {
            refuse("reference of a pointer", longest, MAX_REFERENCE_BYTES)
        }
        _ => Ok(()),
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.0.div_euclid(60_000)
}

fn shard_of(id: Uuid) -> i32 {
    (Token::of(id.as_bytes()).0.rem_euclid(i64::from(SHARDS))) as i32
}

#[cfg(test)]
mod tests;
