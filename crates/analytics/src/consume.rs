//! Follows the events: which accounts have new entries, which clients changed. Events are invalidations; what is true is read from the
//! services that know it. So it does not matter how often, in what order or how late they come.
//!
//! An account's new entries are news for its client, and for the clients who looked at the account when they were scored last.

use crate::error::Error;
use crate::refresh::Refresh;
use crate::repo::onlookers::Onlookers;
use crate::scorer::Scorer;
use api::events::v1::{ClientChanged, TransactionsRecorded};
use async_trait::async_trait;
use bus::consumer::{Delivered, Handler, HandlerError};
use bus::{Record, kinds};
use futures::{StreamExt as _, TryStreamExt as _};
use riskmesh_core::{AccountId, ClientId, ErrorCode, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The consumer group.
pub(crate) const GROUP: &str = "analytics";
/// The topics of the events that scores depend on.
pub(crate) const TOPICS: [&str; 2] =
    [kinds::TRANSACTIONS_RECORDED.topic.name, kinds::CLIENT_CHANGED.topic.name];

/// Accounts of one client that are refreshed at once.
const ACCOUNTS_AT_ONCE: usize = 8;

/// Handles events.
pub(crate) struct Consume {
    pub(crate) refresh: Refresh,
    pub(crate) scorer: Scorer,
    pub(crate) onlookers: Onlookers,
    pub(crate) handled: Handled,
    /// Clients of one batch that are worked on at once.
    pub(crate) at_once: usize,
}

/// The next offset to handle of each partition that had records since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handled(Arc<Mutex<Offsets>>);

/// By topic and partition.
type Offsets = BTreeMap<(Arc<str>, u32), i64>;

impl Handled {
    /// The next offset; none if nothing was handled since the start.
    pub(crate) fn next(&self, topic: &Arc<str>, partition: u32) -> Option<i64> {
        let handled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handled.get(&(topic.clone(), partition)).copied()
    }

    fn upto(&self, last: &Delivered) {
        let mut handled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handled.insert((last.topic.clone(), last.partition), last.offset + 1);
    }
}

#[async_trait]
impl Handler for Consume {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        let work = Work::of(batch.iter().map(|delivered| &delivered.record))?;
        let refreshed: Vec<_> = work.0.iter().map(|(client, dirty)| self.refresh(client, dirty)).collect();
        let watching: Vec<BTreeSet<Client>> =
            futures::stream::iter(refreshed).buffer_unordered(self.at_once).try_collect().await?;
        let concerned: BTreeSet<Client> = watching.into_iter().flatten().chain(work.0.into_keys()).collect();
        let scored: Vec<_> =
            concerned.iter().map(|client| self.scorer.score(&client.tenant, &client.id)).collect();
        futures::stream::iter(scored)
            .buffer_unordered(self.at_once)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        if let Some(last) = batch.last() {
            self.handled.upto(last);
        }
        Ok(())
    }
}

impl Consume {
    /// Brings a client's accounts up to date, and gives the other clients whose scores may depend on what is new there.
    async fn refresh(&self, client: &Client, dirty: &Dirty) -> Result<BTreeSet<Client>, Error> {
        let accounts: Vec<_> =
            dirty.iter().map(|(account, hours)| self.account(&client.tenant, account, hours)).collect();
        let watching: Vec<_> =
            futures::stream::iter(accounts).buffer_unordered(ACCOUNTS_AT_ONCE).try_collect().await?;
        let watching: BTreeSet<ClientId> = watching.into_iter().flatten().collect();
        Ok(watching.into_iter().map(|id| Client { tenant: client.tenant.clone(), id }).collect())
    }

    async fn account(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        hours: &BTreeSet<i64>,
    ) -> Result<BTreeSet<ClientId>, Error> {
        self.refresh.account(tenant, account, hours).await?;
        self.onlookers.of(tenant, account, hours).await
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Client {
    tenant: TenantId,
    id: ClientId,
}

/// The dirty hours of a client's accounts.
type Dirty = BTreeMap<AccountId, BTreeSet<i64>>;

/// What a batch of events comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Work(BTreeMap<Client, Dirty>);

impl Work {
    fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, HandlerError> {
        let mut work = Self::default();
        for record in records {
            if kinds::TRANSACTIONS_RECORDED.is(record) {
                work.recorded(&kinds::TRANSACTIONS_RECORDED.decode(record)?.data)?;
            } else if kinds::CLIENT_CHANGED.is(record) {
                work.changed(&kinds::CLIENT_CHANGED.decode(record)?.data)?;
            }
        }
        Ok(work)
    }

    fn recorded(&mut self, event: &TransactionsRecorded) -> Result<(), HandlerError> {
        let account = AccountId::new(&event.account_id).map_err(poison)?;
        let dirty = self.client(&event.tenant, &event.client_id)?;
        dirty.entry(account).or_default().extend(&event.hours);
        Ok(())
    }

    fn changed(&mut self, event: &ClientChanged) -> Result<(), HandlerError> {
        self.client(&event.tenant, &event.client_id).map(drop)
    }

    fn client(&mut self, tenant: &str, id: &str) -> Result<&mut Dirty, HandlerError> {
        let tenant = TenantId::new(tenant).map_err(poison)?;
        let id = ClientId::new(id).map_err(poison)?;
        Ok(self.0.entry(Client { tenant, id }).or_default())
    }
}

fn poison(error: riskmesh_core::id::InvalidId) -> HandlerError {
    HandlerError::Poison(error.into())
}

/// What another service or the store cannot do now is waited for: a score that misses an entry is worse than a late one. Only what
/// may be the record's own fault can end in quarantine.
impl From<Error> for HandlerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store { source, .. } => source.into(),
            Error::Bus { source, .. } => source.into(),
            Error::Upstream { ref source, .. } if source.code == ErrorCode::InvalidInput => {
                Self::Failed(error.into())
            }
            Error::Upstream { .. } | Error::Contended { .. } => Self::Unavailable(error.into()),
            Error::Answer { .. } | Error::Corrupt { .. } | Error::Compute(_) => Self::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bus::{Event, event};
    use riskmesh_core::Timestamp;

    fn recorded(client: &str, account: &str, hours: &[i64]) -> Record {
        let data = TransactionsRecorded {
            tenant: "acme".into(),
            client_id: client.into(),
            account_id: account.into(),
            hours: hours.to_vec(),
        };
        kinds::TRANSACTIONS_RECORDED.encode("k", &Event::new(event::id(&[]), "/test", Timestamp(0), data))
    }

    fn changed(client: &str) -> Record {
        let data =
            ClientChanged { tenant: "acme".into(), client_id: client.into(), ..ClientChanged::default() };
        kinds::CLIENT_CHANGED.encode("k", &Event::new(event::id(&[]), "/test", Timestamp(0), data))
    }

    #[test]
    fn a_batch_comes_to_each_client_once_with_its_distinct_hours() {
        let batch = [
            recorded("1", "0000000001", &[5, 3]),
            changed("2"),
            recorded("1", "0000000001", &[3, 4]),
            recorded("1", "0000000002", &[9]),
            changed("1"),
        ];
        let work = Work::of(&batch).unwrap();
        let hours = |client: usize| -> Vec<Vec<i64>> {
            let dirty = work.0.values().nth(client).unwrap();
            dirty.values().map(|hours| hours.iter().copied().collect()).collect()
        };
        assert_eq!(work.0.len(), 2);
        assert_eq!(hours(0), [vec![3, 4, 5], vec![9]]);
        assert!(hours(1).is_empty());
        assert_eq!(Work::of(batch.iter().rev()).unwrap(), work, "the order does not matter");
    }

    #[test]
    fn events_of_other_kinds_are_passed_by_and_broken_ones_are_poison() {
        let other = kinds::RISK_SCORE_CHANGED.encode(
            "k",
            &Event::new(event::id(&[]), "/test", Timestamp(0), api::events::v1::RiskScoreChanged::default()),
        );
        assert_eq!(Work::of([&other]).unwrap(), Work::default());
        for broken in [recorded("x", "0000000001", &[]), recorded("1", "1", &[]), changed("")] {
            assert!(matches!(Work::of([&broken]), Err(HandlerError::Poison(_))));
        }
    }
}
