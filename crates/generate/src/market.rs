//! A market: instruments with daily prices, and portfolios that trade in them.
//!
//! It has a plan of its own, beside the one of clients and transactions. An instrument's prices are a walk that all of them share in part:
//! each day has a move of the market, each instrument its share in it and a move of its own, some days are three times as wild. A day's
//! moves belong to its date, so two markets of one seed that end on different days agree on the days that they share but for the level.

use risk::{
    Country, Currency, Day,
    time::{DAY_MS, HOUR_MS},
};

use crate::{
    dist::{exp2, log_normal, normal, zipf},
    names,
    plan::Error,
    rng::{Draw, Stream},
};

/// How much of what, from which seed. Two equal plans give equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketPlan {
    /// Everything follows from it.
    pub seed: u64,
    /// How many instruments, 1 to 100,000.
    pub instruments: u32,
    /// Over how many calendar days there are prices, 7 to 3,660; weekends and some holidays have none.
    pub days: u32,
    /// The end of these days, milliseconds since the epoch.
    pub end_ms: i64,
    /// How many portfolios, at most 10,000.
    pub portfolios: u32,
    /// How many trades each of them has, at most 10,000,000.
    pub trades: u32,
}

impl MarketPlan {
    /// The sandbox: 40 instruments with prices of two years, three portfolios of 400 trades each.
    pub fn sandbox(seed: u64, end_ms: i64) -> Self {
        Self { seed, instruments: 40, days: 740, end_ms, portfolios: 3, trades: 400 }
    }
}

/// Computes anything of a plan by its index.
#[derive(Clone, Debug)]
pub struct Market {
    plan: MarketPlan,
    /// The days that have prices, unless it is a holiday of the instrument's own.
    days: Vec<Day>,
}

/// A generated instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// In the look of an ISIN, of a country that none has.
    pub id: String,
    /// An invented company.
    pub name: String,
    /// What its prices are in.
    pub currency: Currency,
    /// Its issuer's country.
    pub country: Country,
    /// Its issuer's sector.
    pub sector: &'static str,
}

/// A price of an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The instrument.
    pub instrument: String,
    /// The day.
    pub day: Day,
    /// In 10^-4 of the currency; at least 1.
    pub price: u64,
    /// What it is in.
    pub currency: Currency,
}

/// A generated portfolio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portfolio {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its risk is told in.
    pub base: Currency,
}

/// A trade of a portfolio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The portfolio.
    pub portfolio: String,
    /// The trade's id.
    pub id: String,
    /// What was traded, at the closing price of its day.
    pub price: Price,
    /// Whether it was bought.
    pub buy: bool,
    /// How many whole units.
    pub quantity: u64,
    /// With whom; none on an exchange.
    pub counterparty: Option<String>,
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
}

const VENUES: &[((Country, Currency), u32)] = &[
    ((Country::of(b"DE"), Currency::EUR), 22),
    ((Country::of(b"FR"), Currency::EUR), 16),
    ((Country::of(b"NL"), Currency::EUR), 8),
    ((Country::of(b"US"), Currency::of(b"USD")), 30),
    ((Country::of(b"GB"), Currency::of(b"GBP")), 10),
    ((Country::of(b"CH"), Currency::of(b"CHF")), 8),
    ((Country::of(b"JP"), Currency::of(b"JPY")), 6),
];
const SECTORS: [&str; 11] = [
    "communications",
    "consumer",
    "energy",
    "financials",
    "health",
    "industrials",
    "materials",
    "property",
    "staples",
    "technology",
    "utilities",
];
const BASES: [Currency; 4] =
    [Currency::EUR, Currency::of(b"USD"), Currency::of(b"GBP"), Currency::of(b"CHF")];
/// One standard deviation of a day's move of the market, in 1/65536 of the logarithm to base 2: about 0.9 %.
const MARKET_SIGMA: i64 = 850;
/// Counterparties that trade off exchange.
const COUNTERPARTIES: u64 = 12;

impl Market {
    /// Checks the plan.
    pub fn new(plan: MarketPlan) -> Result<Self, Error> {
        let ensure =
            |holds: bool, field, expected| if holds { Ok(()) } else { Err(Error { field, expected }) };
        ensure((1..=100_000).contains(&plan.instruments), "instruments", "1 to 100000")?;
        ensure((7..=3_660).contains(&plan.days), "days", "7 to 3660")?;
        ensure(plan.portfolios <= 10_000, "portfolios", "at most 10000")?;
        ensure(plan.trades <= 10_000_000, "trades", "at most 10000000")?;
        let end = Day::of(plan.end_ms);
        let sane = (0..=84_006).contains(&end.number());
        ensure(sane, "end", "within 1970-01-01 to 2200-01-01")?;
        let all = (1..=plan.days as i32).rev().map(|back| Day::from_number(end.number() - back));
        let days = all.filter(|day| !is_weekend(*day) && !is_holiday(*day)).collect();
        Ok(Self { plan, days })
    }

    /// What is generated.
    pub fn plan(&self) -> &MarketPlan {
        &self.plan
    }

    /// Instrument `index`, of those that the plan has.
    pub fn instrument(&self, index: u32) -> Instrument {
        let mut draw = self.draw(Stream::Instrument, u64::from(index));
        let (country, currency) = draw.pick(VENUES);
        let sector = SECTORS[draw.below(SECTORS.len() as u64) as usize];
        Instrument {
            id: format!("ZZ{:010}", index + 1),
            name: names::company(&mut draw),
            currency,
            country,
            sector,
        }
    }

    /// All prices of instrument `index`, the oldest first.
    pub fn prices(&self, index: u32) -> impl Iterator<Item = Price> {
        let Instrument { id, currency, country, .. } = self.instrument(index);
        let mut draw = self.draw(Stream::Level, u64::from(index));
        // Around 60 of most currencies, and 8,000 yen; in 10^-4.
        let yen = if currency.exponent() == 0 { 7 << 16 } else { 0 };
        let mut level = (19 << 16) + yen + normal(&mut draw);
        let share = 400 + draw.below(1_000) as i64;
        let sigma = 700 + draw.below(1_500) as i64;
        self.days.iter().filter_map(move |day| {
            let own = self.shock(Stream::Price, u64::from(index) << 32 | day.number() as u64, sigma);
            let all = self.shock(Stream::Market, day.number() as u64, MARKET_SIGMA);
            level += share * all / 1_000 + own;
            let open = !is_own_holiday(country, *day);
            open.then(|| Price { instrument: id.clone(), day: *day, price: exp2(level), currency })
        })
    }

    /// A move; one in a hundred is three times as wild.
    fn shock(&self, stream: Stream, index: u64, sigma: i64) -> i64 {
        let mut draw = self.draw(stream, index);
        let size = (sigma * normal(&mut draw)) >> 16;
        if draw.chance(10_000) { 3 * size } else { size }
    }

    /// Portfolio `index`, of those that the plan has.
    pub fn portfolio(&self, index: u32) -> Portfolio {
        Portfolio {
            id: format!("sandbox-{}", index + 1),
            name: format!("Sandbox portfolio {}", index + 1),
            base: BASES[index as usize % BASES.len()],
        }
    }

    /// All trades of portfolio `index`; their order is not that of time.
    pub fn trades(&self, index: u32) -> impl Iterator<Item = Trade> {
        let portfolio = self.portfolio(index).id;
        let prices: Vec<Vec<Price>> =
            (0..self.plan.instruments).map(|one| self.prices(one).collect()).collect();
        (0..self.plan.trades).map(move |n| {
            let mut draw = self.draw(Stream::Trade, u64::from(index) << 32 | u64::from(n));
            let rank = zipf(&mut draw, prices.len() as u64, 6);
            // Each portfolio has favourites of its own.
            let at = (rank + u64::from(index) * 13) % prices.len() as u64;
            let of = &prices[at as usize];
            let price = of[draw.below(of.len() as u64) as usize].clone();
            // Cheap ones in larger numbers: some ten thousand of the currency a trade.
            let money = log_normal(
                &mut draw,
                (27 << 16) + if price.currency.exponent() == 0 { 7 << 16 } else { 0 },
                1 << 16,
            );
            Trade {
                portfolio: portfolio.clone(),
                id: format!("{portfolio}-{:06}", n + 1),
                buy: !draw.chance(250_000),
                quantity: (money / price.price).max(1),
                counterparty: draw
                    .chance(700_000)
                    .then(|| format!("CPTY-{:02}", draw.below(COUNTERPARTIES) + 1)),
                at_ms: price.day.start_ms() + 8 * HOUR_MS + draw.below(8 * HOUR_MS as u64) as i64,
                price,
            }
        })
    }

    fn draw(&self, stream: Stream, index: u64) -> Draw {
        Draw::new(self.plan.seed, stream, index)
    }
}

/// Saturday or Sunday.
fn is_weekend(day: Day) -> bool {
    (day.start_ms().div_euclid(DAY_MS) + 3).rem_euclid(7) >= 5
}

/// A day without prices anywhere.
fn is_holiday(day: Day) -> bool {
    matches!(day.civil(), (_, 1, 1) | (_, 12, 25))
}

/// A day without prices of one country.
fn is_own_holiday(country: Country, day: Day) -> bool {
    let (_, month, date) = day.civil();
    match country.as_bytes() {
        b"US" => (month, date) == (7, 4),
        b"JP" => month == 1 && date <= 3,
        b"DE" => (month, date) == (10, 3),
        _ => false,
    }
}
