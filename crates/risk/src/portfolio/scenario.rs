//! Historical scenarios: what one unit of each instrument held would gain or lose, today, by what happened on each of the past days.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Error, Gap, Instrument, Lack, Market, Model, Price,
    units::{UNIT, mul_div},
    volatility,
};
use crate::time::Day;

/// One instrument under the scenarios.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// What one unit is worth, in 10^-12 of the base.
    pub(super) value: i128,
    /// What one unit gains in each scenario, the oldest first, in 10^-12 of the base.
    pub(super) gains: Box<[i128]>,
    /// The same, each scaled by how much more volatile the instrument is now than it was then.
    pub(super) scaled: Option<Box<[i128]>>,
}

/// The scenarios, and what each instrument does in them. Made once for a portfolio; every partition of its trades is then
/// [valued](super::Pnl) by it.
///
/// A scenario is the change from one of the days to the next one. The days are those on which anything held has a price, Saturdays and
/// Sundays left out, so that what trades on every day adds no days on which all else stands still. Where an instrument has no price on
/// a day, its last one is carried for at most the days that the model allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenarios {
    as_of: Day,
    days: Box<[Day]>,
    factors: BTreeMap<Box<str>, Factor>,
}

impl Scenarios {
    /// The scenarios of these instruments as of a day. Without any there are no scenarios.
    pub fn new<'a>(
        model: &Model,
        market: &Market<'_>,
        instruments: impl Iterator<Item = &'a str>,
        as_of: Day,
    ) -> Result<Self, Error> {
        let mut known = Vec::new();
        let mut gaps = Vec::new();
        for id in instruments {
            match market.instruments.get(id) {
                Some(instrument) => known.push((id, instrument)),
                None => gaps.push(Gap { instrument: id.into(), lack: Lack::Instrument }),
            }
        }
        let unpriced = |(id, instrument): &(&str, &Instrument)| {
            let lack = Lack::Price { from: as_of, until: as_of, days: 1 };
            let priced = carried(instrument, as_of, model.scenarios.max_stale_days).is_some();
            (!priced).then(|| Gap { instrument: (*id).into(), lack })
        };
        gaps.extend(known.iter().filter_map(unpriced));
        if !gaps.is_empty() {
            return Err(Error::Missing(gaps));
        }
        if known.is_empty() {
            return Ok(Self { as_of, days: Box::default(), factors: BTreeMap::new() });
        }
        let days = days(&known, as_of, model.scenarios.days + 1)?;
        let mut factors = BTreeMap::new();
        for (id, instrument) in known {
            match factor(model, market, instrument, &days, as_of)? {
                Ok(factor) => drop(factors.insert(id.into(), factor)),
                Err(lack) => gaps.push(Gap { instrument: id.into(), lack }),
            }
        }
        if gaps.is_empty() { Ok(Self { as_of, days, factors }) } else { Err(Error::Missing(gaps)) }
    }

    /// The day for which values hold.
    pub fn as_of(&self) -> Day {
        self.as_of
    }

    /// The day that ends each scenario, the oldest first.
    pub fn days(&self) -> &[Day] {
        self.days.get(1..).unwrap_or_default()
    }

    /// What an instrument does.
    pub(super) fn factor(&self, instrument: &str) -> Option<&Factor> {
        self.factors.get(instrument)
    }

    /// What an instrument that must be there does.
    pub(super) fn needed(&self, instrument: &str) -> Result<&Factor, Error> {
        let gap = || Error::Missing(vec![Gap { instrument: instrument.into(), lack: Lack::Instrument }]);
        self.factor(instrument).ok_or_else(gap)
    }

    /// Feeds everything that results depend on to a hash, in one order.
    pub(super) fn feed(&self, mut feed: impl FnMut(&[u8])) {
        feed(&self.as_of.number().to_be_bytes());
        for day in &self.days {
            feed(&day.number().to_be_bytes());
        }
        for (id, factor) in &self.factors {
            feed(id.as_bytes());
            feed(&[0]);
            feed(&factor.value.to_be_bytes());
            let gains = factor.gains.iter().chain(factor.scaled.iter().flatten());
            gains.for_each(|gain| feed(&gain.to_be_bytes()));
        }
    }
}

/// The latest `count` days up to `as_of`.
fn days(known: &[(&str, &Instrument)], as_of: Day, count: usize) -> Result<Box<[Day]>, Error> {
    let of = |instrument: &Instrument| {
        let days = instrument.prices.iter().rev().map(|(day, _)| *day);
        // Days beyond the latest `count` of one instrument are beyond the latest of all.
        days.filter(move |day| *day <= as_of && !is_weekend(*day)).take(count).collect::<Vec<Day>>()
    };
    let all: BTreeSet<Day> = known.iter().flat_map(|(_, instrument)| of(instrument)).collect();
    if all.len() < count {
        let held = known.iter().map(|(id, instrument)| ((*id).into(), of(instrument).len())).collect();
        return Err(Error::History { days: all.len(), needed: count, held });
    }
    Ok(all.iter().skip(all.len() - count).copied().collect())
}

/// Saturday or Sunday. The epoch was a Thursday.
fn is_weekend(day: Day) -> bool {
    (day.number() + 3).rem_euclid(7) >= 5
}

/// The price that counts on a day.
fn carried(instrument: &Instrument, day: Day, max_stale_days: u32) -> Option<Price> {
    let (from, price) = instrument.price(day)?;
    (i64::from(day.number()) - i64::from(from.number()) <= i64::from(max_stale_days)).then_some(price)
}

/// What an instrument does, or what is lacking for it.
fn factor(
    model: &Model,
    market: &Market<'_>,
    instrument: &Instrument,
    days: &[Day],
    as_of: Day,
) -> Result<Result<Factor, Lack>, Error> {
    let stale = model.scenarios.max_stale_days;
    let price = |day: &Day| carried(instrument, *day, stale);
    let lacking: Vec<Day> = days.iter().filter(|day| price(day).is_none()).copied().collect();
    if let (Some(from), Some(until)) = (lacking.first(), lacking.last()) {
        return Ok(Err(Lack::Price { from: *from, until: *until, days: lacking.len() }));
    }
    let currency = instrument.currency;
    let mut known = Vec::with_capacity(days.len() + 1);
    for day in days.iter().chain([&as_of]) {
        let Some(cross) = market.fx.cross(currency, market.base, *day) else {
            let of = if market.fx.knows(currency, *day) { market.base } else { currency };
            return Ok(Err(Lack::Rate { currency, of, day: *day }));
        };
        known.extend(price(day).map(|price| (price, cross)));
    }
    let Some(((price, cross), history)) = known.split_last() else {
        return Ok(Err(Lack::Price { from: as_of, until: as_of, days: 1 }));
    };
    let value = cross.unit_value(*price)?;
    let returns = history.windows(2).map(|pair| {
        let [(before, cross), (after, next)] = pair else { return Err(Error::Range) };
        let by_price = mul_div(i128::from(after.0), UNIT, i128::from(before.0))?;
        // Mostly nothing: the division of 128 bits is left out where it would change nothing.
        let by_rate = cross.change_to(*next)?;
        let by_both = if by_rate == UNIT { by_price } else { mul_div(by_price, by_rate, UNIT)? };
        Ok(by_both - UNIT)
    });
    let returns = returns.collect::<Result<Vec<i128>, Error>>()?;
    let gains = |returns: &[i128]| {
        returns.iter().map(|change| mul_div(value, *change, UNIT)).collect::<Result<Box<[i128]>, _>>()
    };
    let scaling = model.volatility.scaling.as_ref();
    let scaled =
        scaling.map(|scaling| gains(&volatility::scale(&returns, model.volatility.lambda(), scaling)));
    Ok(Ok(Factor { value, gains: gains(&returns)?, scaled: scaled.transpose()? }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{World, day, model};
    use super::*;

    #[test]
    fn a_scenario_is_the_change_from_one_day_to_the_next() {
        let mut world = World::default();
        world.instrument("A", "EUR", &[("2026-01-05", "100"), ("2026-01-06", "110"), ("2026-01-07", "99")]);
        let scenarios = world.scenarios(&model(2), &["A"], "2026-01-07").unwrap();
        assert_eq!(scenarios.days(), [day("2026-01-06"), day("2026-01-07")]);
        let factor = scenarios.factor("A").unwrap();
        assert_eq!(factor.value, 99 * UNIT);
        // Today's value by +10 % and by -10 %.
        assert_eq!(*factor.gains, [99 * UNIT / 10, -99 * UNIT / 10]);
    }

    #[test]
    fn rates_move_what_is_priced_in_another_currency() {
        let mut world = World::default();
        world.instrument("A", "USD", &[("2026-01-05", "100"), ("2026-01-06", "100"), ("2026-01-07", "100")]);
        world.rate("USD", "2026-01-01", "1");
        world.rate("USD", "2026-01-07", "1.25");
        let scenarios = world.scenarios(&model(2), &["A"], "2026-01-08").unwrap();
        let factor = scenarios.factor("A").unwrap();
        assert_eq!((factor.value, &*factor.gains), (80 * UNIT, [0, -16 * UNIT].as_slice()));
    }

    #[test]
    fn weekends_are_no_days_and_holidays_carry_the_last_price() {
        let mut world = World::default();
        world.instrument("A", "EUR", &[("2026-01-02", "100"), ("2026-01-06", "120")]);
        // Trades on every day; the 3rd and 4th are a weekend.
        let all = [
            ("2026-01-02", "1"),
            ("2026-01-03", "2"),
            ("2026-01-04", "3"),
            ("2026-01-05", "4"),
            ("2026-01-06", "5"),
        ];
        world.instrument("B", "EUR", &all);
        let scenarios = world.scenarios(&model(2), &["A", "B"], "2026-01-06").unwrap();
        assert_eq!(scenarios.days(), [day("2026-01-05"), day("2026-01-06")]);
        assert_eq!(*scenarios.factor("A").unwrap().gains, [0, 24 * UNIT]);
        assert_eq!(*scenarios.factor("B").unwrap().gains, [15 * UNIT, 5 * UNIT / 4]);
        assert!(
            is_weekend(day("2026-01-03")) && is_weekend(day("2026-01-04")) && !is_weekend(day("2026-01-05"))
        );
    }

    #[test]
    fn what_is_not_known_is_told_and_never_zero() {
        let mut world = World::default();
        world.instrument("A", "EUR", &[("2026-01-05", "1"), ("2026-01-06", "1"), ("2026-01-20", "1")]);
        world.instrument("B", "JPY", &[("2026-01-05", "1"), ("2026-01-06", "1"), ("2026-01-20", "1")]);
        world.instrument("C", "EUR", &[("2026-01-20", "1")]);
        let missing = |instruments: &[&str], as_of: &str| match world.scenarios(&model(2), instruments, as_of)
        {
            Err(Error::Missing(gaps)) => {
                gaps.iter().map(|gap| format!("{} {}", gap.instrument, gap.lack)).collect()
            }
            other => vec![format!("{other:?}")],
        };
        assert_eq!(
            missing(&["A", "X"], "2026-01-14"),
            [
                "X is not known: PUT /v1/instruments/{instrumentId} first",
                "A has no price that may be carried to 2026-01-14"
            ]
        );
        assert_eq!(
            missing(&["A", "B", "C"], "2026-01-20"),
            [
                "B is in JPY, which has no rate on or before 2026-01-05",
                "C has no price that may be carried to 2 days from 2026-01-05 to 2026-01-06"
            ]
        );
        let history = world.scenarios(&model(2), &["A"], "2026-01-06").unwrap_err();
        assert_eq!(history, Error::History { days: 2, needed: 3, held: vec![("A".into(), 2)] });
        let francs = Market { base: crate::Currency::of(b"CHF"), ..world.market() };
        let base = Scenarios::new(&model(1), &francs, ["A"].into_iter(), day("2026-01-06")).unwrap_err();
        let Error::Missing(gaps) = base else { panic!("{base:?}") };
        assert_eq!(
            gaps[0].lack.to_string(),
            "is in EUR, and the base, CHF, has no rate on or before 2026-01-05"
        );
        assert!(world.scenarios(&model(2), &[], "2026-01-06").unwrap().days().is_empty());
    }
}
