//! Product: what the client uses, by its share of flow.

use super::{
    Context,
    flows::sum,
    maths::{half_up, share_bp},
    mean::{Part, mean},
    reason::{Finding, Outcome, ReasonCode},
};
use crate::{entry::Kind, model::Share};

pub(super) fn assess(context: &Context<'_>) -> Outcome {
    let mut parts = of_flow(context);
    parts.push(private_banking(context));
    mean(parts)
}

fn of_flow(context: &Context<'_>) -> Vec<Part> {
    let (model, flows) = (&context.model.product, &context.flows);
    let unknown = context.model.unknown.points;
    let total = flows.total();
    let weight = model.cash.weight + model.cross_border.weight + model.crypto.weight;
    if !context.observed() {
        return vec![Part::new(weight, false, super::no_transactions_finding(context))];
    }
    if flows.unconverted > 0 && total == 0 {
        return vec![Part::new(weight, false, super::missing_rate(context, 0))];
    }
    let kind = |kind: Kind| share_bp(flows.kinds[kind.index()], total);
    let mut parts = vec![
        share(&model.cash, ReasonCode::ProductCash, kind(Kind::Cash), "cash"),
        cross_border(context),
        share(&model.crypto, ReasonCode::ProductCrypto, kind(Kind::Crypto), "crypto-assets"),
    ];
    if flows.unconverted > 0 {
        // What has no rate could be any of the three.
        for part in &mut parts {
            let lift = unknown.saturating_sub(part.points);
            part.points += lift;
            part.findings.push(Finding { points: lift, ..super::missing_rate(context, 0) });
        }
    }
    parts
}

/// The share's part of 100 points.
fn points(model: &Share, share_bp: u32) -> u8 {
    half_up(u128::from(share_bp) * 100, u128::from(model.full_at_bp)).min(100) as u8
}

fn share(model: &Share, code: ReasonCode, share_bp: u32, what: &str) -> Part {
    let text = format!("{} % of flow is {what}", share_bp / 100);
    Part::new(model.weight, true, Finding::new(code, points(model, share_bp), 0, text))
}

/// Flow that has another side, by whether its country is home, abroad, or not known; without a home all of it is unknown.
fn cross_border(context: &Context<'_>) -> Part {
    let (model, flows) = (&context.model.product.cross_border, &context.flows);
    let unknown = context.model.unknown.points;
    let Some(home) = context.profile.home() else {
        let text = "home country is not known, so neither is cross-border flow";
        return Part::new(
            model.weight,
            false,
            Finding::new(ReasonCode::DataMissingResidence, unknown, 0, text),
        );
    };
    let total = flows.total();
    let nowhere = flows.countries.get(None);
    let abroad = sum(flows
        .countries
        .iter()
        .filter(|(one, _)| one.is_some_and(|one| one != home))
        .map(|(_, flow)| flow));
    let abroad_bp = share_bp(abroad, total);
    let nowhere_bp = share_bp(nowhere, total);
    let crossing = points(model, abroad_bp);
    let of_unknown = half_up(u128::from(nowhere_bp) * u128::from(unknown), 10_000) as u8;
    let points = crossing.saturating_add(of_unknown).min(100);
    let text = format!("{} % of flow crosses the border", abroad_bp / 100);
    let missing = format!("countries of counterparties are not known for {} % of flow", nowhere_bp / 100);
    Part {
        weight: model.weight,
        known_bp: 10_000 - nowhere_bp,
        points,
        findings: vec![
            Finding::new(ReasonCode::ProductCrossBorder, crossing, 0, text),
            Finding::new(ReasonCode::DataMissingCounterpartyCountry, points - crossing, 0, missing),
        ],
    }
}

fn private_banking(context: &Context<'_>) -> Part {
    let model = &context.model.product.private_banking;
    let (code, points, text) = match context.profile.private_banking {
        Some(true) => (ReasonCode::ProductPrivateBanking, model.points, "uses private banking"),
        Some(false) => (ReasonCode::ProductPrivateBanking, 0, "does not use private banking"),
        None => {
            let unknown = context.model.unknown.points;
            (ReasonCode::DataMissingPrivateBanking, unknown, "use of private banking is not known")
        }
    };
    let known = context.profile.private_banking.is_some();
    Part::new(model.weight, known, Finding::new(code, points, 0, text))
}
