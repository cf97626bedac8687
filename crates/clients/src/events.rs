//! What this service tells others: that entries were recorded, that clients changed. Each change leaves a mark in the row it
//! changes; the event is made from the row, published, and the mark taken off. A crash in between leaves the outbox pointer, by which
//! the relay finds the row.

use crate::domain::account::Account;
use crate::domain::client::Client;
use crate::domain::hours::Hours;
use crate::error::Error;
use crate::repo::RACES;
use crate::repo::accounts::Accounts;
use crate::repo::clients::Clients;
use crate::repo::lists::Lists;
use crate::repo::transactions::{Month, Summary, Transactions};
use api::events::v1::{ClientChanged, TransactionsRecorded};
use async_trait::async_trait;
use bus::outbox::Intents;
use bus::{Bus, Event, Outbox, Outgoing, PendingSource, Pointer, event, kinds};
use riskmesh_core::{AccountId, ClientId, Clock, TenantId};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

/// The CloudEvents source of this service.
const SOURCE: &str = "/riskmesh/clients";
/// Months that one pointer covers.
const MONTHS_A_POINTER: usize = 2500;
/// Changes that are being told of at a time; more wait, and with them their callers.
const TELLING: usize = 256;

const CLIENT: &str = "clients.client";
const ACCOUNT: &str = "clients.account";
const MONTHS: &str = "clients.months";

type Failure = Box<dyn std::error::Error + Send + Sync>;

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

/// A month's untold hours, as of a version.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    month: Month,
    version: i64,
    client: ClientId,
    hours: Hours,
}

impl Told {
    /// What there is to tell of a month; `None` where there is nothing.
    pub(crate) fn new(month: Month, summary: &Summary) -> Option<Self> {
        let (version, client) = (summary.version?, summary.client.clone()?);
        (!summary.pending.is_empty()).then(|| Self { month, version, client, hours: summary.pending.clone() })
    }
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

    pub(crate) async fn intend_months(
        &self,
        tenant: &TenantId,
        months: &[Month],
    ) -> Result<Intents, riskmesh_core::Error> {
        let pointers = months.chunks(MONTHS_A_POINTER).map(|months| {
            let mut reference = tenant.to_string();
            for month in months {
                // Writing to a String cannot fail.
                let _ = write!(reference, "\n{}:{}", month.account, month.bucket);
            }
            Pointer::new(MONTHS, reference)
        });
        self.intend(pointers.collect()).await
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

    /// Tells of recorded entries.
    pub(crate) fn tell_months(self: &Arc<Self>, tenant: &TenantId, intents: Intents, told: Vec<Told>) {
        let (events, tenant) = (self.clone(), tenant.clone());
        self.spawn(async move {
            events.publish(events.months_recorded(&tenant, &told)).await?;
            let months: Vec<_> = told.into_iter().map(|told| (told.month, told.version)).collect();
            events.transactions.told(&tenant, &months).await?;
            Ok(events.outbox.settle(intents).await?)
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

    fn months_recorded(&self, tenant: &TenantId, told: &[Told]) -> Vec<Outgoing> {
        let now = self.clock.now();
        let record = |told: &Told| {
            let data = TransactionsRecorded {
                tenant: tenant.to_string(),
                client_id: told.client.to_string(),
                account_id: told.month.account.to_string(),
                hours: told.hours.hours().collect(),
            };
            kinds::TRANSACTIONS_RECORDED.encode(
                format!("{tenant}/{}", told.month.account),
                &Event::new(months_id(tenant, &told.month, told.version), SOURCE, now, data),
            )
        };
        let topic = kinds::TRANSACTIONS_RECORDED.topic.name;
        told.iter().map(|told| Outgoing { topic, record: record(told) }).collect()
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

fn months_id(tenant: &TenantId, month: &Month, version: i64) -> uuid::Uuid {
    event::id(&[
        MONTHS.as_bytes(),
        tenant.as_str().as_bytes(),
        month.account.as_str().as_bytes(),
        &month.bucket.to_be_bytes(),
        &version.to_be_bytes(),
    ])
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
        let (tenant, id) = client_reference(reference)?;
        for _ in 0..RACES {
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
        let (tenant, id) = client_reference(reference)?;
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
        let (tenant, id) = account_reference(reference)?;
        let Some(account) = self.0.accounts.latest(&tenant, &id).await? else { return Ok(Vec::new()) };
        self.0.accounts.list(&tenant, &account.client, &account.id, !account.deleted).await?;
        Ok(account.pending.then(|| Events::account_changed(&tenant, &account)).into_iter().collect())
    }

    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Failure> {
        let (tenant, id) = account_reference(reference)?;
        if let Some(account) = self.0.accounts.latest(&tenant, &id).await?
            && ids(published).is_superset(&ids(&[Events::account_changed(&tenant, &account)]))
        {
            self.0.accounts.told(&tenant, &[account]).await?;
        }
        Ok(())
    }
}

struct MonthsSource(Arc<Events>);

impl MonthsSource {
    async fn untold(&self, reference: &[u8]) -> Result<(TenantId, Vec<Told>), Failure> {
        let (tenant, months) = months_reference(reference)?;
        let summaries = self.0.transactions.summaries(&tenant, &months).await?;
        let told =
            months.into_iter().zip(summaries).filter_map(|(month, summary)| Told::new(month, &summary));
        Ok((tenant, told.collect()))
    }
}

#[async_trait]
impl PendingSource for MonthsSource {
    fn kind(&self) -> &'static str {
        MONTHS
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        let (tenant, told) = self.untold(reference).await?;
        Ok(self.0.months_recorded(&tenant, &told))
    }

    async fn clear(&self, reference: &[u8], published: &[Outgoing]) -> Result<(), Failure> {
        let (tenant, told) = self.untold(reference).await?;
        let published = ids(published);
        let cleared: Vec<_> = told
            .into_iter()
            .filter(|told| published.contains(&months_id(&tenant, &told.month, told.version).to_string()))
            .map(|told| (told.month, told.version))
            .collect();
        Ok(self.0.transactions.told(&tenant, &cleared).await?)
    }
}

fn client_reference(reference: &[u8]) -> Result<(TenantId, ClientId), Failure> {
    let (tenant, id) = std::str::from_utf8(reference)?.split_once('\n').ok_or("reference of a client")?;
    Ok((TenantId::new(tenant)?, ClientId::new(id)?))
}

fn account_reference(reference: &[u8]) -> Result<(TenantId, AccountId), Failure> {
    let (tenant, id) = std::str::from_utf8(reference)?.split_once('\n').ok_or("reference of an account")?;
    Ok((TenantId::new(tenant)?, AccountId::new(id)?))
}

fn months_reference(reference: &[u8]) -> Result<(TenantId, Vec<Month>), Failure> {
    let mut lines = std::str::from_utf8(reference)?.lines();
    let tenant = TenantId::new(lines.next().ok_or("reference of months")?)?;
    let months = lines.map(|line| {
        let (account, bucket) = line.split_once(':').ok_or("reference of a month")?;
        Ok::<_, Failure>(Month { account: AccountId::new(account)?, bucket: bucket.parse()? })
    });
    Ok((tenant, months.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_what_they_point_at() {
        let (tenant, months) = months_reference(b"acme\n1234567890:24312\n0000000001:-3").unwrap();
        assert_eq!((tenant.as_str(), months.len()), ("acme", 2));
        assert_eq!((months[1].account.as_str(), months[1].bucket), ("0000000001", -3));
        assert!(months_reference(b"acme\n1:2").is_err() && months_reference(b"\xff").is_err());
        assert!(client_reference(b"acme\n42").is_ok() && client_reference(b"acme").is_err());
    }
}
