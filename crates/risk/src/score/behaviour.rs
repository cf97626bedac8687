//! Behaviour: the capped sum of the typologies' points over all accounts.

use super::{
    Context, Network, ReasonCode,
    reason::{Finding, Outcome},
};
use crate::{
    text::EntryId,
    typology::{self, Hit, Input, Typology},
};

pub(super) fn assess(context: &Context<'_>) -> Outcome {
    if !context.observed() {
        return super::no_transactions(context);
    }
    let mut complete = true;
    let mut findings: Vec<Finding> =
        typology::ALL.iter().filter_map(|typology| find(context, *typology, &mut complete)).collect();
    let points: u32 = findings.iter().map(|finding| u32::from(finding.points)).sum();
    let cut = cut(context, complete);
    let known_bp = match (&cut, &context.model.network) {
        (Some(_), Some(rule)) => rule.cut_known_bp,
        _ => 10_000,
    };
    findings.extend(cut);
    Outcome { points: points.min(100) as u8, known_bp, findings }
}

/// That not all of the network was looked at, if so: worth nothing, but never silent.
fn cut(context: &Context<'_>, complete: bool) -> Option<Finding> {
    context.model.behaviour.network_days()?;
    let text = match context.network.map(Network::left_out) {
        None => "the network around the client's accounts was not looked at".to_owned(),
        Some(0) if complete => return None,
        Some(0) => "the search of the network around the client's accounts ended at its bound".to_owned(),
        Some(left_out) => format!(
            "the network around the client's accounts is larger than what is looked at: {left_out} accounts left out"
        ),
    };
    Some(Finding::new(ReasonCode::NetworkCut, 0, 0, text))
}

fn find(context: &Context<'_>, typology: &dyn Typology, complete: &mut bool) -> Option<Finding> {
    let mut hits: Vec<Hit> = Vec::new();
    for account in &context.evidence.accounts {
        let found = typology.search(&Input {
            account: account.id,
            entries: &account.entries,
            hours: &account.hours,
            network: context.network,
            model: context.model,
            refdata: context.refdata,
        });
        *complete &= found.complete;
        hits.extend(found.hits);
    }
    let points = typology.tariff(context.model).total(&hits);
    if points == 0 {
        return None;
    }
    let mut ids: Vec<EntryId> = hits.iter().flat_map(|hit| hit.transactions.iter().copied()).collect();
    let count = ids.len();
    ids.truncate(context.model.reasons.max_transactions as usize);
    let what = typology.describe(context.model);
    let times = if hits.len() == 1 { "once".to_owned() } else { format!("{} times", hits.len()) };
    let text = format!("{what}: {times}, {count} transactions");
    let mut finding = Finding::new(typology.code(), points, u64::from(points), text);
    finding.transactions = ids;
    finding.transaction_count = count as u64;
    Some(finding)
}
