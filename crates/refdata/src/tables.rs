//! The tables of ISO 3166-1 and ISO 4217 that ship with the program: `models/refdata/countries.csv` and `currencies.csv`.

use crate::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `models/refdata/countries.csv`.
pub(crate) const COUNTRIES: &str = include_str!("../../../models/refdata/countries.csv");
/// `models/refdata/currencies.csv`.
pub(crate) const CURRENCIES: &str = include_str!("../../../models/refdata/currencies.csv");

/// A country or territory of ISO 3166-1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Country {
    /// The alpha-2 code.
    pub alpha2: risk::Country,
    /// The alpha-3 code.
    pub alpha3: String,
    /// The numeric code, three digits.
    pub numeric: String,
    /// The name in English.
    pub name: String,
}

/// A currency of ISO 4217.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// The alphabetic code.
    pub code: risk::Currency,
    /// The numeric code, three digits.
    pub numeric: String,
    /// The name in English.
    pub name: String,
    /// The decimal places of an amount.
    pub minor_units: u8,
}

/// All countries, by alpha-2 code.
pub(crate) fn countries() -> Result<Vec<Country>, Error> {
    read("countries", COUNTRIES)
}

/// All currencies, by code.
pub(crate) fn currencies() -> Result<Vec<Currency>, Error> {
    read("currencies", CURRENCIES)
}

fn read<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<Vec<T>, Error> {
    let rows: Result<Vec<T>, csv::Error> =
        csv::Reader::from_reader(text.as_bytes()).into_deserialize().collect();
    rows.map_err(|source| Error::Table { what, source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use riskmesh_core::country::is_country;
    use std::collections::BTreeSet;

    fn digits(code: &str) -> bool {
        code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit())
    }

    #[test]
    fn the_countries_are_those_that_validation_knows() {
        let all = countries().unwrap();
        assert!(all.is_sorted_by_key(|country| country.alpha2));
        let codes: BTreeSet<_> = all.iter().map(|country| country.alpha2.as_str().to_owned()).collect();
        let known = riskmesh_core::country::CODES.split_ascii_whitespace().map(str::to_owned).collect();
        assert_eq!(codes, known);
        assert!(all.iter().all(|country| is_country(country.alpha2.as_str()) && digits(&country.numeric)));
        assert!(all.iter().all(|country| country.alpha3.len() == 3 && !country.name.trim().is_empty()));
        for unique in [
            all.iter().map(|country| &country.alpha3).collect::<BTreeSet<_>>(),
            all.iter().map(|country| &country.numeric).collect(),
            all.iter().map(|country| &country.name).collect(),
        ] {
            assert_eq!(unique.len(), all.len());
        }
        let namibia = all.iter().find(|country| country.alpha2.as_str() == "NA").unwrap();
        assert_eq!((&*namibia.alpha3, &*namibia.numeric, &*namibia.name), ("NAM", "516", "Namibia"));
    }

    #[test]
    fn the_currencies_are_those_that_validation_knows_with_their_places() {
        let all = currencies().unwrap();
        assert!(all.is_sorted_by_key(|currency| currency.code));
        for currency in &all {
            let known = riskmesh_core::Currency::new(currency.code.as_str()).unwrap();
            assert_eq!(known.places(), currency.minor_units, "{known}");
            assert_eq!(u32::from(currency.minor_units), currency.code.exponent(), "{known}");
            assert!(digits(&currency.numeric) && !currency.name.trim().is_empty(), "{known}");
        }
        let numeric: BTreeSet<_> = all.iter().map(|currency| &currency.numeric).collect();
        assert_eq!(numeric.len(), all.len());
        let letters = || ('A'..='Z').map(String::from);
        let every = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
        let every = every.flat_map(|ab| letters().map(move |c| format!("{ab}{c}")));
        assert_eq!(every.filter(|code| riskmesh_core::Currency::new(code).is_some()).count(), all.len());
    }
}
