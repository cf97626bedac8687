//! Dated exchange rates and exact conversion to the base currency.
//!
//! A rate is a fraction of integers, the one used is the latest on or before the event's day, and the table carries a
//! version that goes into every answer. Rounding is half up, once, on the converted sum.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::{code::Currency, time::Day};

/// Units of a currency for one unit of the base, as `mantissa / 10^scale` (the way the ECB quotes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    mantissa: u64,
    scale: u32,
}

impl Rate {
    /// One to one.
    pub const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// Takes a positive decimal with at most nine digits before and nine after the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let sane = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !sane(whole) || !sane(fraction) {
            return None;
        }
        let mantissa = format!("{whole}{fraction}").parse().ok().filter(|mantissa| *mantissa > 0)?;
        Some(Self { mantissa, scale: fraction.len() as u32 })
    }

    /// `minor` units of `from` in minor units of `base`, half up. Saturates far beyond any sum of money.
    pub fn convert(self, minor: u128, from: Currency, base: Currency) -> u128 {
        Factor::new(self, from, base).convert(minor)
    }
}

/// What minor units of one currency are multiplied with to be those of another, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Factor {
    numerator: u128,
    denominator: u128,
}

impl Factor {
    const ONE: Self = Self { numerator: 1, denominator: 1 };

    fn new(rate: Rate, from: Currency, base: Currency) -> Self {
        let numerator = 10_u128.pow(rate.scale + base.exponent());
        let denominator = u128::from(rate.mantissa) * 10_u128.pow(from.exponent());
        if numerator == denominator { Self::ONE } else { Self { numerator, denominator } }
    }

    /// Half up, saturating.
    pub(crate) fn convert(self, minor: u128) -> u128 {
        if self == Self::ONE {
            return minor;
        }
        self.narrow(minor).unwrap_or_else(|| self.wide(minor))
    }

    /// In one machine word, whose division costs a tenth: most amounts fit.
    fn narrow(self, minor: u128) -> Option<u128> {
        let word = |n: u128| u64::try_from(n).ok();
        let denominator = word(self.denominator)?;
        let product = word(minor)?.checked_mul(word(self.numerator)?)?;
        Some(u128::from(product.checked_add(denominator / 2)? / denominator))
    }

    /// Divided first, so that no intermediate is larger than the result.
    fn wide(self, minor: u128) -> u128 {
        let Self { numerator, denominator } = self;
        let (whole, rest) = (minor / denominator, minor % denominator);
        let part = (rest.saturating_mul(numerator).saturating_add(denominator / 2)) / denominator;
        whole.saturating_mul(numerator).saturating_add(part)
    }
}

/// A source of dated rates. Immutable: other rates are another source with another version.
pub trait Rates: fmt::Debug + Send + Sync {
    /// Names this table in answers.
    fn version(&self) -> &str;

    /// What everything is converted to.
    fn base(&self) -> Currency;

    /// The latest rate of `currency` on or before `day`; `None` when there is none. The base's is one, always.
    fn rate(&self, currency: Currency, day: Day) -> Option<Rate>;

    /// `minor` units of `currency` in minor units of the base at the rate of `day`.
    fn to_base(&self, minor: u128, currency: Currency, day: Day) -> Option<u128> {
        self.rate(currency, day).map(|rate| rate.convert(minor, currency, self.base()))
    }
}

/// Asks for rates one after the other, and for the same one once.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    rates: &'a dyn Rates,
    base: Currency,
    last: Option<(Currency, Day, Option<Factor>)>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(rates: &'a dyn Rates) -> Self {
        Self { rates, base: rates.base(), last: None }
    }

    /// What converts this currency to the base on this day.
    pub(crate) fn factor(&mut self, currency: Currency, day: Day) -> Option<Factor> {
        if currency == self.base {
            return Some(Factor::ONE);
        }
        match self.last {
            Some((same, then, factor)) if (same, then) == (currency, day) => factor,
            _ => {
                let rate = self.rates.rate(currency, day);
                let factor = rate.map(|rate| Factor::new(rate, currency, self.base));
                self.last = Some((currency, day, factor));
                factor
            }
        }
    }
}

/// Why a file is not a table of rates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, or not of this shape.
    #[error("parse rates")]
    Parse(#[from] toml::de::Error),
    /// The version is empty or longer than 64 characters.
    #[error("version must have 1 to 64 characters")]
    Version,
    /// A rate is not a positive decimal.
    #[error("rate of {currency} on {day} must be a positive decimal, such as \"1.0842\"")]
    Rate {
        /// Whose.
        currency: Currency,
        /// When.
        day: Day,
    },
    /// One currency has two rates on one day, or the base has one.
    #[error("{currency} may not have a rate, or not a second one, on {day}")]
    Repeated {
        /// Whose.
        currency: Currency,
        /// When.
        day: Day,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: String,
    base: Currency,
    /// For the reader of the file.
    #[serde(rename = "note")]
    _note: String,
    day: Vec<FileDay>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileDay {
    date: Day,
    rates: BTreeMap<Currency, String>,
}

/// A table of rates from a TOML file; see `models/refdata/fx-sample-1.toml`.
#[derive(Clone, Debug)]
pub struct FxTable {
    version: String,
    base: Currency,
    rates: BTreeMap<Currency, Vec<(Day, Rate)>>,
}

impl FxTable {
    /// Reads a table, strictly.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        if !(1..=64).contains(&file.version.len()) {
            return Err(Error::Version);
        }
        let mut rates: BTreeMap<Currency, Vec<(Day, Rate)>> = BTreeMap::new();
        for day in file.day {
            for (currency, text) in day.rates {
                let rate = Rate::parse(&text).ok_or(Error::Rate { currency, day: day.date })?;
                let dated = rates.entry(currency).or_default();
                match dated.binary_search_by_key(&day.date, |(day, _)| *day) {
                    Err(at) if currency != file.base => dated.insert(at, (day.date, rate)),
                    _ => return Err(Error::Repeated { currency, day: day.date }),
                }
            }
        }
        Ok(Self { version: file.version, base: file.base, rates })
    }

    /// The latest rate of a currency on or before a day, with its own day; none for the base.
    pub fn latest(&self, currency: Currency, day: Day) -> Option<(Day, Rate)> {
        let dated = self.rates.get(&currency)?;
        let later = dated.partition_point(|(from, _)| *from <= day);
        later.checked_sub(1).map(|at| dated[at])
    }

    /// The sample rates that ship with the program. They are invented: plausible in size, no market data.
    pub fn sample() -> Result<Self, Error> {
        Self::parse(include_str!("../../../models/refdata/fx-sample-1.toml"))
    }
}

impl Rates for FxTable {
    fn version(&self) -> &str {
        &self.version
    }

    fn base(&self) -> Currency {
        self.base
    }

    fn rate(&self, currency: Currency, day: Day) -> Option<Rate> {
        if currency == self.base {
            return Some(Rate::ONE);
        }
        self.latest(currency, day).map(|(_, rate)| rate)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn table(days: &str) -> Result<FxTable, Error> {
        FxTable::parse(&format!("version = \"t\"\nbase = \"EUR\"\nnote = \"n\"\n{days}"))
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn currency(code: &str) -> Currency {
        Currency::new(code).unwrap()
    }

    #[test]
    fn the_latest_rate_on_or_before_the_day_counts() {
        let table = table(
            "[[day]]\ndate = \"2025-03-01\"\nrates = { USD = \"1.25\" }\n\
             [[day]]\ndate = \"2025-01-01\"\nrates = { USD = \"1.10\", JPY = \"160\" }",
        )
        .unwrap();
        let usd = |on| table.to_base(1_100, currency("USD"), day(on));
        assert_eq!(usd("2024-12-31"), None);
        assert_eq!(usd("2025-01-01"), Some(1_000));
        assert_eq!(usd("2025-02-28"), Some(1_000));
        assert_eq!(usd("2025-03-01"), Some(880));
        assert_eq!(table.to_base(7, Currency::EUR, day("1990-01-01")), Some(7));
        // 160 yen, no minor unit, are one euro of 100 cents; half a cent rounds up.
        assert_eq!(table.to_base(16_000, currency("JPY"), day("2025-02-01")), Some(10_000));
        assert_eq!(table.to_base(4, currency("JPY"), day("2025-02-01")), Some(3));
    }

    #[test]
    fn sums_of_any_size_convert_without_overflow() {
        let rate = Rate::parse("1.000000001").unwrap();
        assert_eq!(rate.convert(u128::from(u64::MAX) * 1_000_000_001, currency("USD"), Currency::EUR), {
            u128::from(u64::MAX) * 1_000_000_000
        });
        assert_eq!(
            Rate::parse("0.000000001").unwrap().convert(u128::MAX, currency("UYW"), Currency::EUR),
            u128::MAX
        );
    }

    proptest! {
        #[test]
        fn one_word_converts_like_two(
            minor: u64,
            shift in 0_u32..64,
            mantissa in 1_u64..1 << 60,
            wide in 0_u32..60,
            scale in 0_u32..10,
        ) {
            let rate = Rate { mantissa: (mantissa >> wide).max(1), scale };
            let factor = Factor::new(rate, currency("JPY"), Currency::EUR);
            let minor = u128::from(minor >> shift);
            if let Some(converted) = factor.narrow(minor) {
                prop_assert_eq!(converted, factor.wide(minor));
            }
        }
    }

    #[test]
    fn rates_that_are_asked_for_again_are_the_same() {
        let table = FxTable::sample().unwrap();
        let mut exchange = Exchange::new(&table);
        let mut converted = 0;
        for day in 0..40_000 {
            for code in ["EUR", "USD", "USD", "JPY", "XXX"] {
                let (code, day) = (currency(code), Day::from_number(day));
                let factor = exchange.factor(code, day);
                assert_eq!(factor.map(|factor| factor.convert(12_345)), table.to_base(12_345, code, day));
                converted += u32::from(factor.is_some());
            }
        }
        assert!(converted > 40_000, "{converted}");
    }

    #[test]
    fn bad_tables_are_refused() {
        assert!(matches!(
            table("[[day]]\ndate = \"2025-01-01\"\nrates = { USD = \"0.0\" }"),
            Err(Error::Rate { .. })
        ));
        assert!(matches!(
            table("[[day]]\ndate = \"2025-01-01\"\nrates = { USD = \"-1\" }"),
            Err(Error::Rate { .. })
        ));
        assert!(matches!(
            table("[[day]]\ndate = \"2025-01-01\"\nrates = { EUR = \"1\" }"),
            Err(Error::Repeated { .. })
        ));
        let twice = "[[day]]\ndate = \"2025-01-01\"\nrates = { USD = \"1\" }\n".repeat(2);
        assert!(matches!(table(&twice), Err(Error::Repeated { .. })));
        assert!(matches!(table("[[day]]\ndate = \"2025-02-30\"\nrates = {}"), Err(Error::Parse(_))));
        assert!(matches!(table("[[days]]\n"), Err(Error::Parse(_))));
    }

    #[test]
    fn the_sample_table_covers_the_sandbox() {
        let table = FxTable::sample().unwrap();
        assert!(table.version().contains("sample"));
        for code in ["EUR", "USD", "GBP", "CHF", "JPY", "NAD", "ZAR", "KWD"] {
            assert!(table.rate(currency(code), day("2000-01-01")).is_some(), "{code}");
        }
    }
}
