//! High-risk flow: a large share of money from or to countries on FATF's lists.
//!
//! At least `min-count` entries whose other side is in a listed country, which together are at least `share-bp` of the account's retained
//! flow in the base currency. Entries without a rate are in neither. Source: FATF Recommendation 19 (higher-risk countries); FFIEC
//! BSA/AML Examination Manual, Appendix F (funds transfers to and from higher-risk geographic locations).

use super::{Hit, Input, Tariff, Typology};
use crate::{entry::Entry, fx::Exchange, model::Model, refdata::Listing, score::ReasonCode, time::Day};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct HighRiskFlow;

impl Typology for HighRiskFlow {
    fn code(&self) -> ReasonCode {
        ReasonCode::HighRiskFlow
    }

    fn describe(&self, _: &Model) -> String {
        "a large share of money from or to listed countries".to_owned()
    }

    fn tariff(&self, model: &Model) -> Tariff {
        // One hit an account: further accounts add nothing.
        let rule = model.behaviour.high_risk_flow.as_ref();
        rule.map(|rule| Tariff { each_further: 0, cap: rule.points }).unwrap_or_default()
    }

    fn detect(&self, input: &Input<'_>) -> Vec<Hit> {
        let Some(rule) = &input.model.behaviour.high_risk_flow else { return Vec::new() };
        let lists = input.refdata.countries();
        let is_listed = |entry: &Entry| {
            entry.counterparty_country.is_some_and(|country| lists.listing(country) != Listing::Unlisted)
        };
        let min_count = rule.min_count as usize;
        if input.entries.iter().filter(|entry| is_listed(entry)).count() < min_count {
            return Vec::new();
        }
        let mut exchange = Exchange::new(input.refdata.rates());
        let mut listed: Vec<&Entry> = Vec::new();
        let (mut risky, mut total) = (0_u128, 0_u128);
        for entry in input.entries {
            let Some(factor) = exchange.factor(entry.currency, Day::of(entry.at_ms)) else { continue };
            let amount = factor.convert(u128::from(entry.amount.minor().unsigned_abs()));
            total = total.saturating_add(amount);
            if is_listed(entry) {
                risky = risky.saturating_add(amount);
                listed.push(entry);
            }
        }
        let share = risky.saturating_mul(10_000) >= total.saturating_mul(u128::from(rule.share_bp));
        if listed.len() < min_count || risky == 0 || !share {
            return Vec::new();
        }
        Hit::new(input.account, rule.points, &listed).into_iter().collect()
    }
}
