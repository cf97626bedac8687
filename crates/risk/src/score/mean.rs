//! The weighted mean that the customer and product pillars are.

use super::{
    maths::half_up,
    reason::{Finding, Outcome},
};

/// One input: its weight in the mean, which part of it is known, what it is worth and why. Inputs that do not apply are
/// not put in; an input without points needs no reason.
pub(super) struct Part {
    pub(super) weight: u32,
    pub(super) known_bp: u32,
    pub(super) points: u8,
    pub(super) findings: Vec<Finding>,
}

impl Part {
    pub(super) fn new(weight: u32, known: bool, finding: Finding) -> Self {
        let known_bp = if known { 10_000 } else { 0 };
        Self { weight, known_bp, points: finding.points, findings: vec![finding] }
    }
}

/// The mean of the parts, half up.
pub(super) fn mean(parts: Vec<Part>) -> Outcome {
    let weights: u128 = parts.iter().map(|part| u128::from(part.weight)).sum();
    let points: u128 = parts.iter().map(|part| u128::from(part.weight) * u128::from(part.points)).sum();
    let known: u128 = parts.iter().map(|part| u128::from(part.weight) * u128::from(part.known_bp)).sum();
    let findings = parts.into_iter().flat_map(|part| {
        let weight = u64::from(part.weight);
        part.findings
            .into_iter()
            .filter(|finding| finding.points > 0)
            .map(move |finding| Finding { share: weight * u64::from(finding.points), ..finding })
    });
    Outcome {
        points: half_up(points, weights).min(100) as u8,
        known_bp: half_up(known, weights) as u32,
        findings: findings.collect(),
    }
}
