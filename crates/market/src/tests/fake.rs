//! The role `clients` as far as portfolio risk needs it, from memory: portfolios, and trades that are streamed in small pieces.

use super::TENANT;
use api::portfolios::v1::portfolios_service_server::{PortfoliosService, PortfoliosServiceServer};
use api::portfolios::v1::trades_service_server::{TradesService, TradesServiceServer};
use api::portfolios::v1::{
    BatchCreateTradesRequest, BatchCreateTradesResponse, CreatePortfolioRequest, CreatePortfolioResponse,
    CreateTradeRequest, CreateTradeResponse, DeletePortfolioRequest, DeletePortfolioResponse,
    DeleteTradeRequest, DeleteTradeResponse, GetPortfolioRequest, GetPortfolioResponse, GetTradeRequest,
    GetTradeResponse, IngestTradesRequest, IngestTradesResponse, ListPortfoliosRequest,
    ListPortfoliosResponse, ListPositionsRequest, ListPositionsResponse, ListTradesRequest,
    ListTradesResponse, Portfolio, ScanTradesRequest, ScanTradesResponse, Side, Trade,
    UpdatePortfolioRequest, UpdatePortfolioResponse,
};
use authn::Credentials;
use futures::stream::BoxStream;
use http::HeaderValue;
use mesh::{Caller, Channel, Server};
use riskmesh_core::{Error, ErrorCode, TenantId, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// Trades in one message of a scan.
const PIECE: usize = 3;

/// The portfolios of [`TENANT`], with their trades.
#[derive(Default)]
pub(super) struct Fake {
    portfolios: Mutex<BTreeMap<String, (Portfolio, Vec<Trade>)>>,
    pub(super) down: AtomicBool,
}

impl Fake {
    pub(super) fn portfolio(&self, id: &str, base: &str) {
        let portfolio =
            Portfolio { portfolio_id: id.into(), base_currency: base.into(), ..Portfolio::default() };
        self.portfolios.lock().unwrap().insert(id.into(), (portfolio, Vec::new()));
    }

    /// Records a trade: an instrument, a quantity that is sold where it is less than zero, with whom, when.
    pub(super) fn trade(&self, portfolio: &str, instrument: &str, quantity: i64, with: &str, at: &str) {
        let mut portfolios = self.portfolios.lock().unwrap();
        let (_, trades) = portfolios.get_mut(portfolio).unwrap();
        trades.push(Trade {
            trade_id: format!("t{}", trades.len()),
            instrument_id: instrument.into(),
            side: if quantity < 0 { Side::Sell } else { Side::Buy }.into(),
            quantity: quantity.abs().to_string(),
            price: "1".into(),
            currency: "EUR".into(),
            counterparty_id: with.into(),
            executed_at: Some(api::time::to_proto(Timestamp::parse(at).unwrap())),
            ..Trade::default()
        });
    }

    /// The way to this role.
    pub(super) fn channel(self: &Arc<Self>) -> Channel {
        let routes = Routes::new(PortfoliosServiceServer::from_arc(self.clone()))
            .add_service(TradesServiceServer::from_arc(self.clone()));
        let caller = Caller {
            role: "market",
            metrics: telemetry::Metrics::new(),
            credentials: Arc::new(TenantName),
            default_timeout: mesh::DEFAULT_TIMEOUT,
        };
        Channel::local(Server::new(routes.prepare()), caller)
    }

    fn find<T>(&self, request: &Request<T>, id: &str) -> Result<(Portfolio, Vec<Trade>), Status> {
        if self.down.load(SeqCst) {
            return Err(Status::from(&Error::new(ErrorCode::ServiceUnavailable)));
        }
        let tenant = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let found = self.portfolios.lock().unwrap().get(id).filter(|_| tenant == Some(TENANT)).cloned();
        let missing = || Error::not_found(ErrorCode::PortfolioNotFound, "portfolioId", id);
        found.ok_or_else(|| Status::from(&missing()))
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

#[tonic::async_trait]
impl PortfoliosService for Fake {
    async fn get_portfolio(
        &self,
        request: Request<GetPortfolioRequest>,
    ) -> Result<Response<GetPortfolioResponse>, Status> {
        let id = request.get_ref().portfolio_id.clone();
        let (portfolio, _) = self.find(&request, &id)?;
        Ok(Response::new(GetPortfolioResponse { portfolio: Some(portfolio) }))
    }

    testkit::not_part_of_this! {
        list_portfolios: ListPortfoliosRequest => ListPortfoliosResponse;
        create_portfolio: CreatePortfolioRequest => CreatePortfolioResponse;
        update_portfolio: UpdatePortfolioRequest => UpdatePortfolioResponse;
        delete_portfolio: DeletePortfolioRequest => DeletePortfolioResponse;
    }
}

#[tonic::async_trait]
impl TradesService for Fake {
    type ScanTradesStream = BoxStream<'static, Result<ScanTradesResponse, Status>>;

    async fn scan_trades(
        &self,
        request: Request<ScanTradesRequest>,
    ) -> Result<Response<Self::ScanTradesStream>, Status> {
        let id = request.get_ref().portfolio_id.clone();
        let (_, trades) = self.find(&request, &id)?;
        let pieces: Vec<_> =
            trades.chunks(PIECE).map(|piece| Ok(ScanTradesResponse { trades: piece.to_vec() })).collect();
        Ok(Response::new(Box::pin(futures::stream::iter(pieces))))
    }

    testkit::not_part_of_this! {
        list_trades: ListTradesRequest => ListTradesResponse;
        create_trade: CreateTradeRequest => CreateTradeResponse;
        batch_create_trades: BatchCreateTradesRequest => BatchCreateTradesResponse;
        ingest_trades: Streaming<IngestTradesRequest> => IngestTradesResponse;
        get_trade: GetTradeRequest => GetTradeResponse;
        delete_trade: DeleteTradeRequest => DeleteTradeResponse;
        list_positions: ListPositionsRequest => ListPositionsResponse;
    }
}
