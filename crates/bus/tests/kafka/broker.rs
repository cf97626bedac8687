//! The broker, and what a process has beside its bus.

use riskmesh_bus::kafka::Options;
use riskmesh_bus::suite::STATE;
use riskmesh_bus::{Kafka, TABLES, Topic};
use riskmesh_core::{Clock as _, ManualClock, SystemClock};
use servers::{Engine, Server};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use store::Store;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// It ends with this process; what it leaves goes when the next one begins.
static BROKER: LazyLock<Arc<RwLock<Server>>> = LazyLock::new(|| {
    let dir = dir();
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    Arc::new(RwLock::new(start()))
});

fn dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka")
}

/// Starts it, on the data and the port that it had.
pub(crate) fn start() -> Server {
    tokio::task::block_in_place(|| Server::start(Engine::Kafka, &dir()).unwrap())
}

/// For those who do it no harm.
pub(crate) async fn shared() -> OwnedRwLockReadGuard<Server> {
    let broker = tokio::task::block_in_place(|| BROKER.clone());
    broker.read_owned().await
}

/// For those who do.
pub(crate) async fn alone() -> OwnedRwLockWriteGuard<Server> {
    let broker = tokio::task::block_in_place(|| BROKER.clone());
    broker.write_owned().await
}

pub(crate) fn options(broker: &Server) -> Options {
    Options::new([broker.address().to_string()]).replication(NonZeroU16::MIN)
}

/// A store for leases and rows, and a clock at about the time of the machine.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let tables = TABLES.iter().copied().chain([&STATE]);
        let options =
            store_embedded::Options::new(directory.path(), tables).clock(clock.clone()).sweep_every(None);
        let store = Arc::new(store_embedded::Embedded::open(options).unwrap());
        Self { store, clock, _directory: directory }
    }

    /// The bus with this topic.
    pub(crate) async fn open(&self, options: Options, topic: Topic) -> Arc<Kafka> {
        Kafka::open(options, self.clock.clone(), &[topic]).await.unwrap()
    }
}
