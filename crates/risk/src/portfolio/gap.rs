//! What is not known, told instead of counted as nothing.

use std::fmt;

use crate::{code::Currency, time::Day};

/// Why a portfolio's risk cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something about what is held is not known.
    #[error("{} of what is held are not known well enough", .0.len())]
    Missing(Vec<Gap>),
    /// There are too few days with prices, of whatever is held.
    #[error("there are prices on {days} days, and it takes {needed}")]
    History {
        /// How many there are.
        days: usize,
        /// How many it takes.
        needed: usize,
        /// What is held, each with how many there are of it.
        held: Vec<(Box<str>, usize)>,
    },
    /// A number is beyond what 128 bits hold: a price or a rate that no market has.
    #[error("a value is beyond what can be computed")]
    Range,
}

/// What is not known of an instrument that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The instrument.
    pub instrument: Box<str>,
    /// What is lacking.
    pub lack: Lack,
}

/// What is lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The instrument itself.
    Instrument,
    /// A price that may be carried to these days.
    Price {
        /// The first of them.
        from: Day,
        /// The last.
        until: Day,
        /// How many of the days of the scenarios.
        days: usize,
    },
    /// An exchange rate on or before a day.
    Rate {
        /// What it is priced in.
        currency: Currency,
        /// Which currency has no rate: that one, or the base.
        of: Currency,
        /// Which day.
        day: Day,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instrument => write!(f, "is not known: PUT /v1/instruments/{{instrumentId}} first"),
            Self::Price { from, until, days: 1 } if from == until => {
                write!(f, "has no price that may be carried to {from}")
            }
            Self::Price { from, until, days } => {
                write!(f, "has no price that may be carried to {days} days from {from} to {until}")
            }
            Self::Rate { currency, of, day } if currency == of => {
                write!(f, "is in {currency}, which has no rate on or before {day}")
            }
            Self::Rate { currency, of, day } => {
                write!(f, "is in {currency}, and the base, {of}, has no rate on or before {day}")
            }
        }
    }
}
