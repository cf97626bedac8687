//! The tables, read and written. Rows are written conditionally only, and an unknown outcome is settled by reading, never guessed.

mod assessment;
pub(crate) mod history;
pub(crate) mod hours;
pub(crate) mod list;
pub(crate) mod onlookers;
pub(crate) mod scores;
pub(crate) mod sweeps;
