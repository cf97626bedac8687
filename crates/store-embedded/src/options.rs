//! How an embedded store is opened.

use crate::writer::OnFatal;
use riskmesh_core::{Clock, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::schema::Migration;
use store::{Error, Table};

/// Settings of an [`Embedded`](crate::Embedded) store.
#[derive(Clone)]
pub struct Options {
    pub(crate) directory: PathBuf,
    pub(crate) tables: Vec<&'static Table>,
    pub(crate) migrations: Vec<Migration>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_fatal: OnFatal,
    pub(crate) block_cache_bytes: u64,
    pub(crate) memtable_bytes: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) queue_changes: usize,
    pub(crate) sweep_every: Option<Duration>,
}

impl Options {
    /// The defaults: machine clock, abort on a fatal error, 64 MiB of block cache, 64 MiB memtables.
    pub fn new(directory: impl Into<PathBuf>, tables: impl IntoIterator<Item = &'static Table>) -> Self {
        Self {
            directory: directory.into(),
            tables: tables.into_iter().collect(),
            migrations: Vec::new(),
            clock: Arc::new(SystemClock),
            on_fatal: Arc::new(abort),
            block_cache_bytes: 64 << 20,
            memtable_bytes: 64 << 20,
            journal_bytes: 512 << 20,
            queue_changes: 131_072,
            sweep_every: Some(Duration::from_secs(1)),
        }
    }

    /// The schema's history: see [`Migration`].
    #[must_use]
    pub fn migrations(mut self, migrations: impl IntoIterator<Item = Migration>) -> Self {
        self.migrations = migrations.into_iter().collect();
        self
    }

    /// The clock that TTLs run on.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Called once, on the writer's thread, when the engine failed; the store is closed by then. The default logs and aborts
    /// the process. A callback that returns leaves a closed store behind.
    #[must_use]
    pub fn on_fatal(mut self, on_fatal: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_fatal = Arc::new(on_fatal);
        self
    }

    /// Memory for blocks of tables on disk, shared by all tables.
    #[must_use]
    pub const fn block_cache_bytes(mut self, bytes: u64) -> Self {
        self.block_cache_bytes = bytes;
        self
    }

    /// Size at which a table's memtable is flushed. Takes effect when a table is created; later changes are ignored by fjall.
    #[must_use]
    pub const fn memtable_bytes(mut self, bytes: u64) -> Self {
        self.memtable_bytes = bytes;
        self
    }

    /// Size of all journals together at which memtables are flushed to let the oldest go; at least 64 MiB. Bounds the memory
    /// of all memtables, and the time that a recovery takes.
    #[must_use]
    pub const fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = if bytes < 64 << 20 { 64 << 20 } else { bytes };
        self
    }

    /// How many changes may wait for the writer; callers wait for room beyond that.
    #[must_use]
    pub const fn queue_changes(mut self, changes: usize) -> Self {
        self.queue_changes = if changes == 0 { 1 } else { changes };
        self
    }

    /// How often expired rows are purged; `None` leaves that to [`Embedded::sweep`](crate::Embedded::sweep).
    #[must_use]
    pub const fn sweep_every(mut self, every: Option<Duration>) -> Self {
        self.sweep_every = every;
        self
    }
}

fn abort(_: &Error) {
    // The writer has logged the error.
    std::process::abort();
}
