//! The state of accounts, hour by hour.
//!
//! All hours of an account are written under its `version`, in one conditional batch with it. A writer reads the version *before*
//! it reads the entries: so whatever was written in between, by it or by another process that believes to own the same work, makes
//! its write fail, and an older recompute can never stand over a newer one.

use crate::error::{Doing as _, Error};
use crate::tables::ACCOUNT_STATE;
use risk::{Hour, HourState};
use riskmesh_core::{AccountId, TenantId};
use std::sync::Arc;
use store::{Cas, Get, Outcome, Range, Row, Scan, Store, delete, upsert, upsert_statics};

/// Hours that one conditional batch writes at the most: an hour may hold two dense sketches of 4 KiB and more, a batch 8 MiB.
pub(crate) const BATCH_HOURS: usize = 256;
/// Hours that one read gives.
const PAGE: usize = 1000;

/// Reads and writes hours.
#[derive(Clone)]
pub(crate) struct Hours {
    store: Arc<dyn Store>,
}

/// The version of an account's state; none if it has no state yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(Option<i64>);

impl Hours {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The account's version: to be read before the entries that [`write`](Self::write) will rest on.
    pub(crate) async fn version(&self, tenant: &TenantId, account: &AccountId) -> Result<Version, Error> {
        let statics = Get::statics(&ACCOUNT_STATE, (tenant.as_str(), account.as_str())).latest();
        let row = self.store.get(statics).await.doing("read version of account state")?;
        let version = row.map(|row| row.bigint_opt("version").doing("read version of account state"));
        Ok(Version(version.transpose()?.flatten()))
    }

    /// Replaces at most [`BATCH_HOURS`] hours, if the account still has this version; an hour without entries is deleted. Gives the
    /// new version, or nothing if another writer came first or nobody knows.
    pub(crate) async fn write(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        hours: &[HourState],
        before: Version,
    ) -> Result<Option<Version>, Error> {
        let after = before.0.unwrap_or(0) + 1;
        let mut cas = Cas::new(&ACCOUNT_STATE, (tenant.as_str(), account.as_str()))
            .if_static("version", before.0)
            .with(upsert_statics().set("version", after));
        for hour in hours {
            let number = hour.hour.number();
            cas = if hour.count() == 0 {
                cas.with(delete(number))
            } else {
                cas.with(upsert(number).set("state", hour.encode()))
            };
        }
        match self.store.cas(cas).await.doing("write account state")? {
            Outcome::Applied => Ok(Some(Version(Some(after)))),
            Outcome::Conflict(_) | Outcome::Unknown => Ok(None),
        }
    }

    /// The newest hour.
    pub(crate) async fn newest(&self, tenant: &TenantId, account: &AccountId) -> Result<Option<Hour>, Error> {
        let scan = Scan::new(&ACCOUNT_STATE, (tenant.as_str(), account.as_str()), 1).reverse();
        let page = self.store.scan(scan).await.doing("read newest hour")?;
        page.rows
            .first()
            .map(|row| row.bigint("hour").map(Hour::from_number).doing("read newest hour"))
            .transpose()
    }

    /// The hours from `from` on, and the very first one: when an account was first seen counts for a score, whatever the window.
    pub(crate) async fn since(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        from: Hour,
    ) -> Result<Vec<HourState>, Error> {
        let partition = || (tenant.as_str(), account.as_str());
        let before = Scan::new(&ACCOUNT_STATE, partition(), 1).range(Range::all().below(from.number()));
        let first = self.store.scan(before).await.doing("read first hour")?;
        let mut hours = first.rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut range = Range::all().at_least(from.number());
        loop {
            let scan = Scan::new(&ACCOUNT_STATE, partition(), PAGE).range(range);
            let page = self.store.scan(scan).await.doing("read hours")?;
            for row in &page.rows {
                hours.push(read(row)?);
            }
            match hours.last() {
                Some(last) if page.more => range = Range::all().above(last.hour.number()),
                _ => return Ok(hours),
            }
        }
    }
}

fn read(row: &Row) -> Result<HourState, Error> {
    let corrupt = || Error::Corrupt { table: ACCOUNT_STATE.name, column: "state" };
    let hour = HourState::decode(row.blob("state").doing("read hour")?).map_err(|_| corrupt())?;
    if hour.hour.number() == row.bigint("hour").doing("read hour")? { Ok(hour) } else { Err(corrupt()) }
}
