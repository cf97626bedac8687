//! Who looks at an account: the clients whose scores were computed with its entries, though it is not theirs.
//!
//! A client is noted *before* the entries are read. An entry is recorded before its event; so whoever handles the event and reads who
//! looks finds every client whose score may lack the entry. Rows say no more than "this client looked at this account in this season":
//! they are written once a season, never changed, and one too many costs a scoring that changes nothing.

use crate::error::{Doing as _, Error};
use crate::tables::ONLOOKERS;
use riskmesh_core::{AccountId, ClientId, TenantId};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use store::{Batch, Get, Scan, Store, upsert};

/// Hours of a season: about as long as the time that a pattern may take with what a client's score retains, so that most looks are into
/// two of them.
const SEASON_HOURS: i64 = 90 * 24;
/// Clients that one read gives.
const PAGE: usize = 1000;

/// Reads and writes who looks.
#[derive(Clone)]
pub(crate) struct Onlookers {
    store: Arc<dyn Store>,
}

impl Onlookers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Whether a client is noted for all of this time.
    pub(crate) async fn knows(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        client: &ClientId,
        range_ms: &Range<i64>,
    ) -> Result<bool, Error> {
        let partition = |season| (tenant.as_str(), account.as_str(), season);
        let gets = seasons(range_ms).map(|season| Get::row(&ONLOOKERS, partition(season), client.as_str()));
        let rows = self.store.get_many(gets.collect()).await.doing("read who looks")?;
        Ok(rows.iter().all(Option::is_some))
    }

    /// Notes a client for this time.
    pub(crate) async fn note(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        client: &ClientId,
        range_ms: &Range<i64>,
    ) -> Result<(), Error> {
        let partition = |season| (tenant.as_str(), account.as_str(), season);
        let batches = seasons(range_ms)
            .map(|season| Batch::new(&ONLOOKERS, partition(season)).with(upsert(client.as_str())));
        self.store.apply(batches.collect()).await.doing("note who looks")
    }

    /// The clients that looked at any of these hours of an account.
    pub(crate) async fn of(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        hours: &BTreeSet<i64>,
    ) -> Result<BTreeSet<ClientId>, Error> {
        let seasons: BTreeSet<i64> = hours.iter().map(|hour| hour.div_euclid(SEASON_HOURS)).collect();
        let mut clients = BTreeSet::new();
        for season in seasons {
            let partition = || (tenant.as_str(), account.as_str(), season);
            let mut after: Option<ClientId> = None;
            loop {
                let mut scan = Scan::new(&ONLOOKERS, partition(), PAGE);
                if let Some(after) = &after {
                    scan = scan.after(after.as_str());
                }
                let page = self.store.scan(scan).await.doing("read who looks")?;
                for row in &page.rows {
                    let client = row.text("client_id").doing("read who looks")?;
                    let corrupt = |_| Error::Corrupt { table: ONLOOKERS.name, column: "client_id" };
                    after = Some(ClientId::new(client).map_err(corrupt)?);
                    clients.extend(after.clone());
                }
                if !page.more {
                    break;
                }
            }
        }
        Ok(clients)
    }
}

/// The seasons that a range of time lies in.
fn seasons(range_ms: &Range<i64>) -> impl Iterator<Item = i64> + use<> {
    let season = |ms: i64| risk::Hour::of(ms).number().div_euclid(SEASON_HOURS);
    season(range_ms.start)..=season(range_ms.end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use risk::time::HOUR_MS;
    use store_embedded::{Embedded, Options};

    const SEASON_MS: i64 = SEASON_HOURS * HOUR_MS;

    #[tokio::test]
    async fn whoever_looked_at_an_hour_is_found_by_it_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let onlookers =
            Onlookers::new(Arc::new(Embedded::open(Options::new(directory.path(), [&ONLOOKERS])).unwrap()));
        let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::new("other").unwrap());
        let account = AccountId::new("0000000001").unwrap();
        let client = |n: usize| ClientId::new(&n.to_string()).unwrap();
        let range = 5 * SEASON_MS - 1..6 * SEASON_MS + 1;
        assert!(!onlookers.knows(&acme, &account, &client(7), &range).await.unwrap());
        onlookers.note(&acme, &account, &client(7), &(5 * SEASON_MS..6 * SEASON_MS)).await.unwrap();
        assert!(!onlookers.knows(&acme, &account, &client(7), &range).await.unwrap(), "not for all of it");
        for n in 0..2_100 {
            onlookers.note(&acme, &account, &client(n), &range).await.unwrap();
        }
        assert!(onlookers.knows(&acme, &account, &client(7), &range).await.unwrap());

        let found = async |tenant: &TenantId, hours: &[i64]| {
            onlookers.of(tenant, &account, &hours.iter().copied().collect()).await.unwrap().len()
        };
        assert_eq!(found(&acme, &[5 * SEASON_HOURS - 1]).await, 2_100);
        assert_eq!(found(&acme, &[0, 5 * SEASON_HOURS + 9, 6 * SEASON_HOURS]).await, 2_100);
        assert_eq!(found(&acme, &[3 * SEASON_HOURS, 7 * SEASON_HOURS, -1]).await, 0);
        assert_eq!(found(&other, &[5 * SEASON_HOURS]).await, 0);
    }
}
