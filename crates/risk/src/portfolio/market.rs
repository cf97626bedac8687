//! What is known of instruments and exchange rates.

use std::{collections::BTreeMap, fmt};

use super::{Error, Price, units::UNIT, units::div_round};
use crate::{
    code::{Country, Currency},
    time::Day,
};

/// Units of a currency for one unit of another: `mantissa / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cross {
    mantissa: i128,
    scale: u32,
}

impl Cross {
    /// One to one.
    pub const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// A rate of a mantissa below 10^19, more than 0, and at most 27 decimal places.
    pub fn new(mantissa: u128, scale: u32) -> Option<Self> {
        let mantissa =
            i128::try_from(mantissa).ok().filter(|mantissa| (1..10_i128.pow(19)).contains(mantissa))?;
        (scale <= 27).then_some(Self { mantissa, scale })
    }

    /// The rate, as near as a double comes: to show or to compare, never to value anything by.
    pub fn as_f64(self) -> f64 {
        self.mantissa as f64 / 10_f64.powi(self.scale as i32)
    }

    /// What one unit of an instrument is worth in the other currency, in 10^-12 of it.
    pub(super) fn unit_value(self, price: Price) -> Result<i128, Error> {
        // A price has eight places: four more, and those of the rate.
        let up = 10_i128.pow(4 + self.scale);
        let numerator = i128::from(price.0).checked_mul(up).ok_or(Error::Range)?;
        Ok(div_round(numerator, self.mantissa))
    }

    /// What a unit of the currency became worth in the other one from this rate to the `next`, as a factor in 10^-12.
    pub(super) fn change_to(self, next: Self) -> Result<i128, Error> {
        if self == next {
            return Ok(UNIT);
        }
        let scaled = |mantissa: i128, by: u32| mantissa.checked_mul(10_i128.pow(by)).ok_or(Error::Range);
        let before = scaled(self.mantissa, next.scale.saturating_sub(self.scale))?;
        let after = scaled(next.mantissa, self.scale.saturating_sub(next.scale))?;
        Ok(div_round(before.checked_mul(UNIT).ok_or(Error::Range)?, after))
    }
}

/// Dated exchange rates.
pub trait Fx: fmt::Debug + Send + Sync {
    /// Units of `currency` for one unit of `base` by the latest rate on or before a day; `None` where there is none.
    fn cross(&self, currency: Currency, base: Currency, day: Day) -> Option<Cross>;

    /// Whether a currency has a rate on or before a day, or is the one that rates are told in.
    fn knows(&self, currency: Currency, day: Day) -> bool;
}

/// What is known of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// What its prices are in.
    pub currency: Currency,
    /// Where its issuer's risk is.
    pub country: Option<Country>,
    /// What its issuer does.
    pub sector: Option<Box<str>>,
    /// Its prices by day, the oldest first; one a day.
    pub prices: Vec<(Day, Price)>,
}

impl Instrument {
    /// The latest price on or before a day, with its own day.
    pub(super) fn price(&self, day: Day) -> Option<(Day, Price)> {
        let later = self.prices.partition_point(|(from, _)| *from <= day);
        later.checked_sub(1).map(|at| self.prices[at])
    }
}

/// Everything that values are told by.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    /// What the portfolio's risk is told in.
    pub base: Currency,
    /// Instruments by id.
    pub instruments: &'a BTreeMap<Box<str>, Instrument>,
    /// Exchange rates.
    pub fx: &'a dyn Fx,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_unit_is_worth_its_price_over_the_rate() {
        let dollars = Cross::new(125, 2).unwrap();
        assert_eq!(dollars.unit_value(Price(1_000_000_000)), Ok(8 * UNIT));
        assert_eq!(Cross::ONE.unit_value(Price(1)), Ok(10_000));
        assert_eq!(Cross::new(3, 0).unwrap().unit_value(Price(1)), Ok(3_333));
        let absurd = Cross::new(1, 27).unwrap().unit_value(Price(i64::MAX));
        assert_eq!(absurd, Err(Error::Range));
        assert!(Cross::new(0, 0).is_none() && Cross::new(1, 28).is_none());
        assert!(Cross::new(10_u128.pow(19), 0).is_none());
    }

    #[test]
    fn a_currency_that_is_quoted_higher_is_worth_less() {
        let (before, after) = (Cross::new(1, 0).unwrap(), Cross::new(125, 2).unwrap());
        assert_eq!(before.change_to(after), Ok(UNIT * 8 / 10));
        assert_eq!(after.change_to(before), Ok(UNIT * 125 / 100));
        assert_eq!(after.change_to(after), Ok(UNIT));
        assert_eq!(
            Cross::new(10, 1).unwrap().change_to(before),
            Ok(UNIT),
            "the same rate, written otherwise"
        );
    }
}
