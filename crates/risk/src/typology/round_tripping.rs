//! Round-tripping: money that comes back to where it started.
//!
//! A round is of `min-length` to `max-length` payments within `days`, each from the receiver of the one before and (`in-order`) not
//! earlier than it, through different parties, of which the least is at least `amount-bp` of the largest. Every account on it has the
//! hit, not only the one where it began. Source: the cycle alert pattern of IBM's AMLSim (Weber et al., arXiv:1812.00076); FFIEC
//! BSA/AML Examination Manual, Appendix F (circular transfers). Rounds that share a payment are one hit.
//!
//! The search walks from the account along what it paid until it is back, in the order of time, with one exception: at the party where
//! the round began, the next payment is its first. Payments that can still be on a round are told by their distance from the account.

use std::collections::VecDeque;

use super::{Found, Hit, Input, Tariff, Typology, joined::Joined};
use crate::{
    model::{self, Model},
    network::{Network, Steps, are_alike},
    score::ReasonCode,
    time::DAY_MS,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct RoundTripping;

impl Typology for RoundTripping {
    fn code(&self) -> ReasonCode {
        ReasonCode::RoundTripping
    }

    fn describe(&self, model: &Model) -> String {
        let days = model.behaviour.round_tripping.as_ref().map_or(0, |rule| rule.days);
        format!("money that came back to where it started within {days} days")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = model.behaviour.round_tripping.as_ref();
        rule.map(|rule| Tariff { each_further: rule.each_further, cap: rule.cap }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        self.search(input).hits
    }

    fn search(&self, input: &Input<'_>) -> Found {
        let (Some(rule), Some(network)) = (&input.model.behaviour.round_tripping, input.network) else {
            return Found::default();
        };
        let Some(start) = network.place(input.account) else { return Found::default() };
        let mut walk = Walk {
            rule,
            network,
            start,
            span_ms: i64::from(rule.days) * DAY_MS,
            away: distances(network, start, rule.max_length as usize),
            path: Vec::with_capacity(rule.max_length as usize),
            joined: Joined::new(network),
            steps: network.steps(),
        };
        let complete = network.paid(start).all(|first| walk.begin(first));
        Found { hits: walk.joined.hits(network, input.account, rule.points), complete }
    }
}

/// How many payments each party is away from `start`, if that is less than `most`.
fn distances(network: &Network, start: usize, most: usize) -> Vec<Option<usize>> {
    let mut away = vec![None; network.parties()];
    away[start] = Some(0);
    let mut next = VecDeque::from([(start, 0)]);
    while let Some((party, distance)) = next.pop_front() {
        if distance + 1 >= most {
            continue;
        }
        for at in network.received(party) {
            let from = network.flows()[at].from;
            if away[from].is_none() {
                away[from] = Some(distance + 1);
                next.push_back((from, distance + 1));
            }
        }
    }
    away
}

/// The bounds that the payments of a path keep.
#[derive(Clone, Copy)]
struct Bounds {
    least: u64,
    most: u64,
    from_ms: i64,
    to_ms: i64,
}

struct Walk<'a> {
    rule: &'a model::RoundTripping,
    network: &'a Network,
    start: usize,
    span_ms: i64,
    away: Vec<Option<usize>>,
    path: Vec<usize>,
    joined: Joined,
    steps: Steps,
}

impl Walk<'_> {
    /// Walks on from a first payment; false if there are no steps left.
    fn begin(&mut self, first: usize) -> bool {
        let flow = &self.network.flows()[first];
        let bounds = Bounds { least: flow.amount, most: flow.amount, from_ms: flow.at_ms, to_ms: flow.at_ms };
        self.path.push(first);
        let complete = self.go_on(bounds, false);
        self.path.pop();
        complete
    }

    /// From the receiver of the last payment; `turned` if the path has passed the party where the round began.
    fn go_on(&mut self, bounds: Bounds, turned: bool) -> bool {
        let network = self.network;
        let (Some(first), Some(last)) = (self.path.first(), self.path.last()) else { return true };
        let (first, last) = (&network.flows()[*first], &network.flows()[*last]);
        let (mut from_ms, mut to_ms) =
            (bounds.to_ms.saturating_sub(self.span_ms), bounds.from_ms.saturating_add(self.span_ms));
        if self.rule.in_order && turned {
            (from_ms, to_ms) = (from_ms.max(last.at_ms), to_ms.min(first.at_ms));
        }
        for at in network.paid_within(last.to, from_ms, to_ms) {
            if !self.steps.take() {
                return false;
            }
            let flow = &network.flows()[*at];
            let (least, most) = (bounds.least.min(flow.amount), bounds.most.max(flow.amount));
            // Once earlier than the one before: there the round began. What comes then is no later than the first of the path.
            let turns = self.rule.in_order && !turned && flow.at_ms < last.at_ms;
            if !are_alike(least, most, self.rule.amount_bp) || (turns && flow.at_ms > first.at_ms) {
                continue;
            }
            let length = self.path.len() + 1;
            if flow.to == self.start {
                if length >= self.rule.min_length as usize {
                    self.joined.join(self.path.iter().copied().chain([*at]));
                }
                continue;
            }
            let reaches =
                self.away[flow.to].is_some_and(|away| length + away <= self.rule.max_length as usize);
            if !reaches || self.path.iter().any(|one| network.flows()[*one].to == flow.to) {
                continue;
            }
            let bounds = Bounds {
                least,
                most,
                from_ms: bounds.from_ms.min(flow.at_ms),
                to_ms: bounds.to_ms.max(flow.at_ms),
            };
            self.path.push(*at);
            let complete = self.go_on(bounds, turned || turns);
            self.path.pop();
            if !complete {
                return false;
            }
        }
        true
    }
}
