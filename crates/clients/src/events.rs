//! What this service tells others: that clients changed, that entries were recorded.
//!
//! A change of a client or an account leaves a mark in its row; the event is made from the row, published, and the mark taken
//! off. A crash in between leaves the outbox pointer, by which the relay finds the row. Of entries the pointer itself says what
//! there is to tell: hours of months, and the version that each month must have for them to be added. A month beyond that version
//! may have them, so the relay tells of it; events say only where to look.

use crate::domain::account::Account;
use crate::domain::client::Client;
use crate::error::Error;
use crate::repo::accounts::Accounts;
use crate::repo::clients::Clients;
use crate::repo::lists::Lists;
use crate::repo::trades::Owner;
use crate::repo::transactions::{Month, Transactions};
use api::events::v1::{ClientChanged, TransactionsRecorded};
use async_trait::async_trait;
use bus::outbox::Intents;
use bus::{Bus, Event, Outbox, Outgoing, PendingSource, Pointer, event, kinds};
use riskmesh_core::id::InvalidId;
use riskmesh_core::{AccountId, ClientId, Clock, PaymentId, PortfolioId, TenantId};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use store::race::Race;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

/// The CloudEvents source of this service.
const SOURCE: &str = "/riskmesh/clients";
/// From these bytes on a pointer to months takes no more of them; the hours of one take 7 KB at the most.
const POINTER_BYTES: usize = 48 << 10;
/// Changes that are being told of at a time; more wait, and with them their callers.
const TELLING: usize = 256;

const CLIENT: &str = "clients.client";
const ACCOUNT: &str = "clients.account";
const MONTHS: &str = "clients.months";
pub(crate) const PAYMENT: &str = "clients.payment";
pub(crate) const PORTFOLIO: &str = "clients.portfolio";
pub(crate) const TRADES: &str = "clients.trades";

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tells of changes.
pub(crate) struct Events {
    pub(crate) clients: Clients,
    pub(crate) accounts: Accounts,
    pub(crate) transactions: Transactions,
    pub(crate) lists: Lists,
    pub(crate) outbox: Outbox,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    pub(crate) telling: Semaphore,
    /// How many changes are to be told of.
    pub(crate) under_way: watch::Sender<usize>,
}

/// Hours to which entries are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addition {
    pub(crate) month: Month,
    /// The version that the month must have for that.
    pub(crate) version: i64,
    /// Ascending. None in a pointer from before ADR 007, which does not say which: all that the month has are told of.
    pub(crate) hours: Vec<i64>,
}

impl Events {
    pub(crate) fn permits() -> Semaphore {
        Semaphore::new(TELLING)
    }

    pub(crate) async fn intend_clients(
        &self,
        tenant: &TenantId,
        ids: &[ClientId],
    ) -> Result<Intents, riskmesh_core::Error> {
        self.intend(ids.iter().map(|id| Pointer::new(CLIENT, format!("{tenant}\n{id}"))).collect()).await
    }

    pub(crate) async fn intend_accounts(
        &self,
        tenant: &TenantId,
        ids: &[AccountId],
    ) -> Result<Intents, riskmesh_core::Error> {
        self.intend(ids.iter().map(|id| Pointer::new(ACCOUNT, format!("{tenant}\n{id}"))).collect()).await
    }

    pub(crate) async fn intend_payment(
        &self,
        tenant: &TenantId,
        id: &PaymentId,
    ) -> Result<Intents, riskmesh_core::Error> {
        self.intend(vec![Pointer::new(PAYMENT, format!("{tenant}\n{id}"))]).await
    }

    pub(crate) async fn intend_portfolio(
        &self,
        tenant: &TenantId,
        id: &PortfolioId,
    ) -> Result<Intents, riskmesh_core::Error> {
        self.intend(vec![Pointer::new(PORTFOLIO, format!("{tenant}\n{id}"))]).await
    }

    /// Trades in these partitions of a portfolio.
    pub(crate) async fn intend_trades(
        &self,
        owner: &Owner,
        shards: impl Iterator<Item = i32>,
    ) -> Result<Intents, riskmesh_core::Error> {
        let Owner { tenant, portfolio } = owner;
        let references = shards.map(|shard| Pointer::new(TRADES, format!("{tenant}\n{portfolio}\n{shard}")));
        self.intend(references.collect()).await
    }

    pub(crate) async fn intend_months(
        &self,
        tenant: &TenantId,
        additions: impl IntoIterator<Item = &Addition>,
    ) -> Result<Intents, riskmesh_core::Error> {
        let mut references: Vec<String> = Vec::new();
        for addition in additions {
            if references.last().is_none_or(|last| last.len() > POINTER_BYTES) {
                references.push(tenant.to_string());
            }
            if let Some(reference) = references.last_mut() {
                addition.write(reference);
            }
        }
        self.intend(references.into_iter().map(|reference| Pointer::new(MONTHS, reference)).collect()).await
    }

    async fn intend(&self, pointers: Vec<Pointer>) -> Result<Intents, riskmesh_core::Error> {
        self.outbox
            .intend(pointers)
            .await
            .map_err(|error| riskmesh_core::Error::internal("write outbox").because(error))
    }

    /// Nothing changed after all.
    pub(crate) fn drop_pointer(self: &Arc<Self>, intents: Intents) {
        let events = self.clone();
        self.spawn(async move { Ok(events.outbox.settle(intents).await?) });
    }

    /// Tells of changes of clients, after the caller has his answer.
    pub(crate) fn tell_clients(self: &Arc<Self>, tenant: &TenantId, clients: Vec<Client>, intents: Intents) {
        let (events, tenant) = (self.clone(), tenant.clone());
        self.spawn(async move {
            let changed = clients.iter().map(|client| Self::client_changed(&tenant, client));
            events.publish(changed.collect()).await?;
            // A version that is not the last one any more is told of by whoever wrote the last one.
            events.clients.told(&tenant, &clients).await?;
            Ok(events.outbox.settle(intents).await?)
        });
    }

    /// The same for accounts: to others it is a change of their clients.
    pub(crate) fn tell_accounts(
        self: &Arc<Self>,
        tenant: &TenantId,
        accounts: Vec<Account>,
        intents: Intents,
    ) {
        let (events, tenant) = (self.clone(), tenant.clone());
        self.spawn(async move {
            let changed = accounts.iter().map(|account| Self::account_changed(&tenant, account));
            events.publish(changed.collect()).await?;
            events.accounts.told(&tenant, &accounts).await?;
            Ok(events.outbox.settle(intents).await?)
        });
    }

    /// Tells of recorded entries, each month with its client. Without `intents` the relay will tell of something more.
    pub(crate) fn tell_months(
        self: &Arc<Self>,
        tenant: &TenantId,
        added: Vec<(Addition, ClientId)>,
        intents: Option<Intents>,
    ) {
        let (events, tenant) = (self.clone(), tenant.clone());
        self.spawn(async move {
            let recorded = added.iter().map(|(addition, client)| {
                events.month_recorded(&tenant, addition, addition.hours.clone(), client)
            });
            events.publish(recorded.collect()).await?;
            if let Some(intents) = intents {
                events.outbox.settle(intents).await?;
            }
            Ok(())
        });
    }

    /// Waits while too much is still to be told: what calls this before a change is held back by a bus that does not keep up.
    pub(crate) async fn ready(&self) {
        drop(self.telling.acquire().await);
    }

    /// Waits until nothing is being told of.
    pub(crate) async fn settled(&self) {
        // The sender lives in `self`, so this cannot end early.
        let _ = self.under_way.subscribe().wait_for(|under_way| *under_way == 0).await;
    }

    fn spawn(self: &Arc<Self>, telling: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        let events = self.clone();
        self.under_way.send_modify(|under_way| *under_way += 1);
        self.tasks.spawn(async move {
            let _permit = events.telling.acquire().await;
            if let Err(error) = telling.await {
                // The pointer is still there: the relay does it.
                tracing::warn!(%error, "events left to the relay");
            }
            events.under_way.send_modify(|under_way| *under_way -= 1);
        });
    }

    async fn publish(&self, outgoing: Vec<Outgoing>) -> Result<(), Failure> {
        let mut topics: BTreeMap<&'static str, Vec<bus::Record>> = BTreeMap::new();
        for outgoing in outgoing {
            topics.entry(outgoing.topic).or_default().push(outgoing.record);
        }
        for (topic, records) in topics {
            self.bus.publish(topic, records).await?;
        }
        Ok(())
    }

    fn client_changed(tenant: &TenantId, client: &Client) -> Outgoing {
        let id = event::id(&[
            CLIENT.as_bytes(),
            tenant.as_str().as_bytes(),
            client.id.as_str().as_bytes(),
            &client.version.to_be_bytes(),
        ]);
        let data = ClientChanged {
            tenant: tenant.to_string(),
            client_id: client.id.to_string(),
            version: client.version,
            deleted: client.deleted,
        };
        let record = kinds::CLIENT_CHANGED
            .encode(format!("{tenant}/{}", client.id), &Event::new(id, SOURCE, client.updated_at, data));
        Outgoing { topic: kinds::CLIENT_CHANGED.topic.name, record }
    }

    fn account_changed(tenant: &TenantId, account: &Account) -> Outgoing {
        let id = event::id(&[
            ACCOUNT.as_bytes(),
            tenant.as_str().as_bytes(),
            account.id.as_str().as_bytes(),
            &account.version.to_be_bytes(),
        ]);
        let data = ClientChanged {
            tenant: tenant.to_string(),
            client_id: account.client.to_string(),
            version: 0,
            deleted: false,
        };
        let record = kinds::CLIENT_CHANGED.encode(
            format!("{tenant}/{}", account.client),
            &Event::new(id, SOURCE, account.updated_at, data),
        );
        Outgoing { topic: kinds::CLIENT_CHANGED.topic.name, record }
    }

    fn month_recorded(
        &self,
        tenant: &TenantId,
        addition: &Addition,
        hours: Vec<i64>,
        client: &ClientId,
    ) -> Outgoing {
        let data = TransactionsRecorded {
            tenant: tenant.to_string(),
            client_id: client.to_string(),
            account_id: addition.month.account.to_string(),
            hours,
        };
        let record = kinds::TRANSACTIONS_RECORDED.encode(
            format!("{tenant}/{}", addition.month.account),
            &Event::new(addition.event_id(tenant), SOURCE, self.clock.now(), data),
        );
        Outgoing { topic: kinds::TRANSACTIONS_RECORDED.topic.name, record }
    }

    /// For the relay, one for each kind of pointer.
    pub(crate) fn sources(self: &Arc<Self>) -> Vec<Arc<dyn PendingSource>> {
        vec![
            Arc::new(ClientSource(self.clone())),
            Arc::new(AccountSource(self.clone())),
            Arc::new(MonthsSource(self.clone())),
        ]
    }
}

impl Addition {
    /// One version of a month is left once only, so two additions with one id are one, or one of them never happened. Those of
    /// before ADR 007 have no version: they tell of all that a month has, and one of them is enough.
    fn event_id(&self, tenant: &TenantId) -> uuid::Uuid {
        let hours: Vec<u8> = self.hours.iter().flat_map(|hour| hour.to_be_bytes()).collect();
        event::id(&[
            MONTHS.as_bytes(),
            tenant.as_str().as_bytes(),
            self.month.account.as_str().as_bytes(),
            &self.month.bucket.to_be_bytes(),
            &self.version.to_be_bytes(),
            &hours,
        ])
    }

    /// As a line of a pointer: `account:bucket:version:hour,hour`, and `account:bucket` before ADR 007.
    fn write(&self, reference: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(reference, "\n{}:{}", self.month.account, self.month.bucket);
        for (position, hour) in self.hours.iter().enumerate() {
            let _ = match position {
                0 => write!(reference, ":{}:{hour}", self.version),
                _ => write!(reference, ",{hour}"),
            };
        }
    }

    fn read(line: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = line.split(':').collect();
        let (account, bucket, version, hours) = match fields[..] {
            [account, bucket] => (account, bucket, 0, Vec::new()),
            [account, bucket, version, hours] => {
                let hours = hours.split(',').map(str::parse).collect::<Result<_, _>>()?;
                (account, bucket, version.parse()?, hours)
            }
            _ => return Err("reference of a month".into()),
        };
        Ok(Self {
            month: Month { account: AccountId::new(account)?, bucket: bucket.parse()? },
            version,
            hours,
        })
    }
}

fn ids(outgoing: &[Outgoing]) -> HashSet<String> {
    outgoing
        .iter()
        .filter_map(|outgoing| outgoing.record.headers.text(event::CE_ID).map(str::to_owned))
        .collect()
}

struct ClientSource(Arc<Events>);

#[async_trait]
impl PendingSource for ClientSource {
    fn kind(&self) -> &'static str {
        CLIENT
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        let (tenant, id) = row_reference::<ClientId>(reference)?;
        let mut race = Race::default();
        while race.again((&tenant, &id)).await {
            let Some(client) = self.0.clients.latest(&tenant, &id).await? else { return Ok(Vec::new()) };
            self.0.lists.place(&tenant, std::slice::from_ref(&client)).await?;
            // Placed by a version that is still the last one, the lists are right; otherwise a slow writer may just have undone it.
            let last = self.0.clients.latest(&tenant, &id).await?;
            if last.is_some_and(|last| last.version == client.version) {
                let changed = client.pending.then(|| Events::client_changed(&tenant, &client));
                return Ok(changed.into_iter().collect());
            }
        }
        Err(Error::Contended { doing: "place client on lists" }.into())
    }

    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Failure> {
        let (tenant, id) = row_reference::<ClientId>(reference)?;
        if let Some(client) = self.0.clients.latest(&tenant, &id).await?
            && ids(published).is_superset(&ids(&[Events::client_changed(&tenant, &client)]))
        {
            self.0.clients.told(&tenant, &[client]).await?;
        }
        Ok(())
    }
}

struct AccountSource(Arc<Events>);

#[async_trait]
impl PendingSource for AccountSource {
    fn kind(&self) -> &'static str {
        ACCOUNT
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        let (tenant, id) = row_reference::<AccountId>(reference)?;
        let Some(account) = self.0.accounts.latest(&tenant, &id).await? else { return Ok(Vec::new()) };
        self.0.accounts.list(&tenant, &account.client, &account.id, !account.deleted).await?;
        Ok(account.pending.then(|| Events::account_changed(&tenant, &account)).into_iter().collect())
    }

    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Failure> {
        let (tenant, id) = row_reference::<AccountId>(reference)?;
        if let Some(account) = self.0.accounts.latest(&tenant, &id).await?
            && ids(published).is_superset(&ids(&[Events::account_changed(&tenant, &account)]))
        {
            self.0.accounts.told(&tenant, &[account]).await?;
        }
        Ok(())
    }
}

struct MonthsSource(Arc<Events>);

#[async_trait]
impl PendingSource for MonthsSource {
    fn kind(&self) -> &'static str {
        MONTHS
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        let (tenant, additions) = months_reference(reference)?;
        let months: Vec<_> = additions.iter().map(|addition| addition.month.clone()).collect();
        let summaries = self.0.transactions.summaries(&tenant, &months).await?;
        // What was added, as far as anybody can tell.
        let recorded = additions.iter().zip(summaries).filter_map(|(addition, summary)| {
            let client = summary.client.filter(|_| summary.version.unwrap_or(0) > addition.version)?;
            let hours = match &addition.hours[..] {
                [] => summary.hours.ascending().collect(),
                hours => hours.to_vec(),
            };
            Some(self.0.month_recorded(&tenant, addition, hours, &client))
        });
        Ok(recorded.collect())
    }

    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Failure> {
        let (tenant, mut additions) = months_reference(reference)?;
        let published = ids(published);
        additions.retain(|addition| !published.contains(&addition.event_id(&tenant).to_string()));
        if !additions.is_empty() {
            // A writer that is late may still add these; they are looked at again.
            drop(self.0.intend_months(&tenant, &additions).await?);
        }
        Ok(())
    }
}

/// The tenant and the id in a reference to one row.
pub(crate) fn row_reference<T: FromStr<Err = InvalidId>>(reference: &[u8]) -> Result<(TenantId, T), Failure> {
    let (tenant, id) = std::str::from_utf8(reference)?.split_once('\n').ok_or("reference of a row")?;
    Ok((TenantId::new(tenant)?, id.parse()?))
}

fn months_reference(reference: &[u8]) -> Result<(TenantId, Vec<Addition>), Failure> {
    let mut lines = std::str::from_utf8(reference)?.lines();
    let tenant = TenantId::new(lines.next().ok_or("reference of months")?)?;
    Ok((tenant, lines.map(Addition::read).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_what_they_point_at() {
        let addition = |account, bucket, version, hours: &[i64]| Addition {
            month: Month { account: AccountId::new(account).unwrap(), bucket },
            version,
            hours: hours.to_vec(),
        };
        let additions = [
            addition("1234567890", 24_312, 0, &[490_123]),
            addition("0000000001", -3, 7, &[-2, -1, 5]),
            addition("0000000001", 2, 0, &[]),
        ];
        let mut reference = "acme".to_owned();
        for addition in &additions {
            addition.write(&mut reference);
        }
        assert_eq!(reference, "acme\n1234567890:24312:0:490123\n0000000001:-3:7:-2,-1,5\n0000000001:2");
        let (tenant, read) = months_reference(reference.as_bytes()).unwrap();
        assert_eq!((tenant.as_str(), read.as_slice()), ("acme", &additions[..]));
        assert!(months_reference(b"acme\n0000000001:2:3").is_err() && months_reference(b"\xff").is_err());
        assert!(
            row_reference::<ClientId>(b"acme\n42").is_ok() && row_reference::<ClientId>(b"acme").is_err()
        );
    }
}
