//! Reference data: the tables of ISO 3166-1 and 4217, country risk lists, exchange rates.
//!
//! A [`Set`] is all of it at one moment: what ships with the program, and the versioned files of the operator's own in a directory,
//! read strictly, whole or not at all. [`Live`] keeps the set in force and follows the directory. Read [`set`](Set) first.
//!
//! [`signed`] reads the files that an operator may want signed: models, and reference data that settings name.
//!
//! In the directory `country-risk-*.toml` are risk lists and `fx-*.toml` are exchange rates, in the formats of `models/refdata/`;
//! `docs/reference.md` tells operators the rules.

mod error;
mod files;
mod history;
mod live;
mod rate;
mod set;
pub mod signed;
mod tables;

pub use error::Error;
pub use history::{Dated, History};
pub use live::{Live, Reloaded};
pub use rate::Quote;
pub use set::{RiskList, Set};
pub use tables::{Country, Currency};
