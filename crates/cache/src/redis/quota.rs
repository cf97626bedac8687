//! Quotas that replicas share.

use super::Redis;
use crate::Error;
use fred::types::scripts::Script;
use std::sync::Arc;
use std::time::Duration;

const SCRIPT: &str = include_str!("quota.lua");

/// Exact sliding windows, counted in one place by one clock, Redis's: of any `window`, no matter where it begins, at most the limit is
/// taken, by however many replicas. A key is a list of at most `limit` times, and goes when its window is empty.
#[derive(Debug)]
pub struct Quota {
    redis: Arc<Redis>,
    script: Script,
    window: Duration,
}

/// What became of an attempt to take one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether one was taken.
    pub allowed: bool,
    /// How many more there are.
    pub remaining: u32,
    /// When one that was taken comes back; where none was to be had, when there is one again.
    pub reset: Duration,
}

impl Quota {
    /// Quotas of this Redis, over such a window.
    pub fn new(redis: Arc<Redis>, window: Duration) -> Self {
        Self { redis, script: Script::from_lua(SCRIPT), window }
    }

    /// Takes one of `limit`. Where the answer is an error, it is not known whether one was taken.
    pub async fn take(&self, name: &str, limit: u32) -> Result<Taken, Error> {
        let key = format!("riskmesh:quota:{name}");
        let window = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX).to_string();
        let arguments = vec![limit.to_string(), window];
        let request =
            self.script.evalsha_with_reload::<(u8, u32, i64), _, _>(&self.redis.client, vec![key], arguments);
        let (allowed, remaining, reset) = self.redis.ask("take from a quota", request).await?;
        let reset = Duration::from_micros(u64::try_from(reset).unwrap_or(0));
        Ok(Taken { allowed: allowed == 1, remaining, reset })
    }
}
