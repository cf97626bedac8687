//! The service on a real embedded store and bus, called as its handlers are.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod payments;
mod preferences;
mod trades;

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
use authn::{Claims, Role};
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
            cache: Arc::new(cache::Memory::new(clock.clone(), 1 << 20)),
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
    let claims = Claims {
        sub: "test".into(),
        user_id: None,
        role: Role::Admin,
        tenant: TenantId::new(tenant).unwrap(),
        scope: Vec::new(),
        client_id: None,
        iss: "riskmesh".into(),
        aud: vec!["riskmesh-api".into()],
        iat: 0,
        nbf: 0,
        exp: i64::MAX,
        jti: "1".into(),
    };
    let mut request = Request::new(message);
    request.extensions_mut().insert(Arc::new(claims));
    request
}

fn code(status: &Status) -> ErrorCode {
    riskmesh_core::Error::from_status(status).code
}

fn ids(page: &ListTransactionsResponse) -> Vec<String> {
    page.transactions.iter().map(|transaction| transaction.transaction_id.clone()).collect()
}

fn of_client(client: &str) -> ListTransactionsRequest {
    ListTransactionsRequest { client_id: client.into(), ..ListTransactionsRequest::default() }
}

#[tokio::test]
async fn a_client_lives_and_dies_and_its_id_can_be_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    let created = world.create_client("424242").await.unwrap();
    assert_eq!((created.name.as_str(), created.r#type, created.status), ("Client 424242", 1, 1));
    assert_eq!(code(&world.create_client("424242").await.unwrap_err()), ErrorCode::AlreadyExists);

    let delete = || request(DeleteClientRequest { client_id: "424242".into() });
    let clients = &world.service.clients;
    clients.delete_client(delete()).await.unwrap();
    clients.delete_client(delete()).await.expect("a repeated delete is fine");
    let get = GetClientRequest { client_id: "424242".into() };
    assert_eq!(code(&clients.get_client(request(get.clone())).await.unwrap_err()), ErrorCode::ClientNotFound);
    let unknown = request(DeleteClientRequest { client_id: "7".into() });
    assert_eq!(code(&clients.delete_client(unknown).await.unwrap_err()), ErrorCode::ClientNotFound);

    world.create_client("424242").await.expect("a deleted client's id is free");
    let version = clients.get_client(request(get)).await.unwrap().metadata().get("etag").cloned();
    assert_eq!(version.unwrap(), "\"v3\"", "versions go on, so that an old ETag never matches");
}

#[tokio::test]
async fn nothing_is_visible_across_tenants() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    world.record(vec![message("t-1", "0000000001", START)]).await.unwrap();
    let get = request_of("other", GetClientRequest { client_id: "1".into() });
    assert_eq!(code(&world.service.clients.get_client(get).await.unwrap_err()), ErrorCode::ClientNotFound);
    let get = request_of("other", GetTransactionRequest { transaction_id: "t-1".into() });
    let missing = world.service.transactions.get_transaction(get).await.unwrap_err();
    assert_eq!(code(&missing), ErrorCode::TransactionNotFound);
    let list = request_of("other", ListClientsRequest::default());
    assert!(world.service.clients.list_clients(list).await.unwrap().into_inner().clients.is_empty());
}

#[tokio::test]
async fn if_match_guards_against_lost_updates() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.create_client("1").await.unwrap();
    let patch = |tag: &str| {
        let client = PatchClient { client_id: "1".into(), status: 2, ..PatchClient::default() };
        let mut request = request(UpdateClientRequest { client: Some(client), update_mask: None });
        request.metadata_mut().insert("if-match", tag.parse().unwrap());
        request
    };
    let stale = world.service.clients.update_client(patch("\"v9\"")).await.unwrap_err();
    assert_eq!(code(&stale), ErrorCode::PreconditionFailed);
    let updated = world.service.clients.update_client(patch("\"v1\"")).await.unwrap();
    assert_eq!(updated.metadata().get("etag").unwrap(), "\"v2\"");
    let again = world.service.clients.update_client(patch("\"v1\"")).await.unwrap_err();
    assert_eq!(code(&again), ErrorCode::PreconditionFailed);
}

#[tokio::test]
async fn lists_follow_the_status_and_the_order_of_creation() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    for id in 1..=7 {
        world.create_client(&id.to_string()).await.unwrap();
    }
    for id in ["2", "5"] {
        let client = PatchClient { client_id: id.into(), status: 2, ..PatchClient::default() };
        let update = UpdateClientRequest { client: Some(client), update_mask: None };
        world.service.clients.update_client(request(update)).await.unwrap();
    }
    world
        .service
        .clients
        .delete_client(request(DeleteClientRequest { client_id: "3".into() }))
        .await
        .unwrap();

    let walk = async |status: i32, by_cursor: bool| {
        let mut seen = Vec::new();
        let mut list = ListClientsRequest { status, limit: Some(2), ..ListClientsRequest::default() };
        loop {
            let answer =
                world.service.clients.list_clients(request(list.clone())).await.unwrap().into_inner();
            seen.extend(answer.clients.into_iter().map(|client| client.client_id));
            let page = answer.page.unwrap();
            match page.next_cursor {
                None => return (seen, page.total),
                Some(cursor) if by_cursor => list.cursor = cursor,
                Some(_) => list.offset = page.next_offset,
            }
        }
    };
    for by_cursor in [false, true] {
        assert_eq!(walk(0, by_cursor).await, (["1", "2", "4", "5", "6", "7"].map(String::from).to_vec(), 6));
        assert_eq!(walk(1, by_cursor).await, (["1", "4", "6", "7"].map(String::from).to_vec(), 4));
        assert_eq!(walk(2, by_cursor).await, (["2", "5"].map(String::from).to_vec(), 2));
    }
}

#[tokio::test]
async fn accounts_with_transactions_and_clients_with_accounts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    world.record(vec![message("t-1", "0000000001", START)]).await.unwrap();
    let delete = |id: &str| request(DeleteAccountRequest { client_id: "1".into(), account_id: id.into() });
    let used = world.service.accounts.delete_account(delete("0000000001")).await.unwrap_err();
    assert_eq!(code(&used), ErrorCode::PreconditionFailed);
    world.service.accounts.delete_account(delete("0000000002")).await.unwrap();
    world.service.accounts.delete_account(delete("0000000002")).await.expect("again is fine");

    let late = world.record(vec![message("t-2", "0000000002", START)]).await.unwrap();
    assert_eq!(late.rejected[0].error_code, "ACCOUNT_NOT_FOUND");
    let client = request(DeleteClientRequest { client_id: "1".into() });
    assert_eq!(
        code(&world.service.clients.delete_client(client).await.unwrap_err()),
        ErrorCode::PreconditionFailed
    );
    let list = ListAccountsRequest { client_id: "1".into(), ..ListAccountsRequest::default() };
    let listed = world.service.accounts.list_accounts(request(list)).await.unwrap().into_inner();
    assert_eq!((listed.accounts.len(), listed.page.unwrap().total), (1, 1));

    world.create_account("1", "0000000002").await.expect("a deleted account's id is free");
    let reused = world.record(vec![message("t-3", "0000000002", START)]).await.unwrap();
    assert_eq!(reused.created, 1);
    let elsewhere = world.create_account("9", "0000000009").await.unwrap_err();
    assert_eq!(code(&elsewhere), ErrorCode::ClientNotFound);
}

#[tokio::test]
async fn an_entry_is_recorded_once_whatever_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    let entry = |id: &str, at| message(id, "0000000001", START + at);
    let first = world.record(vec![entry("a", 0), entry("b", 1), entry("a", 0)]).await.unwrap();
    assert_eq!((first.created, first.duplicates, first.rejected.len()), (2, 1, 0));
    let again = world.record(vec![entry("a", 0), entry("c", 2), entry("b", 999)]).await.unwrap();
    assert_eq!((again.created, again.duplicates), (1, 1));
    assert_eq!((again.rejected[0].index, again.rejected[0].error_code.as_str()), (2, "ALREADY_EXISTS"));
    let page = world.list(of_client("1")).await;
    assert_eq!((ids(&page), page.page.unwrap().total), (["c", "b", "a"].map(String::from).to_vec(), 3));
    let found = request(GetTransactionRequest { transaction_id: "b".into() });
    let found =
        world.service.transactions.get_transaction(found).await.unwrap().into_inner().transaction.unwrap();
    assert_eq!((found.client_id.as_str(), found.booked_at.unwrap().nanos), ("1", 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_duplicates_are_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::open(dir.path()).await);
    world.client("1", &["0000000001"]).await;
    let batch: Vec<_> =
        (0..50).map(|n| message(&format!("t-{n}"), "0000000001", START + n * HOUR_MS)).collect();
    let racers = (0..8).map(|_| {
        let (world, batch) = (world.clone(), batch.clone());
        tokio::spawn(async move { world.record(batch).await.unwrap() })
    });
    let answers = futures::future::join_all(racers).await;
    let created: i64 = answers.iter().map(|answer| answer.as_ref().unwrap().created).sum();
    assert_eq!(created, 50);
    assert_eq!(world.list(of_client("1")).await.page.unwrap().total, 50);
}

#[tokio::test]
async fn pages_by_offset_and_by_cursor_agree_with_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    // Over four months, several in one hour and in one millisecond, on both accounts.
    let batch: Vec<_> = (0..200_i64)
        .map(|n| {
            let account = if n % 3 == 0 { "0000000002" } else { "0000000001" };
            message(&format!("t-{n:03}"), account, START + n / 10 * 6 * DAY_MS + n % 10 / 4 * HOUR_MS)
        })
        .collect();
    world.record(batch).await.unwrap();
    let mut whole = of_client("1");
    whole.limit = Some(1000);
    let whole = ids(&world.list(whole).await);
    assert_eq!(whole.len(), 200);
    for offset in [0, 1, 7, 99, 100, 101, 193, 199, 200, 5000] {
        let page = world
            .list(ListTransactionsRequest { offset: Some(offset), limit: Some(7), ..of_client("1") })
            .await;
        let from = (offset as usize).min(whole.len());
        assert_eq!(ids(&page), whole[from..whole.len().min(from + 7)], "offset {offset}");
        assert_eq!(page.page.unwrap().total, 200);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.list(ListTransactionsRequest { cursor, limit: Some(9), ..of_client("1") }).await;
        seen.extend(ids(&page));
        match page.page.unwrap().next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn a_cursor_of_one_list_is_refused_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    for id in ["1", "2", "3"] {
        world.create_client(id).await.unwrap();
    }
    let list = ListClientsRequest { limit: Some(1), ..ListClientsRequest::default() };
    let page = world.service.clients.list_clients(request(list)).await.unwrap().into_inner().page.unwrap();
    let cursor = page.next_cursor.unwrap();
    let foreign = ListClientsRequest { cursor: cursor.clone(), status: 1, ..ListClientsRequest::default() };
    let refused = world.service.clients.list_clients(request(foreign)).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::InvalidInput);
    let other = request_of("other", ListClientsRequest { cursor, ..ListClientsRequest::default() });
    assert_eq!(code(&world.service.clients.list_clients(other).await.unwrap_err()), ErrorCode::InvalidInput);
}

#[tokio::test]
async fn a_scan_streams_a_range_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    let batch: Vec<_> =
        (0..2500_i64).map(|n| message(&format!("t-{n:04}"), "0000000001", START + n / 2 * HOUR_MS)).collect();
    world.record(batch).await.unwrap();
    let scan = ScanTransactionsRequest {
        account_id: "0000000001".into(),
        from_ms: START + 10 * HOUR_MS,
        until_ms: START + 1200 * HOUR_MS,
    };
    let mut stream = world.service.transactions.scan_transactions(request(scan)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(batch) = stream.next().await {
        seen.extend(batch.unwrap().transactions.into_iter().map(|transaction| transaction.transaction_id));
    }
    let expected: Vec<_> = (20..2400).map(|n| format!("t-{n:04}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn every_hour_with_a_new_entry_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    world
        .record(vec![message("a", "0000000001", START), message("b", "0000000002", START + HOUR_MS)])
        .await
        .unwrap();
    world.record(vec![message("c", "0000000001", START + 40 * DAY_MS)]).await.unwrap();
    world.service.settle().await;
    let hour = |at: i64| Timestamp(START + at).hour();
    let expected = BTreeMap::from([
        ("0000000001".to_owned(), BTreeSet::from([hour(0), hour(40 * DAY_MS)])),
        ("0000000002".to_owned(), BTreeSet::from([hour(HOUR_MS)])),
    ]);
    assert_eq!(world.told().await, expected);
}

/// A process has written its pointer and stands still. What it may have added is told of, what it has not added yet is told of
/// when it is there.
#[tokio::test]
async fn a_pointer_is_followed_until_each_of_its_months_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let world = World::on(store.clone(), store.clone()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    world.record(vec![message("a", "0000000001", START)]).await.unwrap();
    world.service.settle().await;

    let clock = Arc::new(SystemClock);
    let hour = Timestamp(START).hour();
    let (bucket, others) = (Timestamp(START).month(), [hour + 7, hour + 8]);
    let reference = format!(
        "acme\n0000000001:{bucket}:0:{}\n0000000002:{bucket}:0:{},{}",
        others[0], others[0], others[1]
    );
    let late = Outbox::new(store.clone(), clock.clone(), "late");
    drop(late.intend(vec![bus::Pointer::new("clients.months", reference)]).await.unwrap());
    let relay = Relay::new(
        Outbox::new(store.clone(), clock, "relay"),
        world.bus.clone(),
        world.service.sources(),
        bus::outbox::Config { grace: Duration::ZERO, ..Default::default() },
    )
    .unwrap();

    assert_eq!(relay.sweep_all().await.unwrap().published, 1);
    let mut expected = BTreeMap::from([("0000000001".to_owned(), BTreeSet::from([hour, others[0]]))]);
    assert_eq!(world.told().await, expected);
    let second = relay.sweep_all().await.unwrap();
    assert_eq!((second.published, second.settled, second.kept), (0, 0, 1));

    world.record(vec![message("b", "0000000002", START)]).await.unwrap();
    world.service.settle().await;
    let third = relay.sweep_all().await.unwrap();
    assert_eq!((third.published, third.settled, third.kept), (1, 1, 0));
    expected.insert("0000000002".to_owned(), BTreeSet::from([hour, others[0], others[1]]));
    assert_eq!(world.told().await, expected);
    assert_eq!(relay.sweep_all().await.unwrap(), bus::outbox::Swept::default());
}

/// A pointer that an older program left behind names months, and neither versions nor hours.
#[tokio::test]
async fn a_pointer_without_hours_tells_of_all_that_the_month_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let world = World::on(store.clone(), store.clone()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    let clock = Arc::new(SystemClock);
    let bucket = Timestamp(START).month();
    let older = Outbox::new(store.clone(), clock.clone(), "older");
    let reference = format!("acme\n0000000001:{bucket}\n0000000002:{bucket}");
    drop(older.intend(vec![bus::Pointer::new("clients.months", reference)]).await.unwrap());
    let relay = Relay::new(
        Outbox::new(store.clone(), clock, "relay"),
        world.bus.clone(),
        world.service.sources(),
        bus::outbox::Config { grace: Duration::ZERO, ..Default::default() },
    )
    .unwrap();
    world
        .record(vec![message("a", "0000000001", START), message("b", "0000000001", START + HOUR_MS)])
        .await
        .unwrap();
    world.service.settle().await;
    let first = relay.sweep_all().await.unwrap();
    assert_eq!((first.published, first.settled, first.kept, first.failed), (1, 1, 0, 0));
    let hour = Timestamp(START).hour();
    let events = world.events().await;
    let [_, relayed] = &events[..] else { panic!("the writer tells, and the relay: {events:?}") };
    assert_eq!((&relayed.account_id[..], &relayed.hours[..]), ("0000000001", &[hour, hour + 1][..]));
    // The other month is still followed.
    let second = relay.sweep_all().await.unwrap();
    assert_eq!((second.published, second.settled, second.kept, second.failed), (0, 0, 1, 0));
}

/// Every write may fail or have an unknown outcome; the caller repeats until it is told that all is in. Then all is in, once, and
/// after the relay has run everything is told of.
#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_and_double_nothing() {
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        World::on(store.clone(), store.clone()).await.client("1", &["0000000001", "0000000002"]).await;

        let faulty: Arc<dyn Store> = Arc::new(Faulty::new(store.clone(), FAULTS, seed));
        let world = World::on(faulty, store.clone()).await;
        let batch: Vec<_> = (0..60_i64)
            .map(|n| {
                message(
                    &format!("t-{n}"),
                    if n % 2 == 0 { "0000000001" } else { "0000000002" },
                    START + n * 7 * HOUR_MS,
                )
            })
            .collect();
        let mut created = 0;
        let mut done = false;
        for _ in 0..200 {
            match world.record(batch.clone()).await {
                Ok(answer) => {
                    created += answer.created;
                    done = true;
                    break;
                }
                Err(status) => assert!(matches!(
                    code(&status),
                    ErrorCode::Internal | ErrorCode::ServiceUnavailable | ErrorCode::Conflict
                )),
            }
        }
        assert!(done && created <= 60, "seed {seed}");
        world.service.drain().await;
        drop(world);

        let world = World::on(store.clone(), store).await;
        assert_eq!(world.list(of_client("1")).await.page.unwrap().total, 60, "seed {seed}");
        let config = bus::outbox::Config { takeover: bus::Takeover::Immediate, ..Default::default() };
        let relay =
            Relay::new(world.outbox.clone(), world.bus.clone(), world.service.sources(), config).unwrap();
        relay.recover().await.unwrap();
        let told: usize = world.told().await.values().map(BTreeSet::len).sum();
        assert_eq!(told, 60, "seed {seed}");
    }
}

#[tokio::test]
async fn counts_of_a_batch_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001"]).await;
    let tenant = TenantId::new("acme").unwrap();
    let mut recorded = Recorded::default();
    // More rows in one month than one conditional batch holds.
    let entries = (0..2_300_i64)
        .map(|n| {
            let entry = message(&format!("t-{n}"), "0000000001", START + n * 1000);
            (n as usize, Box::new(crate::domain::entry::Entry::read(entry, Timestamp(START)).unwrap()))
        })
        .collect();
    world.service.transactions.ingest.record(&tenant, entries, &mut recorded).await.unwrap();
    assert_eq!((recorded.created, recorded.duplicates, recorded.rejected.len()), (2_300, 0, 0));
    assert_eq!(world.list(of_client("1")).await.page.unwrap().total, 2_300);
}

#[tokio::test]
async fn missing_accounts_are_opened_once_whoever_opens_them() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("7", &[]).await;
    world.client("8", &["0000000008"]).await;
    // Once somebody else's, and deleted.
    world.create_account("7", "0000000009").await.unwrap();
    let delete = DeleteAccountRequest { client_id: "7".into(), account_id: "0000000009".into() };
    world.service.accounts.delete_account(request(delete)).await.unwrap();
    let tenant = TenantId::new("acme").unwrap();
    let ids: Vec<AccountId> = (1..=40).map(|n| AccountId::new(&format!("{n:010}")).unwrap()).collect();
    let masters = &world.service.transactions.masters;
    let open = async |of: std::ops::Range<usize>| {
        masters.create_missing(&tenant, ids[of].iter().map(|id| (id, Currency::EUR))).await
    };
    let (one, two, three) = tokio::join!(open(0..30), open(10..40), open(0..40));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    open(0..40).await.unwrap();

    world.service.settle().await;
    let page = masters.list_clients(&tenant, None, store::list::Start::Offset(0), 100).await.unwrap();
    let listed: BTreeSet<_> = page.items.iter().map(|client| client.id.to_string()).collect();
    assert_eq!((page.total, page.items.len(), listed.len()), (40, 40, 40));
    for client in page.items {
        assert!(!client.pending, "client {} was not told of", client.id);
        let (accounts, count, more) =
            masters.list_accounts(&tenant, &client.id, AccountStart::Offset(0), 10).await.unwrap();
        assert_eq!((accounts.len(), count, more), (1, 1, false), "client {}", client.id);
        assert!(!accounts[0].pending && accounts[0].id.as_str().ends_with(client.id.as_str()));
    }
}
