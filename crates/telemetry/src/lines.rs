//! Lines on their way to a terminal or a file: a bounded queue and one writer thread, so that a slow reader of our output holds no
//! request up. A line that finds the queue full is dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The most lines that wait.
const QUEUE: usize = 8192;
/// The longest that a flush waits: a terminal that is stopped must not keep the process alive.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The sending side; clones share the queue, the last one to go flushes it.
#[derive(Clone, Debug)]
pub(crate) struct Lines(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    sender: SyncSender<Vec<u8>>,
    accepted: AtomicU64,
    dropped: AtomicU64,
    written: Arc<Written>,
}

/// How many lines have left the writer, and who waits for that.
#[derive(Debug, Default)]
struct Written(Mutex<u64>, Condvar);

impl Lines {
    /// Starts the writer thread; it ends with the last handle.
    pub(crate) fn new(name: &str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = sync_channel(QUEUE);
        let written = Arc::new(Written::default());
        let progress = Arc::clone(&written);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || write_all(&lines, out, &progress))?;
        let (accepted, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Queue { sender, accepted, dropped, written })))
    }

    /// Queues one line, its newline included, or drops it.
    pub(crate) fn send(&self, line: Vec<u8>) {
        let counter = match self.0.sender.try_send(line) {
            Ok(()) => &self.0.accepted,
            Err(_) => &self.0.dropped,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until every line that is queued now is written; at the most [`FLUSH_TIMEOUT`].
    pub(crate) fn flush_queued(&self) {
        self.0.flush();
    }

    /// How many lines were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::SeqCst)
    }
}

impl Queue {
    fn flush(&self) {
        let wanted = self.accepted.load(Ordering::SeqCst);
        let Written(count, progress) = &*self.written;
        let written = count.lock().unwrap_or_else(PoisonError::into_inner);
        // A timeout ends the wait as well: what could not be written by then is lost.
        let _ = progress.wait_timeout_while(written, FLUSH_TIMEOUT, |written| *written < wanted);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes until every sender is gone; flushes whenever nothing more is waiting.
fn write_all(lines: &Receiver<Vec<u8>>, out: impl Write, Written(count, progress): &Written) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = lines.recv() {
        let mut taken = 0;
        for line in std::iter::once(first).chain(lines.try_iter().take(QUEUE)) {
            // An output that fails (a closed pipe) loses its lines; the queue must go on emptying.
            let _ = out.write_all(&line);
            taken += 1;
        }
        let _ = out.flush();
        *count.lock().unwrap_or_else(PoisonError::into_inner) += taken;
        progress.notify_all();
    }
}

/// For `tracing_subscriber`, whose layer writes each event as one buffer.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    /// An output that tests can read.
    #[derive(Clone, Default)]
    pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that takes nothing until the gate opens.
    struct Gated(Receiver<()>, Shared);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the other side is gone the gate stands open.
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn dropping_the_last_handle_flushes_everything_in_order() {
        let out = Shared::default();
        let lines = Lines::new("test", out.clone()).unwrap();
        let other = lines.clone();
        for n in 0..500 {
            if n % 2 == 0 { &lines } else { &other }.send(format!("{n}\n").into_bytes());
        }
        drop(lines);
        drop(other);
        let expected: String = (0..500).flat_map(|n| [n.to_string(), "\n".to_owned()]).collect();
        assert_eq!(out.text(), expected);
    }

    #[test]
    fn a_stuck_output_blocks_nobody_and_drops_are_counted() {
        let (open, gate) = sync_channel(1);
        let out = Shared::default();
        let lines = Lines::new("test", Gated(gate, out.clone())).unwrap();
        let sent = 3 * QUEUE;
        for _ in 0..sent {
            lines.send(b"x\n".to_vec());
        }
        let dropped = lines.dropped();
        // The writer holds a first line and as many as wait, and as many wait behind it.
        assert!(dropped >= sent as u64 - (2 * QUEUE + 1) as u64, "{dropped}");
        drop(open);
        drop(lines);
        assert_eq!(out.text().lines().count() as u64 + dropped, sent as u64);
    }
}
