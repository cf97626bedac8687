//! The sweeper: a thread that purges expired rows now and then, a bounded number at a time, through the writer. Reads do not
//! depend on it: they skip what has expired.

use crate::Inner;
use crate::compile::Ops;
use crate::expiry;
use crate::writer::engine_error;
use fjall::Readable as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Error;

/// Entries that one sweep works off: small, so that it does not keep writers waiting.
const ENTRIES: usize = 1024;

impl Inner {
    pub(crate) async fn sweep(&self) -> Result<usize, Error> {
        let entries = self.due()?;
        let count = entries.len();
        if count > 0 {
            let mut ops = Ops::default();
            for entry in &entries {
                ops.add_purge(&self.layouts, entry);
            }
            self.submit(ops).await?;
        }
        Ok(count)
    }

    fn due(&self) -> Result<Vec<fjall::Slice>, Error> {
        let due = expiry::due(self.clock.now().millis());
        self.database
            .snapshot()
            .range(&self.expiry, due)
            .take(ENTRIES)
            .map(|guard| guard.key().map_err(|source| engine_error("read expiry index", source)))
            .collect()
    }
}

/// The thread; dropping it stops it.
pub(crate) struct Sweeper {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub(crate) fn start(inner: &Arc<Inner>, every: Duration) -> Result<Self, Error> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (signal, inner) = (stop.clone(), Arc::downgrade(inner));
        let thread = std::thread::Builder::new()
            .name("store-sweeper".to_owned())
            .spawn(move || run(&signal, &inner, every))
            .map_err(|source| Error::Backend { operation: "start sweeper", source: Box::new(source) })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run((stop, changed): &(Mutex<bool>, Condvar), inner: &Weak<Inner>, every: Duration) {
    loop {
        let stopped = stop.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) =
            changed.wait_timeout_while(stopped, every, |stop| !*stop).unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            return;
        }
        drop(stopped);
        let Some(inner) = inner.upgrade() else { return };
        // Each round waits for the writer, so other writes get their turn between two.
        loop {
            match inner.sweep_blocking() {
                Ok(ENTRIES) => {}
                Ok(_) => break,
                Err(Error::Closed | Error::Unknown { .. }) => return,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "expired rows were not purged");
                    break;
                }
            }
        }
    }
}

impl Inner {
    /// As [`Inner::sweep`], for a thread outside the runtime.
    fn sweep_blocking(&self) -> Result<usize, Error> {
        let mut sweep = std::pin::pin!(self.sweep());
        let thread = std::thread::current();
        let waker = std::task::Waker::from(Arc::new(Unpark(thread)));
        let mut context = std::task::Context::from_waker(&waker);
        loop {
            match sweep.as_mut().poll(&mut context) {
                std::task::Poll::Ready(done) => return done,
                std::task::Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// Wakes a parked thread.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
