//! Exact money: integer minor units and an ISO 4217 currency; no float ever touches an amount.

use crate::codes::listed;
use crate::error::{Detail, Error};
use crate::fixed::{self, InvalidFixed};
use std::fmt;

/// The largest amount of minor units in one entry: sums of squares over any number of entries we hold stay within `i128`.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// An ISO 4217 currency with its number of decimal places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Decimal places other than two (ISO 4217, exponent column); sorted.
const PLACES: &[(&[u8; 3], u8)] = &[
    (b"BHD", 3),
    (b"BIF", 0),
    (b"CLF", 4),
    (b"CLP", 0),
    (b"DJF", 0),
    (b"GNF", 0),
    (b"IQD", 3),
    (b"ISK", 0),
    (b"JOD", 3),
    (b"JPY", 0),
    (b"KMF", 0),
    (b"KRW", 0),
    (b"KWD", 3),
    (b"LYD", 3),
    (b"OMR", 3),
    (b"PYG", 0),
    (b"RWF", 0),
    (b"TND", 3),
    (b"UGX", 0),
    (b"UYI", 0),
    (b"UYW", 4),
    (b"VND", 0),
    (b"VUV", 0),
    (b"XAF", 0),
    (b"XOF", 0),
    (b"XPF", 0),
];

/// Currencies in use with two decimal places (ISO 4217 list one): sorted, a blank after each.
const TWO_PLACES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF \
    CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR \
    ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD \
    NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB \
    TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ";

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// The currency of this ISO 4217 code, upper case.
    pub fn new(code: &str) -> Option<Self> {
        let code: [u8; 3] = code.as_bytes().try_into().ok()?;
        let known = listed::<4>(TWO_PLACES, &code)
            || PLACES.binary_search_by(|(known, _)| (**known).cmp(&code)).is_ok();
        known.then_some(Self(code))
    }

    /// The currency that a field names.
    ///
    /// # Errors
    /// `INVALID_INPUT`.
    pub fn named(field: &'static str, code: &str) -> Result<Self, Error> {
        let detail = || Detail::expected(field, "must be an ISO 4217 currency code", "^[A-Z]{3}$");
        Self::new(code).ok_or_else(|| Error::invalid(detail()))
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Decimal places of the major unit.
    pub fn places(self) -> u8 {
        PLACES.iter().find(|(code, _)| **code == self.0).map_or(2, |(_, places)| *places)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An exact amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units: cents, fils, or whole yen.
    pub minor: i64,
    /// The currency they are of.
    pub currency: Currency,
}

impl Money {
    /// Parses a plain decimal such as `100`, `100.5` or `-0.01`; trailing zeros beyond the currency's places are exact and allowed.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, InvalidFixed> {
        let minor = fixed::parse(text, currency.places().into(), MAX_MINOR + 1)?;
        Ok(Self { minor, currency })
    }

    /// What the field `amount` says: exact, and greater than zero.
    ///
    /// # Errors
    /// `INVALID_INPUT`.
    pub fn positive(text: &str, currency: Currency) -> Result<Self, Error> {
        let field = "amount";
        let amount = Self::parse(text, currency).map_err(|error| {
            let issue = match error {
                InvalidFixed::Syntax => "must be a decimal number such as 100.00",
                InvalidFixed::Places => "has more decimal places than the currency",
                InvalidFixed::TooLarge => "is too large",
            };
            let expected = error.expected(currency.places().into(), MAX_MINOR + 1);
            Error::invalid(Detail::expected(field, issue, expected))
        })?;
        if amount.minor > 0 { Ok(amount) } else { Err(fixed::not_positive(field)) }
    }
}

/// The plain decimal with all of the currency's places: `100.00`, `-0.01`, `5` yen.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fixed::padded(self.minor.into(), self.currency.places().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eur(text: &str) -> Result<i64, InvalidFixed> {
        Money::parse(text, Currency::EUR).map(|money| money.minor)
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(eur("100.00"), Ok(10_000));
        assert_eq!(eur("100"), Ok(10_000));
        assert_eq!(eur("0.1"), Ok(10));
        assert_eq!(eur("-0.01"), Ok(-1));
        assert_eq!(eur("1.230000"), Ok(123));
        assert_eq!(eur("1.231"), Err(InvalidFixed::Places));
        assert_eq!(eur("10000000000000.00"), Ok(MAX_MINOR));
        assert_eq!(eur("10000000000000.01"), Err(InvalidFixed::TooLarge));
        for bad in ["", "-", ".", "1.", ".5", "1e3", "+1", "1,0", " 1", "١", "1.2.3", "--1", "NaN"] {
            assert_eq!(eur(bad), Err(InvalidFixed::Syntax), "{bad}");
        }
    }

    #[test]
    fn places_follow_the_currency() {
        let yen = Currency::new("JPY").unwrap();
        assert_eq!(Money::parse("5", yen).unwrap().to_string(), "5");
        assert_eq!(Money::parse("5.1", yen), Err(InvalidFixed::Places));
        let dinar = Currency::new("KWD").unwrap();
        assert_eq!(Money::parse("5.1", dinar).unwrap().to_string(), "5.100");
        assert!(TWO_PLACES.split_ascii_whitespace().is_sorted() && PLACES.is_sorted());
        let all = TWO_PLACES.split_ascii_whitespace().map(str::as_bytes);
        let all: Vec<&[u8]> = all.chain(PLACES.iter().map(|(code, _)| code.as_slice())).collect();
        for code in &all {
            assert!(Currency::new(std::str::from_utf8(code).unwrap()).is_some(), "{code:?}");
        }
        assert_eq!(all.len(), TWO_PLACES.len() / 4 + PLACES.len());
        for bad in ["eur", "EU", "EURO", "XYZ", "", "   "] {
            assert!(Currency::new(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_prints_parses(minor in -MAX_MINOR..=MAX_MINOR, code in prop::sample::select(vec!["EUR", "JPY", "KWD", "CLF"])) {
            let money = Money { minor, currency: Currency::new(code).unwrap() };
            prop_assert_eq!(Money::parse(&money.to_string(), money.currency), Ok(money));
        }
    }
}
