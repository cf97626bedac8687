//! The risk of portfolios: exposures, historical value at risk and expected shortfall, volatility, drawdown, stress, back-test.
//!
//! Read in this order: [`Book`] (what trades net to), [`Market`] (what is known of instruments and rates), [`Scenarios`] (what each
//! unit held gains and loses on each of the past days), [`Pnl`] (what a book does), [`analyse`] (all that is told of it).
//!
//! Quantities, prices, values, gains and losses are integers, so a book may be cut into any partitions, in any order: their vectors add
//! up to the same bits. Three things are floating point, each with its order of summation stated where it is computed: volatility
//! ([`ewma`]), the scaling by it, and the statistic of the back-test. They use `+ - * / sqrt` and, in the last, `ln`.
//!
//! Method and sources are told in `docs/portfolio.md`; every parameter is in the [`Model`].

mod analysis;
mod back_test;
mod book;
mod component;
mod drawdown;
mod exposure;
mod gap;
mod market;
mod model;
mod pnl;
mod scenario;
mod stress;
mod tail;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod units;
mod volatility;

pub use analysis::{Analysis, PositionRisk, analyse};
pub use back_test::{BackTest, Zone, back_test};
pub use book::Book;
pub use component::components;
pub use drawdown::Segment;
pub use exposure::{Concentration, Exposure, Exposures, Totals};
pub use gap::{Error, Gap, Lack};
pub use market::{Cross, Fx, Instrument, Market};
pub use model::{Error as ModelError, Model, Stress};
pub use pnl::Pnl;
pub use scenario::{Factor, Scenarios};
pub use tail::{Tail, expected_shortfall, value_at_risk};
pub use units::{Minor, Price, Quantity};
pub use volatility::ewma;
