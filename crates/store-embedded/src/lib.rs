//! The store in one process: fjall (an LSM engine) under one writer thread. No server to install; every acknowledged write
//! survives kill -9 and, as far as the disk tells the truth about `fdatasync`, a power cut.
//!
//! A write travels: check and encode on the caller's thread (`compile`), wait in a bounded queue, one round of the writer
//! (`writer`): conditions, one atomic batch, one sync, answers. A read runs on the caller's thread against a snapshot
//! (`read`). Rows and keys are laid out so that scans and tokens come in CQL's order (`layout`, `record`). What has
//! expired is found by an index (`expiry`) and purged by a bounded sweeper (`sweep`). A large sorted set of rows can be
//! ingested past the writer ([`Embedded::ingest`]).

mod compile;
mod directory;
mod expiry;
mod ingest;
mod layout;
mod options;
mod read;
mod record;
mod round;
#[cfg(test)]
mod round_tests;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

pub use directory::is_new;
pub use ingest::sort_partitions;
pub use options::Options;

use async_trait::async_trait;
use compile::Ops;
use directory::Directory;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use layout::Layouts;
use record::Record;
use riskmesh_core::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::thread::JoinHandle;
use store::{
    Batch, Cas, Current, Error, Get, Outcome, Page, Read, Row, Scan, Store, Table, Target, TokenPage,
    TokenScan, check,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use writer::{Answer, Done, Engine, Job, Work, Writer, engine_error};

/// A [`Store`] in a directory that this process owns. Closing waits for what is queued: drop it, or call [`Embedded::close`]
/// where blocking for that long is in the way.
pub struct Embedded {
    inner: Arc<Inner>,
    writer: Option<JoinHandle<()>>,
    sweeper: Option<sweep::Sweeper>,
}

/// What readers, the sweeper and callers share.
pub(crate) struct Inner {
    database: Database,
    layouts: Layouts,
    expiry: Keyspace,
    clock: Arc<dyn Clock>,
    queue: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    queue_changes: usize,
    /// Writes whose callers have gone, and which the writer has not done yet.
    abandoned: Arc<AtomicIsize>,
    _directory: Directory,
}

impl Embedded {
    /// Opens the store, creating what is missing, and recovers what a crash left. Blocks; meant for start-up.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process has it open; [`Error::Schema`] if the declared tables are not the stored ones;
    /// [`Error::Incomplete`] if a part of the directory is missing.
    pub fn open(options: Options) -> Result<Self, Error> {
        Self::open_with(options, Engine)
    }

    fn open_with(options: Options, engine: impl writer::Commit) -> Result<Self, Error> {
        let directory = Directory::open(&options.directory)?;
        let stored = directory.catalog()?;
        let has_catalog = stored.is_some();
        let mut catalog = stored.unwrap_or_default();
        let steps = catalog.reconcile(&options.tables, &options.migrations)?;
        let path = directory.database(has_catalog)?;
        let database = Database::builder(path)
            .cache_size(options.block_cache_bytes)
            .max_journaling_size(options.journal_bytes)
            .open()
            .map_err(|source| engine_error("open", source))?;
        let keyspace = |name: &str| {
            let create = || KeyspaceCreateOptions::default().max_memtable_size(options.memtable_bytes);
            database.keyspace(name, create).map_err(|source| engine_error("open table", source))
        };
        let mut layouts = Layouts::default();
        for table in &options.tables {
            let values = catalog.column_ids(table, table.values)?;
            let statics = catalog.column_ids(table, table.statics)?;
            layouts.add(table, keyspace(&format!("t.{}", table.name))?, values, statics);
        }
        let expiry = keyspace("expiry")?;
        if !has_catalog || !steps.is_empty() {
            directory.store_catalog(catalog)?;
        }
        directory.created()?;

        #[allow(
            clippy::disallowed_methods,
            reason = "bounded by `room`: every job holds some, but for Work::Stop"
        )]
        let (queue, jobs) = mpsc::unbounded_channel();
        let abandoned = Arc::new(AtomicIsize::new(0));
        let writer = Writer {
            abandoned: abandoned.clone(),
            database: database.clone(),
            layouts: layouts.clone(),
            expiry: expiry.clone(),
            clock: options.clock.clone(),
            on_fatal: options.on_fatal,
            engine,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(round::READ_THREADS),
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(|source| Error::Backend { operation: "start writer", source: Box::new(source) })?;
        let inner = Arc::new(Inner {
            database,
            layouts,
            expiry,
            clock: options.clock,
            queue,
            room: Arc::new(Semaphore::new(options.queue_changes)),
            queue_changes: options.queue_changes,
            abandoned,
            _directory: directory,
        });
        let sweeper = match options.sweep_every {
            Some(every) => Some(sweep::Sweeper::start(&inner, every)?),
            None => None,
        };
        Ok(Self { inner, writer: Some(writer), sweeper })
    }

    /// Waits until everything queued is durable, then closes. Blocks.
    pub fn close(self) {
        drop(self);
    }

    /// Purges what has expired, at most a bounded number of rows; gives how many entries it worked off. The store does this by
    /// itself in the background.
    pub async fn sweep(&self) -> Result<usize, Error> {
        self.inner.sweep().await
    }

    /// Ingests a large set of rows past the journal and the writer, straight into table files: for benchmarks and bootstrap. The
    /// batches hold upserts without TTL, in the table's order: partitions as [`sort_partitions`] sorts them, each with its
    /// statics first and then its rows by clustering key. Whatever stood there is replaced. Nothing is visible before this
    /// returns the number of upserts, and all of it is durable then. Blocks; nobody else may write the table meanwhile.
    ///
    /// # Errors
    /// [`Error::Request`] if a batch holds anything else, or is out of order; nothing was ingested then.
    pub fn ingest(
        &self,
        table: &'static Table,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<u64, Error> {
        ingest::run(self.inner.layouts.of(table)?, batches)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // The sweeper writes, so it stops first.
        self.sweeper = None;
        self.inner.room.close();
        let (reply, _) = oneshot::channel();
        // Everything that was queued before is done before; if the writer has failed there is nobody to stop.
        let _ = self.inner.queue.send(Job { work: Work::Stop, reply, room: None });
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was reported by the panic hook; nothing can be added here.
            let _ = writer.join();
        }
    }
}

impl Inner {
    /// Hands work to the writer and waits until it is durable.
    async fn submit(&self, ops: Ops) -> Answer {
        let permits = ops.changes.len().clamp(1, self.queue_changes) as u32;
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| Error::Closed)?;
        let (reply, done) = oneshot::channel();
        let job = Job { work: Work::Write(ops), reply, room: Some(room) };
        self.queue.send(job).map_err(|_| Error::Closed)?;
        let mut waiting = Waiting { done, abandoned: &self.abandoned };
        // The writer drops a job unanswered only when it fails.
        (&mut waiting.done).await.map_err(|_| Error::Unknown { operation: "write", source: None })?
    }

    /// Before a serial read: waits for writes whose callers gave up waiting. Such a caller reads to learn what became of its
    /// write, and it must not happen after that.
    async fn settle(&self, read: Read) -> Result<(), Error> {
        if read == Read::Latest && self.abandoned.load(Ordering::SeqCst) > 0 {
            self.submit(Ops::default()).await?;
        }
        Ok(())
    }

    async fn cas_ops(&self, many: &[Cas]) -> Result<Vec<Outcome>, Error> {
        if many.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock.now().millis();
        let mut ops = Ops::with_capacity(many.len(), many.iter().map(|cas| cas.mutations.len()).sum());
        for cas in many {
            ops.add_cas(self.layouts.of(cas.table)?, cas, now)?;
        }
        match self.submit(ops).await {
            Ok(done) => many.iter().zip(done).map(|(cas, done)| self.outcome(cas, done)).collect(),
            Err(Error::Unknown { .. }) => Ok(many.iter().map(|_| Outcome::Unknown).collect()),
            Err(error) => Err(error),
        }
    }

    fn outcome(&self, cas: &Cas, done: Done) -> Result<Outcome, Error> {
        let Done::Conflict(found) = done else { return Ok(Outcome::Applied) };
        let layout = self.layouts.of(cas.table)?;
        let now = self.clock.now().millis();
        let statics = found.statics.as_deref().map(|bytes| Record::parse(cas.table, bytes)).transpose()?;
        let mut current = Current::default();
        for (condition, bytes) in cas.conditions.iter().zip(&found.rows) {
            let (Target::Row(key), Some(bytes)) = (&condition.target, bytes) else { continue };
            if current.row(key).is_none() {
                let record = Record::parse(cas.table, bytes)?;
                if record.exists(now)? {
                    current.rows.push(layout.row(&cas.partition, Some(key), statics, Some(record), now)?);
                }
            }
        }
        if let Some(record) = statics
            && record.exists(now)?
        {
            current.statics = Some(layout.row(&cas.partition, None, Some(record), None, now)?);
        }
        Ok(Outcome::Conflict(current))
    }
}

/// A caller that waits for the writer. If it is dropped first, its write is abandoned, until the writer finds nobody to answer.
struct Waiting<'a> {
    done: oneshot::Receiver<Answer>,
    abandoned: &'a AtomicIsize,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // From here on the writer cannot answer, so exactly one of the two happens: there is an answer, or the writer counts
        // this write down. It may do so before it is counted up.
        self.done.close();
        if !self.done.is_terminated() && self.done.try_recv().is_err() {
            self.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, get: Get) -> Result<Option<Row>, Error> {
        self.inner.settle(get.read).await?;
        self.inner.get_now(&get, &self.inner.database.snapshot())
    }

    async fn get_many(&self, gets: Vec<Get>) -> Result<Vec<Option<Row>>, Error> {
        check::call(gets.iter().map(|one| one.table))?;
        if gets.iter().any(|get| get.read == Read::Latest) {
            self.inner.settle(Read::Latest).await?;
        }
        let inner = self.inner.clone();
        run(gets.len(), move || {
            let snapshot = inner.database.snapshot();
            gets.iter().map(|get| inner.get_now(get, &snapshot)).collect()
        })
        .await
    }

    async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        self.inner.settle(scan.read).await?;
        let inner = self.inner.clone();
        let rows = scan.limit;
        run(rows, move || inner.scan_now(&scan)).await
    }

    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error> {
        check::call(batches.iter().map(|one| one.table))?;
        if batches.is_empty() {
            return Ok(());
        }
        let now = self.inner.clock.now().millis();
        let changes = batches.iter().map(|batch| batch.mutations.len()).sum();
        let mut ops = Ops::with_capacity(batches.len(), changes);
        for batch in &batches {
            ops.add_batch(self.inner.layouts.of(batch.table)?, batch, now)?;
        }
        self.inner.submit(ops).await.map(drop)
    }

    async fn cas(&self, cas: Cas) -> Result<Outcome, Error> {
        let mut outcomes = self.inner.cas_ops(std::slice::from_ref(&cas)).await?;
        outcomes.pop().ok_or(Error::Closed)
    }

    async fn cas_many(&self, many: Vec<Cas>) -> Result<Vec<Outcome>, Error> {
        check::call(many.iter().map(|one| one.table))?;
        self.inner.cas_ops(&many).await
    }

    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error> {
        let inner = self.inner.clone();
        run(usize::MAX, move || inner.token_scan_now(&scan)).await
    }
}

/// Runs a read here if it is short, and on the blocking pool if it may be long.
async fn run<T: Send + 'static>(
    rows: usize,
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if rows <= read::INLINE_ROWS {
        return read();
    }
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|source| Error::Backend { operation: "read", source: Box::new(source) })?
}
