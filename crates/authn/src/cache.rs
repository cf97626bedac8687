//! Verified tokens, kept a short while: an Ed25519 check costs far more than a SHA-256.
//!
//! Keyed by the token's SHA-256, so no token lies in memory longer than its request. Bounded; an entry ends 60 seconds after its
//! verification or when its token expires, whichever is first, by the clock that verification uses.

use crate::claims::Claims;
use aws_lc_rs::digest::{SHA256, digest};
use riskmesh_core::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest that a verification is relied on.
pub(crate) const MAX_AGE: Duration = Duration::from_mins(1);
/// Locks are held for a look-up only; shards keep cores from meeting at one.
const SHARDS: usize = 16;
/// The most tokens in a shard: 16,384 in all.
const SHARD_CAPACITY: usize = 1024;

/// A token's SHA-256.
pub(crate) type Fingerprint = [u8; 32];

#[derive(Debug, Default)]
pub(crate) struct Cache {
    shards: [Mutex<HashMap<Fingerprint, Entry>>; SHARDS],
}

#[derive(Debug)]
struct Entry {
    claims: Arc<Claims>,
    until: Timestamp,
}

impl Cache {
    pub(crate) fn fingerprint(token: &str) -> Fingerprint {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        fingerprint
    }

    pub(crate) fn get(&self, token: &Fingerprint, now: Timestamp) -> Option<Arc<Claims>> {
        let shard = self.shard(token);
        shard.get(token).filter(|entry| now < entry.until).map(|entry| Arc::clone(&entry.claims))
    }

    pub(crate) fn insert(&self, token: Fingerprint, claims: Arc<Claims>, now: Timestamp) {
        let until = now.plus(MAX_AGE).min(claims.expires_at());
        let mut shard = self.shard(&token);
        if shard.len() >= SHARD_CAPACITY {
            shard.retain(|_, entry| now < entry.until);
        }
        if shard.len() >= SHARD_CAPACITY {
            // Full of valid tokens: starting afresh costs a verification each, and keeps inserting cheap.
            shard.clear();
        }
        shard.insert(token, Entry { claims, until });
    }

    fn shard(&self, token: &Fingerprint) -> MutexGuard<'_, HashMap<Fingerprint, Entry>> {
        self.shards[usize::from(token[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[cfg(test)]
    pub(crate) const CAPACITY: usize = SHARDS * SHARD_CAPACITY;
}
