//! An issuer, a policy, scripted services, and channels to them over either transport.

use api::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use api::analytics::v1::analytics_service_server::{AnalyticsService, AnalyticsServiceServer};
use api::analytics::v1::{
    Analytics, GetAnalyticsRequest, GetAnalyticsResponse, ListAnalyticsHistoryRequest,
    ListAnalyticsHistoryResponse, ListAnalyticsRequest, ListAnalyticsResponse, WatchAnalyticsRequest,
    WatchAnalyticsResponse,
};
use api::reference::v1 as rf;
use api::reference::v1::reference_service_server::{ReferenceService, ReferenceServiceServer};
use api::transactions::v1 as tx;
use api::transactions::v1::transactions_service_server::{TransactionsService, TransactionsServiceServer};
use authn::{Grant, Issuer, Keys, Role, ServiceTokens, Verifier};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use mesh::{Caller, Channel, DEFAULT_TIMEOUT, Deps, Inbound, Server};
use policy::Policy;
use riskmesh_core::{Clock, Error, ErrorCode, SystemClock, TenantId};
use std::sync::Arc;
use std::time::Duration;
use telemetry::Metrics;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// How a channel reaches its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Local,
    Remote,
}

pub(crate) const OPEN: &[&str] = &["grpc.health.v1.Health"];

/// Long enough for any machine, short enough for a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) metrics: Metrics,
    verifier: Arc<Verifier>,
    policy: Arc<Policy>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keys = Arc::new(Keys::ephemeral().unwrap());
        let issuer = Arc::new(Issuer::new(keys, "test", "riskmesh", Arc::clone(&clock)));
        let verifier = Arc::new(Verifier::new(&issuer.jwks(), "test", "riskmesh", clock));
        Self { issuer, verifier, policy: Arc::new(Policy::new().unwrap()), metrics: Metrics::new() }
    }

    pub(crate) fn serve(&self, role: &'static str, routes: Routes) -> Server {
        let deps = Deps {
            role,
            verifier: Arc::clone(&self.verifier),
            policy: Arc::clone(&self.policy),
            metrics: self.metrics.clone(),
            default_timeout: DEFAULT_TIMEOUT,
            open: OPEN,
        };
        mesh::serve(routes, deps)
    }

    pub(crate) fn caller(&self, role: &'static str) -> Caller {
        Caller {
            role,
            metrics: self.metrics.clone(),
            credentials: Arc::new(ServiceTokens::new(Arc::clone(&self.issuer), role)),
            default_timeout: DEFAULT_TIMEOUT,
        }
    }

    /// A channel of the role `edge`.
    pub(crate) async fn channel(&self, wire: Wire, server: Server) -> Channel {
        self.channel_of("edge", wire, server).await
    }

    pub(crate) async fn channel_of(&self, role: &'static str, wire: Wire, server: Server) -> Channel {
        match wire {
            Wire::Local => Channel::local(server, self.caller(role)),
            Wire::Remote => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let uri = format!("http://{}", listener.local_addr().unwrap());
                // Ends with the test's runtime.
                tokio::spawn(mesh::listen(listener, server, std::future::pending()));
                Channel::remote(&uri, self.caller(role)).unwrap()
            }
        }
    }

    pub(crate) fn bearer(&self, role: Role) -> http::HeaderValue {
        let grant = Grant {
            sub: format!("{role}-7"),
            user_id: None,
            role,
            tenant: TenantId::new("sandbox").unwrap(),
            scope: Vec::new(),
            client_id: None,
            ttl: Duration::from_mins(5),
        };
        format!("Bearer {}", self.issuer.issue(&grant).unwrap()).parse().unwrap()
    }

    /// A request with an analyst's token.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.request_as(Role::Analyst, message)
    }

    pub(crate) fn request_as<T>(&self, role: Role, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer = self.bearer(role).to_str().unwrap().parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    }
}

type Script =
    Arc<dyn Fn(Request<GetAnalyticsRequest>) -> BoxFuture<'static, Result<i32, Status>> + Send + Sync>;

/// `AnalyticsService` whose answers are a closure's.
pub(crate) struct Analytic(Script);

/// Routes with a scripted `GetAnalytics`, which answers with a score.
pub(crate) fn analytics<F>(
    script: impl Fn(Request<GetAnalyticsRequest>) -> F + Send + Sync + 'static,
) -> Routes
where
    F: Future<Output = Result<i32, Status>> + Send + 'static,
{
    let script: Script = Arc::new(move |request| Box::pin(script(request)));
    Routes::new(AnalyticsServiceServer::new(Analytic(script)))
}

#[tonic::async_trait]
impl AnalyticsService for Analytic {
    async fn get_analytics(
        &self,
        request: Request<GetAnalyticsRequest>,
    ) -> Result<Response<GetAnalyticsResponse>, Status> {
        let client_id = request.get_ref().client_id.clone();
        let risk_score = (self.0)(request).await?;
        let analytics = Analytics { client_id, risk_score };
        Ok(Response::new(GetAnalyticsResponse { analytics: Some(analytics) }))
    }

    async fn list_analytics(
        &self,
        _: Request<ListAnalyticsRequest>,
    ) -> Result<Response<ListAnalyticsResponse>, Status> {
        not_scripted()
    }

    async fn list_analytics_history(
        &self,
        _: Request<ListAnalyticsHistoryRequest>,
    ) -> Result<Response<ListAnalyticsHistoryResponse>, Status> {
        not_scripted()
    }

    type WatchAnalyticsStream = BoxStream<'static, Result<WatchAnalyticsResponse, Status>>;

    async fn watch_analytics(
        &self,
        _: Request<WatchAnalyticsRequest>,
    ) -> Result<Response<Self::WatchAnalyticsStream>, Status> {
        not_scripted()
    }
}

pub(crate) fn get(id: &str) -> GetAnalyticsRequest {
    GetAnalyticsRequest { client_id: id.into() }
}

/// Asks for a score.
pub(crate) async fn score(channel: &Channel, request: Request<GetAnalyticsRequest>) -> Result<i32, Status> {
    let answer = AnalyticsServiceClient::new(channel.clone()).get_analytics(request).await?;
    Ok(answer.into_inner().analytics.unwrap().risk_score)
}

/// Our code in a status.
pub(crate) fn code(status: &Status) -> ErrorCode {
    Error::from_status(status).code
}

pub(crate) type Scan = BoxStream<'static, Result<tx::ScanTransactionsResponse, Status>>;

/// `TransactionsService` with a scripted scan; an ingest counts its messages, and says which trace it polled them in.
pub(crate) struct Transactions(Arc<dyn Fn() -> Scan + Send + Sync>);

pub(crate) fn transactions(scan: impl Fn() -> Scan + Send + Sync + 'static) -> Routes {
    Routes::new(TransactionsServiceServer::new(Transactions(Arc::new(scan))))
}

fn not_scripted<T>() -> Result<T, Status> {
    Err(Status::from(&Error::new(ErrorCode::NotImplemented)))
}

#[tonic::async_trait]
impl TransactionsService for Transactions {
    type ScanTransactionsStream = Scan;

    async fn scan_transactions(
        &self,
        _: Request<tx::ScanTransactionsRequest>,
    ) -> Result<Response<Scan>, Status> {
        Ok(Response::new((self.0)()))
    }

    async fn ingest_transactions(
        &self,
        request: Request<tonic::Streaming<tx::IngestTransactionsRequest>>,
    ) -> Result<Response<tx::IngestTransactionsResponse>, Status> {
        let own = Inbound::current().unwrap().trace.span_id;
        let mut stream = request.into_inner();
        let mut created = 0;
        while let Some(batch) = stream.message().await? {
            created += i64::try_from(batch.transactions.len()).unwrap();
            assert_eq!(Inbound::current().unwrap().trace.span_id, own);
        }
        Ok(Response::new(tx::IngestTransactionsResponse { created, ..Default::default() }))
    }

    async fn batch_create_transactions(
        &self,
        _: Request<tx::BatchCreateTransactionsRequest>,
    ) -> Result<Response<tx::BatchCreateTransactionsResponse>, Status> {
        not_scripted()
    }

    async fn get_transaction(
        &self,
        _: Request<tx::GetTransactionRequest>,
    ) -> Result<Response<tx::GetTransactionResponse>, Status> {
        not_scripted()
    }

    async fn list_transactions(
        &self,
        _: Request<tx::ListTransactionsRequest>,
    ) -> Result<Response<tx::ListTransactionsResponse>, Status> {
        not_scripted()
    }
}

/// `ReferenceService` that knows every country: its methods are public.
struct Reference;

pub(crate) fn reference() -> Routes {
    Routes::new(ReferenceServiceServer::new(Reference))
}

#[tonic::async_trait]
impl ReferenceService for Reference {
    async fn get_country(
        &self,
        _: Request<rf::GetCountryRequest>,
    ) -> Result<Response<rf::GetCountryResponse>, Status> {
        Ok(Response::new(rf::GetCountryResponse::default()))
    }

    async fn list_countries(
        &self,
        _: Request<rf::ListCountriesRequest>,
    ) -> Result<Response<rf::ListCountriesResponse>, Status> {
        not_scripted()
    }

    async fn list_currencies(
        &self,
        _: Request<rf::ListCurrenciesRequest>,
    ) -> Result<Response<rf::ListCurrenciesResponse>, Status> {
        not_scripted()
    }

    async fn get_currency(
        &self,
        _: Request<rf::GetCurrencyRequest>,
    ) -> Result<Response<rf::GetCurrencyResponse>, Status> {
        not_scripted()
    }

    async fn list_fx_rates(
        &self,
        _: Request<rf::ListFxRatesRequest>,
    ) -> Result<Response<rf::ListFxRatesResponse>, Status> {
        not_scripted()
    }

    async fn list_risk_lists(
        &self,
        _: Request<rf::ListRiskListsRequest>,
    ) -> Result<Response<rf::ListRiskListsResponse>, Status> {
        not_scripted()
    }

    async fn get_risk_list(
        &self,
        _: Request<rf::GetRiskListRequest>,
    ) -> Result<Response<rf::GetRiskListResponse>, Status> {
        not_scripted()
    }
}

pub(crate) fn scan() -> tx::ScanTransactionsRequest {
    tx::ScanTransactionsRequest { account_id: "0000000001".into(), from_ms: 0, until_ms: 1 }
}

/// Tells when it is dropped.
pub(crate) struct Alarm(
    #[allow(dead_code, reason = "dropping it is what it is for")] tokio::sync::oneshot::Sender<()>,
);

/// Something to hold, and a future that completes when it is dropped.
pub(crate) fn alarm() -> (Alarm, impl Future<Output = ()>) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let dropped = async move {
        let dropped = tokio::time::timeout(PATIENCE, receiver).await;
        assert!(dropped.expect("was not dropped").is_err());
    };
    (Alarm(sender), dropped)
}
