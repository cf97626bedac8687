//! Geography: the worst of the client's countries and of where its money comes from and goes to.

use super::{
    Context,
    flows::sum,
    maths::{half_up, share_bp},
    reason::{Finding, Outcome, ReasonCode},
};
use crate::{code::Country, profile::ClientType, refdata::Listing};

/// One input of the pillar.
struct Candidate {
    known_bp: u32,
    /// Whether it is worth a reason even if another input decides.
    notable: bool,
    finding: Finding,
}

pub(super) fn assess(context: &Context<'_>) -> Outcome {
    let mut candidates: Vec<Candidate> = countries(context)
        .map(|(what, country, missing)| of_country(context, what, country, missing))
        .collect();
    candidates.extend(of_flow(context));
    if context.flows.unconverted > 0 {
        // An exotic currency must not hide a flow: without a rate it is worth no less than unknown.
        candidates.push(Candidate { known_bp: 0, notable: true, finding: super::missing_rate(context, 0) });
    }

    let points = candidates.iter().map(|one| one.finding.points).max().unwrap_or_default();
    let known: u32 = candidates.iter().map(|one| one.known_bp).sum();
    let known_bp = known / (candidates.len() as u32).max(1);
    let mut decided = false;
    let mut findings = Vec::new();
    for mut one in candidates {
        let decides = !decided && one.finding.points == points;
        decided |= decides;
        one.finding.share = u64::from(decides);
        if decides || one.notable {
            findings.push(one.finding);
        }
    }
    Outcome { points, known_bp, findings }
}

/// The countries that matter for this type of client, and those that are known anyway.
pub(super) fn countries<'a>(
    context: &'a Context<'_>,
) -> impl Iterator<Item = (&'static str, Option<Country>, ReasonCode)> + 'a {
    let profile = context.profile;
    let person = profile.client_type != Some(ClientType::Company);
    let company = profile.client_type == Some(ClientType::Company);
    [
        ("residence", profile.residence, person, ReasonCode::DataMissingResidence),
        (
            "nationality",
            profile.nationality,
            person && profile.client_type.is_some(),
            ReasonCode::DataMissingNationality,
        ),
        ("incorporation", profile.incorporation, company, ReasonCode::DataMissingIncorporation),
    ]
    .into_iter()
    .filter(|(_, country, matters, _)| *matters || country.is_some())
    .map(|(what, country, _, missing)| (what, country, missing))
}

fn of_country(context: &Context<'_>, what: &str, country: Option<Country>, missing: ReasonCode) -> Candidate {
    let Some(country) = country else {
        let points = context.model.unknown.points;
        let finding = Finding::new(missing, points, 0, format!("{what} is not known"));
        return Candidate { known_bp: 0, notable: true, finding };
    };
    let listing = context.refdata.countries().listing(country);
    let (code, says) = match listing {
        Listing::CallForAction => (ReasonCode::CountryCallForAction, "is subject to a FATF call for action"),
        Listing::IncreasedMonitoring => {
            (ReasonCode::CountryIncreasedMonitoring, "is under FATF increased monitoring")
        }
        Listing::Unlisted => (ReasonCode::CountryUnlisted, "is on no FATF list"),
    };
    let finding = Finding::new(code, points_of(context, listing), 0, format!("{what} {country} {says}"));
    Candidate { known_bp: 10_000, notable: listing > Listing::Unlisted, finding }
}

fn points_of(context: &Context<'_>, listing: Listing) -> u8 {
    let points = &context.model.geography;
    match listing {
        Listing::CallForAction => points.call_for_action,
        Listing::IncreasedMonitoring => points.increased_monitoring,
        Listing::Unlisted => points.unlisted,
    }
}

/// The countries of counterparties, weighted by amount; a country that is not known weighs as unknown. Where there is no
/// flow that has another side, there is nothing to weigh.
fn of_flow(context: &Context<'_>) -> Option<Candidate> {
    let flow = &context.flows.countries;
    let total = sum(flow.iter().map(|(_, amount)| amount));
    if total == 0 {
        return None;
    }
    let lists = context.refdata.countries();
    let unknown = flow.get(None);
    let mut by_listing = [0_u128; 3];
    for (country, amount) in flow.iter() {
        if let Some(country) = country {
            let sum = &mut by_listing[lists.listing(country) as usize];
            *sum = sum.saturating_add(amount);
        }
    }
    let shares = by_listing.map(|amount| u128::from(share_bp(amount, total)));
    let unknown_bp = share_bp(unknown, total);
    let listings = [Listing::Unlisted, Listing::IncreasedMonitoring, Listing::CallForAction];
    let weighted: u128 = listings
        .iter()
        .zip(shares)
        .map(|(listing, share)| share * u128::from(points_of(context, *listing)))
        .sum();
    let all = weighted + u128::from(unknown_bp) * u128::from(context.model.unknown.points);
    let points = half_up(all, 10_000).min(100) as u8;
    let (code, text, notable) = if unknown_bp == 10_000 {
        (
            ReasonCode::DataMissingCounterpartyCountry,
            "countries of counterparties are not known".to_owned(),
            true,
        )
    } else {
        let (monitored, called) = (shares[1] / 100, shares[2] / 100);
        let text = format!(
            "{called} % of flow is with countries under a FATF call for action, {monitored} % with ones under increased \
             monitoring, {} % with unknown ones",
            unknown_bp / 100
        );
        (ReasonCode::FlowCountries, text, shares[1] + shares[2] > 0)
    };
    let finding = Finding::new(code, points, 0, text);
    Some(Candidate { known_bp: 10_000 - unknown_bp, notable, finding })
}
