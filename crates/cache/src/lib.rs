//! The cache: never the truth, never in the way of it.
//!
//! [`Cache`] is a small trait over bytes ([`Memory`] keeps them in the process, [`redis::SharedCache`] in Redis for all replicas);
//! [`CacheAside`] is how services use it: look in the
//! cache, load what is missing, once for all who ask at the same time.
//!
//! Every value has a *version*, and the cache never goes back: a value older than what a key has seen is refused, and
//! invalidation leaves a floor behind, below which nothing is taken. So a reader that was slow cannot put old data over new.
//! Where data has no version of its own, because it is made of many rows, the instant before the load began does as one:
//! [`CacheAside::now`] gives it, and an invalidation is made with [`CacheAside::now`] too.
//!
//! Who writes says so twice: [before](CacheAside::announce) the write, so that nothing old can be left behind where the writer does not
//! live to say it again or does not know what became of the write, and [after](CacheAside::invalidate) it, so that readers from then on
//! do not join loads from before.
//!
//! ```
//! # use cache::*;
//! # use std::sync::Arc;
//! # use riskmesh_core::SystemClock;
//! # async fn load_profile() -> riskmesh_core::Result<Profile> { Ok(Profile(50)) }
//! #[derive(Clone)]
//! struct Profile(u8);
//!
//! impl Value for Profile {
//!     fn encode(&self) -> bytes::Bytes {
//!         vec![self.0].into()
//!     }
//!     fn decode(bytes: &[u8]) -> Option<Self> {
//!         bytes.first().copied().map(Profile)
//!     }
//! }
//!
//! # async fn example() -> riskmesh_core::Result<()> {
//! let clock = Arc::new(SystemClock);
//! let memory = Arc::new(Memory::new(clock.clone(), 64 << 20));
//! let profiles: CacheAside<Profile> = CacheAside::new(memory, clock, Config::new("risk-profile", 7));
//!
//! let asked = profiles.now();
//! let profile = profiles
//!     .get_or_load("acme/42", move || async move { Ok(Loaded { version: asked, value: load_profile().await? }) })
//!     .await?;
//! profiles.invalidate("acme/42", profiles.now()).await; // what was read before now is not taken any more
//! # drop(profile); Ok(()) }
//! ```

mod aside;
mod memory;
mod off;
pub mod redis;

pub use aside::{CacheAside, Config, Loaded, Value};
pub use memory::Memory;
pub use off::Off;

use async_trait::async_trait;
use bytes::Bytes;
use riskmesh_core::Timestamp;
use std::time::Duration;

/// An error of a cache. Callers of [`CacheAside`] never see one.
#[derive(Debug, thiserror::Error)]
#[error("cache: {doing}")]
pub struct Error {
    /// What was being done.
    pub doing: &'static str,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A cached value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which state of the data it shows; grows with every change.
    pub version: i64,
    /// The value.
    pub value: Bytes,
    /// From then on it is not there any more.
    pub expires_at: Timestamp,
    /// How long it took to load: what dear values are refreshed early by.
    pub load_time: Duration,
    /// In which [epoch](Cache::epoch) of the cache its load began.
    pub epoch: u64,
}

/// A cache of bytes. What is done with a key is atomic. It may forget anything at any time, at the latest when its time has come.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// Takes a value, unless the key has a value of a higher version or its floor lies above; says whether it was taken. A value
    /// of the same version is replaced.
    async fn put(&self, key: &str, entry: Entry) -> Result<bool, Error>;

    /// Removes a value below `floor` and takes no value below `floor` until `until`: the tombstone of a deletion or invalidation.
    /// Never lowers a floor. A value at `floor` or above stays.
    async fn remove(&self, key: &str, floor: i64, until: Timestamp) -> Result<(), Error>;

    /// The epoch that a load belongs to which begins now. A cache that may have missed a removal begins another, and then neither has
    /// nor takes what was loaded before.
    fn epoch(&self) -> u64 {
        0
    }

    /// Asks to be the one who refreshes a value before it expires: of all replicas that ask within `hold`, one may. Within a process
    /// the caller sees to it.
    async fn claim(&self, _key: &str, _hold: Duration) -> Result<bool, Error> {
        Ok(true)
    }
}
