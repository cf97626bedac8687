//! Fan-in and fan-out: many counterparties in a short time.
//!
//! At least `min-counterparties` different senders (or receivers) within `hours`. Source: the fan-in and fan-out alert
//! patterns of IBM's AMLSim (Weber et al., "Scalable Graph Learning for Anti-Money Laundering", arXiv:1812.00076), and FFIEC
//! Appendix F (accounts that collect and funnel funds). Entries without a counterparty cannot count.

use super::{
    Hit, Input, Tariff, Typology,
    window::{Tally, findings, is_dense},
};
use crate::{
    entry::{Direction, Entry},
    model::{self, Model},
    score::ReasonCode,
    text::Counterparty,
    time::HOUR_MS,
};

/// Many senders to one account.
#[derive(Clone, Copy, Debug)]
pub struct FanIn;

/// One account to many receivers.
#[derive(Clone, Copy, Debug)]
pub struct FanOut;

impl Typology for FanIn {
    fn code(&self) -> ReasonCode {
        ReasonCode::FanIn
    }

    fn describe(&self, model: &Model) -> String {
        describe(&model.behaviour.fan_in, "senders")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        tariff(&model.behaviour.fan_in)
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        detect(input, &input.model.behaviour.fan_in, Direction::Credit)
    }
}

impl Typology for FanOut {
    fn code(&self) -> ReasonCode {
        ReasonCode::FanOut
    }

    fn describe(&self, model: &Model) -> String {
        describe(&model.behaviour.fan_out, "receivers")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        tariff(&model.behaviour.fan_out)
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        detect(input, &input.model.behaviour.fan_out, Direction::Debit)
    }
}

fn describe(rule: &model::Fan, who: &str) -> String {
    format!("{} or more different {who} within {} hours", rule.min_counterparties, rule.hours)
}

fn tariff(rule: &model::Fan) -> Tariff {
    Tariff { each_further: rule.each_further, cap: rule.cap }
}

fn detect(input: &Input<'_>, rule: &model::Fan, direction: Direction) -> Vec<Hit> {
    let counts = |entry: &&&Entry| entry.direction == direction && rule.kinds.has(entry.kind);
    let mut entries: Vec<&Entry> = Vec::with_capacity(input.entries.len());
    entries.extend(input.entries.iter().filter(counts).filter(|entry| entry.counterparty.is_some()));
    let length_ms = i64::from(rule.hours) * HOUR_MS;
    if !is_dense(&entries, length_ms, rule.min_counterparties as usize) {
        return Vec::new();
    }
    let parties: Vec<&Counterparty> =
        entries.iter().filter_map(|entry| entry.counterparty.as_ref()).collect();
    let mut different = Different::new(&parties, rule.min_counterparties);
    findings(&entries, length_ms, &mut different)
        .into_iter()
        .filter_map(|range| Hit::new(input.account, rule.points, &entries[range]))
        .collect()
}

/// Counts different counterparties: each is numbered once, so that sliding is an index and an addition.
struct Different {
    number: Vec<usize>,
    seen: Vec<u32>,
    count: usize,
    min: usize,
}

impl Different {
    fn new(parties: &[&Counterparty], min: u32) -> Self {
        let mut sorted = parties.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let number = parties.iter().map(|party| sorted.partition_point(|one| one < party)).collect();
        Self { number, seen: vec![0; sorted.len()], count: 0, min: min as usize }
    }
}

impl Tally for Different {
    fn add(&mut self, at: usize) {
        let seen = &mut self.seen[self.number[at]];
        self.count += usize::from(*seen == 0);
        *seen += 1;
    }

    fn remove(&mut self, at: usize) {
        let seen = &mut self.seen[self.number[at]];
        *seen -= 1;
        self.count -= usize::from(*seen == 0);
    }

    fn qualifies(&self) -> bool {
        self.count >= self.min
    }
}
