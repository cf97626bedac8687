//! What the service is about, without I/O.

pub(crate) mod account;
pub(crate) mod client;
pub(crate) mod entry;
pub(crate) mod holdings;
pub(crate) mod hours;
pub(crate) mod payment;
pub(crate) mod portfolio;
pub(crate) mod trade;

use riskmesh_core::{Currency, Detail, Error, Money, Timestamp};
use std::time::Duration;

/// How far ahead of our clock something may have happened: other clocks, and dates of other time zones.
const AHEAD: Duration = Duration::from_hours(24);

/// The currency that a field names.
pub(crate) fn currency(field: &'static str, code: &str) -> Result<Currency, Error> {
    Currency::new(code).ok_or_else(|| Error::invalid(Detail::new(field, "must be an ISO 4217 currency code")))
}

/// What the fields `amount` and `currency` say: exact, and greater than zero.
pub(crate) fn amount(amount: &str, code: &str) -> Result<Money, Error> {
    let invalid = |issue: String| Error::invalid(Detail::new("amount", issue));
    let amount =
        Money::parse(amount, currency("currency", code)?).map_err(|error| invalid(error.to_string()))?;
    if amount.minor <= 0 {
        return Err(invalid("must be greater than zero".into()));
    }
    Ok(amount)
}

/// When something happened: not more than a day ahead.
pub(crate) fn happened(
    field: &'static str,
    at: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let invalid = |issue: &'static str| Error::invalid(Detail::new(field, issue));
    let at = at.map(api::time::from_proto).ok_or_else(|| invalid("is required"))?;
    if at > now.plus(AHEAD) {
        return Err(invalid("must not be more than a day ahead"));
    }
    Ok(at)
}
