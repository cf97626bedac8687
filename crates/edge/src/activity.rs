//! HTTP/2 connections that nothing goes over. They answer when they are asked whether they live, and hold their places for ever; those
//! of HTTP/1 are closed when no request follows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The streams of a connection; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Mutex<Streams>>);

#[derive(Debug)]
struct Streams {
    open: usize,
    /// When the last one ended.
    quiet_since: Instant,
}

impl Activity {
    /// That of a connection which begins now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Streams { open: 0, quiet_since: Instant::now() })))
    }

    /// A stream begins; it ends with what is returned.
    pub(crate) fn stream(&self) -> Stream {
        self.streams().open += 1;
        Stream(self.clone())
    }

    /// Waits until there was no stream for so long.
    pub(crate) async fn idle(&self, limit: Duration) {
        loop {
            let left = {
                let streams = self.streams();
                if streams.open > 0 { limit } else { limit.saturating_sub(streams.quiet_since.elapsed()) }
            };
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream while it lasts.
#[derive(Debug)]
pub(crate) struct Stream(Activity);

impl Drop for Stream {
    fn drop(&mut self) {
        let mut streams = self.0.streams();
        streams.open -= 1;
        streams.quiet_since = Instant::now();
    }
}
