//! What a replica keeps of Redis in its own memory, as long as it is told of every change.

use super::contact::Until;
use crate::Entry;
use crate::memory::OVERHEAD;
use riskmesh_core::Timestamp;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many counters there are. Two keys that share one cost each other nothing but a fill.
const STRIPES: usize = 1024;

/// A bounded layer in front of Redis.
///
/// A value that Redis gave may be overtaken by the news that it was changed. So who asks takes a [`Ticket`] first, and with it the value
/// is kept only if no news of its key came since.
pub(super) struct Local {
    slots: moka::sync::Cache<String, Slot>,
    /// How often something of a stripe was changed.
    stripes: Box<[Mutex<u64>]>,
    hasher: RandomState,
    /// How often all was dropped. What is of an earlier generation is not there.
    generation: AtomicU64,
    lease: Until,
}

#[derive(Clone)]
struct Slot {
    entry: Entry,
    generation: u64,
}

/// What was known of a key before Redis was asked for it.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    changes: u64,
    generation: u64,
}

impl Local {
    /// Of at most about this many bytes.
    pub(super) fn new(max_bytes: u64, now: Instant) -> Self {
        let slots = moka::sync::Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key: &String, slot: &Slot| {
                u32::try_from(OVERHEAD + key.len() + slot.entry.value.len()).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            slots,
            stripes: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
            generation: AtomicU64::new(0),
            lease: Until::new(now),
        }
    }

    /// The value of a key, where it is here and all its changes up to a second ago would have been told.
    pub(super) fn get(&self, key: &str, clock: Timestamp) -> Option<Entry> {
        let slot = self.slots.get(key)?;
        let holds = slot.entry.expires_at > clock
            && slot.generation == self.generation.load(Ordering::SeqCst)
            && self.lease.is_after(Instant::now());
        holds.then_some(slot.entry)
    }

    /// To be taken before Redis is asked.
    pub(super) fn ticket(&self, key: &str) -> Ticket {
        let generation = self.generation.load(Ordering::SeqCst);
        Ticket { changes: *self.stripe(key), generation }
    }

    /// Keeps what Redis said, unless it was overtaken.
    pub(super) fn fill(&self, ticket: Ticket, key: &str, entry: Entry) {
        if !self.lease.is_after(Instant::now()) {
            return;
        }
        let changes = self.stripe(key);
        if *changes == ticket.changes {
            self.slots.insert(key.to_owned(), Slot { entry, generation: ticket.generation });
        }
    }

    /// A key was changed.
    pub(super) fn drop_one(&self, key: &str) {
        let mut changes = self.stripe(key);
        *changes = changes.wrapping_add(1);
        self.slots.invalidate(key);
    }

    /// Anything may have been changed.
    pub(super) fn drop_all(&self) {
        self.lease.set(None);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.slots.invalidate_all();
    }

    /// All changes up to a second before this have been told.
    pub(super) fn extend(&self, lease: Instant) {
        self.lease.set(Some(lease));
    }

    fn stripe(&self, key: &str) -> MutexGuard<'_, u64> {
        let stripe = usize::try_from(self.hasher.hash_one(key) % STRIPES as u64).unwrap_or(0);
        // The remainder is below the length.
        self.stripes.get(stripe).unwrap_or(&self.stripes[0]).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn entry(version: i64) -> Entry {
        Entry {
            version,
            value: Bytes::from_static(b"value"),
            expires_at: Timestamp(100),
            load_time: Duration::ZERO,
            epoch: 1,
        }
    }

    fn leased() -> Local {
        let local = Local::new(1 << 20, Instant::now());
        local.extend(Instant::now() + Duration::from_mins(1));
        local
    }

    #[test]
    fn what_was_overtaken_by_a_change_is_not_kept() {
        let local = leased();
        let ticket = local.ticket("k");
        local.drop_one("k");
        local.fill(ticket, "k", entry(1));
        assert_eq!(local.get("k", Timestamp(0)), None);
        local.fill(local.ticket("k"), "k", entry(2));
        assert_eq!(local.get("k", Timestamp(0)), Some(entry(2)));
        local.drop_one("k");
        assert_eq!(local.get("k", Timestamp(0)), None);
    }

    #[test]
    fn what_was_overtaken_by_a_loss_is_not_served() {
        let local = leased();
        local.fill(local.ticket("k"), "k", entry(1));
        let ticket = local.ticket("k");
        local.drop_all();
        assert_eq!(local.get("k", Timestamp(0)), None);
        local.extend(Instant::now() + Duration::from_mins(1));
        local.fill(ticket, "k", entry(1));
        assert_eq!(local.get("k", Timestamp(0)), None);
    }

    #[test]
    fn without_a_lease_and_after_its_end_nothing_is_served() {
        let local = leased();
        local.fill(local.ticket("k"), "k", entry(1));
        assert_eq!(local.get("k", Timestamp(100)), None);
        local.extend(Instant::now());
        assert_eq!(local.get("k", Timestamp(0)), None);
        // News that come again prove that none were missed.
        local.extend(Instant::now() + Duration::from_mins(1));
        assert_eq!(local.get("k", Timestamp(0)), Some(entry(1)));
    }
}
