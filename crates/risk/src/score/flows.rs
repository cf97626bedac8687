//! Flow in the base currency: the sums that shares are taken of.
//!
//! An hour lies in one UTC day, so its sums are converted at that day's rate, once per sum.

use smallvec::SmallVec;

use crate::{
    code::Country,
    entry::{Channel, Kind},
    fx::{Exchange, Factor, Rates},
    state::{CurrencyState, HourState, Kept, Row},
};

/// Sums in minor units of the base currency, both directions together.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub(super) kinds: [u128; Kind::COUNT],
    /// The last is for channels that are not known.
    pub(super) channels: [u128; Channel::COUNT + 1],
    /// Flow that has another side, by its country.
    pub(super) countries: ByCountry,
    /// Entries that no rate was found for; they are in no sum.
    pub(super) unconverted: u64,
}

/// Sums by country, in no order; few clients deal with many.
#[derive(Debug, Default)]
pub(super) struct ByCountry(SmallVec<[(Option<Country>, u128); 8]>);

impl ByCountry {
    fn of(&mut self, country: Option<Country>) -> &mut u128 {
        let at = self.0.iter().position(|(one, _)| *one == country);
        let at = at.unwrap_or_else(|| {
            self.0.push((country, 0));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    pub(super) fn get(&self, country: Option<Country>) -> u128 {
        self.iter().find(|(one, _)| *one == country).map_or(0, |(_, sum)| sum)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<Country>, u128)> {
        self.0.iter().copied()
    }
}

impl Flows {
    pub(super) fn of<'a>(hours: impl Iterator<Item = &'a HourState>, rates: &dyn Rates) -> Self {
        let mut this = Self::default();
        let mut exchange = Exchange::new(rates);
        for hour in hours {
            let day = hour.hour.day();
            match hour.kept() {
                Kept::One(row) => this.add_row(row, exchange.factor(row.currency, day)),
                Kept::Many(state) => {
                    for sums in &state.currencies {
                        this.add_sums(sums, exchange.factor(sums.currency, day));
                    }
                }
            }
        }
        this
    }

    fn add_row(&mut self, row: &Row, factor: Option<Factor>) {
        let Some(factor) = factor else {
            self.unconverted = self.unconverted.saturating_add(1);
            return;
        };
        let amount = factor.convert(u128::from(row.minor));
        let add = |total: &mut u128| *total = total.saturating_add(amount);
        add(&mut self.kinds[row.kind.index()]);
        add(&mut self.channels[row.channel_index()]);
        if row.has_other_side() {
            add(self.countries.of(row.country));
        }
    }

    fn add_sums(&mut self, sums: &CurrencyState, factor: Option<Factor>) {
        let Some(factor) = factor else {
            self.unconverted = self.unconverted.saturating_add(sums.count());
            return;
        };
        let add = |total: &mut u128, sum: u128| {
            if sum > 0 {
                *total = total.saturating_add(factor.convert(sum));
            }
        };
        self.kinds.iter_mut().zip(&sums.kinds).for_each(|(total, flow)| add(total, flow.sum));
        self.channels.iter_mut().zip(&sums.channels).for_each(|(total, flow)| add(total, flow.sum));
        for (country, flow) in &sums.countries {
            add(self.countries.of(*country), flow.sum);
        }
    }

    /// Everything.
    pub(super) fn total(&self) -> u128 {
        sum(self.kinds)
    }
}

/// A saturating sum.
pub(super) fn sum(parts: impl IntoIterator<Item = u128>) -> u128 {
    parts.into_iter().fold(0, u128::saturating_add)
}
