//! The role `clients` as far as scores need it, from memory: clients, accounts, and transactions that are streamed in small pieces.

use api::clients::v1::accounts_service_server::{AccountsService, AccountsServiceServer};
use api::clients::v1::clients_service_server::{ClientsService, ClientsServiceServer};
use api::clients::v1::{
    Account, Client, CreateAccountRequest, CreateAccountResponse, CreateClientRequest, CreateClientResponse,
    DeleteAccountRequest, DeleteAccountResponse, DeleteClientRequest, DeleteClientResponse,
    GetAccountRequest, GetAccountResponse, GetAddressRequest, GetAddressResponse, GetClientRequest,
    GetClientResponse, ListAccountsRequest, ListAccountsResponse, ListClientsRequest, ListClientsResponse,
    PutAddressRequest, PutAddressResponse, UpdateAccountRequest, UpdateAccountResponse, UpdateClientRequest,
    UpdateClientResponse,
};
use api::common::v1::Page;
use api::transactions::v1::transactions_service_server::{TransactionsService, TransactionsServiceServer};
use api::transactions::v1::{
    BatchCreateTransactionsRequest, BatchCreateTransactionsResponse, GetTransactionRequest,
    GetTransactionResponse, IngestTransactionsRequest, IngestTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse, ScanTransactionsRequest, ScanTransactionsResponse, Transaction,
};
use authn::Credentials;
use futures::stream::BoxStream;
use http::HeaderValue;
use mesh::{Caller, Channel, Server};
use riskmesh_core::{Error, ErrorCode, TenantId, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// Entries in one message of a scan.
const PIECE: usize = 3;
/// Accounts on one page.
const PAGE: usize = 2;

/// Everything that the role knows. Keys begin with the tenant.
#[derive(Default)]
pub(super) struct Fake {
    clients: Mutex<BTreeMap<(String, String), Client>>,
    /// By client.
    accounts: Mutex<BTreeMap<(String, String), BTreeMap<String, Account>>>,
    entries: Mutex<BTreeMap<(String, String), Vec<Transaction>>>,
    gate: Mutex<Option<Arc<Gate>>>,
    pub(super) client_reads: AtomicUsize,
    pub(super) scans: AtomicUsize,
    pub(super) down: std::sync::atomic::AtomicBool,
}

/// Holds one scan back after it has read its rows and before it answers.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) reached: Notify,
    pub(super) open: Notify,
}

impl Fake {
    pub(super) fn put_client(&self, tenant: &str, client: Client) {
        self.clients.lock().unwrap().insert((tenant.into(), client.client_id.clone()), client);
    }

    pub(super) fn delete_client(&self, tenant: &str, id: &str) {
        self.clients.lock().unwrap().remove(&(tenant.into(), id.into()));
    }

    pub(super) fn client(&self, tenant: &str, id: &str) -> Option<Client> {
        self.clients.lock().unwrap().get(&(tenant.into(), id.into())).cloned()
    }

    pub(super) fn put_account(&self, tenant: &str, account: Account) {
        let mut accounts = self.accounts.lock().unwrap();
        let mine = accounts.entry((tenant.into(), account.client_id.clone())).or_default();
        mine.insert(account.account_id.clone(), account);
    }

    pub(super) fn accounts_of(&self, tenant: &str, client: &str) -> Vec<Account> {
        let accounts = self.accounts.lock().unwrap();
        let mine = accounts.get(&(tenant.into(), client.into()));
        mine.map(|mine| mine.values().cloned().collect()).unwrap_or_default()
    }

    /// Records an entry, once.
    pub(super) fn record(&self, tenant: &str, entry: Transaction) {
        let mut entries = self.entries.lock().unwrap();
        let rows = entries.entry((tenant.into(), entry.account_id.clone())).or_default();
        if rows.iter().all(|row| row.transaction_id != entry.transaction_id) {
            rows.push(entry);
            rows.sort_by_key(|row| (booked_at(row), row.transaction_id.clone()));
        }
    }

    pub(super) fn entries_of(&self, tenant: &str, account: &str) -> Vec<Transaction> {
        self.entries.lock().unwrap().get(&(tenant.into(), account.into())).cloned().unwrap_or_default()
    }

    /// The next scan stops at this gate.
    pub(super) fn hold_next_scan(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// The way to this role.
    pub(super) fn channel(self: &Arc<Self>) -> Channel {
        let routes = Routes::new(ClientsServiceServer::from_arc(self.clone()))
            .add_service(AccountsServiceServer::from_arc(self.clone()))
            .add_service(TransactionsServiceServer::from_arc(self.clone()));
        let caller = Caller {
            role: "analytics",
            metrics: telemetry::Metrics::new(),
            credentials: Arc::new(TenantName),
            default_timeout: mesh::DEFAULT_TIMEOUT,
        };
        Channel::local(Server::new(routes.prepare()), caller)
    }

    fn check<T>(&self, request: &Request<T>) -> Result<String, Status> {
        if self.down.load(SeqCst) {
            return Err(Status::from(&Error::new(ErrorCode::ServiceUnavailable)));
        }
        let tenant = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        tenant.map(str::to_owned).ok_or_else(|| Status::unauthenticated("no token"))
    }
}

/// Tokens that are the tenant's name.
struct TenantName;

#[tonic::async_trait]
impl Credentials for TenantName {
    async fn token(&self, tenant: &TenantId) -> riskmesh_core::Result<HeaderValue> {
        Ok(HeaderValue::from_str(tenant.as_str()).unwrap())
    }
}

pub(super) fn booked_at(entry: &Transaction) -> i64 {
    entry.booked_at.as_ref().map_or(0, |at| api::time::from_proto(at).millis())
}

fn client_not_found(id: &str) -> Status {
    Status::from(&Error::not_found(ErrorCode::ClientNotFound, "clientId", id))
}

#[tonic::async_trait]
impl ClientsService for Fake {
    async fn get_client(
        &self,
        request: Request<GetClientRequest>,
    ) -> Result<Response<GetClientResponse>, Status> {
        self.client_reads.fetch_add(1, SeqCst);
        let tenant = self.check(&request)?;
        let id = request.into_inner().client_id;
        let client = self.client(&tenant, &id).ok_or_else(|| client_not_found(&id))?;
        Ok(Response::new(GetClientResponse { client: Some(client) }))
    }

    testkit::not_part_of_this! {
        list_clients: ListClientsRequest => ListClientsResponse;
        create_client: CreateClientRequest => CreateClientResponse;
        update_client: UpdateClientRequest => UpdateClientResponse;
        delete_client: DeleteClientRequest => DeleteClientResponse;
        get_address: GetAddressRequest => GetAddressResponse;
        put_address: PutAddressRequest => PutAddressResponse;
    }
}

#[tonic::async_trait]
impl AccountsService for Fake {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let tenant = self.check(&request)?;
        let request = request.into_inner();
        self.client(&tenant, &request.client_id).ok_or_else(|| client_not_found(&request.client_id))?;
        let all = self.accounts_of(&tenant, &request.client_id);
        let rest: Vec<_> = all.into_iter().filter(|account| account.account_id > request.cursor).collect();
        let accounts: Vec<_> = rest.iter().take(PAGE).cloned().collect();
        let next_cursor = accounts.last().filter(|_| rest.len() > PAGE).map(|last| last.account_id.clone());
        let page = Page { next_cursor, ..Page::default() };
        Ok(Response::new(ListAccountsResponse { accounts, page: Some(page) }))
    }

    testkit::not_part_of_this! {
        create_account: CreateAccountRequest => CreateAccountResponse;
        get_account: GetAccountRequest => GetAccountResponse;
        update_account: UpdateAccountRequest => UpdateAccountResponse;
        delete_account: DeleteAccountRequest => DeleteAccountResponse;
    }
}

#[tonic::async_trait]
impl TransactionsService for Fake {
    type ScanTransactionsStream = BoxStream<'static, Result<ScanTransactionsResponse, Status>>;

    async fn scan_transactions(
        &self,
        request: Request<ScanTransactionsRequest>,
    ) -> Result<Response<Self::ScanTransactionsStream>, Status> {
        self.scans.fetch_add(1, SeqCst);
        let tenant = self.check(&request)?;
        let ScanTransactionsRequest { account_id, from_ms, until_ms } = request.into_inner();
        let mut rows = self.entries_of(&tenant, &account_id);
        rows.retain(|row| (from_ms..until_ms).contains(&booked_at(row)));
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.reached.notify_one();
            gate.open.notified().await;
        }
        let pieces: Vec<_> = rows
            .chunks(PIECE)
            .map(|rows| Ok(ScanTransactionsResponse { transactions: rows.to_vec() }))
            .collect();
        Ok(Response::new(Box::pin(futures::stream::iter(pieces))))
    }

    testkit::not_part_of_this! {
        batch_create_transactions: BatchCreateTransactionsRequest => BatchCreateTransactionsResponse;
        ingest_transactions: Streaming<IngestTransactionsRequest> => IngestTransactionsResponse;
        get_transaction: GetTransactionRequest => GetTransactionResponse;
        list_transactions: ListTransactionsRequest => ListTransactionsResponse;
    }
}

/// A client that was created at this instant.
pub(super) fn client(id: &str, country: &str, at: Timestamp) -> Client {
    Client {
        client_id: id.into(),
        name: "Ada Example".into(),
        r#type: api::clients::v1::ClientType::Individual.into(),
        residence_country: country.into(),
        nationality: country.into(),
        onboarded_on: "2020-02-01".into(),
        reviewed_on: "2026-01-01".into(),
        create_time: Some(api::time::to_proto(at)),
        update_time: Some(api::time::to_proto(at)),
        ..Client::default()
    }
}

/// An account of a client.
pub(super) fn account(id: &str, client: &str) -> Account {
    Account { account_id: id.into(), client_id: client.into(), currency: "EUR".into(), ..Account::default() }
}

/// A debit of 100.00 EUR.
pub(super) fn entry(id: &str, account: &str, at: Timestamp) -> Transaction {
    Transaction {
        transaction_id: id.into(),
        account_id: account.into(),
        direction: api::transactions::v1::Direction::Debit.into(),
        amount: "100.00".into(),
        currency: "EUR".into(),
        booked_at: Some(api::time::to_proto(at)),
        ..Transaction::default()
    }
}
