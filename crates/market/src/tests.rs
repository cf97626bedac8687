//! The service on a real embedded store, beside a fake of the role `clients`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;
mod golden;
mod prices;
mod risk;
mod sandbox;
mod worked_example;

use crate::{Config, Deps, Service, TABLES};
use api::market::v1::instruments_service_server::InstrumentsService as _;
use api::market::v1::portfolio_risk_service_server::PortfolioRiskService as _;
use api::market::v1::prices_service_server::PricesService as _;
use api::market::v1::{
    BatchCreatePricesRequest, BatchCreatePricesResponse, GetPortfolioAnalyticsRequest, Instrument,
    PortfolioAnalytics, Price, PutInstrumentRequest,
};
use authn::Role;
use fake::Fake;
use riskmesh_core::cipher::Key;
use riskmesh_core::cursor::Cursors;
use riskmesh_core::{Error, ErrorCode, ManualClock, TenantId, Timestamp};
use std::path::Path;
use std::sync::Arc;
use store::Store;
use store::faulty::{Faults, Faulty};
use testkit::service::code;
use tonic::{Request, Status};

const TENANT: &str = "acme";
/// 2026-02-01T00:00:00Z, when every test begins.
const NOW: Timestamp = Timestamp(1_769_904_000_000);

struct World {
    service: Service,
    fake: Arc<Fake>,
}

fn open(dir: &Path) -> Arc<dyn Store> {
    let tables = [store::list::TABLES, TABLES].concat();
    Arc::new(store_embedded::Embedded::open(store_embedded::Options::new(dir, tables)).unwrap())
}

impl World {
    fn on(store: Arc<dyn Store>) -> Self {
        let fake = Arc::new(Fake::default());
        let clock = Arc::new(ManualClock::at(NOW));
        let deps = Deps {
            store: store.clone(),
            lists: store::list::Lists::new(store, clock.clone()),
            cursors: Cursors::new(Key::new(&[7; 32]).unwrap()),
            clients: fake.channel(),
            reference: Arc::new(refdata::Live::open(None).unwrap()),
            clock,
        };
        Self { service: Service::new(&Config::default(), deps).unwrap(), fake }
    }

    fn open(dir: &Path) -> Self {
        Self::on(open(dir))
    }

    async fn put(&self, instrument: Instrument) -> Result<Instrument, Status> {
        let put = request(PutInstrumentRequest { instrument: Some(instrument) });
        Ok(self.service.instruments.put_instrument(put).await?.into_inner().instrument.unwrap())
    }

    async fn record(&self, prices: Vec<Price>) -> Result<BatchCreatePricesResponse, Status> {
        let batch = request(BatchCreatePricesRequest { prices });
        Ok(self.service.prices.batch_create_prices(batch).await?.into_inner())
    }

    async fn analytics(&self, portfolio: &str, as_of: &str) -> Result<PortfolioAnalytics, Error> {
        let as_of = (!as_of.is_empty()).then(|| as_of.to_owned());
        let get = GetPortfolioAnalyticsRequest { portfolio_id: portfolio.into(), as_of };
        let answer = self.service.portfolio_risk.get_portfolio_analytics(request(get)).await;
        answer
            .map(|answer| answer.into_inner().analytics.unwrap())
            .map_err(|status| Error::from_status(&status))
    }
}

fn instrument(id: &str, currency: &str) -> Instrument {
    Instrument { instrument_id: id.into(), currency: currency.into(), ..Instrument::default() }
}

fn price(id: &str, date: &str, price: &str, currency: &str) -> Price {
    Price { instrument_id: id.into(), date: date.into(), price: price.into(), currency: currency.into() }
}

fn request<T>(message: T) -> Request<T> {
    request_of(TENANT, message)
}

fn request_of<T>(tenant: &str, message: T) -> Request<T> {
    testkit::service::request_of(Role::Admin, TenantId::new(tenant).unwrap(), message)
}
