//! The memory that requests under way may take, all of them together: bodies while they are read, answers while their callers take
//! them. Who comes when it is used up is refused, and told to come again. Half of it is for callers who are known, so that nobody who is
//! not can use it up.

use riskmesh_core::{Error, ErrorCode};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use telemetry::Metrics;
use telemetry::metrics::{Counter, Gauge};

/// What a request takes besides its body and its answer: its head, its task, and its way through the stack (measured: 40 KiB for a
/// stream that has begun and sends nothing).
const REQUEST_BYTES: usize = 40 << 10;

/// The memory of a process for requests under way; clones share it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Inner>);

struct Inner {
    limit: usize,
    taken: AtomicUsize,
    /// What of that is taken by those who are not known.
    strangers: AtomicUsize,
    in_flight: Gauge,
    refused: Counter,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}

impl Budget {
    /// So many bytes, told as `riskmesh_edge_in_flight_bytes`, and what is refused as `riskmesh_edge_over_budget_total`.
    pub(crate) fn new(limit: usize, metrics: &Metrics) -> Self {
        let in_flight =
            metrics.gauge("edge_in_flight_bytes", "Memory taken by requests under way at the edge");
        let refused = metrics.counter("edge_over_budget", "Requests refused for want of memory at the edge");
        let (in_flight, refused) = (in_flight.with(&[]), refused.with(&[]));
        let (taken, strangers) = Default::default();
        Self(Arc::new(Inner { limit, taken, strangers, in_flight, refused }))
    }

    /// The share of one request: nothing as yet.
    pub(crate) fn share(&self) -> Arc<Share> {
        Arc::new(Share { budget: self.clone(), taken: AtomicUsize::new(0), stranger: AtomicBool::new(true) })
    }
}

/// What one request has taken; dropping it gives all of it back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    taken: AtomicUsize,
    /// Nobody knows whose request it is.
    stranger: AtomicBool,
}

impl Share {
    /// Takes what any request takes, once.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    pub(crate) fn begin(&self) -> Result<(), Error> {
        let begun = self.taken.load(Ordering::Relaxed) > 0;
        if begun { Ok(()) } else { self.take(REQUEST_BYTES) }
    }

    /// The caller is known.
    pub(crate) fn known(&self) {
        if self.stranger.swap(false, Ordering::Relaxed) {
            self.budget.0.strangers.fetch_sub(self.taken.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Takes so many bytes more.
    ///
    /// # Errors
    /// `SERVICE_UNAVAILABLE` where that would be more than there is, or for a stranger more than strangers may have.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Error> {
        let inner = &*self.budget.0;
        if self.is_stranger()
            && inner.strangers.load(Ordering::Relaxed).saturating_add(bytes) > inner.limit / 2
        {
            return Err(inner.refuse());
        }
        let fits = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= inner.limit);
        if inner.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(inner.refuse());
        }
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.count(bytes);
        Ok(())
    }

    /// Gives so many bytes back, or what there is.
    pub(crate) fn give(&self, bytes: usize) {
        let left = |taken: usize| Some(taken.saturating_sub(bytes));
        let before = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        self.free(before.map_or(0, |taken| taken.min(bytes)));
    }

    /// From now on it is an answer of so many bytes. That is there already: there is no refusing it.
    pub(crate) fn settle(&self, bytes: usize) {
        let now = REQUEST_BYTES + bytes;
        let before = self.taken.swap(now, Ordering::Relaxed);
        if now > before {
            self.budget.0.taken.fetch_add(now - before, Ordering::Relaxed);
            self.count(now - before);
        } else {
            self.free(before - now);
        }
    }

    fn is_stranger(&self) -> bool {
        self.stranger.load(Ordering::Relaxed)
    }

    /// So many bytes more are taken.
    fn count(&self, bytes: usize) {
        let inner = &*self.budget.0;
        inner.in_flight.inc_by(signed(bytes));
        if self.is_stranger() {
            inner.strangers.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// So many bytes are there again.
    fn free(&self, bytes: usize) {
        let inner = &*self.budget.0;
        inner.taken.fetch_sub(bytes, Ordering::Relaxed);
        inner.in_flight.dec_by(signed(bytes));
        if self.is_stranger() {
            inner.strangers.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.free(self.taken.load(Ordering::Relaxed));
    }
}

impl Inner {
    fn refuse(&self) -> Error {
        self.refused.inc();
        Error::new(ErrorCode::ServiceUnavailable)
            .message("Too many requests and answers are under way")
            .hint("Retry after a pause, with backoff; take answers as they come.")
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn taken(budget: &Budget) -> usize {
        budget.0.taken.load(Ordering::Relaxed)
    }

    /// The share of a caller who is known.
    fn known(budget: &Budget) -> Arc<Share> {
        let share = budget.share();
        share.known();
        share
    }

    #[test]
    fn what_is_taken_comes_back_however_it_was_taken() {
        let metrics = Metrics::new();
        let budget = Budget::new(1 << 20, &metrics);
        let (one, two) = (known(&budget), known(&budget));
        one.take(1000).unwrap();
        two.take(500).unwrap();
        one.give(400);
        assert_eq!(taken(&budget), 1100);
        one.give(10_000);
        assert_eq!(taken(&budget), 500, "nobody gives what is another's");
        one.settle(2000);
        assert_eq!(taken(&budget), 500 + REQUEST_BYTES + 2000);
        assert!(
            metrics.encode().contains(&format!("riskmesh_edge_in_flight_bytes{{}} {}\n", taken(&budget)))
        );
        one.settle(0);
        drop((one, two));
        assert_eq!(taken(&budget), 0);
    }

    #[test]
    fn there_is_no_more_than_the_limit_but_for_answers_that_are_there() {
        let metrics = Metrics::new();
        let budget = Budget::new(1000, &metrics);
        let (one, two) = (known(&budget), known(&budget));
        one.take(1000).unwrap();
        let error = two.take(1).unwrap_err();
        assert_eq!(error.code, ErrorCode::ServiceUnavailable);
        assert!(two.take(usize::MAX).is_err());
        assert!(metrics.encode().contains("riskmesh_edge_over_budget_total{} 2\n"));
        one.settle(5000);
        assert!(two.take(1).is_err());
        drop(one);
        two.take(1000).unwrap();
    }

    #[test]
    fn strangers_leave_half_of_it_to_those_who_are_known() {
        let metrics = Metrics::new();
        let budget = Budget::new(1000, &metrics);
        let (one, two, three) = (budget.share(), budget.share(), budget.share());
        one.take(300).unwrap();
        assert!(two.take(201).is_err());
        two.take(200).unwrap();
        assert!(three.take(1).is_err());
        known(&budget).take(500).unwrap();
        two.known();
        two.take(100).unwrap();
        three.take(200).unwrap();
        assert!(three.take(1).is_err());
        drop((one, two, three));
        assert_eq!((taken(&budget), budget.0.strangers.load(Ordering::Relaxed)), (0, 0));
    }
}
