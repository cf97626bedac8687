//! Confidence: how much a score rests on what is known, reviewed and observed.

use serde::Serialize;

use super::{Context, Pillar, maths::half_up, reason::Outcome};
use crate::time::DAY_MS;

/// In basis points, 0 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Confidence(u16);

impl Confidence {
    /// In basis points.
    pub fn bp(self) -> u16 {
        self.0
    }
}

/// `coverage x freshness x depth`, half up.
///
/// Coverage: weights of known inputs over all weights. Freshness: of these known weights, the share that was reviewed in
/// date; pillars of the profile depend on the review (onboarding is the first one), those of transactions are current by
/// construction. Depth: from the model's floor with nothing observed to 1 with `depth-days` observed.
pub(super) fn assess(context: &Context<'_>, outcomes: &[(Pillar, u32, Outcome)]) -> Confidence {
    let params = &context.model.confidence;
    let reviewed_ms = context.profile.last_reviewed_at_ms.max(context.profile.onboarded_at_ms);
    let in_date = reviewed_ms.is_some_and(|at_ms| {
        context.as_of_ms.saturating_sub(at_ms) <= i64::from(params.review_days) * DAY_MS
    });
    let (mut known, mut fresh) = (0_u128, 0_u128);
    for (pillar, weight, outcome) in outcomes {
        let part = u128::from(*weight) * u128::from(outcome.known_bp);
        known += part;
        if in_date || !pillar.is_profile() {
            fresh += part;
        }
    }
    let coverage = half_up(known, 10_000);
    let freshness = half_up(fresh * 10_000, known);
    let floor = u128::from(params.depth_floor_bp);
    let days = u128::from(context.evidence.days_observed()).min(u128::from(params.depth_days));
    let depth = floor + half_up((10_000 - floor) * days, u128::from(params.depth_days));
    Confidence(half_up(coverage * freshness * depth, 100_000_000).min(10_000) as u16)
}
