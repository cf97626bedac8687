//! Flow in the base currency: the sums that shares are taken of.
//!
//! An hour lies in one UTC day, so its sums are converted at that day's rate, once per sum.

use std::collections::BTreeMap;

use crate::{
    code::{Country, Currency},
    entry::{Channel, Kind},
    fx::{Rate, Rates},
    state::HourState,
    time::Day,
};

/// Sums in minor units of the base currency, both directions together.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub(super) kinds: [u128; Kind::COUNT],
    /// The last is for channels that are not known.
    pub(super) channels: [u128; Channel::COUNT + 1],
    /// Flow that has another side, by its country.
    pub(super) countries: BTreeMap<Option<Country>, u128>,
    /// Entries that no rate was found for; they are in no sum.
    pub(super) unconverted: u64,
}

impl Flows {
    pub(super) fn of<'a>(hours: impl Iterator<Item = &'a HourState>, rates: &dyn Rates) -> Self {
        let mut this = Self::default();
        let mut last: Option<((Day, Currency), Option<Rate>)> = None;
        for hour in hours {
            let day = hour.hour.day();
            for sums in &hour.state.currencies {
                let key = (day, sums.currency);
                let rate = match last {
                    Some((same, rate)) if same == key => rate,
                    _ => rates.rate(sums.currency, day),
                };
                last = Some((key, rate));
                let Some(rate) = rate else {
                    this.unconverted = this.unconverted.saturating_add(sums.count());
                    continue;
                };
                let add = |total: &mut u128, sum: u128| {
                    if sum > 0 {
                        *total = total.saturating_add(rate.convert(sum, sums.currency, rates.base()));
                    }
                };
                this.kinds.iter_mut().zip(&sums.kinds).for_each(|(total, flow)| add(total, flow.sum));
                this.channels.iter_mut().zip(&sums.channels).for_each(|(total, flow)| add(total, flow.sum));
                for (country, flow) in &sums.countries {
                    add(this.countries.entry(*country).or_default(), flow.sum);
                }
            }
        }
        this
    }

    /// Everything.
    pub(super) fn total(&self) -> u128 {
        sum(&self.kinds)
    }
}

/// A saturating sum.
pub(super) fn sum<'a>(parts: impl IntoIterator<Item = &'a u128>) -> u128 {
    parts.into_iter().fold(0, |total, part| total.saturating_add(*part))
}
