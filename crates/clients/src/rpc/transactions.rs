//! `riskmesh.transactions.v1.TransactionsService`.

use super::{account_id, broken_off, client_id, tenant};
use crate::domain::entry::Entry;
use crate::ingest::{Ingest, Recorded};
use crate::ledger::{From as PageFrom, Ledger};
use crate::masters::Masters;
use api::Method;
use api::transactions::v1::transactions_service_server::TransactionsService;
use api::transactions::v1::{
    BatchCreateTransactionsRequest, BatchCreateTransactionsResponse, GetTransactionRequest,
    GetTransactionResponse, IngestTransactionsRequest, IngestTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse, Rejection, ScanTransactionsRequest, ScanTransactionsResponse, Transaction,
};
use futures::stream::BoxStream;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::{PageRequest, Start};
use riskmesh_core::{AccountId, ClientId, Detail, Error, ErrorCode, TenantId, Timestamp, TransactionId};
use std::collections::HashMap;
use tonic::{Request, Response, Status, Streaming};

/// Rejections that the answer to a stream lists.
const LISTED_REJECTIONS: usize = 10_000;
/// Entries in one message of a scan.
const SCAN_CHUNK: usize = 1000;

/// Whoever opens accounts on the way must be allowed to call this.
const OPENS_ACCOUNTS: &str = "/riskmesh.clients.v1.AccountsService/CreateAccount";

/// Takes in and reads transactions.
#[derive(Clone)]
pub(crate) struct TransactionsRpc {
    pub(crate) masters: Masters,
    pub(crate) ingest: Ingest,
    pub(crate) ledger: Ledger,
    pub(crate) cursors: Cursors,
    pub(crate) policy: std::sync::Arc<policy::Policy>,
}

impl TransactionsRpc {
    /// Checks one batch; positions count from `base`.
    fn read(
        &self,
        base: usize,
        messages: Vec<Transaction>,
        recorded: &mut Recorded,
    ) -> Vec<(usize, Box<Entry>)> {
        let now = self.ingest.clock.now();
        let mut batch = Vec::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            let id = message.transaction_id.clone();
            match Entry::read(message, now) {
                Ok(entry) => batch.push((base + index, Box::new(entry))),
                Err(error) => recorded.reject(base + index, id, error),
            }
        }
        batch
    }

    /// The entries' owners, for answers: every account belongs to one client.
    async fn owners(
        &self,
        tenant: &TenantId,
        entries: &[Entry],
    ) -> Result<HashMap<AccountId, ClientId>, Error> {
        let mut ids: Vec<AccountId> = entries.iter().map(|entry| entry.account.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(self.masters.owners(tenant, &ids).await?)
    }
}

#[tonic::async_trait]
impl TransactionsService for TransactionsRpc {
    async fn batch_create_transactions(
        &self,
        request: Request<BatchCreateTransactionsRequest>,
    ) -> Result<Response<BatchCreateTransactionsResponse>, Status> {
        let tenant = tenant(&request)?;
        let mut recorded = Recorded::default();
        let batch = self.read(0, request.into_inner().transactions, &mut recorded);
        self.ingest.record(&tenant, batch, &mut recorded).await?;
        Ok(Response::new(BatchCreateTransactionsResponse {
            created: recorded.created.cast_signed(),
            duplicates: recorded.duplicates.cast_signed(),
            rejected: recorded.rejected.into_iter().map(rejection).collect(),
        }))
    }

    async fn ingest_transactions(
        &self,
        request: Request<Streaming<IngestTransactionsRequest>>,
    ) -> Result<Response<IngestTransactionsResponse>, Status> {
        let caller = authn::caller(&request)?.clone();
        let tenant = caller.tenant.clone();
        let mut stream = request.into_inner();
        let opening = Method::find(OPENS_ACCOUNTS).ok_or_else(|| Error::internal("find method"))?;
        let mut answer = IngestTransactionsResponse::default();
        let (mut base, mut message) = (0, 0);
        loop {
            let stopped = |error| broken_off(error, message, answer.created + answer.duplicates);
            let batch = stream.message().await.map_err(|status| stopped(Error::from_status(&status)))?;
            let Some(batch) = batch else { break };
            let create_missing = batch.create_missing_accounts;
            if create_missing {
                self.policy.allows(&caller, opening).map_err(stopped)?;
            }
            let mut recorded = Recorded::default();
            let len = batch.transactions.len();
            let entries = self.read(base, batch.transactions, &mut recorded);
            if create_missing {
                let accounts = entries.iter().map(|(_, entry)| (&entry.account, entry.amount.currency));
                self.masters.create_missing(&tenant, accounts).await.map_err(stopped)?;
            }
            self.ingest.record(&tenant, entries, &mut recorded).await.map_err(stopped)?;
            (base, message) = (base + len, message + 1);
            answer.created += recorded.created.cast_signed();
            answer.duplicates += recorded.duplicates.cast_signed();
            answer.rejected += recorded.rejected.len() as i64;
            let room = LISTED_REJECTIONS - answer.rejections.len();
            answer.rejections.extend(recorded.rejected.into_iter().take(room).map(rejection));
        }
        Ok(Response::new(answer))
    }

    async fn get_transaction(
        &self,
        request: Request<GetTransactionRequest>,
    ) -> Result<Response<GetTransactionResponse>, Status> {
        let tenant = tenant(&request)?;
        let text = request.into_inner().transaction_id;
        let id = TransactionId::new(&text).map_err(|error| error.of("transactionId"))?;
        let missing = || Error::not_found(ErrorCode::TransactionNotFound, "transactionId", &text);
        let entry =
            self.ingest.transactions.find(&tenant, &id).await.map_err(Error::from)?.ok_or_else(missing)?;
        let owners = self.owners(&tenant, std::slice::from_ref(&entry)).await?;
        let client = owners.get(&entry.account).ok_or_else(missing)?;
        Ok(Response::new(GetTransactionResponse { transaction: Some(entry.into_message(client)) }))
    }

    async fn list_transactions(
        &self,
        request: Request<ListTransactionsRequest>,
    ) -> Result<Response<ListTransactionsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let client = client_id(&request.client_id)?;
        let accounts = if request.account_id.is_empty() {
            self.masters.account_ids(&tenant, &client).await?
        } else {
            let id = account_id(&request.account_id)?;
            vec![self.masters.account(&tenant, &client, &id).await?.id]
        };
        let query = format!("transactions/{client}/{}", request.account_id);
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let from = match &page.start {
            Start::Offset(offset) => PageFrom::Offset(*offset),
            Start::Cursor(cursor) => {
                let position = self.cursors.open(scope, cursor)?;
                let (at, id) = decode_position(&position).ok_or_else(|| Error::internal("decode cursor"))?;
                PageFrom::After(at, id)
            }
        };
        let found = self.ledger.page(&tenant, &accounts, from, page.limit).await.map_err(Error::from)?;
        let next = match found.entries.last().filter(|_| found.more) {
            Some(last) => Some(self.cursors.seal(scope, &encode_position(last.booked_at, last.id.as_str()))?),
            None => None,
        };
        let shown = found.entries.len();
        let transactions = found.entries.into_iter().map(|entry| entry.into_message(&client)).collect();
        let page = api::page::answer(&page, found.total, shown, next);
        Ok(Response::new(ListTransactionsResponse { transactions, page: Some(page) }))
    }

    type ScanTransactionsStream = BoxStream<'static, Result<ScanTransactionsResponse, Status>>;

    async fn scan_transactions(
        &self,
        request: Request<ScanTransactionsRequest>,
    ) -> Result<Response<Self::ScanTransactionsStream>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let account = account_id(&request.account_id)?;
        let owners =
            self.masters.owners(&tenant, std::slice::from_ref(&account)).await.map_err(Error::from)?;
        let client = owners
            .get(&account)
            .cloned()
            .ok_or_else(|| Error::not_found(ErrorCode::AccountNotFound, "accountId", account.as_str()))?;
        let span = (Timestamp(request.from_ms), Timestamp(request.until_ms));
        let months = self.ledger.months(&tenant, &account, span).await.map_err(Error::from)?;
        let ledger = self.ledger.clone();
        let state = (months, None::<(Timestamp, String)>);
        let stream = futures::stream::try_unfold(state, move |(mut months, after)| {
            let (ledger, tenant, account, client) =
                (ledger.clone(), tenant.clone(), account.clone(), client.clone());
            async move {
                let entries = ledger.chunk(&tenant, &account, &mut months, span, after, SCAN_CHUNK).await;
                let entries = entries.map_err(|error| Status::from(Error::from(error)))?;
                let Some(last) = entries.last() else { return Ok(None) };
                let after = Some((last.booked_at, last.id.to_string()));
                let transactions = entries.into_iter().map(|entry| entry.into_message(&client)).collect();
                Ok(Some((ScanTransactionsResponse { transactions }, (months, after))))
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

fn rejection(rejected: crate::ingest::Rejected) -> Rejection {
    let mut rejected = rejected;
    let at_fault = rejected.error.details.pop().unwrap_or_else(|| Detail::new("", ""));
    Rejection {
        index: i32::try_from(rejected.index).unwrap_or(i32::MAX),
        transaction_id: rejected.id,
        error_code: rejected.error.code.name().to_owned(),
        message: rejected.error.message.into_owned(),
        field: at_fault.field.into_owned(),
        expected: at_fault.expected.into_owned(),
    }
}

fn encode_position(at: Timestamp, id: &str) -> Vec<u8> {
    let mut position = at.0.to_be_bytes().to_vec();
    position.extend_from_slice(id.as_bytes());
    position
}

fn decode_position(position: &[u8]) -> Option<(Timestamp, String)> {
    let (at, id) = position.split_first_chunk::<8>()?;
    Some((Timestamp(i64::from_be_bytes(*at)), String::from_utf8(id.to_vec()).ok()?))
}
