//! The suite that the embedded store passes, on Cassandra: one server for the tests of this program, which ends with it.
#![allow(clippy::unwrap_used, reason = "tests")]

use riskmesh_store_scylla::{Options, Scylla};
use servers::{Engine, Server};
use std::num::NonZeroU8;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use store::suite::{self, Subject};
use tokio::sync::OnceCell;

/// It ends with this process; what it leaves goes when the next one begins.
static CASSANDRA: LazyLock<Server> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cassandra");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).unwrap();
    }
    Server::start(Engine::Cassandra, &dir).unwrap()
});
static MIGRATED: OnceCell<()> = OnceCell::const_new();

async fn cassandra() -> Subject {
    let address = tokio::task::block_in_place(|| CASSANDRA.address().to_string());
    // One server does not hurry.
    let options = || {
        let options = Options::new([address.as_str()], "suite", suite::TABLES);
        options.replication(NonZeroU8::MIN).timeout(Duration::from_secs(10))
    };
    MIGRATED.get_or_init(async || drop(Scylla::open(options().migrate(true)).await.unwrap())).await;
    Subject::with_real_time(Arc::new(Scylla::open(options()).await.unwrap()), ())
}

store::store_suite!(async || cassandra().await);
