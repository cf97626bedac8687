//! The cache that replicas share.

mod contact;
mod keeper;
mod local;
mod remote;

use super::Redis;
use crate::{Cache, Entry, Error};
use async_trait::async_trait;
use contact::{Contact, GIVE_UP};
use local::Local;
use remote::{Refusal, Remote};
use riskmesh_core::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What the keys of entries begin with; a colon follows.
const PREFIX: &str = "riskmesh:cache";
/// The key of the epoch.
const EPOCH: &str = "riskmesh:cache-epoch";
/// How soon a removal that failed is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// A cache in Redis, with a bounded layer of it in this process.
///
/// What was removed is not there any more, for whichever replica, when [`Cache::remove`] returns, with these bounds: the layer of another
/// replica may have a value until it is told of the change, which takes the time of a message, and a second at the most. When Redis does
/// not answer, a removal is tried for two and a half seconds; then nobody uses the cache any more, and it is used again only after what it
/// had was made void. A replica that alone cannot reach Redis cannot do that; what it changes may be served by others until it expires.
#[derive(Debug)]
pub struct SharedCache {
    inner: Arc<Inner>,
    keeper: AbortHandle,
}

struct Inner {
    remote: Remote,
    /// None where every value is read from Redis.
    local: Option<Local>,
    clock: Arc<dyn Clock>,
    contact: Contact,
    /// The epoch as it was when Redis last answered; 0 before it did.
    epoch: AtomicU64,
    /// Wakes the keeper.
    wake: Notify,
}

impl SharedCache {
    /// The cache in this Redis, of which about so many bytes are kept in this process; with 0 every value is read from Redis.
    /// Spawns a task that lives as long as this.
    pub fn new(redis: Arc<Redis>, clock: Arc<dyn Clock>, local_bytes: u64) -> Self {
        let now = Instant::now();
        let inner = Arc::new(Inner {
            remote: Remote::new(redis.clone()),
            local: (local_bytes > 0).then(|| Local::new(local_bytes, now)),
            clock,
            contact: Contact::new(now),
            epoch: AtomicU64::new(0),
            wake: Notify::new(),
        });
        let keeper = tokio::spawn(keeper::keep(inner.clone(), redis)).abort_handle();
        Self { inner, keeper }
    }

    /// Whether it is used now: Redis answers, and has for a few seconds.
    pub fn is_in_use(&self) -> bool {
        self.inner.contact.is_leased(Instant::now())
    }
}

impl Drop for SharedCache {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

#[async_trait]
impl Cache for SharedCache {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let inner = &self.inner;
        if !inner.contact.is_leased(Instant::now()) {
            return Ok(None);
        }
        let asked = inner.clock.now();
        let here = inner.local.as_ref().and_then(|local| local.get(key, asked));
        if here.is_some() {
            return Ok(here);
        }
        let ticket = inner.local.as_ref().map(|local| (local, local.ticket(key)));
        let answer = match inner.remote.get(key).await {
            Ok(answer) => answer,
            Err(refusal) => return inner.refused(refusal).map(|()| None),
        };
        inner.epoch.store(answer.epoch, Ordering::SeqCst);
        let entry = answer.found.map(|found| Entry {
            version: found.version,
            value: found.value,
            expires_at: asked.plus(found.left),
            load_time: found.load_time,
            epoch: answer.epoch,
        });
        if let (Some((local, ticket)), Some(entry)) = (ticket, &entry) {
            local.fill(ticket, key, entry.clone());
        }
        Ok(entry)
    }

    async fn put(&self, key: &str, entry: Entry) -> Result<bool, Error> {
        let inner = &self.inner;
        let lives = left(inner.clock.now(), entry.expires_at);
        if lives.is_zero() || !inner.contact.is_leased(Instant::now()) {
            return Ok(false);
        }
        let answer = match inner.remote.put(key, &entry, lives).await {
            Ok(answer) => answer,
            Err(refusal) => return inner.refused(refusal).map(|()| false),
        };
        inner.epoch.store(answer.epoch, Ordering::SeqCst);
        inner.changed(key);
        Ok(answer.found)
    }

    /// Never an error: what Redis cannot be told is made good by making void all that it has.
    async fn remove(&self, key: &str, floor: i64, until: Timestamp) -> Result<(), Error> {
        let (inner, key) = (self.inner.clone(), key.to_owned());
        // Goes on where the caller does not: what was begun to be removed must not be left to chance.
        let removal = tokio::spawn(async move { inner.remove(&key, floor, until).await });
        removal.await.map_err(|source| Error { doing: "remove from the cache", source: source.into() })
    }

    fn epoch(&self) -> u64 {
        self.inner.epoch.load(Ordering::SeqCst)
    }

    async fn claim(&self, key: &str, hold: Duration) -> Result<bool, Error> {
        if !self.is_in_use() {
            return Ok(true);
        }
        self.inner.remote.claim(key, hold).await
    }
}

impl Inner {
    async fn remove(&self, key: &str, floor: i64, until: Timestamp) {
        let began = Instant::now();
        loop {
            if self.contact.is_given_up(Instant::now()) {
                self.give_up(began);
                break;
            }
            match self.remote.remove(key, floor, left(self.clock.now(), until)).await {
                Ok(()) => break,
                Err(Refusal::Strange) => self.strange(),
                Err(Refusal::Failed(error)) => {
                    tracing::debug!(%error, "removal failed");
                    if began.elapsed() >= GIVE_UP {
                        self.give_up(began);
                        break;
                    }
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.changed(key);
    }

    fn give_up(&self, since: Instant) {
        self.contact.gave_up(since, Instant::now());
        self.wake.notify_one();
    }

    fn changed(&self, key: &str) {
        if let Some(local) = &self.local {
            local.drop_one(key);
        }
    }

    fn strange(&self) {
        self.contact.is_strange(Instant::now());
        self.wake.notify_one();
    }

    fn refused(&self, refusal: Refusal) -> Result<(), Error> {
        match refusal {
            Refusal::Strange => {
                self.strange();
                Ok(())
            }
            Refusal::Failed(error) => Err(error),
        }
    }
}

fn left(now: Timestamp, until: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0))
}
