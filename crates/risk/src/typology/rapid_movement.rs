//! Rapid movement: money that leaves almost as soon as it has come.
//!
//! Every outgoing unit is matched with the oldest incoming one of its currency that is not matched yet and at most `hours`
//! old (first in, first out, the tracing rule of Clayton's case). A receipt of which at least `out-bp` left that way has moved
//! on; such receipts that share an outgoing entry are one hit, if together they reach `min-in`. Matching each unit once is
//! what keeps one payment from explaining two receipts. Source: FFIEC BSA/AML Examination Manual, Appendix F ("Funds
//! Transfers": funds in and out within a short period), and Tazama's layering rules.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::{Hit, Input, Tariff, Typology};
use crate::{
    entry::{Direction, Entry},
    model::{self, Model},
    score::ReasonCode,
    time::HOUR_MS,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct RapidMovement;

impl Typology for RapidMovement {
    fn code(&self) -> ReasonCode {
        ReasonCode::RapidMovement
    }

    fn describe(&self, model: &Model) -> String {
        let rule = &model.behaviour.rapid_movement;
        format!("{} % or more of what came in left within {} hours", rule.out_bp / 100, rule.hours)
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = &model.behaviour.rapid_movement;
        Tariff { each_further: rule.each_further, cap: rule.cap }
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        let rule = &input.model.behaviour.rapid_movement;
        let mut entries: Vec<&Entry> = Vec::with_capacity(input.entries.len());
        entries.extend(input.entries.iter().filter(|entry| rule.kinds.has(entry.kind)));
        entries.sort_by_key(|entry| entry.currency);
        let mut hits: Vec<Hit> = entries
            .chunk_by(|a, b| a.currency == b.currency)
            .flat_map(|group| {
                let min_in = u128::from(rule.min_in.minor(group[0].currency));
                let moved = if received(group) < min_in { Vec::new() } else { Matching::run(group, rule) };
                joined(moved)
                    .into_iter()
                    .filter(move |chain| chain.received >= min_in)
                    .filter_map(|chain| Hit::new(input.account, rule.points, &chain.entries(group)))
            })
            .collect();
        hits.sort_by(|a, b| (a.from_ms, &a.transactions).cmp(&(b.from_ms, &b.transactions)));
        hits
    }
}

/// All that came.
fn received(group: &[&Entry]) -> u128 {
    let credits = group.iter().filter(|entry| entry.direction == Direction::Credit);
    credits.map(|entry| u128::from(entry.amount.minor().unsigned_abs())).sum()
}

/// A receipt, and what of it has left through which entries.
struct Lot {
    at: usize,
    amount: u64,
    left: u64,
    out: SmallVec<[usize; 2]>,
}

impl Lot {
    fn has_moved(&self, rule: &model::RapidMovement) -> bool {
        u128::from(self.amount - self.left) * 10_000 >= u128::from(self.amount) * u128::from(rule.out_bp)
    }
}

/// First-in first-out matching over the entries of one currency.
struct Matching<'a> {
    rule: &'a model::RapidMovement,
    open: VecDeque<Lot>,
    moved: Vec<Lot>,
}

impl<'a> Matching<'a> {
    /// The receipts that moved on, oldest first.
    fn run(group: &[&Entry], rule: &'a model::RapidMovement) -> Vec<Lot> {
        let mut this = Self { rule, open: VecDeque::with_capacity(group.len()), moved: Vec::new() };
        let stay_ms = i64::from(rule.hours) * HOUR_MS;
        for (at, entry) in group.iter().enumerate() {
            let amount = entry.amount.minor().unsigned_abs();
            match entry.direction {
                Direction::Credit => {
                    this.open.push_back(Lot { at, amount, left: amount, out: SmallVec::new() });
                }
                Direction::Debit => {
                    let oldest_ms = entry.at_ms.saturating_sub(stay_ms);
                    while this.open.front().is_some_and(|lot| group[lot.at].at_ms < oldest_ms) {
                        this.close_oldest();
                    }
                    this.pay(at, amount);
                }
            }
        }
        while !this.open.is_empty() {
            this.close_oldest();
        }
        this.moved
    }

    fn pay(&mut self, at: usize, mut amount: u64) {
        while amount > 0 {
            let Some(lot) = self.open.front_mut() else { return };
            let part = amount.min(lot.left);
            amount -= part;
            lot.left -= part;
            lot.out.push(at);
            if lot.left == 0 {
                self.close_oldest();
            }
        }
    }

    fn close_oldest(&mut self) {
        self.moved.extend(self.open.pop_front().filter(|lot| lot.has_moved(self.rule)));
    }
}

/// Receipts that share outgoing entries.
struct Chain {
    received: u128,
    lots: Vec<Lot>,
}

impl Chain {
    fn entries<'e>(&self, group: &[&'e Entry]) -> Vec<&'e Entry> {
        let mut at: Vec<usize> =
            self.lots.iter().flat_map(|lot| lot.out.iter().copied().chain([lot.at])).collect();
        at.sort_unstable();
        at.dedup();
        at.into_iter().map(|at| group[at]).collect()
    }
}

/// As money is matched in order, receipts can share an outgoing entry with their neighbours only.
fn joined(moved: Vec<Lot>) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    for lot in moved {
        let last_out = chains.last().and_then(|chain| chain.lots.last()).and_then(|last| last.out.last());
        let shares = last_out.is_some() && last_out == lot.out.first();
        let received = u128::from(lot.amount);
        match chains.last_mut() {
            Some(chain) if shares => {
                chain.received += received;
                chain.lots.push(lot);
            }
            _ => chains.push(Chain { received, lots: vec![lot] }),
        }
    }
    chains
}
