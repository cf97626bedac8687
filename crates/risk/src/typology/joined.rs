//! Findings over a network: patterns that share a payment are one finding, so a finding does not depend on where a search began.

use super::Hit;
use crate::{
    entry::AccountId,
    network::{Flow, Network},
    text::EntryId,
};

/// Payments that were found together, as disjoint sets.
pub(super) struct Joined {
    /// By payment: another one of its set, itself if it is the first; none if it is in no pattern.
    parent: Vec<Option<usize>>,
}

impl Joined {
    pub(super) fn new(network: &Network) -> Self {
        Self { parent: vec![None; network.flows().len()] }
    }

    /// These payments are a pattern.
    pub(super) fn join(&mut self, pattern: impl IntoIterator<Item = usize>) {
        let mut first = None;
        for flow in pattern {
            let root = self.root(flow);
            let joined = *first.get_or_insert(root);
            // The lesser stays, so that sets are named alike whatever was joined first.
            self.parent[root.max(joined)] = Some(root.min(joined));
            first = Some(root.min(joined));
        }
    }

    fn root(&mut self, mut flow: usize) -> usize {
        while let Some(parent) = self.parent[flow].filter(|parent| *parent != flow) {
            let above = self.parent[parent].unwrap_or(parent);
            self.parent[flow] = Some(above);
            flow = above;
        }
        self.parent[flow] = Some(flow);
        flow
    }

    /// The hits, in the order of their first payments; each names every entry of its payments that is known.
    pub(super) fn hits(mut self, network: &Network, account: AccountId, points: u8) -> Vec<Hit> {
        let found: Vec<usize> = (0..self.parent.len()).filter(|flow| self.parent[*flow].is_some()).collect();
        let mut sets: Vec<(usize, usize)> = found.into_iter().map(|flow| (self.root(flow), flow)).collect();
        sets.sort_unstable();
        let flow = |(_, at): &(usize, usize)| &network.flows()[*at];
        sets.chunk_by(|a, b| a.0 == b.0)
            .filter_map(|set| hit(account, points, set.iter().map(flow)))
            .collect()
    }
}

fn hit<'f>(account: AccountId, points: u8, flows: impl Iterator<Item = &'f Flow>) -> Option<Hit> {
    let mut named: Vec<(i64, EntryId)> =
        flows.flat_map(|flow| flow.entries().map(|entry| (flow.at_ms, entry))).collect();
    named.sort_unstable();
    let (from_ms, to_ms) = (named.first()?.0, named.last()?.0);
    let transactions = named.into_iter().map(|(_, entry)| entry).collect();
    Some(Hit { account, from_ms, to_ms, points, transactions })
}
