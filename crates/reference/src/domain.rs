//! What is asked of a set: pure functions.

use crate::error;
use refdata::{Country, Currency, RiskList, Set};
use risk::Day;
use riskmesh_core::{Error, Timestamp};

/// The day that a request names, or today.
pub(crate) fn day(text: Option<&str>, now: Timestamp) -> Result<Day, Error> {
    match text {
        None => Ok(Day::of(now.millis())),
        Some(text) => Day::parse(text).map_err(|_| error::bad_date()),
    }
}

/// The country of an alpha-2, alpha-3 or numeric code.
pub(crate) fn country<'a>(set: &'a Set, code: &str) -> Result<&'a Country, Error> {
    let has = |country: &&Country| {
        country.alpha2.as_str() == code || country.alpha3 == code || country.numeric == code
    };
    set.countries().iter().find(has).ok_or_else(|| error::no_country(code))
}

/// The currency of an alphabetic or numeric code.
pub(crate) fn currency<'a>(set: &'a Set, code: &str) -> Result<&'a Currency, Error> {
    let has = |currency: &&Currency| currency.code.as_str() == code || currency.numeric == code;
    set.currencies().iter().find(has).ok_or_else(|| error::no_currency(code))
}

/// The publication of a version.
pub(crate) fn list<'a>(set: &'a Set, version: &str) -> Result<&'a RiskList, Error> {
    let has = |list: &&RiskList| list.lists.version() == version;
    set.lists().iter().find(has).ok_or_else(|| error::no_list(version))
}

/// The currency that rates are asked for one unit of.
pub(crate) fn base(set: &Set, code: Option<&str>) -> Result<risk::Currency, Error> {
    match code {
        None => Ok(set.rates().base()),
        Some(code) => risk::Currency::new(code).map_err(|_| error::bad_base()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use riskmesh_core::ErrorCode;

    #[test]
    fn a_country_is_found_by_each_of_its_codes() {
        let set = Set::builtin().unwrap();
        for code in ["NA", "NAM", "516"] {
            assert_eq!(country(&set, code).unwrap().name, "Namibia", "{code}");
        }
        for code in ["XX", "XXX", "999", "na"] {
            assert_eq!(country(&set, code).unwrap_err().code, ErrorCode::CountryNotFound, "{code}");
        }
    }

    #[test]
    fn a_currency_is_found_by_each_of_its_codes() {
        let set = Set::builtin().unwrap();
        for code in ["KWD", "414"] {
            assert_eq!(currency(&set, code).unwrap().minor_units, 3, "{code}");
        }
        assert_eq!(currency(&set, "XYZ").unwrap_err().code, ErrorCode::CurrencyNotFound);
    }

    #[test]
    fn no_date_is_today() {
        let now = Timestamp::parse("2026-02-13T23:59:59Z").unwrap();
        assert_eq!(day(None, now).unwrap().to_string(), "2026-02-13");
        assert_eq!(day(Some("2025-01-02"), now).unwrap().to_string(), "2025-01-02");
        for bad in ["2025-02-30", ""] {
            assert_eq!(day(Some(bad), now).unwrap_err().code, ErrorCode::InvalidInput, "{bad}");
        }
    }
}
