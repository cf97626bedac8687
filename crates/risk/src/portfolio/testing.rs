//! Small markets for tests, written by hand or made up from a seed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Book, Cross, Error, Fx, Instrument, Market, Model, Price, Quantity, Scenarios};
use crate::{code::Country, code::Currency, time::Day};

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// The model that ships, with fewer days. Too few for its back-test, which then is left out.
pub(crate) fn model(days: usize) -> Model {
    Model::builtin().unwrap().with_days(days)
}

/// A decimal as a whole number of the `places`-th place.
pub(crate) fn decimal(text: &str, places: usize) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<places$}").parse().unwrap()
}

/// What is known of a market; it is told in euros.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) instruments: BTreeMap<Box<str>, Instrument>,
    pub(crate) rates: Rates,
}

/// Units of currencies for one euro, by day.
#[derive(Debug, Default)]
pub(crate) struct Rates(BTreeMap<(Currency, Day), Cross>);

impl Fx for Rates {
    fn cross(&self, currency: Currency, base: Currency, day: Day) -> Option<Cross> {
        if currency == base {
            return Some(Cross::ONE);
        }
        let from = (currency, Day::parse("0000-01-01").unwrap());
        // They are against the euro.
        let cross = self.0.range(from..=(currency, day)).next_back().map(|(_, cross)| *cross);
        cross.filter(|_| base == Currency::EUR)
    }

    fn knows(&self, currency: Currency, day: Day) -> bool {
        self.cross(currency, Currency::EUR, day).is_some()
    }
}

impl World {
    pub(crate) fn instrument(&mut self, id: &str, currency: &str, prices: &[(&str, &str)]) {
        let currency = Currency::new(currency).unwrap();
        let prices = prices.iter().map(|(on, price)| (day(on), Price(decimal(price, 8) as i64))).collect();
        self.instruments.insert(id.into(), Instrument { currency, country: None, sector: None, prices });
    }

    pub(crate) fn describe(&mut self, id: &str, country: &str, sector: &str) {
        let instrument = self.instruments.get_mut(id).unwrap();
        instrument.country = Country::new(country).ok();
        instrument.sector = (!sector.is_empty()).then(|| sector.into());
    }

    pub(crate) fn rate(&mut self, currency: &str, on: &str, rate: &str) {
        let places = rate.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let cross = Cross::new(decimal(rate, places) as u128, places as u32).unwrap();
        self.rates.0.insert((Currency::new(currency).unwrap(), day(on)), cross);
    }

    /// Instruments `I0` to `I7` over some sixty days, half of them in dollars: a walk that a seed decides.
    pub(crate) fn random(seed: u64) -> Self {
        let mut world = Self::default();
        let mut state = seed;
        let mut next = |below: u64| {
            // Knuth's MMIX generator; its upper bits are good enough here.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let first = day("2026-01-05");
        let days: Vec<Day> =
            (0..60).map(|after| Day::of(first.start_ms() + after * crate::time::DAY_MS)).collect();
        for n in 0..8 {
            let mut price = 1_000_000_000 + next(1_000_000_000) as i64;
            let walk = days.iter().map(|on| {
                price += price / 10_000 * (next(401) as i64 - 200);
                (*on, Price(price))
            });
            let prices = walk.collect();
            let currency = if n % 2 == 0 { Currency::EUR } else { Currency::of(b"USD") };
            let instrument = Instrument { currency, country: None, sector: None, prices };
            world.instruments.insert(format!("I{n}").into(), instrument);
        }
        for on in &days {
            world.rate("USD", &on.to_string(), &format!("1.{:04}", 500 + next(1_000)));
        }
        world
    }

    pub(crate) fn market(&self) -> Market<'_> {
        Market { base: Currency::EUR, instruments: &self.instruments, fx: &self.rates }
    }

    pub(crate) fn scenarios(&self, model: &Model, ids: &[&str], as_of: &str) -> Result<Scenarios, Error> {
        Scenarios::new(model, &self.market(), ids.iter().copied(), day(as_of))
    }

    /// The scenarios of every instrument, as of the last day.
    pub(crate) fn all_scenarios(&self, model: &Model) -> Scenarios {
        let last = self.instruments.values().filter_map(|one| one.prices.last()).map(|(day, _)| *day).max();
        let ids = self.instruments.keys().map(AsRef::as_ref);
        Scenarios::new(model, &self.market(), ids, last.unwrap()).unwrap()
    }
}

/// A trade: instrument, counterparty, quantity.
pub(crate) type Trade = (String, String, Quantity);

/// Trades in the instruments of [`World::random`].
pub(crate) fn trades() -> impl Strategy<Value = Vec<Trade>> {
    let one = (0..8_u8, 0..3_u8, -5_000_000_000_i128..5_000_000_000);
    let one = one.prop_map(|(instrument, counterparty, units)| {
        let counterparty = if counterparty == 0 { String::new() } else { format!("C{counterparty}") };
        (format!("I{instrument}"), counterparty, Quantity(units))
    });
    prop::collection::vec(one, 0..60)
}

pub(crate) fn book<'a>(trades: impl IntoIterator<Item = &'a Trade>) -> Book {
    let mut book = Book::default();
    for (instrument, counterparty, quantity) in trades {
        book.add(instrument, counterparty, *quantity);
    }
    book
}

/// Books of such trades.
pub(crate) fn books() -> impl Strategy<Value = Book> {
    trades().prop_map(|trades| book(&trades))
}
