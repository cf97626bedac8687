//! How many requests an API client may make: an exact sliding window.
//!
//! Of any 60 seconds, no matter where they begin, at most N requests are let through; a request that is refused does not count.
//! That takes the time of each request let through, at most N a client; approximations (fixed windows, GCRA) are smaller, but
//! let twice the quota through at a window's edge, or refuse what the quota allows.

use riskmesh_core::{Clock, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The window.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);
const WINDOW_MS: i64 = 60_000;

/// The most callers that are kept in mind; see [`SlidingWindow`].
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

/// Counts requests by caller. A shared one (Redis) can take the place of [`SlidingWindow`] where several edges share quotas.
#[async_trait::async_trait]
pub trait RateLimiter: fmt::Debug + Send + Sync + 'static {
    /// Counts a request of this caller, unless it is over its quota; `None` where there is no quota.
    async fn check(&self, caller: &str) -> Option<Decision>;
}

/// [`RateLimiter`] in this process's memory.
///
/// At most 100,000 callers are kept. When one more comes, those whose window has emptied are forgotten first, then the one that has
/// been quiet for the longest: never one that is refused right now, unless all are.
pub struct SlidingWindow {
    limit: u32,
    capacity: usize,
    clock: Arc<dyn Clock>,
    callers: Mutex<HashMap<Box<str>, Caller>>,
}

#[derive(Debug, Default)]
struct Caller {
    /// When requests were let through, the oldest first, in milliseconds.
    passed: VecDeque<i64>,
    /// Until when requests are refused without a look at the window.
    refused_until: i64,
    last_seen: i64,
}

impl fmt::Debug for SlidingWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingWindow").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl SlidingWindow {
    /// Lets `limit` requests a caller through in any 60 seconds; 0 is no limit.
    pub fn new(limit: u32, clock: Arc<dyn Clock>) -> Self {
        Self { limit, capacity: MAX_CALLERS, clock, callers: Mutex::default() }
    }

    fn decide(&self, name: &str, now: Timestamp) -> Decision {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if !callers.contains_key(name) {
            if callers.len() >= self.capacity {
                make_room(&mut callers, now.millis());
            }
            callers.insert(name.into(), Caller::default());
        }
        // It was inserted above; the default is for the type.
        callers.get_mut(name).map_or_else(
            || Caller::default().decide(self.limit, now.millis()),
            |caller| caller.decide(self.limit, now.millis()),
        )
    }
}

impl Caller {
    fn decide(&mut self, limit: u32, now: i64) -> Decision {
        // A clock that is set back must not make old requests look new: time only moves on.
        let now = now.max(self.last_seen);
        self.last_seen = now;
        let refused =
            |until: i64| Decision { limit, remaining: 0, reset: millis(until - now), allowed: false };
        if now < self.refused_until {
            return refused(self.refused_until);
        }
        while self.passed.front().is_some_and(|at| at + WINDOW_MS <= now) {
            self.passed.pop_front();
        }
        let oldest = self.passed.front().copied();
        if let Some(oldest) = oldest.filter(|_| self.passed.len() >= limit as usize) {
            self.refused_until = oldest + WINDOW_MS;
            return refused(self.refused_until);
        }
        self.passed.push_back(now);
        let remaining = limit.saturating_sub(u32::try_from(self.passed.len()).unwrap_or(u32::MAX));
        let reset = millis(oldest.unwrap_or(now) + WINDOW_MS - now);
        Decision { limit, remaining, reset, allowed: true }
    }

    fn is_empty(&self, now: i64) -> bool {
        self.passed.back().is_none_or(|at| at + WINDOW_MS <= now)
    }
}

fn make_room(callers: &mut HashMap<Box<str>, Caller>, now: i64) {
    let before = callers.len();
    callers.retain(|_, caller| !caller.is_empty(now));
    if callers.len() < before {
        return;
    }
    let quiet = callers.iter().min_by_key(|(_, caller)| (now < caller.refused_until, caller.last_seen));
    if let Some(name) = quiet.map(|(name, _)| name.clone()) {
        callers.remove(&name);
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[async_trait::async_trait]
impl RateLimiter for SlidingWindow {
    async fn check(&self, caller: &str) -> Option<Decision> {
        (self.limit > 0).then(|| self.decide(caller, self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use riskmesh_core::ManualClock;

    fn window(limit: u32) -> (SlidingWindow, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
        (SlidingWindow::new(limit, clock.clone()), clock)
    }

    fn ask(window: &SlidingWindow, caller: &str) -> Decision {
        window.decide(caller, window.clock.now())
    }

    #[test]
    fn the_quota_comes_back_exactly_as_it_was_used() {
        let (window, clock) = window(3);
        for _ in 0..3 {
            assert!(ask(&window, "a").allowed);
            clock.advance(Duration::from_secs(10));
        }
        let refused = ask(&window, "a");
        assert_eq!((refused.allowed, refused.remaining, refused.reset), (false, 0, Duration::from_secs(30)));
        clock.advance(Duration::from_millis(29_999));
        assert!(!ask(&window, "a").allowed);
        clock.advance(Duration::from_millis(1));
        assert!(ask(&window, "a").allowed);
        assert_eq!(ask(&window, "a").reset, Duration::from_secs(10));
    }

    #[test]
    fn the_edge_of_a_minute_gives_no_second_quota() {
        let (window, clock) = window(100);
        clock.advance(Duration::from_secs(59));
        assert_eq!((0..150).filter(|_| ask(&window, "a").allowed).count(), 100);
        clock.advance(Duration::from_secs(2));
        assert_eq!((0..150).filter(|_| ask(&window, "a").allowed).count(), 0);
    }

    #[test]
    fn callers_do_not_share_quota() {
        let (window, _) = window(1);
        assert!(ask(&window, "a").allowed && ask(&window, "b").allowed);
        assert!(!ask(&window, "a").allowed && !ask(&window, "b").allowed);
    }

    #[test]
    fn a_clock_set_back_gives_nothing_away() {
        let (window, _) = window(1);
        assert!(window.decide("a", Timestamp(5_000_000)).allowed);
        assert!(!window.decide("a", Timestamp(1_000)).allowed);
        assert!(window.decide("a", Timestamp(5_060_000)).allowed);
    }

    #[test]
    fn memory_is_bounded_and_who_is_refused_is_not_forgotten() {
        let (mut window, clock) = window(1);
        window.capacity = 10;
        ask(&window, "greedy");
        assert!(!ask(&window, "greedy").allowed);
        for caller in 0..100 {
            clock.advance(Duration::from_millis(1));
            ask(&window, &format!("c{caller}"));
            assert!(window.callers.lock().unwrap().len() <= 10);
        }
        assert!(!ask(&window, "greedy").allowed);
    }

    #[tokio::test]
    async fn zero_is_no_limit() {
        let (window, _) = window(0);
        assert_eq!(window.check("a").await, None);
    }

    proptest! {
        #[test]
        fn no_sixty_seconds_hold_more_than_the_quota_and_none_is_refused_below_it(
            limit in 1_u32..6,
            steps in prop::collection::vec(0_u64..30_000, 1..80),
        ) {
            let (window, clock) = window(limit);
            let mut passed: Vec<i64> = Vec::new();
            for step in steps {
                clock.advance(Duration::from_millis(step));
                let now = clock.now().millis();
                let used = passed.iter().filter(|at| **at + WINDOW_MS > now).count();
                let decision = ask(&window, "a");
                prop_assert_eq!(decision.allowed, used < limit as usize);
                if decision.allowed {
                    passed.push(now);
                    prop_assert_eq!(decision.remaining as usize, limit as usize - used - 1);
                }
            }
        }
    }
}
