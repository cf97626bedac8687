//! The customer risk score: an additive scorecard that explains itself.
//!
//! `score = sum(weight x points) / 10000`, half up, over six pillars of 0 to 100 points each, in the tradition of FATF's
//! risk-based approach (Recommendation 1) and the Wolfsberg Group's guidance. Every point has a reason: the total is
//! apportioned to pillars and each pillar's part to its reasons by largest remainder, so contributions sum to the score
//! exactly. Floors may lift the final value; they are listed apart. A pure function: same inputs, same bytes.

mod behaviour;
mod channel;
mod confidence;
mod customer;
mod evidence;
mod floors;
mod flows;
mod geography;
mod maths;
mod mean;
mod product;
mod reason;
mod screening;

use serde::Serialize;

pub use self::{
    confidence::Confidence,
    evidence::AccountView,
    reason::{Floor, Reason, ReasonCode},
};
use self::{
    evidence::Evidence,
    flows::Flows,
    maths::{apportion, half_up},
    reason::{Finding, Outcome},
};
use crate::{
    hash::StateHash,
    model::{Bands, Model},
    network::Network,
    profile::ClientProfile,
    refdata::RefData,
    screening::{ListKind, Screening},
};

/// What a score is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pillar {
    /// Countries of the client and of its flow.
    Geography,
    /// Who the client is.
    Customer,
    /// Typologies.
    Behaviour,
    /// Sanctions, politically exposed persons, adverse media.
    Screening,
    /// What the client uses.
    Product,
    /// How orders arrive.
    Channel,
}

impl Pillar {
    /// All of them, in the order of a score's contributions.
    pub const ALL: [Self; 6] =
        [Self::Geography, Self::Customer, Self::Behaviour, Self::Screening, Self::Product, Self::Channel];

    /// As it is in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Geography => "geography",
            Self::Customer => "customer",
            Self::Behaviour => "behaviour",
            Self::Screening => "screening",
            Self::Product => "product",
            Self::Channel => "channel",
        }
    }

    /// Whether it rests on what was asked of the client and can go stale, and not on its transactions.
    fn is_profile(self) -> bool {
        matches!(self, Self::Geography | Self::Customer)
    }

    fn weight(self, model: &Model) -> u32 {
        let weights = &model.weights;
        match self {
            Self::Geography => weights.geography,
            Self::Customer => weights.customer,
            Self::Behaviour => weights.behaviour,
            Self::Screening => weights.screening,
            Self::Product => weights.product,
            Self::Channel => weights.channel,
        }
    }

    fn assess(self, context: &Context<'_>) -> Outcome {
        match self {
            Self::Geography => geography::assess(context),
            Self::Customer => customer::assess(context),
            Self::Behaviour => behaviour::assess(context),
            Self::Screening => screening::assess(context),
            Self::Product => product::assess(context),
            Self::Channel => channel::assess(context),
        }
    }
}

/// What a score means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Band {
    /// Simplified or standard diligence.
    Low,
    /// Standard diligence, more often.
    Medium,
    /// Enhanced diligence.
    High,
}

impl Band {
    /// The band of a score.
    pub fn of(value: u8, bands: &Bands) -> Self {
        if value >= bands.high_from {
            Self::High
        } else if value >= bands.medium_from {
            Self::Medium
        } else {
            Self::Low
        }
    }

    /// `Low`, `Medium` or `High`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

/// A pillar's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PillarScore {
    /// Which.
    pub pillar: Pillar,
    /// 0 to 100.
    pub points: u8,
    /// In basis points.
    pub weight_bp: u32,
    /// Its part of the score; the six sum exactly to [`Score::additive`].
    pub contribution: u8,
}

/// A client's score and everything that explains it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// 0 to 100: the additive score, or the highest floor if that is more.
    pub value: u8,
    /// What it means.
    pub band: Band,
    /// Whether the client may not be served: a hit on a sanctions list is confirmed.
    pub blocked: bool,
    /// How much it rests on.
    pub confidence: Confidence,
    /// The score before floors.
    pub additive: u8,
    /// The six pillars.
    pub pillars: [PillarScore; 6],
    /// Conditions that hold, whether or not they lifted the value.
    pub floors: Vec<Floor>,
    /// Why: largest contribution first, then in the order of pillars.
    pub reasons: Vec<Reason>,
    /// Which model.
    pub model_version: String,
    /// SHA-256 of the model's file.
    pub model_hash: StateHash,
    /// Which lists and rates.
    pub refdata_version: String,
    /// As of when, milliseconds since the epoch. What is known of the hour that this lies in counts.
    pub as_of_ms: i64,
    /// SHA-256 of all that is known of the client that it was computed from.
    pub state_hash: StateHash,
}

/// What is known of a client.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Apart from its transactions.
    pub profile: &'a ClientProfile,
    /// Its accounts. Neither the order of accounts, hours and entries nor repeats of them matter.
    pub accounts: &'a [AccountView<'a>],
    /// What is around them; `None` if nobody looked.
    pub network: Option<&'a Network>,
    /// What screening came to; `None` if nobody screened.
    pub screening: Option<&'a Screening>,
}

/// What pillars see.
struct Context<'a> {
    profile: &'a ClientProfile,
    network: Option<&'a Network>,
    screening: Option<&'a Screening>,
    evidence: Evidence<'a>,
    flows: Flows,
    model: &'a Model,
    refdata: &'a RefData,
    as_of_ms: i64,
}

impl Context<'_> {
    /// Whether any transaction was ever seen.
    fn observed(&self) -> bool {
        !self.evidence.accounts.is_empty()
    }
}

/// Scores a client as of an instant, by default the end of the hour of its newest applied event
/// ([`crate::Hour::end_ms`]).
pub fn score(facts: &Facts<'_>, model: &Model, refdata: &RefData, as_of_ms: i64) -> Score {
    let Facts { profile, accounts, network, screening } = *facts;
    let evidence = Evidence::gather(accounts, model, as_of_ms);
    let flows = Flows::of(evidence.flow_hours(model), refdata.rates());
    let context = Context { profile, network, screening, evidence, flows, model, refdata, as_of_ms };

    let outcomes = Pillar::ALL.map(|pillar| (pillar, pillar.weight(model), pillar.assess(&context)));
    let confidence = confidence::assess(&context, &outcomes);
    let weighted =
        outcomes.each_ref().map(|(_, weight, outcome)| u64::from(*weight) * u64::from(outcome.points));
    let additive = half_up(u128::from(weighted.iter().sum::<u64>()), 10_000).min(100) as u8;
    let contributions = apportion(additive, &weighted);

    let mut pillars =
        Pillar::ALL.map(|pillar| PillarScore { pillar, points: 0, weight_bp: 0, contribution: 0 });
    let mut reasons = Vec::new();
    for (at, ((pillar, weight_bp, outcome), contribution)) in
        outcomes.into_iter().zip(contributions).enumerate()
    {
        pillars[at] = PillarScore { pillar, points: outcome.points, weight_bp, contribution };
        let worth = |reason: &Reason| {
            reason.points > 0 || reason.contribution > 0 || reason.code == ReasonCode::NetworkCut
        };
        reasons.extend(explain(pillar, contribution, outcome.findings).filter(worth));
    }
    reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.contribution), reason.pillar, reason.code));

    let floors = floors::hold(&context);
    let value = floors.iter().map(|floor| floor.at_least).fold(additive, u8::max);
    Score {
        value,
        band: Band::of(value, &model.bands),
        blocked: screening.is_some_and(|screening| screening.is_confirmed(ListKind::Sanctions)),
        confidence,
        additive,
        pillars,
        floors,
        reasons,
        model_version: model.version.clone(),
        model_hash: model.hash(),
        refdata_version: refdata.version().to_owned(),
        as_of_ms,
        state_hash: context.evidence.hash(facts),
    }
}

/// Splits a pillar's contribution among its findings.
fn explain(pillar: Pillar, contribution: u8, findings: Vec<Finding>) -> impl Iterator<Item = Reason> {
    let shares: Vec<u64> = findings.iter().map(|finding| finding.share).collect();
    findings.into_iter().zip(apportion(contribution, &shares)).map(move |(finding, contribution)| Reason {
        code: finding.code,
        pillar,
        points: finding.points,
        contribution,
        text: finding.text,
        transactions: finding.transactions,
        transaction_count: finding.transaction_count,
    })
}

fn no_transactions_finding(context: &Context<'_>) -> Finding {
    Finding::new(
        ReasonCode::DataMissingTransactions,
        context.model.unknown.points,
        1,
        "no transaction was seen",
    )
}

fn no_transactions(context: &Context<'_>) -> Outcome {
    let finding = no_transactions_finding(context);
    Outcome { points: finding.points, known_bp: 0, findings: vec![finding] }
}

fn missing_rate(context: &Context<'_>, share: u64) -> Finding {
    let text = format!("{} transactions have no exchange rate", context.flows.unconverted);
    Finding::new(ReasonCode::DataMissingFxRate, context.model.unknown.points, share, text)
}

#[cfg(test)]
mod tests;
