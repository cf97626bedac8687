//! A store that fails now and then, as a cluster does: writes whose outcome is unknown, with the write done or not, and reads
//! that time out. Everything follows from one seed, so a failure found once is found again.

use crate::error::Error;
use crate::read::{Get, Page, Scan, TokenPage, TokenScan};
use crate::row::Row;
use crate::store::Store;
use crate::write::{Batch, Cas, Outcome};
use async_trait::async_trait;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How often what goes wrong, in percent of the calls. What is left goes right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A write is done, and its outcome reported as unknown.
    pub unknown_done: u8,
    /// A write is not done, and its outcome reported as unknown.
    pub unknown_lost: u8,
    /// A read times out.
    pub read_timeout: u8,
}

/// A [`Store`] behind a network that fails.
pub struct Faulty {
    store: Arc<dyn Store>,
    faults: Faults,
    state: AtomicU64,
    down: Mutex<Option<&'static str>>,
    silent: Mutex<Option<&'static str>>,
}

/// What happens to a write.
enum Fate {
    Done,
    UnknownDone,
    UnknownLost,
}

impl Faulty {
    /// Puts faults in front of a store. Equal seeds and equal calls give equal faults.
    pub fn new(store: Arc<dyn Store>, faults: Faults, seed: u64) -> Self {
        Self { store, faults, state: AtomicU64::new(seed), down: Mutex::default(), silent: Mutex::default() }
    }

    /// From now on conditional writes to this table time out, undone; to none with `None`.
    pub fn take_down(&self, table: Option<&'static str>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// From now on conditional writes to this table are done and never answered, as to a process that is killed there; none with `None`.
    pub fn silence(&self, table: Option<&'static str>) {
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// 0 to 99, from SplitMix64.
    fn percent(&self) -> u8 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % 100) as u8
    }

    fn fate(&self) -> Fate {
        let percent = self.percent();
        if percent < self.faults.unknown_done {
            Fate::UnknownDone
        } else if percent < self.faults.unknown_done.saturating_add(self.faults.unknown_lost) {
            Fate::UnknownLost
        } else {
            Fate::Done
        }
    }

    fn read(&self) -> Result<(), Error> {
        if self.percent() < self.faults.read_timeout {
            Err(Error::Timeout { operation: "read", source: None })
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, get: Get) -> Result<Option<Row>, Error> {
        self.read()?;
        self.store.get(get).await
    }

    async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        self.read()?;
        self.store.scan(scan).await
    }

    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error> {
        self.read()?;
        self.store.token_scan(scan).await
    }

    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error> {
        // Each batch has its own fate: a call that fails may have written any of them.
        let mut unknown = false;
        for batch in batches {
            let fate = self.fate();
            unknown |= !matches!(fate, Fate::Done);
            if !matches!(fate, Fate::UnknownLost) {
                self.store.apply(vec![batch]).await?;
            }
        }
        if unknown { Err(Error::Unknown { operation: "write", source: None }) } else { Ok(()) }
    }

    async fn cas(&self, cas: Cas) -> Result<Outcome, Error> {
        if *self.down.lock().unwrap_or_else(PoisonError::into_inner) == Some(cas.table.name) {
            return Err(Error::Timeout { operation: "conditional write", source: None });
        }
        let silent = *self.silent.lock().unwrap_or_else(PoisonError::into_inner) == Some(cas.table.name);
        if silent {
            drop(self.store.cas(cas).await?);
            return std::future::pending().await;
        }
        match self.fate() {
            Fate::Done => self.store.cas(cas).await,
            Fate::UnknownDone => self.store.cas(cas).await.map(|_| Outcome::Unknown),
            Fate::UnknownLost => Ok(Outcome::Unknown),
        }
    }
}
