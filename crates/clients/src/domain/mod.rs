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

/// What the fields `amount` and `currency` say: exact, and greater than zero.
pub(crate) fn amount(amount: &str, code: &str) -> Result<Money, Error> {
    Money::positive(amount, Currency::named("currency", code)?)
}

/// When something happened: not more than a day ahead.
pub(crate) fn happened(
    field: &'static str,
    at: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Result<Timestamp, Error> {
    let invalid = |issue, expected| Error::invalid(Detail::expected(field, issue, expected));
    let at = at.map(api::time::from_proto).ok_or_else(|| invalid("is required", "RFC 3339"))?;
    if at > now.plus(AHEAD) {
        return Err(invalid("must not be more than a day ahead", "RFC 3339, at most 24 hours ahead"));
    }
    Ok(at)
}
