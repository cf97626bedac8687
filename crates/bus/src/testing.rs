//! What the tests of this crate share: a store on disk that can be reopened, a store that fails on command, and waiting for a
//! condition.

use crate::topic::Topic;
use async_trait::async_trait;
use riskmesh_core::{Clock, ManualClock, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Batch, Cas, Error, Get, Outcome, Page, Row, Scan, Store, Table, TokenPage, TokenScan};

/// A topic of the tests, with three partitions and a day of retention.
pub(crate) const TOPIC: Topic = Topic { name: "things", partitions: 3, retention: Duration::from_hours(24) };

/// A key for a partition of [`TOPIC`].
pub(crate) fn key_of(partition: u32) -> String {
    let mut keys = (0..1000).map(|n| format!("key-{n}"));
    keys.find(|key| crate::partition::of(key.as_bytes(), TOPIC.partitions) == partition).unwrap()
}

/// A state row of a service, for the tests of the outbox.
pub(crate) static STATE: Table = Table::new("state", &[store::text("name")])
    .values(&[store::bigint("version"), store::boolean("pending")]);

/// When the tests begin.
pub(crate) const BEGIN: Timestamp = Timestamp(1_750_000_000_000);

/// A directory with a store, and the clock that everything in a test runs on.
pub(crate) struct Disk {
    directory: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::at(BEGIN)) }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Opens the store; once everybody has dropped the former one.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        let tables = crate::TABLES.iter().copied().chain([&STATE]);
        let options = store_embedded::Options::new(self.directory.path(), tables)
            .clock(self.clock.clone())
            .memtable_bytes(1 << 20)
            .sweep_every(None);
        Arc::new(store_embedded::Embedded::open(options).unwrap())
    }
}

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, but nobody hears of it.
    DoneUnknown,
    /// It is not done, and nobody can tell.
    LostUnknown,
    /// It is done, and reported as failed for good.
    DoneFailed,
    /// The process dies before it: nothing works from here on.
    DieBefore,
    /// The process dies after it.
    DieAfter,
}

/// A store whose writes fail on command, counted from the first.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    faults: Mutex<HashMap<usize, Fault>>,
    writes: AtomicUsize,
    dead: Mutex<bool>,
    blind: Mutex<usize>,
}

impl Faulty {
    pub(crate) fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults: Mutex::default(),
            writes: AtomicUsize::new(0),
            dead: Mutex::new(false),
            blind: Mutex::new(0),
        })
    }

    /// This fault for the n-th write from now, counted from 0.
    pub(crate) fn plan(&self, write: usize, fault: Fault) {
        let write = self.writes.load(Ordering::SeqCst) + write;
        self.faults.lock().unwrap().insert(write, fault);
    }

    /// The next reads time out.
    pub(crate) fn blind(&self, reads: usize) {
        *self.blind.lock().unwrap() = reads;
    }

    /// Forgets planned faults that did not come to pass.
    pub(crate) fn forgive(&self) {
        self.faults.lock().unwrap().clear();
        self.blind(0);
    }

    /// Writes so far.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Whether the planned death has happened.
    pub(crate) fn is_dead(&self) -> bool {
        *self.dead.lock().unwrap()
    }

    fn alive(&self) -> Result<(), Error> {
        if self.is_dead() { Err(Error::Closed) } else { Ok(()) }
    }

    fn sees(&self) -> Result<(), Error> {
        self.alive()?;
        let mut blind = self.blind.lock().unwrap();
        if *blind > 0 {
            *blind -= 1;
            return Err(Error::Timeout { operation: "read", source: None });
        }
        Ok(())
    }

    fn next_fault(&self) -> Result<Option<Fault>, Error> {
        self.alive()?;
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        let fault = self.faults.lock().unwrap().remove(&write);
        if matches!(fault, Some(Fault::DieBefore | Fault::DieAfter)) {
            *self.dead.lock().unwrap() = true;
        }
        Ok(fault)
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, get: Get) -> Result<Option<Row>, Error> {
        self.sees()?;
        self.inner.get(get).await
    }

    async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        self.sees()?;
        self.inner.scan(scan).await
    }

    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error> {
        self.sees()?;
        self.inner.token_scan(scan).await
    }

    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error> {
        let unknown = || Error::Unknown { operation: "write", source: None };
        match self.next_fault()? {
            None => self.inner.apply(batches).await,
            Some(Fault::LostUnknown) => Err(unknown()),
            Some(Fault::DoneUnknown) => {
                self.inner.apply(batches).await?;
                Err(unknown())
            }
            Some(Fault::DieBefore) => Err(Error::Closed),
            Some(Fault::DieAfter | Fault::DoneFailed) => {
                self.inner.apply(batches).await?;
                Err(Error::Closed)
            }
        }
    }

    async fn cas(&self, cas: Cas) -> Result<Outcome, Error> {
        match self.next_fault()? {
            None => self.inner.cas(cas).await,
            Some(Fault::LostUnknown) => Ok(Outcome::Unknown),
            Some(Fault::DoneUnknown) => self.inner.cas(cas).await.map(|_| Outcome::Unknown),
            Some(Fault::DieBefore) => Err(Error::Closed),
            Some(Fault::DieAfter | Fault::DoneFailed) => {
                drop(self.inner.cas(cas).await?);
                Err(Error::Closed)
            }
        }
    }
}

/// Waits until a condition holds, and fails when it does not within a generous time.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut turn = tokio::time::interval(Duration::from_millis(2));
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}");
        turn.tick().await;
    }
}
