//! The memory that requests under way may take, all of them together: bodies while they are read, answers while their callers take
//! them. Who comes when it is used up is refused, and told to come again.

use riskmesh_core::{Error, ErrorCode};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use telemetry::Metrics;
use telemetry::metrics::{Counter, Gauge};

/// What a request takes besides its body and its answer: its head, its task, and its way through the stack (measured: some 16 KiB for a
/// stream that stalls).
pub(crate) const REQUEST_BYTES: usize = 16 << 10;

/// The memory of a process for requests under way; clones share it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Inner>);

struct Inner {
    limit: usize,
    taken: AtomicUsize,
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
        Self(Arc::new(Inner { limit, taken: AtomicUsize::new(0), in_flight, refused }))
    }

    /// The share of one request: nothing as yet.
    pub(crate) fn share(&self) -> Arc<Share> {
        Arc::new(Share { budget: self.clone(), taken: AtomicUsize::new(0) })
    }
}

/// What one request has taken; dropping it gives all of it back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    taken: AtomicUsize,
}

impl Share {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// `SERVICE_UNAVAILABLE` where that would be more than there is.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), Error> {
        let inner = &*self.budget.0;
        let fits = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= inner.limit);
        if inner.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            inner.refused.inc();
            return Err(Error::new(ErrorCode::ServiceUnavailable)
                .message("Too many requests and answers are under way")
                .hint("Retry after a pause, with backoff; take answers as they come."));
        }
        inner.in_flight.inc_by(signed(bytes));
        self.taken.fetch_add(bytes, Ordering::Relaxed);
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
        let (inner, now) = (&*self.budget.0, REQUEST_BYTES + bytes);
        let before = self.taken.swap(now, Ordering::Relaxed);
        if now > before {
            inner.taken.fetch_add(now - before, Ordering::Relaxed);
            inner.in_flight.inc_by(signed(now - before));
        } else {
            self.free(before - now);
        }
    }

    fn free(&self, bytes: usize) {
        self.budget.0.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.0.in_flight.dec_by(signed(bytes));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.free(self.taken.load(Ordering::Relaxed));
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

    #[test]
    fn what_is_taken_comes_back_however_it_was_taken() {
        let metrics = Metrics::new();
        let budget = Budget::new(1 << 20, &metrics);
        let (one, two) = (budget.share(), budget.share());
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
        let (one, two) = (budget.share(), budget.share());
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
}
