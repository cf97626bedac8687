//! The sandbox's market: instruments with two years of prices, and portfolios that trade in them.

use super::{AT_ONCE, Call, Error, or_there};
use api::market::v1::instruments_service_client::InstrumentsServiceClient;
use api::market::v1::prices_service_client::PricesServiceClient;
use api::market::v1::{BatchCreatePricesRequest, Instrument, Price, PutInstrumentRequest};
use api::portfolios::v1::portfolios_service_client::PortfoliosServiceClient;
use api::portfolios::v1::trades_service_client::TradesServiceClient;
use api::portfolios::v1::{BatchCreateTradesRequest, CreatePortfolioRequest, Portfolio, Side, Trade};
use futures::{StreamExt as _, TryStreamExt as _};
use generate::{Market, MarketPlan};
use riskmesh_core::Timestamp;

/// Prices or trades of one batch; the API takes as many.
const BATCH: usize = 10_000;

/// Records all of it; what is there already stays.
pub(super) async fn seed(call: &Call, seed: u64, end_ms: i64) -> Result<(), Error> {
    let market = Market::new(MarketPlan::sandbox(seed, end_ms))?;
    let instruments = (0..market.plan().instruments).map(|index| call.instrument(market.instrument(index)));
    futures::stream::iter(instruments).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let prices: Vec<Price> = (0..market.plan().instruments)
        .flat_map(|index| market.prices(index).map(|one| price(&one)))
        .collect();
    for batch in prices.chunks(BATCH) {
        call.prices(batch.to_vec()).await?;
    }
    for index in 0..market.plan().portfolios {
        call.portfolio(market.portfolio(index)).await?;
        let trades: Vec<Trade> = market.trades(index).map(|one| trade(&one)).collect();
        for batch in trades.chunks(BATCH) {
            call.trades(&market.portfolio(index).id, batch.to_vec()).await?;
        }
    }
    Ok(())
}

impl Call {
    async fn instrument(&self, generated: generate::Instrument) -> Result<(), Error> {
        let instrument = Instrument {
            instrument_id: generated.id,
            name: generated.name,
            currency: generated.currency.to_string(),
            country: generated.country.to_string(),
            sector: generated.sector.to_owned(),
            ..Instrument::default()
        };
        let put = self.request(PutInstrumentRequest { instrument: Some(instrument) });
        InstrumentsServiceClient::new(self.channel.clone()).put_instrument(put).await?;
        Ok(())
    }

    async fn prices(&self, prices: Vec<Price>) -> Result<(), Error> {
        let batch = self.request(BatchCreatePricesRequest { prices });
        let mut service = PricesServiceClient::new(self.channel.clone());
        let answer = service.batch_create_prices(batch).await?.into_inner();
        refused("seed prices", answer.rejected.into_iter().next().map(|rejection| rejection.message))
    }

    async fn portfolio(&self, generated: generate::Portfolio) -> Result<(), Error> {
        let portfolio = Portfolio {
            portfolio_id: generated.id,
            name: generated.name,
            base_currency: generated.base.to_string(),
            ..Portfolio::default()
        };
        let create = self.request(CreatePortfolioRequest { portfolio: Some(portfolio) });
        let mut service = PortfoliosServiceClient::new(self.channel.clone());
        Ok(or_there(service.create_portfolio(create).await)?)
    }

    async fn trades(&self, portfolio: &str, trades: Vec<Trade>) -> Result<(), Error> {
        let batch = BatchCreateTradesRequest { portfolio_id: portfolio.to_owned(), trades };
        let mut service = TradesServiceClient::new(self.channel.clone());
        let answer = service.batch_create_trades(self.request(batch)).await?.into_inner();
        refused("seed trades", answer.rejected.into_iter().next().map(|rejection| rejection.message))
    }
}

fn refused(doing: &'static str, reason: Option<String>) -> Result<(), Error> {
    let error = |reason: String| riskmesh_core::Error::internal(doing).because(reason);
    reason.map_or(Ok(()), |reason| Err(Error::Service(Box::new(error(reason)))))
}

/// Ten-thousandths as a decimal.
fn decimal(number: u64) -> String {
    format!("{}.{:04}", number / 10_000, number % 10_000)
}

/// A generated price as the contract has it.
fn price(generated: &generate::Price) -> Price {
    Price {
        instrument_id: generated.instrument.clone(),
        date: generated.day.to_string(),
        price: decimal(generated.price),
        currency: generated.currency.to_string(),
    }
}

/// A generated trade as the contract has it.
fn trade(generated: &generate::Trade) -> Trade {
    Trade {
        trade_id: generated.id.clone(),
        portfolio_id: String::new(),
        instrument_id: generated.price.instrument.clone(),
        side: if generated.buy { Side::Buy } else { Side::Sell }.into(),
        quantity: generated.quantity.to_string(),
        price: decimal(generated.price.price),
        currency: generated.price.currency.to_string(),
        counterparty_id: generated.counterparty.clone().unwrap_or_default(),
        executed_at: Some(api::time::to_proto(Timestamp(generated.at_ms))),
    }
}
