//! What a book gains and loses: one integer for each scenario.

use super::{Book, Error, Minor, Scenarios, scenario::Factor};
use crate::code::Currency;

/// Gains of a book, scenario by scenario, exact: in 10^-18 of the base. Vectors of partitions add up to the vector of the whole, bit for
/// bit, because nothing is rounded before it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pnl(Box<[i128]>);

impl Pnl {
    /// What a book does under the scenarios as they were.
    ///
    /// # Errors
    /// [`Error::Missing`] where the scenarios were made without an instrument of the book.
    pub fn of(book: &Book, scenarios: &Scenarios) -> Result<Self, Error> {
        Self::by(book, scenarios, |factor| Some(&factor.gains))
    }

    /// The same with the scenarios scaled to today's volatility; `None` where the model does not ask for that.
    pub fn scaled(book: &Book, scenarios: &Scenarios) -> Result<Option<Self>, Error> {
        let scaled =
            |instrument: &str| scenarios.factor(instrument).is_some_and(|factor| factor.scaled.is_some());
        if !book.instruments().all(scaled) {
            return Ok(None);
        }
        Self::by(book, scenarios, |factor| factor.scaled.as_deref()).map(Some)
    }

    fn by<'a>(
        book: &Book,
        scenarios: &'a Scenarios,
        gains: impl Fn(&'a Factor) -> Option<&'a [i128]>,
    ) -> Result<Self, Error> {
        let mut sums = vec![0_i128; scenarios.days().len()].into_boxed_slice();
        for (instrument, quantity) in book.positions() {
            let factor = scenarios.needed(instrument)?;
            for (sum, gain) in sums.iter_mut().zip(gains(factor).unwrap_or_default()) {
                let gain = gain.checked_mul(quantity.0).ok_or(Error::Range)?;
                *sum = sum.checked_add(gain).ok_or(Error::Range)?;
            }
        }
        Ok(Self(sums))
    }

    /// Adds the gains of another partition under the same scenarios.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        for (sum, gain) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.checked_add(*gain).ok_or(Error::Range)?;
        }
        Ok(())
    }

    /// Each gain to the nearest minor unit: what all figures are computed from, so that who has these can repeat them.
    pub fn minor(&self, base: Currency) -> Vec<Minor> {
        self.0.iter().map(|gain| Minor::of_exact(*gain, base)).collect()
    }
}
