//! The services behind the edge. What they do is in the id: `424242` exists, the ids below go wrong in their own ways.

use api::analytics::{v1, v2};
use api::clients::v1::clients_service_server::{ClientsService, ClientsServiceServer};
use api::clients::v1::{
    Address, Client, CreateClientRequest, CreateClientResponse, DeleteClientRequest, DeleteClientResponse,
    GetAddressRequest, GetAddressResponse, GetClientRequest, GetClientResponse, ListClientsRequest,
    ListClientsResponse, PutAddressRequest, PutAddressResponse, UpdateClientRequest, UpdateClientResponse,
};
use api::common::v1::Page;
use api::reference::v1::reference_service_server::ReferenceServiceServer;
use api::transactions::v1::transactions_service_server::{TransactionsService, TransactionsServiceServer};
use api::transactions::v1::{
    BatchCreateTransactionsRequest, BatchCreateTransactionsResponse, GetTransactionRequest,
    GetTransactionResponse, IngestTransactionsRequest, IngestTransactionsResponse, ListTransactionsRequest,
    ListTransactionsResponse, ScanTransactionsRequest, ScanTransactionsResponse, Transaction,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use riskmesh_core::{Error, ErrorCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::IntoIter;
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// Does not exist.
pub(crate) const MISSING: &str = "404404";
/// Fails with a cause that nobody may see.
pub(crate) const BROKEN: &str = "500500";
/// Panics.
pub(crate) const PANICS: &str = "500999";
/// Is not available, and says so with a host's name.
pub(crate) const DOWN: &str = "503503";
/// Answers when [`Fakes::release`] is notified, or never.
pub(crate) const SLOW: &str = "504504";

/// What the services share with a test.
#[derive(Clone, Default)]
pub(crate) struct Fakes {
    /// Lets one answer for [`SLOW`] go.
    pub(crate) release: Arc<Notify>,
    /// How many requests for [`SLOW`] have arrived.
    pub(crate) waiting: Arc<AtomicUsize>,
    /// The metadata of the last call, `name: value`, sorted.
    pub(crate) seen: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Fakes {
    pub(crate) fn routes(&self) -> Routes {
        Routes::default()
            .add_service(ClientsServiceServer::new(self.clone()))
            .add_service(TransactionsServiceServer::new(self.clone()))
            .add_service(ReferenceServiceServer::new(self.clone()))
            .add_service(v1::analytics_service_server::AnalyticsServiceServer::new(self.clone()))
            .add_service(v2::analytics_service_server::AnalyticsServiceServer::new(self.clone()))
    }

    pub(crate) fn see<T>(&self, request: &Request<T>) {
        let headers = request.metadata().clone().into_headers();
        let mut seen: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        seen.sort();
        *self.seen.lock().unwrap() = seen;
    }
}

fn client(id: &str) -> Client {
    Client { client_id: id.into(), name: "Ada Example".into(), r#type: 1, status: 1, ..Client::default() }
}

fn missing(id: &str) -> Status {
    Error::not_found(ErrorCode::ClientNotFound, "clientId", id).into()
}

#[tonic::async_trait]
impl ClientsService for Fakes {
    async fn get_client(
        &self,
        request: Request<GetClientRequest>,
    ) -> Result<Response<GetClientResponse>, Status> {
        self.see(&request);
        let id = request.into_inner().client_id;
        match id.as_str() {
            MISSING => return Err(missing(&id)),
            BROKEN => return Err(Error::internal("read db-7.internal").into()),
            DOWN => return Err(Status::unavailable("tcp connect error: db-7.internal:9042")),
            PANICS => panic!("a handler's panic"),
            SLOW => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                self.release.notified().await;
            }
            _ => {}
        }
        let mut response = Response::new(GetClientResponse { client: Some(client(&id)) });
        response.metadata_mut().insert("etag", "\"7\"".parse().unwrap());
        Ok(response)
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let asked = request.into_inner().limit;
        let page = Page { limit: asked.unwrap_or(50), total: 1, next_offset: None, next_cursor: None };
        let clients = (0..asked.unwrap_or(1)).map(|_| client("424242")).collect();
        Ok(Response::new(ListClientsResponse { clients, page: Some(page) }))
    }

    async fn create_client(
        &self,
        request: Request<CreateClientRequest>,
    ) -> Result<Response<CreateClientResponse>, Status> {
        Ok(Response::new(CreateClientResponse { client: request.into_inner().client }))
    }

    async fn update_client(
        &self,
        request: Request<UpdateClientRequest>,
    ) -> Result<Response<UpdateClientResponse>, Status> {
        self.see(&request);
        let request = request.into_inner();
        let (patch, mask) = (request.client.unwrap(), request.update_mask.unwrap_or_default());
        let updated = Client { name: mask.paths.join(","), ..client(&patch.client_id) };
        Ok(Response::new(UpdateClientResponse { client: Some(updated) }))
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        match request.into_inner().client_id.as_str() {
            MISSING => Err(missing(MISSING)),
            _ => Ok(Response::new(DeleteClientResponse {})),
        }
    }

    async fn get_address(
        &self,
        _: Request<GetAddressRequest>,
    ) -> Result<Response<GetAddressResponse>, Status> {
        let address = Address { city: "Dublin".into(), country: "IE".into(), ..Address::default() };
        let mut response = Response::new(GetAddressResponse { address: Some(address) });
        response.metadata_mut().insert("etag", "\"7\"".parse().unwrap());
        Ok(response)
    }

    async fn put_address(
        &self,
        request: Request<PutAddressRequest>,
    ) -> Result<Response<PutAddressResponse>, Status> {
        Ok(Response::new(PutAddressResponse { address: request.into_inner().address }))
    }
}

#[tonic::async_trait]
impl TransactionsService for Fakes {
    type ScanTransactionsStream = futures::stream::Iter<IntoIter<Result<ScanTransactionsResponse, Status>>>;

    async fn batch_create_transactions(
        &self,
        request: Request<BatchCreateTransactionsRequest>,
    ) -> Result<Response<BatchCreateTransactionsResponse>, Status> {
        let created = request.into_inner().transactions.len() as i64;
        Ok(Response::new(BatchCreateTransactionsResponse { created, ..Default::default() }))
    }

    async fn ingest_transactions(
        &self,
        request: Request<Streaming<IngestTransactionsRequest>>,
    ) -> Result<Response<IngestTransactionsResponse>, Status> {
        let (mut stream, mut created) = (request.into_inner(), 0);
        while let Some(batch) = stream.next().await {
            created += batch?.transactions.len() as i64;
        }
        Ok(Response::new(IngestTransactionsResponse { created, ..Default::default() }))
    }

    async fn get_transaction(
        &self,
        _: Request<GetTransactionRequest>,
    ) -> Result<Response<GetTransactionResponse>, Status> {
        Err(Error::new(ErrorCode::TransactionNotFound).into())
    }

    async fn list_transactions(
        &self,
        _: Request<ListTransactionsRequest>,
    ) -> Result<Response<ListTransactionsResponse>, Status> {
        Ok(Response::new(ListTransactionsResponse::default()))
    }

    async fn scan_transactions(
        &self,
        request: Request<ScanTransactionsRequest>,
    ) -> Result<Response<Self::ScanTransactionsStream>, Status> {
        let entry = Transaction { account_id: request.into_inner().account_id, ..Transaction::default() };
        let page = |length| Ok(ScanTransactionsResponse { transactions: vec![entry.clone(); length] });
        let pages: Vec<_> = [1, 200, 1, 500].into_iter().map(page).collect();
        Ok(Response::new(futures::stream::iter(pages)))
    }
}

#[tonic::async_trait]
impl v1::analytics_service_server::AnalyticsService for Fakes {
    async fn get_analytics(
        &self,
        request: Request<v1::GetAnalyticsRequest>,
    ) -> Result<Response<v1::GetAnalyticsResponse>, Status> {
        let client_id = request.into_inner().client_id;
        if client_id == MISSING {
            return Err(missing(MISSING));
        }
        let analytics = v1::Analytics { client_id, risk_score: 0 };
        Ok(Response::new(v1::GetAnalyticsResponse { analytics: Some(analytics) }))
    }

    async fn list_analytics(
        &self,
        _: Request<v1::ListAnalyticsRequest>,
    ) -> Result<Response<v1::ListAnalyticsResponse>, Status> {
        Ok(Response::new(v1::ListAnalyticsResponse::default()))
    }

    async fn list_analytics_history(
        &self,
        _: Request<v1::ListAnalyticsHistoryRequest>,
    ) -> Result<Response<v1::ListAnalyticsHistoryResponse>, Status> {
        Ok(Response::new(v1::ListAnalyticsHistoryResponse::default()))
    }

    type WatchAnalyticsStream = BoxStream<'static, Result<v1::WatchAnalyticsResponse, Status>>;

    async fn watch_analytics(
        &self,
        _: Request<v1::WatchAnalyticsRequest>,
    ) -> Result<Response<Self::WatchAnalyticsStream>, Status> {
        Ok(Response::new(Box::pin(futures::stream::empty())))
    }
}

#[tonic::async_trait]
impl v2::analytics_service_server::AnalyticsService for Fakes {
    async fn get_analytics(
        &self,
        request: Request<v2::GetAnalyticsRequest>,
    ) -> Result<Response<v2::GetAnalyticsResponse>, Status> {
        let risk = v2::Risk { score: 71, category: 3, confidence: 0.5, ..v2::Risk::default() };
        let analytics = v2::Analytics {
            client_id: request.into_inner().client_id,
            risk: Some(risk),
            model_version: "scorecard-1".into(),
            ..v2::Analytics::default()
        };
        Ok(Response::new(v2::GetAnalyticsResponse { analytics: Some(analytics) }))
    }

    async fn list_analytics(
        &self,
        _: Request<v2::ListAnalyticsRequest>,
    ) -> Result<Response<v2::ListAnalyticsResponse>, Status> {
        Ok(Response::new(v2::ListAnalyticsResponse::default()))
    }

    async fn list_analytics_history(
        &self,
        _: Request<v2::ListAnalyticsHistoryRequest>,
    ) -> Result<Response<v2::ListAnalyticsHistoryResponse>, Status> {
        Ok(Response::new(v2::ListAnalyticsHistoryResponse::default()))
    }

    type WatchAnalyticsStream = BoxStream<'static, Result<v2::WatchAnalyticsResponse, Status>>;

    /// Three events, or those that are left of them.
    async fn watch_analytics(
        &self,
        request: Request<v2::WatchAnalyticsRequest>,
    ) -> Result<Response<Self::WatchAnalyticsStream>, Status> {
        let after: i32 = request.get_ref().after.parse().unwrap_or_default();
        let event =
            |number: i32| v2::WatchAnalyticsResponse { event_id: number.to_string(), ..Default::default() };
        Ok(Response::new(Box::pin(futures::stream::iter(
            (after + 1..=3).map(move |number| Ok(event(number))),
        ))))
    }
}
