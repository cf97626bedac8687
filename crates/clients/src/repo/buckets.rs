//! The directory of months in which an account has entries, and the latch between "has entries" and "is deleted".

use crate::error::{Doing as _, Error};
use crate::tables::TRANSACTION_BUCKETS;
use riskmesh_core::{AccountId, TenantId};
use std::sync::Arc;
use store::race::Race;
use store::{Cas, Outcome, Scan, Store, limits, upsert, upsert_statics};

/// Reads and writes the directory.
#[derive(Clone)]
pub(crate) struct Buckets {
    store: Arc<dyn Store>,
}

impl Buckets {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Enters months; false for those of accounts that are being deleted. Entering one again does no harm.
    pub(crate) async fn open(
        &self,
        tenant: &TenantId,
        months: &[(AccountId, i32)],
    ) -> Result<Vec<bool>, Error> {
        let cas = |(account, month): &(AccountId, i32)| {
            Cas::new(&TRANSACTION_BUCKETS, (tenant.as_str(), account.as_str()))
                .if_static("closed", None::<bool>)
                .with(upsert(*month).set("present", true))
                .with(upsert_statics().set("used", true))
        };
        let mut opened = vec![false; months.len()];
        let mut left: Vec<usize> = (0..months.len()).collect();
        let mut race = Race::default();
        let mut lost = Vec::new();
        while race.again_at(lost).await {
            let writes = left.iter().map(|at| cas(&months[*at])).collect();
            let outcomes = self.store.cas_many(writes).await.doing("open transaction months")?;
            let mut unknown = Vec::new();
            for (at, outcome) in left.iter().zip(outcomes) {
                match outcome {
                    Outcome::Applied => opened[*at] = true,
                    Outcome::Conflict(_) => {}
                    Outcome::Unknown => unknown.push(*at), // the same write again does no harm
                }
            }
            if unknown.is_empty() {
                return Ok(opened);
            }
            left = unknown;
            lost = left.iter().map(|at| (tenant, &months[*at].0)).collect();
        }
        Err(Error::Contended { doing: "open transaction months" })
    }

    /// Forbids entries on an account, before it is deleted; false where it has some.
    pub(crate) async fn close(&self, tenant: &TenantId, account: &AccountId) -> Result<bool, Error> {
        let partition = (tenant.as_str(), account.as_str());
        let mut race = Race::default();
        while race.again(partition).await {
            let cas = Cas::new(&TRANSACTION_BUCKETS, partition)
                .if_static("used", None::<bool>)
                .with(upsert_statics().set("closed", true));
            match self.store.cas(cas).await.doing("close account to transactions")? {
                Outcome::Applied => return Ok(true),
                Outcome::Conflict(_) => return Ok(false),
                Outcome::Unknown => {} // the same write again does no harm
            }
        }
        Err(Error::Contended { doing: "close account to transactions" })
    }

    /// Allows entries again on an account id that is taken up anew.
    pub(crate) async fn reopen(&self, tenant: &TenantId, account: &AccountId) -> Result<(), Error> {
        let partition = (tenant.as_str(), account.as_str());
        let mut race = Race::default();
        while race.again(partition).await {
            let cas = Cas::new(&TRANSACTION_BUCKETS, partition)
                .if_static("closed", true)
                .with(upsert_statics().set("closed", None::<bool>));
            match self.store.cas(cas).await.doing("reopen account to transactions")? {
                Outcome::Applied | Outcome::Conflict(_) => return Ok(()),
                Outcome::Unknown => {} // the same write again does no harm
            }
        }
        Err(Error::Contended { doing: "reopen account to transactions" })
    }

    /// An account's months, the latest first.
    pub(crate) async fn months(&self, tenant: &TenantId, account: &AccountId) -> Result<Vec<i32>, Error> {
        let mut months = Vec::new();
        loop {
            let mut scan =
                Scan::new(&TRANSACTION_BUCKETS, (tenant.as_str(), account.as_str()), limits::PAGE_ROWS);
            if let Some(last) = months.last() {
                scan = scan.after(*last);
            }
            let page = self.store.scan(scan).await.doing("read transaction months")?;
            for row in &page.rows {
                months.push(row.int("bucket").doing("read transaction months")?);
            }
            if !page.more {
                return Ok(months);
            }
        }
    }
}
