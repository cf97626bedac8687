//! Scoring, typologies, mergeable account state: pure functions, no I/O.
//!
//! Everything a score is made of lives here and nothing else: no clock, no store, no async. A score is
//! `f(state, model, reference data, as_of)`; money and scores are integers throughout, so batch and stream agree bit
//! for bit. Read in this order: [`entry`] (what happened on an account), [`state`] (what is kept of it per hour),
//! [`network`] (who else is involved), [`typology`] (what looks like laundering), [`mod@score`] (what it adds up to). [`model`] and
//! [`refdata`] are the two versioned inputs that a compliance team owns. [`portfolio`], the risk of what a bank or its client holds,
//! stands by itself.

pub mod alert;
pub mod code;
pub mod entry;
pub mod fx;
pub mod hash;
pub mod model;
pub mod network;
pub mod portfolio;
pub mod profile;
pub mod refdata;
pub mod score;
pub mod screening;
pub mod state;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod typology;

pub use alert::Alarm;
pub use code::{Country, Currency};
pub use entry::{AccountId, Amount, Channel, Direction, Entry, Kind};
pub use hash::StateHash;
pub use model::{Model, Models};
pub use network::Network;
pub use profile::{ClientProfile, ClientType, Industry};
pub use refdata::RefData;
pub use score::{AccountView, Band, Confidence, Facts, Pillar, Reason, ReasonCode, Score, score};
pub use screening::Screening;
pub use state::{HourState, State};
pub use text::{Counterparty, EntryId, TransferId};
pub use time::{Day, Hour};

/// A value that is not what its field holds. Carries no part of the value itself: it may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}")]
pub struct Invalid {
    /// Which field, in lower camel case as in the API.
    pub field: &'static str,
    /// What the field holds, for the hint.
    pub expected: &'static str,
}
