//! The other service that portfolio risk is computed from: portfolios with their trades. The only place that calls it.

use crate::error::{Doing as _, Error as ServiceError};
use api::portfolios::v1::portfolios_service_client::PortfoliosServiceClient;
use api::portfolios::v1::trades_service_client::TradesServiceClient;
use api::portfolios::v1::{GetPortfolioRequest, ScanTradesRequest, Side, Trade};
use mesh::{Channel, OnBehalf};
use risk::Day;
use risk::portfolio::{Book, Quantity};
use riskmesh_core::{Error, ErrorCode, PortfolioId, Quantity as Units, TenantId};
use tonic::Request;

/// Calls the role `clients` as this workload, in the tenant that the work is for.
#[derive(Clone)]
pub(crate) struct Upstream {
    portfolios: PortfoliosServiceClient<Channel>,
    trades: TradesServiceClient<Channel>,
}

/// What a portfolio's trades net to.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) book: Book,
    /// The day of the newest trade that counts.
    pub(crate) newest: Option<Day>,
}

impl Upstream {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            portfolios: PortfoliosServiceClient::new(channel.clone()),
            trades: TradesServiceClient::new(channel),
        }
    }

    /// The base currency of a portfolio.
    pub(crate) async fn base(&self, tenant: &TenantId, id: &PortfolioId) -> Result<risk::Currency, Error> {
        let doing = "get portfolio";
        let request = request(tenant, GetPortfolioRequest { portfolio_id: id.to_string() });
        let answer = match self.portfolios.clone().get_portfolio(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                let error = Error::from_status(&status);
                if error.code == ErrorCode::PortfolioNotFound {
                    return Err(error);
                }
                return Err(ServiceError::upstream(doing, &status).into());
            }
        };
        let base = answer.portfolio.and_then(|portfolio| risk::Currency::new(&portfolio.base_currency).ok());
        base.ok_or_else(|| ServiceError::Answer { doing, field: "baseCurrency" }.into())
    }

    /// What the trades of a portfolio net to; of those until the end of a day where one is given.
    pub(crate) async fn held(
        &self,
        tenant: &TenantId,
        id: &PortfolioId,
        until: Option<Day>,
    ) -> Result<Held, Error> {
        let doing = "scan trades";
        let request = request(tenant, ScanTradesRequest { portfolio_id: id.to_string() });
        let mut stream = self.trades.clone().scan_trades(request).await.doing(doing)?.into_inner();
        let mut held = Held::default();
        while let Some(piece) = stream.message().await.doing(doing)? {
            for trade in piece.trades {
                let (day, quantity) = read(&trade).ok_or(ServiceError::Answer { doing, field: "trades" })?;
                if until.is_some_and(|until| day > until) {
                    continue;
                }
                held.book.add(&trade.instrument_id, &trade.counterparty_id, quantity);
                held.newest = held.newest.max(Some(day));
            }
        }
        Ok(held)
    }
}

/// The day of a trade, and what it adds to what is held.
fn read(trade: &Trade) -> Option<(Day, Quantity)> {
    let day = Day::of(api::time::from_proto(trade.executed_at.as_ref()?).millis());
    let units = i128::from(Units::parse(&trade.quantity).ok()?.0);
    match trade.side() {
        Side::Buy => Some((day, Quantity(units))),
        Side::Sell => Some((day, Quantity(-units))),
        Side::Unspecified => None,
    }
}

/// Risk is computed in the service's own name, whoever asks: a caller may see it without seeing what it is made of.
fn request<T>(tenant: &TenantId, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(OnBehalf(tenant.clone()));
    request
}
