//! The tables, read and written. Everything here keeps three promises: a change and the news of it are one atomic step (the row's
//! `pending`), conditional rows are never written plainly, and an unknown outcome is settled by reading, never guessed.

pub(crate) mod accounts;
pub(crate) mod buckets;
pub(crate) mod clients;
pub(crate) mod lists;
pub(crate) mod payments;
pub(crate) mod portfolios;
pub(crate) mod rows;
pub(crate) mod trades;
pub(crate) mod transactions;
