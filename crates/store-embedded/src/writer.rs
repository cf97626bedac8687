//! The one writer. Callers put encoded requests into a bounded queue; this thread takes everything that queued up while the last
//! sync ran, checks each request's conditions against what is committed and what this round has already changed, writes one
//! atomic fjall batch, syncs it, and then answers all of them. There is no timer: an idle store commits a single write at once,
//! a busy one commits as many as arrive during a sync, and those who come back within microseconds of their last answer.
//!
//! fjall makes a batch visible to snapshots only after its journal entry was synced (`WriteBatch::durability`), so nobody reads
//! what is not durable. An error here is the end: after a failed sync the operating system may have dropped the dirty pages, so
//! trying again would acknowledge what is lost. The callback decides how the process ends; by default it aborts, and recovery
//! on the next start gives back exactly what was acknowledged, plus possibly some of what was in flight.

use crate::compile::Ops;
use crate::layout::Layouts;
use crate::round::Round;
use fjall::{Database, Keyspace, PersistMode, Slice};
use riskmesh_core::Clock;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use store::Error;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// A round stops taking requests at this many changes, or bytes.
const ROUND_CHANGES: usize = 32_768;
const ROUND_BYTES: usize = 16 << 20;

/// How often a writer with many callers looks for one more before it commits.
const GATHER_LOOKS: usize = 64;

/// What happens on an error of the engine; see [`crate::Options::on_fatal`].
pub(crate) type OnFatal = Arc<dyn Fn(&Error) + Send + Sync>;

/// What the writer is asked to do.
pub(crate) enum Work {
    /// Apply these, each by itself.
    Write(Ops),
    /// Finish what came before, then end.
    Stop,
}

/// Where the answer to a job goes.
pub(crate) type Reply = oneshot::Sender<Answer>;
/// One [`Done`] an operation.
pub(crate) type Answer = Result<SmallVec<[Done; 2]>, Error>;

/// A place in the queue.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) reply: Reply,
    /// Given back when the job is done: bounds the queue by its size, not by its length.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// What became of an operation.
pub(crate) enum Done {
    Applied,
    Conflict(Box<Found>),
}

/// What stood where an operation's conditions did not hold.
pub(crate) struct Found {
    /// The stored records of the conditions' keys, in their order.
    pub(crate) rows: Vec<Option<Slice>>,
    /// The statics of the partition.
    pub(crate) statics: Option<Slice>,
}

/// What makes a round durable. The engine, or in tests one that fails.
pub(crate) trait Commit: Send + 'static {
    /// Writes all changes atomically and syncs them.
    fn commit(&mut self, batch: fjall::OwnedWriteBatch) -> fjall::Result<()>;
}

/// fjall's own commit: journal, fdatasync, memtables, in this order.
pub(crate) struct Engine;

impl Commit for Engine {
    fn commit(&mut self, batch: fjall::OwnedWriteBatch) -> fjall::Result<()> {
        batch.durability(Some(PersistMode::SyncData)).commit()
    }
}

pub(crate) struct Writer<C> {
    /// Writes whose callers have gone: counted up by them, down here.
    pub(crate) abandoned: Arc<AtomicIsize>,
    pub(crate) database: Database,
    pub(crate) layouts: Layouts,
    pub(crate) expiry: Keyspace,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_fatal: OnFatal,
    pub(crate) engine: C,
    /// How many threads may read for a large round.
    pub(crate) threads: usize,
}

impl<C: Commit> Writer<C> {
    /// Runs until it is told to stop, the queue is closed, or the engine fails.
    pub(crate) fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let (mut stop, mut answered) = (false, 0);
        let (mut round, mut replies) = (Vec::new(), Vec::new());
        while !stop && let Some(first) = queue.blocking_recv() {
            let (mut changes, mut bytes) = (0, 0);
            // Whoever queued up during the last round, and whoever that one has answered, if there are several.
            let mut expected = None;
            let mut next = Some(first);
            while let Some(job) = next {
                match job.work {
                    Work::Write(ops) => {
                        changes += ops.changes.len();
                        bytes += ops.bytes;
                        round.push(ops);
                        replies.push((job.reply, job.room));
                    }
                    Work::Stop => stop = true,
                }
                let full = stop || changes >= ROUND_CHANGES || bytes >= ROUND_BYTES;
                next = if full { None } else { queue.try_recv().ok() };
                if next.is_none() && !full {
                    let expected =
                        *expected.get_or_insert(if answered > 1 { round.len() + answered } else { 0 });
                    next = if round.len() < expected { gather(&mut queue) } else { None };
                }
            }
            answered = round.len();
            match self.round(&round) {
                Ok(answers) => {
                    round.clear();
                    let mut freed: Option<OwnedSemaphorePermit> = None;
                    for ((reply, room), answer) in replies.drain(..).zip(answers) {
                        match (&mut freed, room) {
                            (Some(freed), Some(room)) => freed.merge(room),
                            (None, room) => freed = room,
                            (Some(_), None) => {}
                        }
                        if reply.send(answer).is_err() {
                            // The caller has gone; its write stands.
                            self.abandoned.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                }
                Err(error) => {
                    queue.close();
                    tracing::error!(error = &error as &dyn std::error::Error, "store writer failed");
                    (self.on_fatal)(&error);
                    // Only a test's callback comes back. Dropping the replies tells the callers that the outcome is unknown.
                    return;
                }
            }
        }
    }

    fn round(&mut self, ops: &[Ops]) -> Result<Vec<Answer>, Error> {
        let snapshot = self.database.snapshot();
        let now = self.clock.now().millis();
        let mut round = Round::new(&self.layouts, ops, snapshot, now, self.threads)?;
        let mut answers = Vec::with_capacity(ops.len());
        for job in 0..ops.len() {
            match round.run(job) {
                // A request that cannot be served (a corrupt row, a range that is too large) fails alone; its earlier
                // operations stand, as the trait allows. A failing engine fails everything.
                Err(error @ Error::Backend { .. }) => return Err(error),
                answer => answers.push(answer),
            }
        }
        let batch = round.into_batch(&self.database, &self.expiry);
        if !batch.is_empty() {
            self.engine.commit(batch).map_err(|source| engine_error("commit", source))?;
        }
        Ok(answers)
    }
}

/// Waits for a next request, some ten microseconds at the most. The callers of the round before have just been answered, and most
/// of them come again at once: without this they would find the round closed, and share every second sync only.
fn gather(queue: &mut mpsc::UnboundedReceiver<Job>) -> Option<Job> {
    for _ in 0..GATHER_LOOKS {
        for _ in 0..8 {
            std::hint::spin_loop();
        }
        if let Ok(job) = queue.try_recv() {
            return Some(job);
        }
    }
    None
}

pub(crate) fn engine_error(operation: &'static str, source: fjall::Error) -> Error {
    Error::Backend { operation, source: Box::new(source) }
}
