//! Quotas counted in this process.

use super::{Decision, MAX_CALLERS, RateLimiter};
use riskmesh_core::{Clock, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const WINDOW_MS: i64 = super::WINDOW.as_millis() as i64;

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

    /// Counts a request that was let through elsewhere, whatever is left.
    pub(super) fn record(&self, name: &str) {
        let now = self.clock.now().millis();
        self.with(name, now, |caller| caller.record(now));
    }

    fn decide(&self, name: &str, now: Timestamp) -> Decision {
        let now = now.millis();
        self.with(name, now, |caller| caller.decide(self.limit, now))
    }

    fn with<T>(&self, name: &str, now: i64, act: impl FnOnce(&mut Caller) -> T) -> T {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(caller) = callers.get_mut(name) {
            return act(caller);
        }
        if callers.len() >= self.capacity {
            make_room(&mut callers, now);
        }
        act(callers.entry(name.into()).or_default())
    }
}

impl Caller {
    /// What was let through more than a window ago is forgotten. Gives the time: a clock that is set back must not make old requests
    /// look new.
    fn at(&mut self, now: i64) -> i64 {
        let now = now.max(self.last_seen);
        self.last_seen = now;
        while self.passed.front().is_some_and(|at| at + WINDOW_MS <= now) {
            self.passed.pop_front();
        }
        now
    }

    fn record(&mut self, now: i64) {
        let now = self.at(now);
        self.passed.push_back(now);
    }

    fn decide(&mut self, limit: u32, now: i64) -> Decision {
        let now = now.max(self.last_seen);
        let refused =
            |until: i64| Decision { limit, remaining: 0, reset: millis(until - now), allowed: false };
        if now < self.refused_until {
            self.last_seen = now;
            return refused(self.refused_until);
        }
        let now = self.at(now);
        // Where more was let through elsewhere than the limit is here, more than one has to go.
        let last = self.passed.len().checked_sub(limit as usize).and_then(|over| self.passed.get(over));
        if let Some(last) = last {
            self.refused_until = last + WINDOW_MS;
            return refused(self.refused_until);
        }
        let oldest = self.passed.front().copied();
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
