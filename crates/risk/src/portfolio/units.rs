//! The units of portfolio risk, and rounding: half away from zero, everywhere.

use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

use super::Error;
use crate::code::Currency;

/// Decimal places of what one unit of an instrument is worth, and of returns.
pub(super) const UNIT: i128 = 1_000_000_000_000;
/// Decimal places of quantities times what a unit is worth: what a [`super::Pnl`] is kept in.
const EXACT_PLACES: u32 = 18;

/// What one unit of an instrument costs, in 10^-8 of its currency; more than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

/// How many units are held, in 10^-6; less than 0 where more was sold than bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub i128);

/// Money in minor units of a portfolio's base currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub i128);

impl Minor {
    /// An exact value, in 10^-18 of the base, to the nearest minor unit.
    pub(super) fn of_exact(exact: i128, base: Currency) -> Self {
        Self(div_round(exact, exact_minor(base)))
    }

    /// How far it is from 0.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

/// Exact values of one minor unit.
fn exact_minor(base: Currency) -> i128 {
    10_i128.pow(EXACT_PLACES - base.exponent())
}

/// Exact values in whole minor units that sum to `whole`, by the largest remainder: each is rounded down, and what is then left of the whole
/// goes, one minor unit each, to those that lost most by it, the first among equals. `whole` is the rounded sum of the values.
pub(super) fn shares(exact: &[i128], whole: Minor, base: Currency) -> Vec<Minor> {
    let unit = exact_minor(base);
    let mut parts: Vec<Minor> = exact.iter().map(|value| Minor(value.div_euclid(unit))).collect();
    let mut rests: Vec<_> =
        exact.iter().enumerate().map(|(at, value)| (std::cmp::Reverse(value.rem_euclid(unit)), at)).collect();
    rests.sort_unstable();
    let left = (whole - parts.iter().copied().sum()).0;
    // The parts are less than one minor unit each below their values: there are no more units left than parts.
    let more = rests.iter().take(usize::try_from(left).unwrap_or(0));
    more.for_each(|(_, at)| parts[*at] = parts[*at] + Minor(1));
    parts
}

impl Add for Minor {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Minor {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Minor {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Minor {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self(0), Add::add)
    }
}

/// `numerator / denominator`, halves away from zero; the denominator is more than 0.
pub(super) fn div_round(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    let up = rest.unsigned_abs() >= denominator.unsigned_abs() - rest.unsigned_abs();
    if up { whole + numerator.signum() } else { whole }
}

/// `a * b / denominator`, halves away from zero. An error where the product is beyond 128 bits: no sum of money is.
pub(super) fn mul_div(a: i128, b: i128, denominator: i128) -> Result<i128, Error> {
    Ok(div_round(a.checked_mul(b).ok_or(Error::Range)?, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_round_away_from_zero() {
        let rounded = [5, 4, -5, -4, 15, -15, 0].map(|numerator| div_round(numerator, 10));
        assert_eq!(rounded, [1, 0, -1, 0, 2, -2, 0]);
        assert_eq!(div_round(i128::MAX, i128::MAX), 1);
        assert_eq!(div_round(1, 1), 1);
        assert!(matches!(mul_div(i128::MAX, 2, 1), Err(Error::Range)));
        assert_eq!(Minor::of_exact(1_234_500_000_000_000_000, Currency::EUR), Minor(123));
        assert_eq!(Minor::of_exact(-500_000_000_000_000_000, Currency::of(b"JPY")), Minor(-1));
    }

    #[test]
    fn shares_go_to_those_that_lost_most() {
        let cents = |thousandths: i128| thousandths * 10_i128.pow(13);
        let of = |exact: &[i128]| {
            let exact: Vec<i128> = exact.iter().copied().map(cents).collect();
            shares(&exact, Minor::of_exact(exact.iter().sum(), Currency::EUR), Currency::EUR)
        };
        assert_eq!(of(&[1_333, 1_333, 1_334]), [Minor(1), Minor(1), Minor(2)]);
        assert_eq!(of(&[500, 500]), [Minor(1), Minor(0)]);
        assert_eq!(of(&[-1_400, 2_800]), [Minor(-2), Minor(3)]);
        assert_eq!(of(&[]), []);
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_whole_and_are_near(exact in prop::collection::vec(-10_i128.pow(24)..10_i128.pow(24), 0..20)) {
            for base in [Currency::EUR, Currency::of(b"JPY"), Currency::of(b"KWD")] {
                let whole = Minor::of_exact(exact.iter().sum(), base);
                let parts = shares(&exact, whole, base);
                prop_assert_eq!(parts.iter().copied().sum::<Minor>(), whole);
                for (part, exact) in parts.iter().zip(&exact) {
                    prop_assert!((part.0 * exact_minor(base) - exact).abs() < exact_minor(base));
                }
            }
        }

        #[test]
        fn what_is_rounded_is_as_near_as_can_be(numerator in -1_000_000_i128..1_000_000, denominator in 1_i128..1_000) {
            let distance = (div_round(numerator, denominator) * denominator - numerator).abs();
            prop_assert!(2 * distance <= denominator);
            prop_assert_eq!(div_round(-numerator, denominator), -div_round(numerator, denominator));
        }
    }
}
