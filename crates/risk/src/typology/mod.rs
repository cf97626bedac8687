//! Typologies: patterns that laundering is known to leave.
//!
//! Each is a small pure module with its source and a [`Typology`] to its name; [`ALL`] is the list that a score runs over, so
//! another one is another module and another line. Rules run over the retained set in canonical order, take every threshold
//! from the model, and name the transactions of every hit.

pub mod benford;
pub mod dormant;
pub mod fan;
pub mod gather_scatter;
pub mod high_risk_flow;
mod joined;
pub mod rapid_movement;
pub mod round_tripping;
pub mod scatter_gather;
mod sigma;
pub mod spike;
pub mod structuring;
mod window;

use crate::{
    entry::{AccountId, Entry},
    model::Model,
    network::Network,
    refdata::RefData,
    score::ReasonCode,
    state::HourState,
    text::EntryId,
};

/// What a typology sees of one account.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Which account.
    pub account: AccountId,
    /// Its retained entries in canonical order: each id once, by (time, id).
    pub entries: &'a [&'a Entry],
    /// Its hours, ascending: for rules that need a longer memory than entries have.
    pub hours: &'a [&'a HourState],
    /// What is around it, with its own payments in it; for patterns that run over several accounts.
    pub network: Option<&'a Network>,
    /// Where thresholds come from.
    pub model: &'a Model,
    /// Country lists and rates.
    pub refdata: &'a RefData,
}

/// One finding on one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which account.
    pub account: AccountId,
    /// Time of its first transaction.
    pub from_ms: i64,
    /// Time of its last transaction.
    pub to_ms: i64,
    /// What it is worth on its own.
    pub points: u8,
    /// What it is made of, in canonical order; never empty.
    pub transactions: Vec<EntryId>,
}

impl Hit {
    /// Of entries in canonical order; `None` if there are none.
    fn new(account: AccountId, points: u8, entries: &[&Entry]) -> Option<Self> {
        let (first, last) = (entries.first()?, entries.last()?);
        let transactions = entries.iter().map(|entry| entry.id).collect();
        Some(Self { account, from_ms: first.at_ms, to_ms: last.at_ms, points, transactions })
    }
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The hits, in the order of their first transactions.
    pub hits: Vec<Hit>,
    /// Whether the search came to its end, or to the model's bound.
    pub complete: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self { hits: Vec::new(), complete: true }
    }
}

/// How the hits of a typology add up; nothing for one that the model does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tariff {
    /// Points of each hit after the one that is worth most.
    pub each_further: u8,
    /// The most they give together.
    pub cap: u8,
}

impl Tariff {
    /// Points of all hits together.
    pub fn total(self, hits: &[Hit]) -> u8 {
        let Some(most) = hits.iter().map(|hit| hit.points).max() else { return 0 };
        let further = u64::from(self.each_further) * (hits.len() as u64 - 1);
        (u64::from(most) + further).min(u64::from(self.cap)) as u8
    }
}

/// A pattern and how to find it.
pub trait Typology: Sync {
    /// Its reason code.
    fn code(&self) -> ReasonCode;

    /// What it finds under this model, in a few words.
    fn describe(&self, model: &Model) -> String;

    /// How its hits add up under this model.
    fn tariff(&self, model: &Model) -> Tariff;

    /// Its hits on one account, in the order of their first transactions.
    fn detect(&self, input: &Input<'_>) -> Vec<Hit>;

    /// The same, and whether all there is was looked at: for those whose work the model bounds.
    fn search(&self, input: &Input<'_>) -> Found {
        Found { hits: self.detect(input), complete: true }
    }
}

/// All typologies, in the order in which they are reported.
pub const ALL: &[&dyn Typology] = &[
    &structuring::Structuring,
    &rapid_movement::RapidMovement,
    &fan::FanIn,
    &fan::FanOut,
    &dormant::DormantReactivation,
    &spike::Spike,
    &high_risk_flow::HighRiskFlow,
    &benford::Benford,
    &round_tripping::RoundTripping,
    &scatter_gather::ScatterGather,
    &gather_scatter::GatherScatter,
];

#[cfg(test)]
mod tests;
