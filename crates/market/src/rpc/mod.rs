//! The gRPC services: from the contract's messages to what the service does, and back; nothing else.

mod instruments;
mod portfolio_risk;
mod prices;

pub(crate) use instruments::InstrumentsRpc;
pub(crate) use portfolio_risk::PortfolioRiskRpc;
pub(crate) use prices::PricesRpc;

use riskmesh_core::{Error, InstrumentId, TenantId};
use tonic::{Request, Status};

/// The caller's tenant: the only one whose data a handler ever touches.
fn tenant<T>(request: &Request<T>) -> Result<TenantId, Status> {
    Ok(authn::caller(request)?.tenant.clone())
}

fn instrument_id(text: &str) -> Result<InstrumentId, Error> {
    InstrumentId::new(text).map_err(|error| error.of("instrumentId"))
}
