//! Exposures: what is held, gross and net, in all and by group; and how concentrated it is.

use std::collections::BTreeMap;

use super::{Book, Error, Market, Minor, Quantity, Scenarios, units::shares};
use crate::code::Currency;

/// Parts of one that shares are counted in.
const SHARE: u128 = 1_000_000_000;

/// What a book is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Of what is owned.
    pub long: Minor,
    /// Of what is owed; not less than 0.
    pub short: Minor,
}

impl Totals {
    /// Both together.
    pub fn gross(&self) -> Minor {
        self.long + self.short
    }

    /// One less the other.
    pub fn net(&self) -> Minor {
        self.long - self.short
    }

    fn add(&mut self, value: Minor) {
        if value < Minor(0) { self.short = self.short - value } else { self.long = self.long + value }
    }
}

/// What a group is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The counterparty, country, currency or sector; empty where there is none, or it is not known.
    pub key: Box<str>,
    /// What is held of the group.
    pub totals: Totals,
}

/// Exposures by group, each in the order of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposures {
    /// Everything.
    pub all: Totals,
    /// By whom it was dealt with: positions net within an instrument and a counterparty.
    pub counterparties: Vec<Exposure>,
    /// By the instruments' countries; here and below positions net within an instrument.
    pub countries: Vec<Exposure>,
    /// By the currencies of their prices.
    pub currencies: Vec<Exposure>,
    /// By their sectors.
    pub sectors: Vec<Exposure>,
}

impl Exposures {
    /// The exposures of a book.
    pub fn of(book: &Book, market: &Market<'_>, scenarios: &Scenarios) -> Result<Self, Error> {
        let mut all = Totals::default();
        let [mut counterparties, mut countries, mut currencies, mut sectors] = [const { BTreeMap::new() }; 4];
        for (id, quantity) in book.positions() {
            let value = value(scenarios, id, quantity, market.base)?;
            all.add(value);
            let Some(instrument) = market.instruments.get(id) else { continue };
            let country = instrument.country.as_ref().map_or("", |country| country.as_str());
            group(&mut countries, country, value);
            group(&mut currencies, instrument.currency.as_str(), value);
            group(&mut sectors, instrument.sector.as_deref().unwrap_or_default(), value);
        }
        for (instrument, lots) in book.by_instrument() {
            // What is held with each counterparty sums to the position, to the last minor unit.
            let exact = lots.iter().map(|(_, quantity)| exact(scenarios, instrument, *quantity));
            let exact = exact.collect::<Result<Vec<_>, Error>>()?;
            let quantity = Quantity(lots.iter().fold(0, |sum, (_, quantity)| quantity.0.saturating_add(sum)));
            let whole = value(scenarios, instrument, quantity, market.base)?;
            for ((counterparty, _), value) in lots.iter().zip(shares(&exact, whole, market.base)) {
                group(&mut counterparties, counterparty, value);
            }
        }
        Ok(Self {
            all,
            counterparties: listed(counterparties),
            countries: listed(countries),
            currencies: listed(currencies),
            sectors: listed(sectors),
        })
    }
}

/// What a quantity of an instrument is worth.
pub(super) fn value(
    scenarios: &Scenarios,
    instrument: &str,
    quantity: Quantity,
    base: Currency,
) -> Result<Minor, Error> {
    Ok(Minor::of_exact(exact(scenarios, instrument, quantity)?, base))
}

/// The same in 10^-18 of the base.
fn exact(scenarios: &Scenarios, instrument: &str, quantity: Quantity) -> Result<i128, Error> {
    let unit = scenarios.needed(instrument)?.value;
    unit.checked_mul(quantity.0).ok_or(Error::Range)
}

fn group(groups: &mut BTreeMap<Box<str>, Totals>, key: &str, value: Minor) {
    groups.entry(key.into()).or_default().add(value);
}

fn listed(groups: BTreeMap<Box<str>, Totals>) -> Vec<Exposure> {
    groups.into_iter().map(|(key, totals)| Exposure { key, totals }).collect()
}

/// How much of a book is in how few instruments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concentration {
    /// The share of the largest positions, in 10^-9 of the gross value.
    pub top: u64,
    /// The Herfindahl-Hirschman index: the sum of the squares of all shares, in 10^-9; from 1/n to 1.
    pub index: u64,
    /// How many positions of one size would be as concentrated: the inverse of the index, in 10^-6.
    pub effective: u64,
}

impl Concentration {
    /// How concentrated positions of these values are; `top` of them are the largest. All 0 of a book that is worth nothing.
    pub fn of(values: impl Iterator<Item = Minor>, top: usize) -> Self {
        let mut sizes: Vec<u128> = values.map(|value| value.0.unsigned_abs()).collect();
        let gross: u128 = sizes.iter().sum();
        if gross == 0 {
            return Self::default();
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        // Gross values are below 10^23: see `Pnl`.
        let largest: u128 = sizes.iter().take(top).sum();
        let squares: u128 = sizes.iter().map(|size| half_up(size * SHARE, gross).pow(2)).sum();
        Self {
            top: half_up(largest * SHARE, gross) as u64,
            index: half_up(squares, SHARE) as u64,
            effective: half_up(SHARE * SHARE * 1_000_000, squares.max(1)) as u64,
        }
    }
}

fn half_up(numerator: u128, denominator: u128) -> u128 {
    (numerator + denominator / 2) / denominator
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, books, model};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_grouping_nets_to_the_whole(book in books(), seed in 0_u64..20) {
            let world = World::random(seed);
            let exposures = Exposures::of(&book, &world.market(), &world.all_scenarios(&model(40))).unwrap();
            let net = |groups: &[Exposure]| groups.iter().map(|group| group.totals.net()).sum::<Minor>();
            for groups in
                [&exposures.counterparties, &exposures.countries, &exposures.currencies, &exposures.sectors]
            {
                prop_assert_eq!(net(groups), exposures.all.net());
            }
        }
    }

    #[test]
    fn positions_net_within_an_instrument_and_groups_are_gross_and_net() {
        let mut world = World::default();
        for (id, price) in [("A", "10"), ("B", "20"), ("C", "5")] {
            world.instrument(id, "EUR", &[("2026-01-05", price), ("2026-01-06", price)]);
        }
        world.describe("A", "DE", "energy");
        world.describe("B", "DE", "");
        let mut book = Book::default();
        for (instrument, counterparty, units) in
            [("A", "x", 10), ("A", "y", -4), ("B", "x", -2), ("C", "", 1)]
        {
            book.add(instrument, counterparty, Quantity(units * 1_000_000));
        }
        let scenarios = world.scenarios(&model(1), &["A", "B", "C"], "2026-01-06").unwrap();
        let exposures = Exposures::of(&book, &world.market(), &scenarios).unwrap();
        let shown = |all: &[Exposure]| {
            let one = |one: &Exposure| format!("{} {} {}", one.key, one.totals.gross().0, one.totals.net().0);
            all.iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!((exposures.all.gross(), exposures.all.net()), (Minor(10_500), Minor(2_500)));
        assert_eq!(shown(&exposures.counterparties), [" 500 500", "x 14000 6000", "y 4000 -4000"]);
        assert_eq!(shown(&exposures.countries), [" 500 500", "DE 10000 2000"]);
        assert_eq!(shown(&exposures.sectors), [" 4500 -3500", "energy 6000 6000"]);
        assert_eq!(shown(&exposures.currencies), ["EUR 10500 2500"]);
    }

    #[test]
    fn concentration_is_one_over_the_number_of_equal_positions() {
        let of = |values: &[i128], top| Concentration::of(values.iter().map(|value| Minor(*value)), top);
        let equal = of(&[100, -100, 100, 100], 2);
        assert_eq!((equal.top, equal.index, equal.effective), (500_000_000, 250_000_000, 4_000_000));
        let skewed = of(&[70, 20, 10], 1);
        assert_eq!((skewed.top, skewed.index, skewed.effective), (700_000_000, 540_000_000, 1_851_852));
        assert_eq!(of(&[0, 0], 10), Concentration::default());
        assert_eq!(of(&[1], 10).effective, 1_000_000);
    }
}
