//! Structuring: cash kept just below a reporting threshold.
//!
//! At least `min-count` amounts in `[floor-bp of T, T)` within one of the windows, in one currency and direction; T is the
//! currency's reporting threshold. Source: FFIEC BSA/AML Examination Manual, Appendix G ("Structuring"), and 31 U.S.C. 5324.
//! Findings of all windows that share a transaction are one hit, worth what the most telling of its windows is.

use super::{
    Hit, Input, Tariff, Typology,
    window::{AtLeast, findings},
};
use crate::{entry::Entry, model::Model, score::ReasonCode, time::HOUR_MS};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Structuring;

impl Typology for Structuring {
    fn code(&self) -> ReasonCode {
        ReasonCode::Structuring
    }

    fn describe(&self, model: &Model) -> String {
        let rule = &model.behaviour.structuring;
        format!("{} or more cash amounts just below the reporting threshold in a short time", rule.min_count)
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = &model.behaviour.structuring;
        Tariff { each_further: rule.each_further, cap: rule.cap }
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        let mut suspicious: Vec<&Entry> =
            input.entries.iter().copied().filter(|entry| is_just_below(entry, input.model)).collect();
        if suspicious.len() < input.model.behaviour.structuring.min_count as usize {
            return Vec::new();
        }
        // Stable: within a group the canonical order stays.
        suspicious.sort_by_key(|entry| (entry.currency, entry.direction));
        let groups = suspicious.chunk_by(|a, b| (a.currency, a.direction) == (b.currency, b.direction));
        let mut hits: Vec<Hit> = groups.flat_map(|group| of_group(group, input)).collect();
        hits.sort_by(|a, b| (a.from_ms, &a.transactions).cmp(&(b.from_ms, &b.transactions)));
        hits
    }
}

fn is_just_below(entry: &Entry, model: &Model) -> bool {
    let rule = &model.behaviour.structuring;
    if !rule.kinds.has(entry.kind) {
        return false;
    }
    let threshold = u128::from(rule.threshold.minor(entry.currency));
    let minor = u128::from(entry.amount.minor().unsigned_abs());
    minor < threshold && minor * 10_000 >= threshold * u128::from(rule.floor_bp)
}

fn of_group(group: &[&Entry], input: &Input<'_>) -> Vec<Hit> {
    let rule = &input.model.behaviour.structuring;
    let mut found: Vec<(std::ops::Range<usize>, u8)> = Vec::new();
    for window in &rule.windows {
        let length_ms = i64::from(window.hours) * HOUR_MS;
        let ranges = findings(group, length_ms, &mut AtLeast::new(rule.min_count));
        found.extend(ranges.into_iter().map(|range| (range, window.points)));
    }
    found.sort_by_key(|(range, _)| range.start);
    found.dedup_by(|(later, points), (sooner, most)| {
        let joined = later.start < sooner.end;
        if joined {
            sooner.end = sooner.end.max(later.end);
            *most = (*most).max(*points);
        }
        joined
    });
    found.into_iter().filter_map(|(range, points)| Hit::new(input.account, points, &group[range])).collect()
}
