//! What the service is about, without I/O.

pub(crate) mod instrument;
pub(crate) mod lacking;
pub(crate) mod price;

use risk::Day;
use riskmesh_core::{Detail, Error};

/// The day that a field names.
pub(crate) fn day(field: &'static str, text: &str) -> Result<Day, Error> {
    let bad = |_| Error::invalid(Detail::expected(field, "must be a date, YYYY-MM-DD", "YYYY-MM-DD"));
    Day::parse(text).map_err(bad)
}
