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

use api::etag;
use riskmesh_core::{AccountId, ClientId, Detail, Error, ErrorCode, PortfolioId, TenantId, TradeId};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

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

/// What `If-Match` allows: any version, or the ones it lists.
#[derive(Clone, Debug)]
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    fn read(metadata: &MetadataMap) -> Result<Self, Error> {
        let Some(value) = metadata.get("if-match") else { return Ok(Self(None)) };
        let value =
            value.to_str().map_err(|_| Error::invalid(Detail::new("If-Match", "is not an entity tag")))?;
        Ok(Self((value.trim() != "*").then(|| value.to_owned())))
    }

    /// `PRECONDITION_FAILED` where the version is another one.
    pub(crate) fn check(&self, version: i64) -> Result<(), Error> {
        match &self.0 {
            Some(tags) if !tags.split(',').any(|tag| tag.trim() == etag::of(version)) => Err(Error::new(
                ErrorCode::PreconditionFailed,
            )
            .detail(Detail::expected("If-Match", "does not match the version there is", etag::of(version)))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_lists_versions_or_allows_all() {
        let check = |value: Option<&str>, version| {
            let mut metadata = MetadataMap::new();
            if let Some(value) = value {
                metadata.insert("if-match", value.parse().unwrap());
            }
            IfMatch::read(&metadata).unwrap().check(version).is_ok()
        };
        assert!(
            check(None, 1)
                && check(Some("*"), 1)
                && check(Some("\"v1\""), 1)
                && check(Some("\"v3\", \"v1\""), 1)
        );
        assert!(!check(Some("\"v2\""), 1) && !check(Some("v1"), 1) && !check(Some(""), 1));
    }
}
