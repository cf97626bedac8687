//! Cache-aside: look, else load and keep.

use crate::{Cache, Entry};
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use riskmesh_core::{Clock, Error, Timestamp};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A value that can be cached: how it becomes bytes and comes back.
pub trait Value: Clone + Send + Sync + 'static {
    /// As bytes.
    fn encode(&self) -> Bytes;

    /// From bytes; `None` if they are not a value, such as those of another release.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// What a loader found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<V> {
    /// Which state of the data the value shows; grows with every change.
    pub version: i64,
    /// The value.
    pub value: V,
}

/// How a kind of value is cached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// What keys begin with: one cache serves many kinds.
    pub prefix: &'static str,
    /// How long a value may be served.
    pub ttl: Duration,
    /// How long a floor stands after an invalidation; longer than any load takes.
    pub tombstone_ttl: Duration,
    /// How eagerly values are refreshed before they expire: XFetch's beta. 1 is the optimum of the paper, 0 never does.
    pub beta: f64,
    /// Seeds the chance of early refreshes.
    pub seed: u64,
}

impl Config {
    /// Five minutes for values, ten for tombstones, and the optimal eagerness.
    pub const fn new(prefix: &'static str, seed: u64) -> Self {
        Self { prefix, ttl: Duration::from_mins(5), tombstone_ttl: Duration::from_mins(10), beta: 1.0, seed }
    }
}

/// How long a refresh is left to the replica that claimed it: twice as long as the last load took, within these.
const CLAIM_MIN: Duration = Duration::from_secs(1);
const CLAIM_MAX: Duration = Duration::from_secs(30);

/// When a load began.
struct Began {
    at: Timestamp,
    epoch: u64,
}

type Answer<V> = Result<V, Arc<Error>>;
type Load<V> = BoxFuture<'static, Answer<V>>;

/// A cache of one kind of value, in front of whatever loads it. Cheap to clone.
///
/// Loads of one key at one time are one load, and are dropped when nobody waits any more. Who asks while one runs waits for it, and takes
/// what the cache has then, or joins the next one: a load shows the data as it was at some time after it began, and who asks later must
/// not be shown what was there before he asked. A value about to expire is refreshed
/// early by one of its readers, of whichever replica, by chance, the sooner the longer it takes to load (XFetch: Vattani, Chierichetti, Lowenstein,
/// "Optimal Probabilistic Cache Stampede Prevention", 2015), while the others, and that one too, are served the old one. When the
/// cache itself fails, values are loaded.
pub struct CacheAside<V: Value> {
    inner: Arc<Inner<V>>,
}

impl<V: Value> Clone for CacheAside<V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<V: Value> {
    cache: Arc<dyn Cache>,
    clock: Arc<dyn Clock>,
    config: Config,
    rng: Mutex<StdRng>,
    flights: Mutex<Flights<V>>,
    value: PhantomData<fn() -> V>,
}

/// The loads that are running, by key. Each has a number, so that its end does not remove a later one.
struct Flights<V> {
    running: HashMap<String, (u64, WeakShared<Load<V>>)>,
    next: u64,
}

impl<V> Flights<V> {
    /// The load of a key that runs, unless it is one of those that began after `asked`.
    fn earlier(&self, key: &str, asked: u64) -> Option<Shared<Load<V>>> {
        let (_, flight) = self.running.get(key).filter(|(number, _)| *number < asked)?;
        flight.upgrade()
    }
}

impl<V: Value> CacheAside<V> {
    /// Values of this kind in `cache`.
    pub fn new(cache: Arc<dyn Cache>, clock: Arc<dyn Clock>, config: Config) -> Self {
        let flights = Flights { running: HashMap::new(), next: 0 };
        Self {
            inner: Arc::new(Inner {
                cache,
                clock,
                config,
                rng: Mutex::new(StdRng::seed_from_u64(config.seed)),
                flights: Mutex::new(flights),
                value: PhantomData,
            }),
        }
    }

    /// The instant as a version, in milliseconds: for values that have none of their own. To be taken before the first read of a
    /// load; and after the change, for an invalidation.
    pub fn now(&self) -> i64 {
        self.inner.clock.now().0
    }

    /// The value of a key: from the cache, or from a load that began after this was called. Errors are those of the load, and are not cached.
    pub async fn get_or_load<F, L>(&self, key: &str, load: L) -> Result<V, Error>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V>, Error>> + Send + 'static,
    {
        let key = self.inner.key(key);
        let asked = self.inner.flights().next;
        let Some((entry, value)) = self.inner.look(&key).await else {
            let earlier = self.inner.flights().earlier(&key, asked);
            if let Some(earlier) = earlier {
                earlier.await.map_err(|error| shared(&error))?;
                // What it found may have been overtaken since, by another replica. It is in the cache only if it was not.
                if let Some((_, value)) = self.inner.look(&key).await {
                    return Ok(value);
                }
            }
            return self.fly(key, load).await.map_err(|error| shared(&error));
        };
        if self.inner.refreshes_early(&entry) {
            let this = self.clone();
            drop(tokio::spawn(async move {
                if this.inner.claims(&key, &entry).await {
                    // Who comes next is served what it found.
                    let _ = this.fly(key, load).await;
                }
            }));
        }
        Ok(value)
    }

    /// The value of a key, if it is cached.
    pub async fn get(&self, key: &str) -> Option<V> {
        let key = self.inner.key(key);
        self.inner.look(&key).await.map(|(_, value)| value)
    }

    /// Write-through: takes a value that was just written where it is kept, so that the next reader has it. Who is late with an older
    /// version changes nothing.
    pub async fn put(&self, key: &str, written: Loaded<V>) {
        let key = self.inner.key(key);
        // A load that runs may have read what was there before.
        self.inner.flights().running.remove(&key);
        let began = Began { at: self.inner.clock.now(), epoch: self.inner.cache.epoch() };
        // What is older goes, also where the new value cannot be taken.
        self.inner.remove(&key, written.version).await;
        self.inner.keep(&key, &written, began).await;
    }

    /// Says that the data is about to change: from now on no value below version `floor`, which is going to be written, is served or
    /// taken, whatever becomes of the write. Where it does not take place, values are loaded each time until the floor is gone. To be
    /// followed by [`invalidate`](Self::invalidate) or [`put`](Self::put) when the write is done.
    pub async fn announce(&self, key: &str, floor: i64) {
        self.inner.remove(&self.inner.key(key), floor).await;
    }

    /// Says that the data changed: from now on no value below version `floor` is served or taken. After an update that made
    /// version `v` the floor is `v`; after a deletion, which was a version too, the same. Loads that run are answered, but who asks
    /// from now on gets a new one.
    pub async fn invalidate(&self, key: &str, floor: i64) {
        let key = self.inner.key(key);
        // A load that begins after this reads what is new.
        self.inner.flights().running.remove(&key);
        self.inner.remove(&key, floor).await;
    }

    /// Joins the load of a key that runs, or starts one.
    fn fly<F, L>(&self, key: String, load: L) -> Shared<Load<V>>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V>, Error>> + Send + 'static,
    {
        let mut flights = self.inner.flights();
        if let Some(running) = flights.running.get(&key).and_then(|(_, flight)| flight.upgrade()) {
            return running;
        }
        let number = flights.next;
        flights.next += 1;
        let landing = Landing { inner: self.inner.clone(), key: key.clone(), number };
        let flight = async move {
            let landing = landing;
            let (inner, key) = (&landing.inner, &landing.key);
            let began = Began { at: inner.clock.now(), epoch: inner.cache.epoch() };
            let loaded = AssertUnwindSafe(async move { load().await }).catch_unwind().await;
            let loaded =
                loaded.unwrap_or_else(|_| Err(Error::internal("load a value for the cache: it panicked")));
            let loaded = loaded.map_err(Arc::new)?;
            inner.keep(key, &loaded, began).await;
            Ok(loaded.value)
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            flights.running.insert(key, (number, weak));
        }
        flight
    }
}

impl<V: Value> Inner<V> {
    fn key(&self, key: &str) -> String {
        format!("{}/{key}", self.config.prefix)
    }

    fn flights(&self) -> MutexGuard<'_, Flights<V>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self, key: &str) -> Option<(Entry, V)> {
        let entry = match self.cache.get(key).await {
            Ok(entry) => entry?,
            Err(error) => {
                tracing::warn!(prefix = self.config.prefix, %error, "cache not readable");
                return None;
            }
        };
        let value = V::decode(&entry.value)?;
        Some((entry, value))
    }

    async fn remove(&self, key: &str, floor: i64) {
        let until = self.clock.now().plus(self.config.tombstone_ttl);
        if let Err(error) = self.cache.remove(key, floor, until).await {
            // Nothing else can be done: what is cached is served until it expires.
            tracing::error!(prefix = self.config.prefix, %error, "invalidation failed");
        }
    }

    /// Whether to refresh a value that another replica might refresh too.
    async fn claims(&self, key: &str, entry: &Entry) -> bool {
        let hold = (entry.load_time * 2).clamp(CLAIM_MIN, CLAIM_MAX);
        self.cache.claim(key, hold).await.unwrap_or_else(|error| {
            tracing::debug!(prefix = self.config.prefix, %error, "refreshed without a claim");
            true
        })
    }

    async fn keep(&self, key: &str, loaded: &Loaded<V>, began: Began) {
        let now = self.clock.now();
        let entry = Entry {
            version: loaded.version,
            value: loaded.value.encode(),
            expires_at: now.plus(self.config.ttl),
            load_time: Duration::from_millis(u64::try_from(now.0 - began.at.0).unwrap_or(0)),
            epoch: began.epoch,
        };
        if let Err(error) = self.cache.put(key, entry).await {
            tracing::warn!(prefix = self.config.prefix, %error, "cache not writable");
        }
    }

    /// XFetch: `now - load_time * beta * ln(random) >= expiry`. A load of less than a millisecond counts as one.
    fn refreshes_early(&self, entry: &Entry) -> bool {
        let random: f64 = self.rng.lock().unwrap_or_else(PoisonError::into_inner).random();
        let load_time = entry.load_time.as_secs_f64().max(0.001);
        let ahead = load_time * self.config.beta * -random.max(f64::MIN_POSITIVE).ln();
        let left = (entry.expires_at.0 - self.clock.now().0) as f64 / 1000.0;
        ahead >= left
    }
}

/// Takes a load off the list when it has ended or was dropped.
struct Landing<V: Value> {
    inner: Arc<Inner<V>>,
    key: String,
    number: u64,
}

impl<V: Value> Drop for Landing<V> {
    fn drop(&mut self) {
        let mut flights = self.inner.flights();
        if flights.running.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            flights.running.remove(&self.key);
        }
    }
}

/// The same error for one of several callers.
fn shared(error: &Arc<Error>) -> Error {
    let mut copy = Error::new(error.code).message(error.message.clone()).hint(error.hint.clone());
    copy.details.clone_from(&error.details);
    copy.retry_after = error.retry_after;
    copy.because(error.clone())
}

#[cfg(test)]
mod tests;
