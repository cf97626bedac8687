//! The sandbox's market and portfolios, as they are seeded on a day, and their risk.

use ::risk::portfolio::{Analysis, Book, Instrument, Market, Model, Price, Quantity, analyse};
use ::risk::{Currency, Day};
use generate::{Market as Generated, MarketPlan};
use std::collections::BTreeMap;

pub(super) struct Sandbox {
    pub(super) market: Generated,
    pub(super) model: Model,
    instruments: BTreeMap<Box<str>, Instrument>,
    reference: refdata::Set,
}

impl Sandbox {
    /// As it is seeded on this day, from the seed that `riskmesh serve` takes where nothing is said.
    pub(super) fn until(day: Day) -> Self {
        let market = Generated::new(MarketPlan::sandbox(1, day.start_ms())).unwrap();
        let instruments = (0..market.plan().instruments).map(|index| instrument(&market, index)).collect();
        let (model, reference) = (Model::builtin().unwrap(), refdata::Set::builtin().unwrap());
        Self { market, model, instruments, reference }
    }

    /// The risk of a portfolio as of the day of the newest price.
    pub(super) fn analysis(&self, portfolio: u32) -> Analysis {
        let mut book = Book::default();
        for trade in self.market.trades(portfolio) {
            let units = i128::from(trade.quantity) * 1_000_000;
            let quantity = Quantity(if trade.buy { units } else { -units });
            book.add(&trade.price.instrument, trade.counterparty.as_deref().unwrap_or_default(), quantity);
        }
        let base = Currency::new(self.market.portfolio(portfolio).base.as_str()).unwrap();
        let known = Market { base, instruments: &self.instruments, fx: self.reference.rates() };
        let newest = self.instruments.values().filter_map(|one| one.prices.last());
        analyse(&self.model, &known, &book, newest.map(|(day, _)| *day).max().unwrap()).unwrap()
    }
}

fn instrument(market: &Generated, index: u32) -> (Box<str>, Instrument) {
    let generate::Instrument { id, currency, country, sector, .. } = market.instrument(index);
    // Ten-thousandths, in 10^-8.
    let prices = market.prices(index).map(|price| (price.day, Price(price.price as i64 * 10_000))).collect();
    (id.into(), Instrument { currency, country: Some(country), sector: Some(sector.into()), prices })
}
