//! Benford: first digits of amounts that nature does not make.
//!
//! At least `min-count` amounts of one currency and direction whose first digits differ from Benford's law by a chi-square of more
//! than `critical-milli` thousandths (8 degrees of freedom; 15.507 is the 5 % point). Source: Nigrini, "Benford's Law" (2012); Tazama,
//! rule "Benford's law". The hit names the amounts of the digit that is most too frequent.

use super::{Hit, Input, Tariff, Typology};
use crate::{entry::Entry, model::Model, score::ReasonCode};

/// How often each first digit occurs, in millionths: log10(1 + 1/d).
const LAW: [u128; 9] = [301_030, 176_091, 124_939, 96_910, 79_181, 66_947, 57_992, 51_153, 45_757];
const WHOLE: u128 = 1_000_000;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Benford;

impl Typology for Benford {
    fn code(&self) -> ReasonCode {
        ReasonCode::Benford
    }

    fn describe(&self, _: &Model) -> String {
        "first digits of amounts that do not follow Benford's law".to_owned()
    }

    fn tariff(&self, model: &Model) -> Tariff {
        let rule = model.behaviour.benford.as_ref();
        rule.map(|rule| Tariff { each_further: rule.each_further, cap: rule.cap }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        let Some(rule) = &input.model.behaviour.benford else { return Vec::new() };
        if input.entries.len() < rule.min_count as usize {
            return Vec::new();
        }
        let mut entries = input.entries.to_vec();
        // Stable: within a group the canonical order stays.
        entries.sort_by_key(|entry| (entry.currency, entry.direction));
        let groups = entries.chunk_by(|a, b| (a.currency, a.direction) == (b.currency, b.direction));
        let found = groups.filter(|group| group.len() >= rule.min_count as usize).filter_map(|group| {
            let digit = deviating(group, u128::from(rule.critical_milli))?;
            let theirs: Vec<&Entry> =
                group.iter().copied().filter(|entry| first_digit(entry) == digit).collect();
            Hit::new(input.account, rule.points, &theirs)
        });
        let mut hits: Vec<Hit> = found.collect();
        hits.sort_by_key(|hit| (hit.from_ms, hit.transactions.first().copied()));
        hits
    }
}

/// The digit, less one, that is most too frequent, if the digits differ from the law by more than the critical value.
fn deviating(group: &[&Entry], critical_milli: u128) -> Option<usize> {
    let mut counts = [0_u128; 9];
    for entry in group {
        counts[first_digit(entry)] += 1;
    }
    let n = group.len() as u128;
    // (observed - expected)^2 / expected, each times n and the whole: chi-square in units of 1 / (n * WHOLE).
    let term = |(count, law): (&u128, &u128)| (count * WHOLE).abs_diff(n * law).pow(2) / law;
    let chi: u128 = counts.iter().zip(&LAW).map(term).sum();
    if chi * 1_000 <= critical_milli * n * WHOLE {
        return None;
    }
    let excess =
        |digit: &usize| (counts[*digit] * WHOLE).saturating_sub(n * LAW[*digit]).pow(2) / LAW[*digit];
    // The first among equals.
    (0..9).rev().max_by_key(excess)
}

/// The first digit of an amount, less one.
fn first_digit(entry: &Entry) -> usize {
    let minor = entry.amount.minor().unsigned_abs().max(1);
    (minor / 10_u64.pow(minor.ilog10()) - 1) as usize
}
