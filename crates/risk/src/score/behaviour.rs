//! Behaviour: the capped sum of the typologies' points over all accounts.

use super::{
    Context,
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
    let findings: Vec<Finding> =
        typology::ALL.iter().filter_map(|typology| find(context, *typology)).collect();
    let points: u32 = findings.iter().map(|finding| u32::from(finding.points)).sum();
    Outcome { points: points.min(100) as u8, known_bp: 10_000, findings }
}

fn find(context: &Context<'_>, typology: &dyn Typology) -> Option<Finding> {
    let hits: Vec<Hit> = context
        .evidence
        .accounts
        .iter()
        .flat_map(|account| {
            typology.detect(&Input {
                account: account.id,
                entries: &account.entries,
                hours: &account.hours,
                model: context.model,
                refdata: context.refdata,
            })
        })
        .collect();
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
