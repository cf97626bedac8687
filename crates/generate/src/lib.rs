//! Seeded, counter-based generator of clients, accounts and labelled transactions.
//!
//! A [`Plan`] says how many of what, a [`Generator`] computes any of them by its index alone: `client(i)`, `account(i)`,
//! `transaction(i)`. Nothing depends on what was asked for before, so ranges can be made in parallel, resumed, or looked up,
//! and the same plan gives the same bytes on every machine for ever: all arithmetic is on integers. Everything is invented;
//! names are syllables, account numbers belong to nobody.
//!
//! A [`Market`] with instruments, prices and portfolios has a [plan](MarketPlan) of its own.
//!
//! Transactions are in time order over the plan's days, with a daily and weekly rhythm, Zipf-distributed accounts
//! and log-normal amounts, and a small labelled part that launders ([`Pattern`]).

mod account;
mod client;
mod dist;
mod generator;
mod ids;
mod market;
mod names;
mod pattern;
mod plan;
mod rhythm;
mod rng;
mod transaction;
pub mod write;

pub use account::{Account, AccountStatus};
pub use client::{Client, ClientId};
pub use generator::Generator;
pub use market::{Instrument, Market, MarketPlan, Portfolio, Price, Trade};
pub use pattern::{Label, Pattern};
pub use plan::{Error, Plan};
pub use transaction::Transaction;
