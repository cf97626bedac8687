//! Scatter-gather: one payer, many between, one receiver.
//!
//! At least `min-between` different parties receive from one party and pay to another one, each about what it received (the lesser at
//! least `amount-bp` of the larger) and not before it did, all within `days`. The payer, the receiver and every one between have the
//! hit. Source: the scatter-gather alert pattern of IBM's AMLSim (Weber et al., arXiv:1812.00076); FFIEC BSA/AML Examination Manual,
//! Appendix F (funds transferred through several accounts to one beneficiary). Patterns that share a payment are one hit.

use super::{Found, Hit, Input, Tariff, Typology, joined::Joined};
use crate::{
    model::{self, Model},
    network::{Flow, Network, Steps},
    score::ReasonCode,
    time::DAY_MS,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ScatterGather;

impl Typology for ScatterGather {
    fn code(&self) -> ReasonCode {
        ReasonCode::ScatterGather
    }

    fn describe(&self, model: &Model) -> String {
        let (between, days) =
            model.behaviour.scatter_gather.as_ref().map_or((0, 0), |rule| (rule.min_between, rule.days));
        format!("money that went through {between} or more parties to one receiver within {days} days")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = model.behaviour.scatter_gather.as_ref();
        rule.map(|rule| Tariff { each_further: rule.each_further, cap: rule.cap }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        self.search(input).hits
    }

    fn search(&self, input: &Input<'_>) -> Found {
        let (Some(rule), Some(network)) = (&input.model.behaviour.scatter_gather, input.network) else {
            return Found::default();
        };
        let Some(account) = network.place(input.account) else { return Found::default() };
        let mut search = Search {
            rule,
            network,
            account,
            span_ms: i64::from(rule.days) * DAY_MS,
            legs: Vec::new(),
            steps: network.steps(),
        };
        let mut joined = Joined::new(network);
        let complete = search.gather().and_then(|()| search.join(&mut joined)).is_some();
        Found { hits: joined.hits(network, input.account, rule.points), complete }
    }
}

/// What a party between received, and what it paid: places of payments.
type Leg = (usize, usize);

struct Search<'a> {
    rule: &'a model::ScatterGather,
    network: &'a Network,
    account: usize,
    span_ms: i64,
    /// With payer and receiver. The same one may be found more than once.
    legs: Vec<((usize, usize), Leg)>,
    steps: Steps,
}

impl<'a> Search<'a> {
    /// All legs of the patterns that the account may be in. `None` if there are no steps left.
    fn gather(&mut self) -> Option<()> {
        let account = self.account;
        for first in self.network.paid(account) {
            self.legs_from(first, None)?;
        }
        for second in self.network.received(account) {
            self.legs_to(second)?;
        }
        let mut through = Vec::new();
        for first in self.network.received(account) {
            for second in self.onward(first).iter().copied() {
                self.steps.take().then_some(())?;
                if self.is_leg(first, second) {
                    through.push((self.network.flows()[first].from, self.network.flows()[second].to));
                }
            }
        }
        through.sort_unstable();
        through.dedup();
        for (payer, receiver) in through {
            for first in self.network.paid(payer) {
                self.legs_from(first, Some(receiver))?;
            }
        }
        Some(())
    }

    /// What its receiver paid in time after this payment.
    fn onward(&self, first: usize) -> &'a [usize] {
        let flow = &self.network.flows()[first];
        self.network.paid_within(flow.to, flow.at_ms, flow.at_ms.saturating_add(self.span_ms))
    }

    /// Legs that begin with this payment.
    fn legs_from(&mut self, first: usize, receiver: Option<usize>) -> Option<()> {
        for second in self.onward(first).iter().copied() {
            self.steps.take().then_some(())?;
            let wanted = receiver.is_none_or(|receiver| self.network.flows()[second].to == receiver);
            if wanted && self.is_leg(first, second) {
                self.add(first, second);
            }
        }
        Some(())
    }

    /// Legs that end with this payment.
    fn legs_to(&mut self, second: usize) -> Option<()> {
        let network: &'a Network = self.network;
        let flow = &network.flows()[second];
        let before = network.received_within(flow.from, flow.at_ms.saturating_sub(self.span_ms), flow.at_ms);
        for first in before.iter().copied() {
            self.steps.take().then_some(())?;
            if self.is_leg(first, second) {
                self.add(first, second);
            }
        }
        Some(())
    }

    fn is_leg(&self, first: usize, second: usize) -> bool {
        let (first, second) = (&self.network.flows()[first], &self.network.flows()[second]);
        first.from != second.to && first.is_like(second, self.rule.amount_bp)
    }

    fn add(&mut self, first: usize, second: usize) {
        let ends = (self.network.flows()[first].from, self.network.flows()[second].to);
        self.legs.push((ends, (first, second)));
    }

    /// Joins the legs of every window that has enough parties between. A window begins with a leg's first payment. `None` if there are
    /// no steps left.
    fn join(&mut self, joined: &mut Joined) -> Option<()> {
        let flows = self.network.flows();
        let many = self.rule.min_between as usize;
        // By payer and receiver, and then in the order of time: payments are numbered so.
        let mut legs = std::mem::take(&mut self.legs);
        legs.sort_unstable();
        legs.dedup();
        for group in legs.chunk_by(|a, b| a.0 == b.0) {
            if group.len() < many {
                continue;
            }
            let (payer, receiver) = group[0].0;
            let at_an_end = [payer, receiver].contains(&self.account);
            let legs: Vec<Leg> = group.iter().map(|(_, leg)| *leg).collect();
            if parties(flows, &legs) < many {
                continue;
            }
            for (start, first) in legs.iter().enumerate() {
                let until_ms = flows[first.0].at_ms.saturating_add(self.span_ms);
                let mut within = Vec::new();
                for leg in legs[start..].iter().take_while(|leg| flows[leg.0].at_ms <= until_ms) {
                    self.steps.take().then_some(())?;
                    if flows[leg.1].at_ms <= until_ms {
                        within.push(*leg);
                    }
                }
                let is_between = || within.iter().any(|leg| flows[leg.0].to == self.account);
                if within.len() >= many && parties(flows, &within) >= many && (at_an_end || is_between()) {
                    joined.join(within.into_iter().flat_map(|leg| [leg.0, leg.1]));
                }
            }
        }
        Some(())
    }
}

/// How many different parties are between.
fn parties(flows: &[Flow], legs: &[Leg]) -> usize {
    let mut parties: Vec<usize> = legs.iter().map(|leg| flows[leg.0].to).collect();
    parties.sort_unstable();
    parties.dedup();
    parties.len()
}
