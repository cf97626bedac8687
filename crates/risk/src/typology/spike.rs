//! Spike: a day's total far above those of the months before.
//!
//! A day of the retained window whose total in one currency and direction is more than `over-maximum-bp` of the largest day of the
//! `history-days` before it, or at least `sigmas` standard deviations above their mean; of these days at least `min-days` have entries,
//! and those without do not count. Source: FFIEC BSA/AML Examination Manual, Appendix F ("activity inconsistent with the customer's
//! normal pattern"); Tazama, rule "transaction volume anomaly".

use smallvec::SmallVec;

use super::sigma::Past;
use super::{Hit, Input, Tariff, Typology};
use crate::{
    code::Currency,
    entry::{Direction, Entry},
    model::Model,
    score::ReasonCode,
    state::HourState,
    time::Day,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Spike;

impl Typology for Spike {
    fn code(&self) -> ReasonCode {
        ReasonCode::Spike
    }

    fn describe(&self, model: &Model) -> String {
        let days = model.behaviour.spike.as_ref().map_or(0, |rule| rule.history_days);
        format!("a day's total far above those of the {days} days before")
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = model.behaviour.spike.as_ref();
        rule.map(|rule| Tariff { each_further: rule.each_further, cap: rule.cap }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        let Some(rule) = &input.model.behaviour.spike else { return Vec::new() };
        let retained: Vec<i32> = retained_days(input.entries);
        let Some(first) = retained.first() else { return Vec::new() };
        let large = |days: &Days| {
            let min_total = u128::from(rule.min_total.minor(days.of.0));
            days.totals.iter().any(|(_, total)| *total >= min_total)
        };
        // Few accounts have a day that is large enough: what was before need not be added up for the others.
        let since = input.hours.partition_point(|hour| hour.hour.day().number() < *first);
        if !totals(&input.hours[since..]).iter().any(large) {
            return Vec::new();
        }
        let mut hits = Vec::new();
        for Days { of: (currency, direction), totals } in &totals(input.hours) {
            let min_total = u128::from(rule.min_total.minor(*currency));
            for day in &retained {
                let Ok(at) = totals.binary_search_by_key(day, |(day, _)| *day) else { continue };
                let total = totals[at].1;
                if total < min_total {
                    continue;
                }
                let from = day.saturating_sub(rule.history_days as i32);
                let first = totals.partition_point(|(day, _)| *day < from);
                let past = totals[first..at].iter().fold(Past::default(), |mut past, (_, total)| {
                    past.add(*total);
                    past
                });
                let enough = past.count >= u64::from(rule.min_days);
                let above =
                    total.saturating_mul(10_000) > past.max.saturating_mul(u128::from(rule.over_maximum_bp));
                if enough && (above || past.is_exceeded(total, rule.sigmas)) {
                    let theirs: Vec<&Entry> = input
                        .entries
                        .iter()
                        .copied()
                        .filter(|entry| Day::of(entry.at_ms).number() == *day)
                        .filter(|entry| (entry.currency, entry.direction) == (*currency, *direction))
                        .collect();
                    hits.extend(Hit::new(input.account, rule.points, &theirs));
                }
            }
        }
        hits.sort_by_key(|hit| (hit.from_ms, hit.transactions.first().copied()));
        hits
    }
}

/// The totals of one currency and direction, by day, ascending.
struct Days {
    of: (Currency, Direction),
    totals: Vec<(i32, u128)>,
}

/// What hours add up to: they are ascending, and so are the days of each. Few accounts have more than one currency.
fn totals(hours: &[&HourState]) -> SmallVec<[Days; 4]> {
    let mut days: SmallVec<[Days; 4]> = SmallVec::new();
    for hour in hours {
        let day = hour.hour.day().number();
        hour.for_each_sum(|currency, direction, sum| {
            let at = days.iter().position(|one| one.of == (currency, direction));
            let at = at.unwrap_or_else(|| {
                days.push(Days { of: (currency, direction), totals: Vec::with_capacity(hours.len()) });
                days.len() - 1
            });
            let totals = &mut days[at].totals;
            match totals.last_mut().filter(|last| last.0 == day) {
                Some((_, total)) => *total = total.saturating_add(sum),
                None => totals.push((day, sum)),
            }
        });
    }
    days
}

/// The days of which entries are retained.
fn retained_days(entries: &[&Entry]) -> Vec<i32> {
    let mut days: Vec<i32> = entries.iter().map(|entry| Day::of(entry.at_ms).number()).collect();
    days.dedup();
    days
}
