//! The tables, typed.

pub(crate) mod instruments;
pub(crate) mod prices;

/// How often a lost race is run again.
pub(crate) const RACES: usize = 16;
