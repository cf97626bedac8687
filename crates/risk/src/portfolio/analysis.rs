//! All that is told of a portfolio.

use super::{
    BackTest, Book, Concentration, Error, Exposures, Market, Minor, Model, Pnl, Quantity, Scenarios, Segment,
    Tail, back_test, components, ewma, exposure, stress,
};
use crate::{
    hash::{Hasher, StateHash},
    time::Day,
};

/// A portfolio's risk on a day: a pure function of its book, what is known of the market, the model and the day.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The day for which values hold.
    pub as_of: Day,
    /// What is held, by instrument.
    pub positions: Vec<PositionRisk>,
    /// What it is worth, in all and by group.
    pub exposures: Exposures,
    /// How concentrated it is.
    pub concentration: Concentration,
    /// What it would have gained on each past day, the oldest first.
    pub gains: Vec<(Day, Minor)>,
    /// Value at risk and expected shortfall by level.
    pub tails: Vec<Tail>,
    /// The same with the past scaled to today's volatility; none where the model does not ask for it.
    pub scaled_tails: Vec<Tail>,
    /// One standard deviation of the next day's gain.
    pub volatility: Minor,
    /// The largest fall of what was gained, over the past days in their order.
    pub max_drawdown: Minor,
    /// What would be gained in the model's stress scenarios, in their order.
    pub stress: Vec<Minor>,
    /// How often the value at risk was exceeded; none where nothing is held.
    pub back_test: Option<BackTest>,
    /// SHA-256 of everything that this was computed from, but for the model, which has a hash of its own.
    pub state_hash: StateHash,
}

/// A position and what it adds to the risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionRisk {
    /// The instrument.
    pub instrument: Box<str>,
    /// Units held.
    pub quantity: Quantity,
    /// What they are worth.
    pub value: Minor,
    /// Their part of the value at risk at the model's level for components; the parts sum to it.
    pub component: Minor,
}

/// The risk of a book.
pub fn analyse(model: &Model, market: &Market<'_>, book: &Book, as_of: Day) -> Result<Analysis, Error> {
    let scenarios = Scenarios::new(model, market, book.instruments(), as_of)?;
    let pnl = Pnl::of(book, &scenarios)?;
    let gains = pnl.minor(market.base);
    let tails = |gains: &[Minor]| {
        let levels = model.tail.levels_bp.iter().filter(|_| !gains.is_empty());
        levels.map(|level| Tail::of(gains, *level)).collect::<Result<Vec<_>, _>>()
    };
    let scaled = Pnl::scaled(book, &scenarios)?.map(|pnl| pnl.minor(market.base));
    let level = model.tail.component_level_bp;
    let parts = components(book, &scenarios, &pnl, market.base, level)?;
    let positions = book.positions().zip(parts).map(|((instrument, quantity), component)| {
        let value = exposure::value(&scenarios, instrument, quantity, market.base)?;
        Ok(PositionRisk { instrument: instrument.into(), quantity, value, component })
    });
    let positions = positions.collect::<Result<Vec<_>, Error>>()?;
    let values = positions.iter().map(|position| position.value);
    let stress = model.stress.iter().map(|stress| stress::gain(stress, book, market, &scenarios));
    Ok(Analysis {
        as_of,
        exposures: Exposures::of(book, market, &scenarios)?,
        concentration: Concentration::of(values, model.concentration.top),
        tails: tails(&gains)?,
        scaled_tails: scaled.map(|scaled| tails(&scaled)).transpose()?.unwrap_or_default(),
        volatility: ewma(model.volatility.lambda(), &gains),
        max_drawdown: gains.iter().copied().collect::<Segment>().drawdown(),
        stress: stress.collect::<Result<_, _>>()?,
        back_test: back_test(&model.back_test, &gains),
        state_hash: hash(market, book, &scenarios),
        gains: scenarios.days().iter().copied().zip(gains).collect(),
        positions,
    })
}

fn hash(market: &Market<'_>, book: &Book, scenarios: &Scenarios) -> StateHash {
    let mut hasher = Hasher::new();
    hasher.update(b"riskmesh portfolio state 1");
    hasher.update(market.base.as_bytes());
    scenarios.feed(|bytes| hasher.update(bytes));
    for (id, counterparty, quantity) in book.lots() {
        let instrument = market.instruments.get(id);
        let currency = instrument.map(|instrument| instrument.currency);
        let country = instrument.and_then(|instrument| instrument.country);
        let sector = instrument.and_then(|instrument| instrument.sector.as_deref());
        // No text has a zero in it.
        for text in [
            id,
            counterparty,
            currency.as_ref().map_or("", |currency| currency.as_str()),
            country.as_ref().map_or("", |country| country.as_str()),
            sector.unwrap_or_default(),
        ] {
            hasher.update(text.as_bytes());
            hasher.update(&[0]);
        }
        hasher.update(&quantity.0.to_be_bytes());
    }
    hasher.finish()
}
