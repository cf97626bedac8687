//! Market data of a tenant, and the risk of its portfolios by them.
//!
//! Instruments and their prices are kept here, by tenant: a bank's prices are its own, or its vendor's. Portfolios and trades are the
//! role `clients`'; they are read through the contract, in this workload's name. Exchange rates are reference data. What is computed
//! from all that is in [`risk::portfolio`], a pure function: the same trades, prices, rates and model give the same answer.
//!
//! The way of a question: gather the trades into a book (`upstream`), what is held into a market (`repo`), compute (`portfolio_risk`).

mod config;
mod domain;
mod error;
mod instruments;
mod portfolio_risk;
mod prices;
mod repo;
mod rpc;
mod tables;
#[cfg(test)]
mod tests;
mod upstream;

pub use config::{Config, Error as ConfigError};
pub use tables::ALL as TABLES;

use api::market::v1::instruments_service_server::InstrumentsServiceServer;
use api::market::v1::portfolio_risk_service_server::PortfolioRiskServiceServer;
use api::market::v1::prices_service_server::PricesServiceServer;
use instruments::Instruments;
use mesh::Channel;
use portfolio_risk::PortfolioRisk;
use prices::Prices;
use riskmesh_core::Clock;
use riskmesh_core::cursor::Cursors;
use rpc::{InstrumentsRpc, PortfolioRiskRpc, PricesRpc};
use std::sync::Arc;
use store::Store;
use store::list::Lists;
use tonic::service::Routes;
use upstream::Upstream;

/// The largest request: a batch of 10,000 prices with every field filled.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// What the service works with.
pub struct Deps {
    /// Where its tables are.
    pub store: Arc<dyn Store>,
    /// The lists in it, which somebody maintains.
    pub lists: Lists,
    /// Seals page cursors.
    pub cursors: Cursors,
    /// The way to the role `clients`. Its credentials must let this workload read portfolios and scan trades.
    pub clients: Channel,
    /// The reference data in force: exchange rates.
    pub reference: Arc<refdata::Live>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The role `market`.
pub struct Service {
    instruments: InstrumentsRpc,
    prices: PricesRpc,
    portfolio_risk: PortfolioRiskRpc,
}

impl Service {
    /// The service with these settings, on these dependencies. Errors are settings that cannot work.
    pub fn new(config: &Config, deps: Deps) -> Result<Self, ConfigError> {
        let Deps { store, lists, cursors, clients, reference, clock } = deps;
        let model = Arc::new(config.load_model()?);
        let instrument_rows = repo::instruments::Instruments::new(store.clone(), lists);
        let price_rows = repo::prices::Prices::new(store);
        let instruments = Instruments { rows: instrument_rows.clone(), clock: clock.clone() };
        let prices = Prices { instruments: instrument_rows.clone(), rows: price_rows.clone(), clock };
        let portfolio_risk = PortfolioRisk {
            upstream: Upstream::new(clients),
            instruments: instrument_rows,
            prices: price_rows,
            reference,
            model,
        };
        Ok(Self {
            instruments: InstrumentsRpc { instruments, cursors: cursors.clone() },
            prices: PricesRpc { prices, cursors },
            portfolio_risk: PortfolioRiskRpc { portfolio_risk },
        })
    }

    /// The gRPC services, for a server stack.
    pub fn routes(&self) -> Routes {
        Routes::new(InstrumentsServiceServer::new(self.instruments.clone()))
            .add_service(
                PricesServiceServer::new(self.prices.clone()).max_decoding_message_size(MAX_REQUEST_BYTES),
            )
            .add_service(PortfolioRiskServiceServer::new(self.portfolio_risk.clone()))
    }
}
