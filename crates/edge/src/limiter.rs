//! How many requests an API client may make: an exact sliding window.
//!
//! Of any 60 seconds, no matter where they begin, at most N requests are let through; a request that is refused does not count.
//! That takes the time of each request let through, at most N a client; approximations (fixed windows, GCRA) are smaller, but
//! let twice the quota through at a window's edge, or refuse what the quota allows.

mod shared;
mod window;

pub use shared::SharedWindow;
pub use window::SlidingWindow;

use std::fmt;
use std::time::Duration;

/// The window.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);

/// The most callers that are kept in mind.
const MAX_CALLERS: usize = 100_000;

/// What became of a request, with what its caller has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How many requests the window allows.
    pub limit: u32,
    /// How many more would be let through right now.
    pub remaining: u32,
    /// When the next unit of quota comes back; zero where all of it is there.
    pub reset: Duration,
    /// Whether the request is let through. Where it is not, [`reset`](Self::reset) is when a repeat makes sense.
    pub allowed: bool,
}

/// Counts requests by caller. [`SlidingWindow`] in this process, [`SharedWindow`] where several edges share quotas.
#[async_trait::async_trait]
pub trait RateLimiter: fmt::Debug + Send + Sync + 'static {
    /// Counts a request of this caller, unless it is over its quota; `None` where there is no quota.
    async fn check(&self, caller: &str) -> Option<Decision>;
}
