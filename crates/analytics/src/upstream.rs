//! The other services that scores are made from: clients with their accounts, and transactions. The only place that calls them.

use crate::domain::entry;
use crate::error::{Doing as _, Error};
use api::clients::v1::accounts_service_client::AccountsServiceClient;
use api::clients::v1::clients_service_client::ClientsServiceClient;
use api::clients::v1::{Account, Client, GetClientRequest, ListAccountsRequest};
use api::transactions::v1::ScanTransactionsRequest;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use mesh::{Channel, OnBehalf};
use risk::Entry;
use riskmesh_core::{AccountId, ClientId, ErrorCode, TenantId};
use tonic::{Request, Status};

/// Accounts that one call lists.
const ACCOUNTS_PAGE: i32 = 1000;
/// Accounts of one client that a score takes into account; the API that opens accounts allows far fewer.
const MAX_ACCOUNTS: usize = 100_000;

/// Calls other services as this workload, in the tenant that the work is for.
#[derive(Clone)]
pub(crate) struct Upstream {
    clients: ClientsServiceClient<Channel>,
    accounts: AccountsServiceClient<Channel>,
    transactions: TransactionsServiceClient<Channel>,
}

impl Upstream {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            clients: ClientsServiceClient::new(channel.clone()),
            accounts: AccountsServiceClient::new(channel.clone()),
            transactions: TransactionsServiceClient::new(channel),
        }
    }

    /// A client; none if it does not exist or was deleted.
    pub(crate) async fn client(&self, tenant: &TenantId, id: &ClientId) -> Result<Option<Client>, Error> {
        let doing = "get client";
        let request = request(tenant, GetClientRequest { client_id: id.to_string() });
        match self.clients.clone().get_client(request).await {
            Ok(response) => {
                let answer = response.into_inner();
                answer.client.map(Some).ok_or(Error::Answer { doing, field: "client" })
            }
            Err(status) if is(&status, ErrorCode::ClientNotFound) => Ok(None),
            Err(status) => Err(status).doing(doing),
        }
    }

    /// All accounts of a client.
    pub(crate) async fn accounts(&self, tenant: &TenantId, client: &ClientId) -> Result<Vec<Account>, Error> {
        let doing = "list accounts";
        let mut accounts = Vec::new();
        let mut cursor = String::new();
        loop {
            let message = ListAccountsRequest {
                client_id: client.to_string(),
                limit: Some(ACCOUNTS_PAGE),
                cursor,
                ..ListAccountsRequest::default()
            };
            let answer = match self.accounts.clone().list_accounts(request(tenant, message)).await {
                Ok(response) => response.into_inner(),
                // Deleted since it was read: there is nothing to score.
                Err(status) if is(&status, ErrorCode::ClientNotFound) => return Ok(Vec::new()),
                Err(status) => return Err(status).doing(doing),
            };
            let empty = answer.accounts.is_empty();
            accounts.extend(answer.accounts);
            match answer.page.and_then(|page| page.next_cursor) {
                Some(next) if !empty && accounts.len() < MAX_ACCOUNTS => cursor = next,
                _ => return Ok(accounts),
            }
        }
    }

    /// The entries of an account from `from_ms` on and before `until_ms`, the oldest first, in the pieces in which they come.
    pub(crate) async fn entries(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<impl Stream<Item = Result<Vec<Entry>, Error>> + Send + use<>, Error> {
        let doing = "scan transactions";
        let message = ScanTransactionsRequest { account_id: account.to_string(), from_ms, until_ms };
        let stream = match self.transactions.clone().scan_transactions(request(tenant, message)).await {
            Ok(response) => Some(response.into_inner()),
            // Only an account without entries can be deleted.
            Err(status) if is(&status, ErrorCode::AccountNotFound) => None,
            Err(status) => return Err(status).doing(doing),
        };
        let pieces = futures::stream::iter(stream).flatten();
        Ok(pieces
            .map_err(move |status: Status| Error::upstream(doing, &status))
            .and_then(|piece| async move { piece.transactions.iter().map(entry::read).collect() }))
    }
}

/// Scores are computed in the service's own name, whoever asks: a caller may see a score without seeing what it is made of.
fn request<T>(tenant: &TenantId, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(OnBehalf(tenant.clone()));
    request
}

fn is(status: &Status, code: ErrorCode) -> bool {
    riskmesh_core::Error::from_status(status).code == code
}
