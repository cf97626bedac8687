//! The service on a real embedded store and bus, called as its handlers are.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clients;
mod events;
mod payments;
mod preferences;
mod trades;
mod transactions;

use crate::domain::entry::tests::message;
use crate::ingest::Recorded;
use crate::masters::AccountStart;
use crate::{Deps, Service, TABLES};
use api::clients::v1::accounts_service_server::AccountsService as _;
use api::clients::v1::clients_service_server::ClientsService as _;
use api::clients::v1::{
    Account, Client, CreateAccountRequest, CreateClientRequest, DeleteAccountRequest, DeleteClientRequest,
    GetClientRequest, ListAccountsRequest, ListClientsRequest, PatchClient, UpdateClientRequest,
};
use api::events::v1::TransactionsRecorded;
use api::transactions::v1::transactions_service_server::TransactionsService as _;
use api::transactions::v1::{
    BatchCreateTransactionsRequest, BatchCreateTransactionsResponse, GetTransactionRequest,
    ListTransactionsRequest, ListTransactionsResponse, ScanTransactionsRequest, Transaction,
};
use authn::Role;
use bus::{Bus as _, Fetch, Outbox, Relay, kinds, topic};
use futures::StreamExt as _;
use riskmesh_core::cipher::{ColumnCipher, Key};
use riskmesh_core::clock::{DAY_MS, HOUR_MS};
use riskmesh_core::cursor::Cursors;
use riskmesh_core::{AccountId, Clock, Currency, ErrorCode, SystemClock, TenantId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::faulty::{Faults, Faulty};
use testkit::service::code;
use tonic::{Request, Status};

/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000;

/// In percent of the calls: rare enough that a batch gets through after some repeats.
const FAULTS: Faults = Faults { unknown_done: 2, unknown_lost: 2, read_timeout: 1 };

struct World {
    service: Service,
    bus: Arc<bus::Embedded>,
    outbox: Outbox,
}

fn keys() -> (ColumnCipher, Cursors) {
    let key = || Key::new(&[7; 32]).unwrap();
    (ColumnCipher::new(1, BTreeMap::from([(1, key())]), &[7; 32]).unwrap(), Cursors::new(key()))
}

fn open_store(dir: &Path) -> Arc<dyn Store> {
    let tables = [store::list::TABLES, bus::TABLES, idempotency::TABLES, TABLES].concat();
    Arc::new(store_embedded::Embedded::open(store_embedded::Options::new(dir, tables)).unwrap())
}

impl World {
    async fn on(store: Arc<dyn Store>, under: Arc<dyn Store>) -> Self {
        Self::with_clock(store, under, Arc::new(SystemClock)).await
    }

    async fn with_clock(store: Arc<dyn Store>, under: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let cache = Arc::new(cache::Memory::new(clock.clone(), 1 << 20));
        Self::with_cache(store, under, clock, cache).await
    }

    async fn with_cache(
        store: Arc<dyn Store>,
        under: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        cache: Arc<dyn cache::Cache>,
    ) -> Self {
        let bus = bus::Embedded::open(under, clock.clone(), topic::ALL).await.unwrap();
        let outbox = Outbox::new(store.clone(), clock.clone(), "test");
        let (cipher, cursors) = keys();
        let keys_store = store.clone();
        let service = Service::new(Deps {
            store: store.clone(),
            bus: bus.clone(),
            outbox: outbox.clone(),
            lists: store::list::Lists::new(store, clock.clone()),
            keys: idempotency::Keys::new(keys_store, clock.clone(), idempotency::Sharing::Alone).unwrap(),
            cache,
            cipher,
            cursors,
            policy: Arc::new(policy::Policy::new().unwrap()),
            clock,
        });
        Self { service, bus, outbox }
    }

    async fn open(dir: &Path) -> Self {
        let store = open_store(dir);
        Self::on(store.clone(), store).await
    }

    /// A client with these accounts.
    async fn client(&self, id: &str, accounts: &[&str]) {
        self.create_client(id).await.unwrap();
        for account in accounts {
            self.create_account(id, account).await.unwrap();
        }
    }

    async fn create_client(&self, id: &str) -> Result<Client, Status> {
        let client = Client { client_id: id.into(), name: format!("Client {id}"), ..Client::default() };
        let answer =
            self.service.clients.create_client(request(CreateClientRequest { client: Some(client) })).await?;
        Ok(answer.into_inner().client.unwrap())
    }

    async fn create_account(&self, client: &str, id: &str) -> Result<Account, Status> {
        let account = Account { account_id: id.into(), currency: "EUR".into(), ..Account::default() };
        let create = CreateAccountRequest { client_id: client.into(), account: Some(account) };
        Ok(self.service.accounts.create_account(request(create)).await?.into_inner().account.unwrap())
    }

    async fn record(
        &self,
        transactions: Vec<Transaction>,
    ) -> Result<BatchCreateTransactionsResponse, Status> {
        let batch = request(BatchCreateTransactionsRequest { transactions });
        Ok(self.service.transactions.batch_create_transactions(batch).await?.into_inner())
    }

    async fn list(&self, list: ListTransactionsRequest) -> ListTransactionsResponse {
        self.service.transactions.list_transactions(request(list)).await.unwrap().into_inner()
    }

    /// Hours told of, by account.
    async fn told(&self) -> BTreeMap<String, BTreeSet<i64>> {
        let mut told: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for event in self.events().await {
            told.entry(event.account_id).or_default().extend(event.hours);
        }
        told
    }

    /// What was told of recorded entries; of one account in order.
    async fn events(&self) -> Vec<TransactionsRecorded> {
        let mut events = Vec::new();
        let name = topic::TRANSACTIONS.name;
        for partition in 0..topic::TRANSACTIONS.partitions {
            let bounds = self.bus.bounds(name, partition).await.unwrap();
            let mut offset = bounds.low;
            while offset < bounds.high {
                let batch = self.bus.fetch(Fetch::new(name, partition, offset)).await.unwrap();
                for stored in &batch.records {
                    events.push(kinds::TRANSACTIONS_RECORDED.decode(&stored.record).unwrap().data);
                    offset = stored.offset + 1;
                }
            }
        }
        events
    }
}

fn request<T>(message: T) -> Request<T> {
    request_of("acme", message)
}

fn request_of<T>(tenant: &str, message: T) -> Request<T> {
    testkit::service::request_of(Role::Admin, TenantId::new(tenant).unwrap(), message)
}

fn ids(page: &ListTransactionsResponse) -> Vec<String> {
    page.transactions.iter().map(|transaction| transaction.transaction_id.clone()).collect()
}

fn of_client(client: &str) -> ListTransactionsRequest {
    ListTransactionsRequest { client_id: client.into(), ..ListTransactionsRequest::default() }
}
