//! Quotas that several edges share.

use super::{Decision, MAX_CALLERS, RateLimiter, SlidingWindow, WINDOW};
use async_trait::async_trait;
use cache::redis::{Quota, Redis};
use riskmesh_core::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// [`RateLimiter`] in Redis, exact over all edges: one clock, one script.
///
/// Who is refused is refused here until the quota is back, without asking again. While Redis does not answer, each edge lets an equal
/// share of the quota through, of which what it has let through before is taken off.
#[derive(Debug)]
pub struct SharedWindow {
    limit: u32,
    quota: Quota,
    /// What this edge lets through by itself.
    share: SlidingWindow,
    refused: Refused,
}

impl SharedWindow {
    /// Lets `limit` requests a caller through in any 60 seconds, counted in `redis` by `replicas` edges; 0 is no limit.
    pub fn new(limit: u32, replicas: u32, redis: Arc<Redis>, clock: Arc<dyn Clock>) -> Self {
        // A quota of less than one each would be none.
        let share = if limit == 0 { 0 } else { (limit / replicas.max(1)).max(1) };
        Self {
            limit,
            quota: Quota::new(redis, WINDOW),
            share: SlidingWindow::new(share, clock),
            refused: Refused::default(),
        }
    }
}

#[async_trait]
impl RateLimiter for SharedWindow {
    async fn check(&self, caller: &str) -> Option<Decision> {
        if self.limit == 0 {
            return None;
        }
        if let Some(reset) = self.refused.wait(caller) {
            return Some(Decision { limit: self.limit, remaining: 0, reset, allowed: false });
        }
        // Before it was decided there, so that nobody is refused for too long.
        let asked = Instant::now();
        // Why not is told by who asks Redis.
        let Ok(taken) = self.quota.take(caller, self.limit).await else {
            return self.share.check(caller).await;
        };
        if taken.allowed {
            self.share.record(caller);
        } else {
            self.refused.insert(caller, asked + taken.reset);
        }
        let (remaining, reset, allowed) = (taken.remaining, taken.reset, taken.allowed);
        Some(Decision { limit: self.limit, remaining, reset, allowed })
    }
}

/// Who is refused, and until when.
#[derive(Debug, Default)]
struct Refused(Mutex<HashMap<Box<str>, Instant>>);

impl Refused {
    /// How long a caller has to wait.
    fn wait(&self, caller: &str) -> Option<Duration> {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *refused.get(caller)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            refused.remove(caller);
            return None;
        }
        Some(left)
    }

    /// Remembers a caller; where there is no room, Redis is asked again.
    fn insert(&self, caller: &str, until: Instant) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MAX_CALLERS {
            let now = Instant::now();
            refused.retain(|_, until| *until > now);
        }
        if refused.len() < MAX_CALLERS {
            refused.insert(caller.into(), until);
        }
    }
}
