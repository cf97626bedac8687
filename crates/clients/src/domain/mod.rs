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
/// The longest field name that an error repeats.
const SHOWN: usize = 64;

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

/// The fields that a patch changes: those that the mask names, `*` for all that may be changed, and without a mask those that are set.
pub(crate) fn patched<'a>(
    mask: Option<&'a [String]>,
    changeable: &[&'a str],
    set: impl FnOnce() -> Vec<&'a str>,
) -> Vec<&'a str> {
    match mask {
        Some([star]) if star == "*" => changeable.to_vec(),
        Some(paths) => paths.iter().map(String::as_str).collect(),
        None => set(),
    }
}

/// The error of an update mask that names what cannot be changed; the fields are told by their JSON names.
pub(crate) fn unchangeable(path: &str, changeable: &[&str]) -> Error {
    let path: String = path.chars().take(SHOWN).collect();
    let issue = format!("names {}, which cannot be changed", json_name(&path));
    let changeable: Vec<String> = changeable.iter().map(|name| json_name(name)).collect();
    Error::invalid(Detail::expected("updateMask", issue, changeable.join(", ")))
}

/// `residence_country` -> `residenceCountry`.
fn json_name(name: &str) -> String {
    let mut upper = false;
    let mut json = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => json.push(c.to_ascii_uppercase()),
            c => json.push(c),
        }
    }
    json
}
