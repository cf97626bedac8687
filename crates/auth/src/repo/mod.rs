//! The tables, read and written.

pub(crate) mod users;

/// How often a conditional write that lost a race is tried again before somebody is told.
pub(crate) const RACES: usize = 16;
