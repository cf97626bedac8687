//! The generator's labels. Generator and typologies were written apart, but both after the same descriptions of the patterns: this says
//! that a rule finds what it is made for among everyday traffic, and how much else it flags. It says nothing of real laundering.

use super::found::{self, Ledger};
use crate::report::Measurement;
use generate::{Generator, Label, Pattern, Plan};
use risk::{AccountId, EntryId, RefData};
use std::collections::{BTreeMap, BTreeSet};

/// 2026-06-01T00:00:00Z.
const END_MS: i64 = 1_780_272_000_000;
const CLIENTS: u64 = 5_000;

/// Which rule is made for a pattern.
const RULES: [(Pattern, &str, &str); 7] = [
    (Pattern::Structuring, "labels_structuring", "STRUCTURING"),
    (Pattern::RapidMovement, "labels_rapid_movement", "RAPID_MOVEMENT"),
    (Pattern::FanIn, "labels_fan_in", "FAN_IN"),
    (Pattern::FanOut, "labels_fan_out", "FAN_OUT"),
    (Pattern::Cycle, "labels_round_tripping", "ROUND_TRIPPING"),
    (Pattern::ScatterGather, "labels_scatter_gather", "SCATTER_GATHER"),
    (Pattern::GatherScatter, "labels_gather_scatter", "GATHER_SCATTER"),
];

/// One measurement a rule.
pub(super) fn measure() -> anyhow::Result<Vec<Measurement>> {
    let generator = Generator::new(Plan::of_clients(1, CLIENTS, END_MS))?;
    let mut ledger = Ledger::new();
    let mut schemes: BTreeMap<Label, BTreeMap<AccountId, Vec<EntryId>>> = BTreeMap::new();
    for transaction in generator.transactions(0..generator.plan().transactions()) {
        for entry in transaction.entries() {
            ledger.entry(entry.account).or_default().push(*entry);
            if let Some(label) = transaction.label {
                schemes.entry(label).or_default().entry(entry.account).or_default().push(entry.id);
            }
        }
    }
    // The whole history at once.
    let model = found::model_with(&[("retained-days = 30", "retained-days = 366")])?;
    let found = found::search(&ledger, &model, &RefData::builtin()?);
    let all: BTreeSet<AccountId> = schemes.values().flat_map(BTreeMap::keys).copied().collect();
    let mut measurements = Vec::new();
    for (pattern, case, code) in RULES {
        let Some((flagged, named)) = found.by_code.get(code) else { continue };
        let of_pattern: Vec<_> = schemes.iter().filter(|(label, _)| label.pattern == pattern).collect();
        let seen = of_pattern
            .iter()
            .filter(|(_, accounts)| accounts.values().flatten().any(|id| named.contains(id)));
        // Those that more than one of its payments went through: a sender to a fan is no launderer.
        let involved = of_pattern.iter().flat_map(|(_, accounts)| accounts.iter());
        let labelled =
            involved.filter(|(_, entries)| entries.len() >= 2).map(|(account, _)| *account).collect();
        let measurement = Measurement::without_goal(case)
            .with("schemes", of_pattern.len())
            .with("schemes_found", seen.count())
            .with("flagged_of_any_pattern", flagged.intersection(&all).count());
        measurements.push(found::compared(measurement, &ledger, &labelled, flagged));
    }
    for (code, (flagged, _)) in &found.by_code {
        if RULES.iter().all(|(_, _, of)| of != code) {
            let measurement = Measurement::without_goal("labels_other").with("rule", *code);
            measurements.push(found::compared(measurement, &ledger, &all, flagged));
        }
    }
    measurements.push(Measurement::without_goal("labels_cut").with("accounts_with_a_cut_network", found.cut));
    Ok(measurements)
}
