//! The tables, typed.

pub(crate) mod instruments;
pub(crate) mod prices;
