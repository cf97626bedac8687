//! `riskmesh.portfolios.v1.TradesService`.

use super::{broken_off, portfolio_id, replayed, tenant, trade_id};
use crate::domain::trade::Trade;
use crate::ingest::{Recorded, Rejected};
use crate::trades::Trades;
use api::portfolios::v1::trades_service_server::TradesService;
use api::portfolios::v1::{
    BatchCreateTradesRequest, BatchCreateTradesResponse, CreateTradeRequest, CreateTradeResponse,
    DeleteTradeRequest, DeleteTradeResponse, GetTradeRequest, GetTradeResponse, IngestTradesRequest,
    IngestTradesResponse, ListPositionsRequest, ListPositionsResponse, ListTradesRequest, ListTradesResponse,
    Position, ScanTradesRequest, ScanTradesResponse, Trade as Message, TradeRejection,
};
use futures::stream::BoxStream;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::{PageRequest, cut};
use riskmesh_core::{Clock, Detail, Error};
use std::sync::Arc;
use store::list::Start;
use tonic::{Request, Response, Status, Streaming};

/// Rejections that the answer to a stream lists.
const LISTED_REJECTIONS: usize = 10_000;

/// Takes in and reads trades.
#[derive(Clone)]
pub(crate) struct TradesRpc {
    pub(crate) trades: Trades,
    pub(crate) cursors: Cursors,
    pub(crate) clock: Arc<dyn Clock>,
}

impl TradesRpc {
    /// Checks one batch; positions count from `base`.
    fn read(&self, base: usize, messages: Vec<Message>, recorded: &mut Recorded) -> Vec<(usize, Trade)> {
        let now = self.clock.now();
        let mut batch = Vec::with_capacity(messages.len());
        for (index, message) in messages.into_iter().enumerate() {
            let id = message.trade_id.clone();
            match Trade::read(message, now) {
                Ok(trade) => batch.push((base + index, trade)),
                Err(error) => recorded.reject(base + index, id, error),
            }
        }
        batch
    }
}

#[tonic::async_trait]
impl TradesService for TradesRpc {
    async fn list_trades(
        &self,
        request: Request<ListTradesRequest>,
    ) -> Result<Response<ListTradesResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.portfolio_id)?).await?;
        let query = format!("trades/{}", owner.portfolio);
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.trades.list(&owner, start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        Ok(Response::new(ListTradesResponse {
            trades: found.items.into_iter().map(|trade| trade.into_message(&owner.portfolio)).collect(),
            page: Some(api::page::answer(&page, found.total, found.places, next)),
        }))
    }

    async fn create_trade(
        &self,
        request: Request<CreateTradeRequest>,
    ) -> Result<Response<CreateTradeResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let sent = request.trade.ok_or_else(|| Error::required("trade"))?;
        let trade = Trade::read(sent, self.clock.now())?;
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.portfolio_id)?).await?;
        let mut recorded = Recorded::default();
        self.trades.record(&owner, vec![(0, trade.clone())], &mut recorded).await?;
        match recorded.rejected.pop() {
            None => {
                let trade = Some(trade.into_message(&owner.portfolio));
                let mut response = Response::new(CreateTradeResponse { trade });
                if recorded.duplicates > 0 {
                    replayed(&mut response);
                }
                Ok(response)
            }
            Some(rejected) => Err(rejected.error.into()),
        }
    }

    async fn batch_create_trades(
        &self,
        request: Request<BatchCreateTradesRequest>,
    ) -> Result<Response<BatchCreateTradesResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.portfolio_id)?).await?;
        let mut recorded = Recorded::default();
        let batch = self.read(0, request.trades, &mut recorded);
        self.trades.record(&owner, batch, &mut recorded).await?;
        Ok(Response::new(BatchCreateTradesResponse {
            created: recorded.created.cast_signed(),
            duplicates: recorded.duplicates.cast_signed(),
            rejected: recorded.rejected.into_iter().map(rejection).collect(),
        }))
    }

    async fn ingest_trades(
        &self,
        request: Request<Streaming<IngestTradesRequest>>,
    ) -> Result<Response<IngestTradesResponse>, Status> {
        let tenant = tenant(&request)?;
        let mut stream = request.into_inner();
        let mut answer = IngestTradesResponse::default();
        let (mut base, mut message) = (0, 0);
        loop {
            let stopped = |error| broken_off(error, message, answer.created + answer.duplicates);
            let batch = stream.message().await.map_err(|status| stopped(Error::from_status(&status)))?;
            let Some(batch) = batch else { break };
            let portfolio = portfolio_id(&batch.portfolio_id).map_err(stopped)?;
            let owner = self.trades.owner(&tenant, &portfolio).await.map_err(stopped)?;
            let mut recorded = Recorded::default();
            let count = batch.trades.len();
            let trades = self.read(base, batch.trades, &mut recorded);
            self.trades.record(&owner, trades, &mut recorded).await.map_err(stopped)?;
            (base, message) = (base + count, message + 1);
            answer.created += recorded.created.cast_signed();
            answer.duplicates += recorded.duplicates.cast_signed();
            answer.rejected += recorded.rejected.len() as i64;
            let room = LISTED_REJECTIONS.saturating_sub(answer.rejections.len());
            answer.rejections.extend(recorded.rejected.into_iter().take(room).map(rejection));
        }
        Ok(Response::new(answer))
    }

    async fn get_trade(
        &self,
        request: Request<GetTradeRequest>,
    ) -> Result<Response<GetTradeResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.portfolio_id)?).await?;
        let trade = self.trades.get(&owner, &trade_id(&request.trade_id)?).await?;
        Ok(Response::new(GetTradeResponse { trade: Some(trade.into_message(&owner.portfolio)) }))
    }

    async fn delete_trade(
        &self,
        request: Request<DeleteTradeRequest>,
    ) -> Result<Response<DeleteTradeResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.portfolio_id)?).await?;
        self.trades.delete(&owner, &trade_id(&request.trade_id)?).await?;
        Ok(Response::new(DeleteTradeResponse {}))
    }

    async fn list_positions(
        &self,
        request: Request<ListPositionsRequest>,
    ) -> Result<Response<ListPositionsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.portfolio_id)?).await?;
        let query = format!("positions/{}", owner.portfolio);
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let all = self.trades.positions(&owner).await?;
        let part =
            cut(&all, &page, (&self.cursors, scope), place, |position, last| *place(position) > *last)?;
        let page = api::page::answer(&page, part.total, part.items.len(), part.next);
        Ok(Response::new(ListPositionsResponse { positions: part.items.to_vec(), page: Some(page) }))
    }

    type ScanTradesStream = BoxStream<'static, Result<ScanTradesResponse, Status>>;

    async fn scan_trades(
        &self,
        request: Request<ScanTradesRequest>,
    ) -> Result<Response<Self::ScanTradesStream>, Status> {
        let tenant = tenant(&request)?;
        let owner = self.trades.owner(&tenant, &portfolio_id(&request.into_inner().portfolio_id)?).await?;
        let state = (self.trades.clone(), owner, (0, None));
        let stream = futures::stream::try_unfold(state, |(trades, owner, mut at)| async move {
            let chunk = trades.chunk(&owner, &mut at).await?;
            if chunk.is_empty() {
                return Ok::<_, Status>(None);
            }
            let messages = chunk.into_iter().map(|trade| trade.into_message(&owner.portfolio)).collect();
            Ok(Some((ScanTradesResponse { trades: messages }, (trades, owner, at))))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// Where a position stands in the order of positions. No id has a zero in it.
fn place(position: &Position) -> Vec<u8> {
    [position.instrument_id.as_bytes(), &[0], position.currency.as_bytes()].concat()
}

fn rejection(rejected: Rejected) -> TradeRejection {
    let mut rejected = rejected;
    let at_fault = rejected.error.details.pop().unwrap_or_else(|| Detail::new("", ""));
    TradeRejection {
        index: rejected.index as i64,
        trade_id: rejected.id,
        error_code: rejected.error.code.name().to_owned(),
        message: rejected.error.message.into_owned(),
        field: at_fault.field.into_owned(),
        expected: at_fault.expected.into_owned(),
    }
}
