//! A store that dies: from its n-th write on nothing is answered any more, as if the process had been killed there. The n-th write
//! itself happens or not, as wanted; in both cases its caller never hears of it.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use store::{Batch, Cas, Error, Get, Outcome, Page, Row, Scan, Store, TokenPage, TokenScan};
use tokio::sync::Notify;

/// When the store dies.
#[derive(Default)]
pub(super) struct Death {
    /// Writes until then; below zero it is immortal.
    writes_left: AtomicI64,
    /// Whether the last write happens.
    last_happens: AtomicBool,
    dead: AtomicBool,
    pub(super) died: Notify,
}

impl Death {
    /// Not before it is [armed](Self::arm).
    pub(super) fn unarmed() -> Arc<Self> {
        Arc::new(Self { writes_left: AtomicI64::new(-1), ..Self::default() })
    }

    /// After this many writes from now on.
    pub(super) fn arm(&self, writes: i64, last_happens: bool) {
        self.last_happens.store(last_happens, SeqCst);
        self.writes_left.store(writes, SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    /// Waits for ever once the store is dead.
    async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether this write is the last one.
    fn is_last(&self) -> bool {
        self.writes_left.load(SeqCst) >= 0 && self.writes_left.fetch_sub(1, SeqCst) == 0
    }

    async fn die(&self) {
        self.dead.store(true, SeqCst);
        self.died.notify_one();
        std::future::pending::<()>().await;
    }
}

pub(super) struct Mortal {
    pub(super) inner: Arc<store_embedded::Embedded>,
    pub(super) death: Arc<Death>,
}

impl Mortal {
    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        self.death.alive().await;
        if self.death.is_last() {
            if self.death.last_happens.load(SeqCst) {
                drop(write.await);
            }
            self.death.die().await;
            unreachable!("it is dead");
        }
        let done = write.await;
        self.death.alive().await;
        done
    }
}

#[async_trait]
impl Store for Mortal {
    async fn get(&self, get: Get) -> Result<Option<Row>, Error> {
        self.death.alive().await;
        self.inner.get(get).await
    }

    async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        self.death.alive().await;
        self.inner.scan(scan).await
    }

    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error> {
        self.write(self.inner.apply(batches)).await
    }

    async fn cas(&self, cas: Cas) -> Result<Outcome, Error> {
        self.write(self.inner.cas(cas)).await
    }

    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error> {
        self.death.alive().await;
        self.inner.token_scan(scan).await
    }
}
