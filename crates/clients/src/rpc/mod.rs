//! The gRPC services: from the contract's messages to what the service does, and back; nothing else.

mod accounts;
mod clients;
mod payments;
mod portfolios;
mod preferences;
mod trades;
mod transactions;

pub(crate) use accounts::AccountsRpc;
pub(crate) use clients::ClientsRpc;
pub(crate) use payments::PaymentsRpc;
pub(crate) use portfolios::PortfoliosRpc;
pub(crate) use preferences::PreferencesRpc;
pub(crate) use trades::TradesRpc;
pub(crate) use transactions::TransactionsRpc;

use riskmesh_core::{AccountId, ClientId, Error, PortfolioId, TenantId, TradeId};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

/// The caller's tenant: the only one whose data a handler ever touches.
fn tenant<T>(request: &Request<T>) -> Result<TenantId, Status> {
    Ok(authn::caller(request)?.tenant.clone())
}

fn client_id(text: &str) -> Result<ClientId, Error> {
    ClientId::new(text).map_err(|error| error.of("clientId"))
}

fn account_id(text: &str) -> Result<AccountId, Error> {
    AccountId::new(text).map_err(|error| error.of("accountId"))
}

fn portfolio_id(text: &str) -> Result<PortfolioId, Error> {
    PortfolioId::new(text).map_err(|error| error.of("portfolioId"))
}

fn trade_id(text: &str) -> Result<TradeId, Error> {
    TradeId::new(text).map_err(|error| error.of("tradeId"))
}

/// Tells that the answer is that of a request that came before, which was the same.
fn replayed<T>(response: &mut Response<T>) {
    response.metadata_mut().insert("idempotent-replayed", MetadataValue::from_static("true"));
}

/// What stopped a stream of batches at its message of this number, from 0. The messages before it are recorded, so many of what they
/// hold: whoever sent the stream goes on there.
fn broken_off(error: Error, message: usize, recorded: i64) -> Error {
    let told = format!("Message {message} of the stream: {}", error.message);
    let hint = format!(
        "{} What came before message {message} is recorded ({recorded} in all): go on with that message.",
        error.hint
    );
    error.message(told).hint(hint)
}
