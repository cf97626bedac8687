//! The cache inside the process.

use crate::{Cache, Entry, Error};
use async_trait::async_trait;
use bytes::Bytes;
use moka::ops::compute::Op;
use riskmesh_core::{Clock, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an entry costs beside its key and value, about.
pub(crate) const OVERHEAD: usize = 160;

/// A cache in the process's memory, bounded by bytes; what is used seldom and was not used lately goes first (W-TinyLFU).
pub struct Memory {
    slots: moka::future::Cache<String, Slot>,
    clock: Arc<dyn Clock>,
}

/// What is known of a key.
#[derive(Clone, Debug)]
struct Slot {
    entry: Option<Entry>,
    floor: Option<Floor>,
}

/// No version below this is taken.
#[derive(Clone, Copy, Debug)]
struct Floor {
    version: i64,
    until: Timestamp,
}

impl Memory {
    /// A cache of at most about this many bytes.
    pub fn new(clock: Arc<dyn Clock>, max_bytes: u64) -> Self {
        let slots = moka::future::Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key: &String, slot: &Slot| {
                let value = slot.entry.as_ref().map_or(0, |entry| entry.value.len());
                u32::try_from(OVERHEAD + key.len() + value).unwrap_or(u32::MAX)
            })
            .expire_after(Expiry(clock.clone()))
            .build();
        Self { slots, clock }
    }
}

impl Slot {
    /// The slot as of `now`: without what has expired.
    fn at(self, now: Timestamp) -> Self {
        Self {
            entry: self.entry.filter(|entry| entry.expires_at > now),
            floor: self.floor.filter(|floor| floor.until > now),
        }
    }

    fn takes(&self, version: i64) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.version <= version)
            && self.floor.is_none_or(|floor| floor.version <= version)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        let entry = self.entry.as_ref().map(|entry| entry.expires_at);
        entry.max(self.floor.map(|floor| floor.until))
    }
}

#[async_trait]
impl Cache for Memory {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let now = self.clock.now();
        Ok(self.slots.get(key).await.and_then(|slot| slot.at(now).entry))
    }

    async fn put(&self, key: &str, entry: Entry) -> Result<bool, Error> {
        let now = self.clock.now();
        if entry.expires_at <= now {
            return Ok(false);
        }
        // A view into a larger buffer would keep all of it alive.
        let entry = Entry { value: Bytes::copy_from_slice(&entry.value), ..entry };
        let mut taken = false;
        self.slots
            .entry_by_ref(key)
            .and_compute_with(|current| {
                let slot =
                    current.map_or(Slot { entry: None, floor: None }, |slot| slot.into_value().at(now));
                taken = slot.takes(entry.version);
                let op = if taken { Op::Put(Slot { entry: Some(entry), ..slot }) } else { Op::Nop };
                std::future::ready(op)
            })
            .await;
        Ok(taken)
    }

    async fn remove(&self, key: &str, floor: i64, until: Timestamp) -> Result<(), Error> {
        let now = self.clock.now();
        self.slots
            .entry_by_ref(key)
            .and_upsert_with(|current| {
                let slot =
                    current.map_or(Slot { entry: None, floor: None }, |slot| slot.into_value().at(now));
                let floor = match slot.floor {
                    Some(old) => Floor { version: old.version.max(floor), until: old.until.max(until) },
                    None => Floor { version: floor, until },
                };
                let entry = slot.entry.filter(|entry| entry.version >= floor.version);
                std::future::ready(Slot { entry, floor: Some(floor) })
            })
            .await;
        Ok(())
    }
}

/// Lets moka drop what is of no use any more. Whether something has expired is decided by the clock, when it is read; this only
/// frees the memory.
struct Expiry(Arc<dyn Clock>);

impl Expiry {
    fn left(&self, slot: &Slot) -> Option<Duration> {
        let left = slot.expires_at()?.0.saturating_sub(self.0.now().0);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }
}

impl moka::Expiry<String, Slot> for Expiry {
    fn expire_after_create(&self, _: &String, slot: &Slot, _: Instant) -> Option<Duration> {
        self.left(slot)
    }

    fn expire_after_update(
        &self,
        _: &String,
        slot: &Slot,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.left(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riskmesh_core::ManualClock;

    fn memory() -> (Memory, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        (Memory::new(clock.clone(), 1 << 20), clock)
    }

    fn entry(version: i64, expires_at: i64) -> Entry {
        Entry {
            version,
            value: Bytes::from_static(b"value"),
            expires_at: Timestamp(expires_at),
            load_time: Duration::ZERO,
            epoch: 0,
        }
    }

    #[tokio::test]
    async fn an_older_version_is_refused_and_the_same_one_taken() {
        let (memory, _) = memory();
        assert!(memory.put("k", entry(5, 100)).await.unwrap());
        assert!(!memory.put("k", entry(4, 100)).await.unwrap());
        assert!(memory.put("k", entry(5, 200)).await.unwrap());
        assert_eq!(memory.get("k").await.unwrap(), Some(entry(5, 200)));
    }

    #[tokio::test]
    async fn a_tombstone_refuses_what_is_older_until_its_time_has_come() {
        let (memory, clock) = memory();
        memory.put("k", entry(5, 1000)).await.unwrap();
        memory.remove("k", 6, Timestamp(100)).await.unwrap();
        assert_eq!(memory.get("k").await.unwrap(), None);
        assert!(!memory.put("k", entry(5, 1000)).await.unwrap());
        // Neither a lower floor nor a shorter time can weaken it.
        memory.remove("k", 2, Timestamp(50)).await.unwrap();
        assert!(!memory.put("k", entry(5, 1000)).await.unwrap());
        clock.advance(Duration::from_millis(100));
        assert!(memory.put("k", entry(5, 1000)).await.unwrap());
    }

    #[tokio::test]
    async fn a_late_invalidation_spares_what_is_newer() {
        let (memory, _) = memory();
        memory.put("k", entry(7, 1000)).await.unwrap();
        memory.remove("k", 7, Timestamp(100)).await.unwrap();
        assert_eq!(memory.get("k").await.unwrap(), Some(entry(7, 1000)));
        // The floor stands behind it all the same.
        memory.remove("k", 8, Timestamp(100)).await.unwrap();
        assert!(!memory.put("k", entry(7, 1000)).await.unwrap());
    }

    #[tokio::test]
    async fn an_expired_value_is_gone_and_guards_nothing() {
        let (memory, clock) = memory();
        memory.put("k", entry(5, 100)).await.unwrap();
        clock.advance(Duration::from_millis(100));
        assert_eq!(memory.get("k").await.unwrap(), None);
        assert!(memory.put("k", entry(4, 200)).await.unwrap());
        assert!(!memory.put("other", entry(1, 100)).await.unwrap(), "expired when it came");
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let memory = Memory::new(clock, 100_000);
        for key in 0..10_000 {
            memory.put(&key.to_string(), entry(1, 1000)).await.unwrap();
        }
        memory.slots.run_pending_tasks().await;
        assert!(memory.slots.weighted_size() <= 100_000);
        assert!(memory.slots.entry_count() > 100);
    }
}
