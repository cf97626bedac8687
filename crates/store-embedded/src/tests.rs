//! What only the inside can show: when commits happen, what a failing disk does, what is left on it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use crate::writer::{Commit, Engine};
use crate::{Embedded, Options, sort_partitions};
use fjall::Readable as _;
use riskmesh_core::{ManualClock, Timestamp};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use store::schema::{Change, Migration};
use store::{
    Batch, Cas, Error, Get, Outcome, Scan, Store, Table, Ttl, Values, asc, bigint, int, text, upsert,
    upsert_statics,
};

pub(crate) static ROWS: Table = Table::new("rows", &[text("p")])
    .clustering(&[asc(int("c"))])
    .statics(&[int("s")])
    .values(&[int("v"), text("w")]);

pub(crate) fn options(directory: &Path) -> Options {
    Options::new(directory, [&ROWS]).sweep_every(None)
}

fn write(p: &str, c: i32, v: i32) -> Batch {
    Batch::new(&ROWS, p).with(upsert(c).set("v", v))
}

async fn read(store: &Embedded, p: &str, c: i32) -> Option<i32> {
    let row = store.get(Get::row(&ROWS, p, c)).await.unwrap();
    row.map(|row| row.int("v").unwrap())
}

/// Lets commits through one at a time, or all.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Passes>, Condvar)>);

#[derive(Default)]
pub(crate) struct Passes {
    allowed: usize,
    arrived: usize,
}

impl Gate {
    pub(crate) fn allow(&self, more: usize) {
        let mut passes = self.0.0.lock().unwrap();
        passes.allowed = passes.allowed.saturating_add(more);
        self.0.1.notify_all();
    }

    /// Lets none through from now on.
    pub(crate) fn close(&self) {
        self.0.0.lock().unwrap().allowed = 0;
    }

    /// Waits until this many commits have come to the gate, ever.
    pub(crate) fn wait_for(&self, arrivals: usize) {
        let passes = self.0.0.lock().unwrap();
        let waited = self.0.1.wait_timeout_while(passes, Duration::from_secs(10), |p| p.arrived < arrivals);
        assert!(!waited.unwrap().1.timed_out(), "no commit came");
    }

    pub(crate) fn arrived(&self) -> usize {
        self.0.0.lock().unwrap().arrived
    }
}

impl Commit for Gate {
    fn commit(&mut self, batch: fjall::OwnedWriteBatch) -> fjall::Result<()> {
        let mut passes = self.0.0.lock().unwrap();
        passes.arrived += 1;
        self.0.1.notify_all();
        let mut passes = self.0.1.wait_while(passes, |passes| passes.allowed == 0).unwrap();
        passes.allowed -= 1;
        drop(passes);
        Engine.commit(batch)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_arrive_during_a_sync_share_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let store = Arc::new(Embedded::open_with(options(directory.path()), gate.clone()).unwrap());
    let write = |number| {
        let store = store.clone();
        tokio::spawn(async move { store.apply(vec![write("p", number, number)]).await.unwrap() })
    };
    let first = write(0);
    gate.wait_for(1);
    let rest: Vec<_> = (1..100).map(write).collect();
    // All of them are in the queue when they hold its room.
    while store.inner.room.available_permits() > store.inner.queue_changes - 100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&store, "p", 0).await, None, "what is not synced is not seen");
    gate.allow(2);
    first.await.unwrap();
    for write in rest {
        write.await.unwrap();
    }
    assert_eq!(gate.arrived(), 2);
    assert_eq!(read(&store, "p", 99).await, Some(99));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_read_waits_for_a_write_whose_caller_gave_up() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let store = Arc::new(Embedded::open_with(options(directory.path()), gate.clone()).unwrap());
    {
        let batches = vec![write("p", 1, 1)];
        let given_up = std::pin::pin!(store.apply(batches));
        assert!(futures::poll!(given_up).is_pending());
    }
    gate.wait_for(1);
    let serial = {
        let store = store.clone();
        tokio::spawn(async move { store.get(Get::row(&ROWS, "p", 1).latest()).await.unwrap() })
    };
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&store, "p", 1).await, None, "a regular read does not wait");
    assert!(!serial.is_finished());
    gate.allow(usize::MAX);
    assert_eq!(serial.await.unwrap().unwrap().int("v").unwrap(), 1);
    assert_eq!(store.inner.abandoned.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_callers_wait() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let options = options(directory.path()).queue_changes(2);
    let store = Arc::new(Embedded::open_with(options, gate.clone()).unwrap());
    let mut waiting: Vec<_> = (0..3).map(|c| Box::pin(store.apply(vec![write("p", c, c)]))).collect();
    for write in &mut waiting {
        assert!(futures::poll!(write).is_pending());
    }
    assert_eq!(store.inner.room.available_permits(), 0, "two have all the room");
    gate.allow(usize::MAX);
    for write in waiting {
        write.await.unwrap();
    }
    // A call that is larger than the queue takes all of it.
    store.apply((0..5).map(|c| write("p", c, c)).collect()).await.unwrap();
}

/// A disk that fails at the third commit.
struct Failing(usize);

impl Commit for Failing {
    fn commit(&mut self, batch: fjall::OwnedWriteBatch) -> fjall::Result<()> {
        self.0 += 1;
        if self.0 < 3 { Engine.commit(batch) } else { Err(std::io::Error::other("no space").into()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_ends_everything() {
    let directory = tempfile::tempdir().unwrap();
    let fatal = Arc::new(AtomicUsize::new(0));
    let options = {
        let fatal = fatal.clone();
        options(directory.path()).on_fatal(move |error| {
            assert_eq!(error.to_string(), "commit failed");
            fatal.fetch_add(1, Ordering::SeqCst);
        })
    };
    let store = Embedded::open_with(options, Failing(0)).unwrap();
    store.apply(vec![write("p", 1, 1)]).await.unwrap();
    store.apply(vec![write("p", 2, 2)]).await.unwrap();
    let cas = |c| Cas::new(&ROWS, "p").if_absent(c).with(upsert(c).set("v", c));
    assert_eq!(store.cas(cas(3)).await.unwrap(), Outcome::Unknown);
    assert!(matches!(store.apply(vec![write("p", 4, 4)]).await, Err(Error::Closed)));
    assert!(matches!(store.cas(cas(5)).await, Err(Error::Closed)));
    assert_eq!(fatal.load(Ordering::SeqCst), 1);
    drop(store);
    let store = Embedded::open(self::options(directory.path())).unwrap();
    assert_eq!(read(&store, "p", 2).await, Some(2));
    assert_eq!(read(&store, "p", 3).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_batches_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(options(directory.path())).unwrap());
    let batch = |v: i32| {
        let rows = (0..20).fold(Batch::new(&ROWS, "p"), |batch, c| batch.with(upsert(c).set("v", v)));
        rows.with(upsert_statics().set("s", v))
    };
    store.apply(vec![batch(0)]).await.unwrap();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for v in 1..300 {
                store.apply(vec![batch(v)]).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let page = store.scan(Scan::new(&ROWS, "p", 100).with_statics()).await.unwrap();
        let expected = page.statics.unwrap().int("s").unwrap();
        assert_eq!(page.rows.len(), 20);
        assert!(page.rows.iter().all(|row| row.int("v").unwrap() == expected));
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(options(directory.path())).unwrap();
    store.apply((0..500).map(|c| write("p", c, c)).collect()).await.unwrap();
    let second = Embedded::open(options(directory.path()));
    assert!(matches!(second, Err(Error::InUse { owner, .. }) if owner == std::process::id().to_string()));
    store.close();
    let store = Embedded::open(options(directory.path())).unwrap();
    let page = store.scan(Scan::new(&ROWS, "p", 1000)).await.unwrap();
    assert_eq!(page.rows.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_leaves_nothing_of_what_expired() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let store = Embedded::open(options(directory.path()).clock(clock.clone())).unwrap();
    let ttl = Ttl::seconds(10);
    for c in 0..1500 {
        let rows = Batch::new(&ROWS, "p").with(upsert(c).set("v", c).ttl(ttl));
        store.apply(vec![rows]).await.unwrap();
    }
    let mixed =
        Batch::new(&ROWS, "q").with(upsert(1).set("w", "stays")).with(upsert_statics().set("s", 1).ttl(ttl));
    store.apply(vec![mixed]).await.unwrap();
    store.apply(vec![Batch::new(&ROWS, "q").with(upsert(1).set("v", 1).ttl(ttl))]).await.unwrap();
    // Written again for ever: the entry in the index is only a hint.
    store.apply(vec![write("p", 7, 7), write("p", 8, 8)]).await.unwrap();
    store.apply(vec![Batch::new(&ROWS, "p").with(upsert(7).set("v", 7).set("w", ""))]).await.unwrap();

    assert_eq!(store.sweep().await.unwrap(), 0);
    clock.advance(Duration::from_secs(10));
    let mut swept = Vec::new();
    loop {
        swept.push(store.sweep().await.unwrap());
        if swept.last() == Some(&0) {
            break;
        }
    }
    assert_eq!(swept, [1024, 478, 0], "a bounded number at a time");
    let layout = store.inner.layouts.of(&ROWS).unwrap();
    let snapshot = store.inner.database.snapshot();
    assert_eq!(snapshot.range::<&[u8], _>(&layout.keyspace, ..).count(), 3);
    assert_eq!(snapshot.range::<&[u8], _>(&store.inner.expiry, ..).count(), 0);
    assert_eq!((read(&store, "p", 7).await, read(&store, "p", 8).await), (Some(7), Some(8)));
    let row = store.get(Get::row(&ROWS, "q", 1)).await.unwrap().unwrap();
    assert_eq!((row.text("w").unwrap(), row.int_opt("v").unwrap()), ("stays", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_runs_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let options = options(directory.path()).clock(clock.clone()).sweep_every(Some(Duration::from_millis(1)));
    let store = Embedded::open(options).unwrap();
    let batch = Batch::new(&ROWS, "p").with(upsert(1).set("v", 1).ttl(Ttl::seconds(1)));
    store.apply(vec![batch]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while store.inner.database.snapshot().range::<&[u8], _>(&store.inner.expiry, ..).count() > 0 {
        assert!(std::time::Instant::now() < deadline, "nothing was swept");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_add_and_drop_columns_of_stored_rows() {
    static LATER: Table = Table::new("rows", &[text("p")])
        .clustering(&[asc(int("c"))])
        .statics(&[int("s")])
        .values(&[bigint("x"), text("w")]);
    const MIGRATION: Migration = Migration {
        version: 1,
        name: "x instead of v",
        changes: &[
            Change::DropColumn { table: "rows", column: "v" },
            Change::AddColumn { table: "rows", column: bigint("x") },
        ],
    };
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(options(directory.path())).unwrap();
    let row = Batch::new(&ROWS, "p").with(upsert(1).set("v", 1).set("w", "one"));
    store.apply(vec![row]).await.unwrap();
    drop(store);

    let later = || Options::new(directory.path(), [&LATER]).sweep_every(None);
    let refused = Embedded::open(later()).err().unwrap();
    assert_eq!(refused.to_string(), "schema of table rows: column x is declared but not stored");
    let store = Embedded::open(later().migrations([MIGRATION])).unwrap();
    let get = Get::row(&LATER, "p", 1);
    let row = store.get(get.clone()).await.unwrap().unwrap();
    assert_eq!((row.text("w").unwrap(), row.bigint_opt("x").unwrap()), ("one", None));
    store.apply(vec![Batch::new(&LATER, "p").with(upsert(1).set("x", 5_i64))]).await.unwrap();
    let row = store.get(get).await.unwrap().unwrap();
    assert_eq!((row.text("w").unwrap(), row.bigint("x").unwrap()), ("one", 5));
    assert!(matches!(store.get(Get::row(&ROWS, "p", 1)).await, Err(Error::UnknownTable { .. })));
    drop(store);
    let refused = Embedded::open(options(directory.path())).err().unwrap();
    assert_eq!(refused.to_string(), "schema of table (migrations): applied version 1 is unknown here");
}

#[tokio::test(flavor = "multi_thread")]
async fn ingested_rows_are_rows_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(options(directory.path())).unwrap();
    store.apply(vec![write("p3", 1, -1)]).await.unwrap();
    let mut partitions: Vec<Values> = (0..50).map(|p| format!("p{p}").into()).collect();
    sort_partitions(&ROWS, &mut partitions);
    let batch = |partition: &Values| {
        let mut batch = Batch::new(&ROWS, partition).with(upsert_statics().set("s", 1));
        for c in 0..20 {
            batch = batch.with(upsert(c).set("v", c));
        }
        batch
    };
    let mut backwards = partitions.clone();
    backwards.reverse();
    let refused = store.ingest(&ROWS, backwards.iter().map(batch));
    assert!(matches!(refused, Err(Error::Request { what: "ingests rows out of order", .. })));
    assert_eq!(read(&store, "p7", 7).await, None);
    let deletion = Batch::new(&ROWS, "p").with(store::delete(1));
    assert!(matches!(store.ingest(&ROWS, [deletion]), Err(Error::Request { .. })));

    let count = store.ingest(&ROWS, partitions.iter().map(batch)).unwrap();
    assert_eq!(count, 50 * 21);
    assert_eq!(read(&store, "p3", 1).await, Some(1), "ingested later, it is newer");
    store.apply(vec![write("p7", 7, -7)]).await.unwrap();
    drop(store);
    let store = Embedded::open(options(directory.path())).unwrap();
    assert_eq!((read(&store, "p7", 7).await, read(&store, "p49", 19).await), (Some(-7), Some(19)));
    let page = store.scan(Scan::new(&ROWS, "p11", 100).with_statics()).await.unwrap();
    assert_eq!((page.rows.len(), page.statics.unwrap().int("s").unwrap()), (20, 1));
}
