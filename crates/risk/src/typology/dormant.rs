//! Dormant reactivation: an account that was silent for long moves unusual amounts.
//!
//! No entry for at least `silent-days`, at least `min-past` entries in the currency before that; then, within `within-days` of the first
//! entry, amounts at least `sigmas` standard deviations above the mean of that past. Source: FFIEC BSA/AML Examination Manual, Appendix
//! F ("a dormant account suddenly becomes active"); Tazama, typology "dormant account". The past is read from hours, which are
//! remembered for longer than entries are.

use super::sigma::Past;
use super::{Hit, Input, Tariff, Typology};
use crate::{
    code::Currency,
    entry::Entry,
    model::Model,
    score::ReasonCode,
    state::{HourState, State},
    time::DAY_MS,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct DormantReactivation;

impl Typology for DormantReactivation {
    fn code(&self) -> ReasonCode {
        ReasonCode::DormantReactivation
    }

    fn describe(&self, model: &Model) -> String {
        let days = model.behaviour.dormant_reactivation.as_ref().map_or(0, |rule| rule.silent_days);
        format!("unusual amounts after {days} or more days without any transaction")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = model.behaviour.dormant_reactivation.as_ref();
        rule.map(|rule| Tariff { each_further: rule.each_further, cap: rule.cap }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        let Some(rule) = &input.model.behaviour.dormant_reactivation else { return Vec::new() };
        let silence_ms = i64::from(rule.silent_days) * DAY_MS;
        let woke = |pair: &(usize, &[&HourState])| {
            let (before, after) = (pair.1[0].hour, pair.1[1].hour);
            after.start_ms() - before.end_ms() >= silence_ms
        };
        let mut hits = Vec::new();
        for (at, pair) in input.hours.windows(2).enumerate().filter(woke) {
            let (from, until) =
                (pair[1].hour.start_ms(), pair[1].hour.start_ms() + i64::from(rule.within_days) * DAY_MS);
            let past = State::fold(input.hours[..=at].iter().copied());
            let unusual: Vec<&Entry> = input
                .entries
                .iter()
                .copied()
                .filter(|entry| (from..until).contains(&entry.at_ms))
                .filter(|entry| {
                    let past = amounts(&past, entry.currency);
                    past.count >= u64::from(rule.min_past)
                        && past.is_exceeded(u128::from(entry.amount.minor().unsigned_abs()), rule.sigmas)
                })
                .collect();
            hits.extend(Hit::new(input.account, rule.points, &unusual));
        }
        hits
    }
}

/// The amounts in one currency, both directions together.
fn amounts(state: &State, currency: Currency) -> Past {
    let mut past = Past::default();
    let theirs = state.currencies.iter().filter(|one| one.currency == currency);
    for moments in theirs.flat_map(|one| &one.directions) {
        past.count = past.count.saturating_add(moments.flow.count);
        past.sum = past.sum.saturating_add(moments.flow.sum);
        past.squares = past.squares.saturating_add(moments.squares);
        past.max = past.max.max(u128::from(moments.max));
    }
    past
}
