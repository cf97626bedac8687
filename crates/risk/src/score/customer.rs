//! Customer: who the client is and how long it has been one.

use super::{
    Context,
    mean::{Part, mean},
    reason::{Finding, Outcome, ReasonCode},
};
use crate::{profile::ClientType, time::DAY_MS};

pub(super) fn assess(context: &Context<'_>) -> Outcome {
    let (profile, model) = (context.profile, &context.model.customer);
    let weights = &model.weights;
    let person = profile.client_type == Some(ClientType::Individual);
    let unknown = |weight, code, what: &str| {
        Part::new(
            weight,
            false,
            Finding::new(code, context.model.unknown.points, 0, format!("{what} is not known")),
        )
    };
    let known =
        |weight, code, points, text: String| Part::new(weight, true, Finding::new(code, points, 0, text));

    let mut parts = vec![match profile.client_type {
        Some(ClientType::Individual) => known(
            weights.r#type,
            ReasonCode::CustomerType,
            model.r#type.individual,
            "a natural person".to_owned(),
        ),
        Some(ClientType::Company) => {
            known(weights.r#type, ReasonCode::CustomerType, model.r#type.company, "a legal person".to_owned())
        }
        None => unknown(weights.r#type, ReasonCode::DataMissingClientType, "client type"),
    }];
    match profile.industry {
        Some(industry) => {
            let text = format!("industry {industry}");
            parts.push(known(
                weights.industry,
                ReasonCode::CustomerIndustry,
                model.industry.of(industry),
                text,
            ));
        }
        None if person => {}
        None => parts.push(unknown(weights.industry, ReasonCode::DataMissingIndustry, "industry")),
    }
    match profile.ownership_layers {
        Some(layers) => {
            let text = format!("layers of owners: {layers}");
            let points = model.ownership_layers.of(u32::from(layers));
            parts.push(known(weights.ownership, ReasonCode::CustomerOwnership, points, text));
        }
        None if person => {}
        None => parts.push(unknown(weights.ownership, ReasonCode::DataMissingOwnership, "ownership")),
    }
    parts.push(match profile.onboarded_at_ms {
        Some(since_ms) => {
            let days = context.as_of_ms.saturating_sub(since_ms).max(0) / DAY_MS;
            let points = model.age_days.of(u32::try_from(days).unwrap_or(u32::MAX));
            known(weights.age, ReasonCode::CustomerAge, points, format!("days since onboarding: {days}"))
        }
        None => unknown(weights.age, ReasonCode::DataMissingOnboarding, "start of the relationship"),
    });
    mean(parts)
}
