//! What callers get wrong.

use riskmesh_core::{Detail, Error, ErrorCode};

/// No country has this code.
pub(crate) fn no_country(code: &str) -> Error {
    Error::not_found(ErrorCode::CountryNotFound, "code", code)
}

/// No currency has this code.
pub(crate) fn no_currency(code: &str) -> Error {
    Error::not_found(ErrorCode::CurrencyNotFound, "code", code)
}

/// No publication has this version.
pub(crate) fn no_list(version: &str) -> Error {
    Error::not_found(ErrorCode::RiskListNotFound, "version", version)
}

/// No rate of the base is known by then.
pub(crate) fn no_rate(base: &str, day: risk::Day) -> Error {
    let issue = format!("{base} has no rate on or before {day}");
    Error::new(ErrorCode::RateNotFound).detail(Detail::new("base", issue))
}

/// Validation lets an empty text pass, which here is no date.
pub(crate) fn bad_date() -> Error {
    Error::invalid(Detail::expected("date", "must be a date, YYYY-MM-DD", "YYYY-MM-DD"))
}

/// The same for a currency.
pub(crate) fn bad_base() -> Error {
    Error::invalid(Detail::expected("base", "must be an ISO 4217 currency code", "^[A-Z]{3}$"))
}
