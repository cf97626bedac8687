//! Screening: the best hit on a list, by how well it matches and how severe the list is.

use super::{
    Context,
    maths::half_up,
    reason::{Finding, Outcome, ReasonCode},
};
use crate::screening::{ListHit, ListKind, Review};

pub(super) fn assess(context: &Context<'_>) -> Outcome {
    let (Some(screening), Some(_)) = (context.screening, &context.model.screening) else {
        return not_screened(context);
    };
    // One reason a kind of list: its best hit, of those that are worth the same a confirmed one.
    let mut best: Vec<(ListKind, u8, ListHit)> = Vec::new();
    for hit in screening.hits() {
        let points = points(context, *hit);
        match best.iter_mut().find(|(list, ..)| *list == hit.list) {
            Some(one) if (one.1, one.2.review) < (points, hit.review) => (one.1, one.2) = (points, *hit),
            Some(_) => {}
            None => best.push((hit.list, points, *hit)),
        }
    }
    let most = best.iter().map(|(_, points, _)| *points).max().unwrap_or(0);
    let decides = best.iter().position(|(_, points, _)| *points == most);
    let findings = best.iter().enumerate().map(|(at, (list, points, hit))| {
        let says = match hit.review {
            Review::Open => {
                format!("a hit on {} that matches to {} % is open", name(*list), hit.strength_bp() / 100)
            }
            Review::Confirmed => format!("a hit on {} is confirmed", name(*list)),
        };
        Finding::new(code(*list), *points, u64::from(Some(at) == decides), says)
    });
    Outcome { points: most, known_bp: 10_000, findings: findings.collect() }
}

fn points(context: &Context<'_>, hit: ListHit) -> u8 {
    let severity = context.model.screening.as_ref().map_or(0, |severities| severities.of(hit.list));
    half_up(u128::from(hit.strength_bp()) * u128::from(severity), 10_000).min(100) as u8
}

fn code(list: ListKind) -> ReasonCode {
    match list {
        ListKind::Sanctions => ReasonCode::ScreeningSanctions,
        ListKind::ForeignPep | ListKind::DomesticPep => ReasonCode::ScreeningPep,
        ListKind::AdverseMedia => ReasonCode::ScreeningAdverseMedia,
    }
}

fn name(list: ListKind) -> &'static str {
    match list {
        ListKind::Sanctions => "a sanctions list",
        ListKind::ForeignPep => "a list of foreign politically exposed persons",
        ListKind::DomesticPep => "a list of domestic politically exposed persons",
        ListKind::AdverseMedia => "adverse media",
    }
}

/// Until a client is screened its pillar is unknown.
fn not_screened(context: &Context<'_>) -> Outcome {
    let points = context.model.unknown.points;
    let text = "the client was not screened against sanctions, PEP and adverse media lists";
    let finding = Finding::new(ReasonCode::DataMissingScreening, points, 1, text);
    Outcome { points, known_bp: 0, findings: vec![finding] }
}
