//! Gather-scatter: many senders, and then many receivers.
//!
//! At a turn, where a payment out follows one that came, at least `min-counterparties` different senders have paid in the `hours`
//! before, and at least as many different receivers are paid in the `hours` after, together about what came (the lesser at least
//! `amount-bp` of the larger). Only the account in the middle has the hit: a sender is often a victim. Source: the gather-scatter alert
//! pattern of IBM's AMLSim (Weber et al., arXiv:1812.00076); FFIEC BSA/AML Examination Manual, Appendix F (funnel accounts). Turns that
//! share a payment are one hit.

use std::collections::BTreeMap;

use super::{Found, Hit, Input, Tariff, Typology, joined::Joined};
use crate::{
    model::{self, Model},
    network::{Flow, Network},
    score::ReasonCode,
    time::HOUR_MS,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct GatherScatter;

impl Typology for GatherScatter {
    fn code(&self) -> ReasonCode {
        ReasonCode::GatherScatter
    }

    fn describe(&self, model: &Model) -> String {
        let rule = model.behaviour.gather_scatter.as_ref();
        let (many, hours) = rule.map_or((0, 0), |rule| (rule.min_counterparties, rule.hours));
        format!("{many} or more senders, and {many} or more receivers within {hours} hours after them")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = model.behaviour.gather_scatter.as_ref();
        rule.map(|rule| Tariff { each_further: rule.each_further, cap: rule.cap }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        self.search(input).hits
    }

    fn search(&self, input: &Input<'_>) -> Found {
        let (Some(rule), Some(network)) = (&input.model.behaviour.gather_scatter, input.network) else {
            return Found::default();
        };
        let Some(account) = network.place(input.account) else { return Found::default() };
        let (came, went): (Vec<usize>, Vec<usize>) =
            (network.received(account).collect(), network.paid(account).collect());
        // Each party takes a payment at least.
        if came.len().min(went.len()) < rule.min_counterparties as usize {
            return Found::default();
        }
        let (mut gathered, mut scattered) = (Side::default(), Side::default());
        let mut joined = Joined::new(network);
        let span_ms = i64::from(rule.hours) * HOUR_MS;
        for turn in turns(network, &came, &went) {
            gathered.slide(network, &came, turn.saturating_sub(span_ms), turn, |flow| flow.from);
            scattered
                .slide(network, &went, turn.saturating_add(1), turn.saturating_add(span_ms), |flow| flow.to);
            if gathered.is_enough(rule) && scattered.is_enough(rule) && gathered.is_like(&scattered, rule) {
                joined.join(gathered.fresh(&came).chain(scattered.fresh(&went)));
                (gathered.joined, scattered.joined) = (gathered.end, scattered.end);
            }
        }
        Found { hits: joined.hits(network, input.account, rule.points), complete: true }
    }
}

/// Times of payments that came last before one that went.
fn turns(network: &Network, came: &[usize], went: &[usize]) -> Vec<i64> {
    let at_ms = |flow: &usize| network.flows()[*flow].at_ms;
    let mut turns: Vec<i64> = went
        .iter()
        .filter_map(|out| {
            let before = came.partition_point(|one| at_ms(one) < at_ms(out));
            before.checked_sub(1).map(|last| at_ms(&came[last]))
        })
        .collect();
    turns.dedup();
    turns
}

/// One side of a turn, kept while it slides: each payment is added once and removed once.
#[derive(Default)]
struct Side {
    start: usize,
    end: usize,
    /// Those before it that are still in belong to the last finding.
    joined: usize,
    sum: u128,
    parties: BTreeMap<usize, u32>,
}

impl Side {
    /// To the payments in `from_ms..=to_ms`, neither of which is earlier than it was before.
    fn slide(
        &mut self,
        network: &Network,
        flows: &[usize],
        from_ms: i64,
        to_ms: i64,
        party: impl Fn(&Flow) -> usize,
    ) {
        let flow = |at: usize| flows.get(at).map(|at| &network.flows()[*at]);
        while let Some(one) = flow(self.end).filter(|one| one.at_ms <= to_ms) {
            self.sum += u128::from(one.amount);
            *self.parties.entry(party(one)).or_default() += 1;
            self.end += 1;
        }
        while let Some(one) = flow(self.start).filter(|one| self.start < self.end && one.at_ms < from_ms) {
            self.sum -= u128::from(one.amount);
            let party = party(one);
            if let Some(seen) = self.parties.get_mut(&party) {
                *seen -= 1;
                if *seen == 0 {
                    self.parties.remove(&party);
                }
            }
            self.start += 1;
        }
    }

    fn is_enough(&self, rule: &model::GatherScatter) -> bool {
        self.parties.len() >= rule.min_counterparties as usize
    }

    fn is_like(&self, other: &Self, rule: &model::GatherScatter) -> bool {
        let (least, most) = (self.sum.min(other.sum), self.sum.max(other.sum));
        least.saturating_mul(10_000) >= most.saturating_mul(u128::from(rule.amount_bp))
    }

    /// The first payment, which stands for all that the last finding had already, and those that are new.
    fn fresh<'f>(&self, flows: &'f [usize]) -> impl Iterator<Item = usize> + use<'f> {
        let fresh = &flows[self.start.max(self.joined)..self.end];
        flows[self.start..self.end].iter().take(1).chain(fresh).copied()
    }
}
