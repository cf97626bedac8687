//! Exact decimal numbers with a fixed number of places: quantities and prices.

use crate::error::{Detail, Error};
use std::fmt;

/// A decimal number with at most `PLACES` places, kept as a whole number of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const PLACES: u32>(pub i64);

/// How many units of an instrument: six places, below 10^12.
pub type Quantity = Fixed<6>;
/// What one unit costs: eight places, below 10^10.
pub type Price = Fixed<8>;

/// Why a text is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFixed {
    /// Not digits with an optional fraction.
    #[error("must be a decimal number such as 12.5")]
    Syntax,
    /// More decimal places than are kept.
    #[error("has too many decimal places")]
    Places,
    /// 10^18 of the last place or more.
    #[error("is too large")]
    TooLarge,
}

impl InvalidFixed {
    /// What would be right for a number with these places, below this limit in units of the last one.
    pub(crate) fn expected(self, places: u32, limit: i64) -> String {
        match self {
            Self::Syntax => SYNTAX.into(),
            Self::Places => format!("at most {places} decimal places"),
            Self::TooLarge => format!("< {}", decimal(limit.into(), places)),
        }
    }
}

/// The form of a number greater than zero.
const SYNTAX: &str = r"^[0-9]+(\.[0-9]+)?$";

/// `INVALID_INPUT` for a number that is not greater than zero.
pub(crate) fn not_positive(field: &'static str) -> Error {
    Error::invalid(Detail::expected(field, "must be greater than zero", "> 0"))
}

impl<const PLACES: u32> Fixed<PLACES> {
    /// One more than the largest number, in units of the last place.
    pub const LIMIT: i64 = 1_000_000_000_000_000_000;

    /// Parses a plain decimal such as `100`, `0.5` or `-3.25`; trailing zeros beyond the places are exact and allowed.
    ///
    /// # Errors
    /// What it is not.
    pub fn parse(text: &str) -> Result<Self, InvalidFixed> {
        parse(text, PLACES, Self::LIMIT).map(Self)
    }

    /// What a field says: a number greater than zero.
    ///
    /// # Errors
    /// `INVALID_INPUT`.
    pub fn positive(field: &'static str, text: &str) -> Result<Self, Error> {
        let number = Self::parse(text).map_err(|error| {
            let expected = error.expected(PLACES, Self::LIMIT);
            Error::invalid(Detail::expected(field, error.to_string(), expected))
        })?;
        if number.0 > 0 { Ok(number) } else { Err(not_positive(field)) }
    }
}

/// Reads a plain decimal as a whole number of the `places`-th decimal place, nearer to zero than `limit`.
pub(crate) fn parse(text: &str, places: u32, limit: i64) -> Result<i64, InvalidFixed> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') || text.len() > 40 {
        return Err(InvalidFixed::Syntax);
    }
    let places = places as usize;
    let (kept, cut) = fraction.split_at(fraction.len().min(places));
    if cut.bytes().any(|c| c != b'0') {
        return Err(InvalidFixed::Places);
    }
    let mut number: i64 = 0;
    for digit in whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', places - kept.len())) {
        let next = number.checked_mul(10).and_then(|number| number.checked_add(i64::from(digit - b'0')));
        number = next.filter(|number| *number < limit).ok_or(InvalidFixed::TooLarge)?;
    }
    Ok(if negative { -number } else { number })
}

/// The plain decimal without trailing zeros: `100`, `0.5`.
impl<const PLACES: u32> fmt::Display for Fixed<PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(i128::from(self.0), PLACES))
    }
}

/// A whole number of units of the `places`-th decimal place as a plain decimal with all of its places.
pub fn padded(number: i128, places: u32) -> String {
    let (sign, digits) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    let unit = 10_u128.pow(places);
    match places {
        0 => format!("{sign}{digits}"),
        _ => format!("{sign}{}.{:0width$}", digits / unit, digits % unit, width = places as usize),
    }
}

/// A whole number of units of the `places`-th decimal place as a plain decimal without trailing zeros.
pub fn decimal(number: i128, places: u32) -> String {
    let (sign, digits) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    let unit = 10_u128.pow(places);
    let fraction = format!("{:0width$}", digits % unit, width = places as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{}", digits / unit),
        fraction => format!("{sign}{}.{fraction}", digits / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact_and_bounded() {
        assert_eq!(Quantity::parse("12.5"), Ok(Fixed(12_500_000)));
        assert_eq!(Quantity::parse("-0.000001"), Ok(Fixed(-1)));
        assert_eq!(Quantity::parse("1.0000000"), Ok(Fixed(1_000_000)));
        assert_eq!(Quantity::parse("0.0000001"), Err(InvalidFixed::Places));
        assert_eq!(Quantity::parse("999999999999.999999"), Ok(Fixed(999_999_999_999_999_999)));
        assert_eq!(Quantity::parse("1000000000000"), Err(InvalidFixed::TooLarge));
        assert_eq!(Price::parse("9999999999.99999999"), Ok(Fixed(999_999_999_999_999_999)));
        for digits in 11..40 {
            assert_eq!(Price::parse(&"9".repeat(digits)), Err(InvalidFixed::TooLarge), "{digits} nines");
        }
        for bad in ["", "-", ".", "1.", ".5", "1e3", "+1", "1,0", " 1", "1.2.3", "--1", "NaN"] {
            assert_eq!(Price::parse(bad), Err(InvalidFixed::Syntax), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_prints_parses(number in 1 - Quantity::LIMIT..Quantity::LIMIT) {
            prop_assert_eq!(Quantity::parse(&Fixed::<6>(number).to_string()), Ok(Fixed(number)));
            prop_assert_eq!(Price::parse(&Fixed::<8>(number).to_string()), Ok(Fixed(number)));
        }
    }
}
