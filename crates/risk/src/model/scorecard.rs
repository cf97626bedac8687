//! The sections of a model file, as they are in the file: keys in kebab case, none unknown, none missing.

use serde::Deserialize;

use super::{KindSet, MajorByCurrency, PointsByIndustry, Steps};
use crate::{screening::ListKind, time::DAY_MS};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub struct $name { $($(#[$fdoc])* pub $field: $type),+ }
    };
}

section!(
    /// Weights of the pillars in basis points; they sum to 10,000.
    Weights {
        /// Of [`crate::Pillar::Geography`].
        geography: u32,
        /// Of [`crate::Pillar::Customer`].
        customer: u32,
        /// Of [`crate::Pillar::Behaviour`].
        behaviour: u32,
        /// Of [`crate::Pillar::Screening`].
        screening: u32,
        /// Of [`crate::Pillar::Product`].
        product: u32,
        /// Of [`crate::Pillar::Channel`].
        channel: u32,
    }
);
section!(
    /// Where bands begin; below Medium is Low.
    Bands {
        /// The least score that is Medium.
        medium_from: u8,
        /// The least score that is High.
        high_from: u8,
    }
);
section!(
    /// What is not known.
    Unknown {
        /// Points of an input that nobody knows.
        points: u8,
    }
);
section!(
    /// How far back rules look from the end of `as_of`'s hour.
    Window {
        /// Entries, for the order-dependent rules.
        retained_days: u32,
        /// Hours, for shares of flow.
        flow_days: u32,
        /// Hours, for rules that compare with the past; as many as for shares of flow where nothing is said.
        #[serde(default)]
        history_days: Option<u32>,
    }
);
section!(
    /// Points of a country by its listing.
    Geography {
        /// Subject to a call for action.
        call_for_action: u8,
        /// Under increased monitoring.
        increased_monitoring: u8,
        /// Neither.
        unlisted: u8,
    }
);
section!(
    /// The customer pillar.
    Customer {
        /// Weights of its inputs.
        weights: CustomerWeights,
        /// Points by type.
        r#type: TypePoints,
        /// Points by industry.
        industry: PointsByIndustry,
        /// Points by layers of owners.
        ownership_layers: Steps,
        /// Points by days since onboarding.
        age_days: Steps,
    }
);
section!(
    /// Weights of the customer pillar's inputs; they sum to 10,000.
    CustomerWeights {
        /// Person or company.
        r#type: u32,
        /// Economic activity.
        industry: u32,
        /// Layers of owners.
        ownership: u32,
        /// Age of the relationship.
        age: u32,
    }
);
section!(
    /// Points by type of client.
    TypePoints {
        /// A natural person.
        individual: u8,
        /// Anything else.
        company: u8,
    }
);
section!(
    /// The typologies.
    Behaviour {
        /// Cash just below a reporting threshold.
        structuring: Structuring,
        /// Money that does not stay.
        rapid_movement: RapidMovement,
        /// Many senders to one account.
        fan_in: Fan,
        /// One account to many receivers.
        fan_out: Fan,
        /// An account that wakes up.
        #[serde(default)]
        dormant_reactivation: Option<DormantReactivation>,
        /// A day unlike the days before.
        #[serde(default)]
        spike: Option<Spike>,
        /// Money from and to listed countries.
        #[serde(default)]
        high_risk_flow: Option<HighRiskFlow>,
        /// Amounts that nature does not make.
        #[serde(default)]
        benford: Option<Benford>,
        /// Money that returns to where it started.
        #[serde(default)]
        round_tripping: Option<RoundTripping>,
        /// One payer, many between, one receiver.
        #[serde(default)]
        scatter_gather: Option<ScatterGather>,
        /// Many senders, one between, many receivers.
        #[serde(default)]
        gather_scatter: Option<GatherScatter>,
    }
);
section!(
    /// See [`crate::typology::dormant`].
    DormantReactivation {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// How long it was silent at least.
        silent_days: u32,
        /// How long after that it is looked at.
        within_days: u32,
        /// How many entries its past has at least.
        min_past: u32,
        /// How many standard deviations above the mean of its past.
        sigmas: u32,
    }
);
section!(
    /// See [`crate::typology::spike`].
    Spike {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// How far back a day is compared.
        history_days: u32,
        /// How many days with entries that past has at least.
        min_days: u32,
        /// How much more than the largest of them, in basis points of it.
        over_maximum_bp: u32,
        /// How many standard deviations above their mean.
        sigmas: u32,
        /// The least total of a day that is looked at, in major units.
        min_total: MajorByCurrency,
    }
);
section!(
    /// See [`crate::typology::high_risk_flow`].
    HighRiskFlow {
        /// Points.
        points: u8,
        /// The least share of flow.
        share_bp: u32,
        /// How many entries at least.
        min_count: u32,
    }
);
section!(
    /// See [`crate::typology::benford`].
    Benford {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// How many amounts at least.
        min_count: u32,
        /// The critical value of chi-square with 8 degrees of freedom, in thousandths.
        critical_milli: u32,
    }
);
section!(
    /// See [`crate::typology::round_tripping`].
    RoundTripping {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// How many transfers a round has at least.
        min_length: u32,
        /// And at most.
        max_length: u32,
        /// From the first to the last.
        days: u32,
        /// The least amount of a round as a part of its largest.
        amount_bp: u32,
        /// Whether a transfer must not be earlier than the one before it.
        in_order: bool,
    }
);
section!(
    /// See [`crate::typology::scatter_gather`].
    ScatterGather {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// How many different parties between at least.
        min_between: u32,
        /// From the first payment to the last.
        days: u32,
        /// What a party between receives and passes on: the lesser as a part of the larger.
        amount_bp: u32,
    }
);
section!(
    /// See [`crate::typology::gather_scatter`].
    GatherScatter {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// How many different senders, and how many different receivers, at least.
        min_counterparties: u32,
        /// How long before the turn money comes, and how long after it goes, at most.
        hours: u32,
        /// What came and what went: the lesser as a part of the larger.
        amount_bp: u32,
    }
);
section!(
    /// See [`crate::typology::structuring`].
    Structuring {
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// Kinds of entry that count.
        kinds: KindSet,
        /// T: the reporting threshold in major units.
        threshold: MajorByCurrency,
        /// The least suspicious amount as a part of T.
        floor_bp: u32,
        /// How many make a hit.
        min_count: u32,
        /// Within how long, and for how many points.
        windows: Vec<ScoredWindow>,
    }
);
section!(
    /// A window and its points.
    ScoredWindow {
        /// Length.
        hours: u32,
        /// Points of the first hit.
        points: u8,
    }
);
section!(
    /// See [`crate::typology::rapid_movement`].
    RapidMovement {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// Kinds of entry that count.
        kinds: KindSet,
        /// The least receipt that is looked at, in major units.
        min_in: MajorByCurrency,
        /// How long money stays at most.
        hours: u32,
        /// The part of it that leaves.
        out_bp: u32,
    }
);
section!(
    /// See [`crate::typology::fan`].
    Fan {
        /// Points of the first hit.
        points: u8,
        /// Points of each further hit.
        each_further: u8,
        /// The most that the typology gives.
        cap: u8,
        /// Kinds of entry that count.
        kinds: KindSet,
        /// Within how long.
        hours: u32,
        /// How many different counterparties.
        min_counterparties: u32,
    }
);
section!(
    /// The product pillar.
    Product {
        /// Notes and coins.
        cash: Share,
        /// To and from other countries.
        cross_border: Share,
        /// Crypto-asset services.
        crypto: Share,
        /// Private banking.
        private_banking: Flag,
    }
);
section!(
    /// Points for a share of flow.
    Share {
        /// Weight of the input in the pillar.
        weight: u32,
        /// The share that is worth 100 points.
        full_at_bp: u32,
    }
);
section!(
    /// Points for something that is or is not so.
    Flag {
        /// Weight of the input in the pillar.
        weight: u32,
        /// Points if so; 0 if not.
        points: u8,
    }
);
section!(
    /// Points by [`crate::Channel`].
    Channels {
        /// Face to face.
        branch: u8,
        /// Cash machine.
        atm: u8,
        /// Browser.
        online: u8,
        /// App.
        mobile: u8,
        /// Third party.
        intermediary: u8,
    }
);
section!(
    /// The least final score where a condition holds.
    Floors {
        /// A country of the client is subject to a call for action.
        call_for_action: u8,
        /// A hit on a sanctions list is confirmed.
        #[serde(default)]
        sanction: Option<u8>,
        /// A hit on a list of foreign politically exposed persons is confirmed.
        #[serde(default)]
        foreign_pep: Option<u8>,
        /// A hit in adverse media is confirmed.
        #[serde(default)]
        adverse_media: Option<u8>,
    }
);
section!(
    /// The screening pillar: points of a hit that matches wholly, by its list.
    Severities {
        /// See [`ListKind::Sanctions`].
        sanctions: u8,
        /// See [`ListKind::ForeignPep`].
        foreign_pep: u8,
        /// See [`ListKind::DomesticPep`].
        domestic_pep: u8,
        /// See [`ListKind::AdverseMedia`].
        adverse_media: u8,
    }
);
section!(
    /// When HIGH_RISK_ALERT is raised; see [`crate::alert`].
    Alerts {
        /// How far below High a score must fall before it may alert again.
        hysteresis: u8,
    }
);
section!(
    /// What confidence depends on.
    ConfidenceParams {
        /// How long a review of the client is in date.
        review_days: u32,
        /// Depth with no day observed.
        depth_floor_bp: u32,
        /// Days observed that make full depth.
        depth_days: u32,
    }
);
section!(
    /// The form of reasons.
    Reasons {
        /// The most transactions that one reason names.
        max_transactions: u32,
    }
);
section!(
    /// What is looked at around a client's accounts: see [`crate::network`].
    Network {
        /// Kinds of entry that count.
        kinds: KindSet,
        /// Smaller payments are not followed, in major units.
        min_amount: MajorByCurrency,
        /// How many steps away from the client's accounts entries are read.
        hops: u32,
        /// How many accounts are read at most.
        max_accounts: u32,
        /// An account with more entries in the time that matters is not followed.
        max_entries: u32,
        /// How many steps one search takes at most.
        max_steps: u32,
        /// The part of the behaviour pillar that is known where not all of the network was looked at.
        cut_known_bp: u32,
    }
);
section!(
    /// All that a model file says.
    Scorecard {
        /// Names the model in answers.
        version: String,
        /// For people.
        description: String,
        /// Of the pillars.
        weights: Weights,
        /// Low, Medium, High.
        bands: Bands,
        /// What is not known.
        unknown: Unknown,
        /// How far back.
        window: Window,
        /// How far around.
        #[serde(default)]
        network: Option<Network>,
        /// Pillar.
        geography: Geography,
        /// Pillar.
        customer: Customer,
        /// Pillar.
        behaviour: Behaviour,
        /// Pillar; unknown throughout where a model does not have it.
        #[serde(default)]
        screening: Option<Severities>,
        /// Pillar.
        product: Product,
        /// Pillar.
        channel: Channels,
        /// Least scores.
        floors: Floors,
        /// Alerts.
        alerts: Alerts,
        /// Confidence.
        confidence: ConfidenceParams,
        /// Reasons.
        reasons: Reasons,
    }
);

impl Severities {
    /// Of this kind of list.
    pub fn of(&self, list: ListKind) -> u8 {
        match list {
            ListKind::Sanctions => self.sanctions,
            ListKind::ForeignPep => self.foreign_pep,
            ListKind::DomesticPep => self.domestic_pep,
            ListKind::AdverseMedia => self.adverse_media,
        }
    }
}

impl Behaviour {
    /// The longest time between two payments of a pattern over the network; none where a model has no such pattern.
    pub fn network_days(&self) -> Option<u32> {
        let round = self.round_tripping.as_ref().map(|rule| rule.days);
        round.max(self.scatter_gather.as_ref().map(|rule| rule.days))
    }
}

impl Window {
    /// Milliseconds that entries are retained for the order-dependent rules.
    pub fn retained_ms(&self) -> i64 {
        i64::from(self.retained_days) * DAY_MS
    }

    /// Milliseconds of hours that any rule looks at.
    pub fn history_ms(&self) -> i64 {
        i64::from(self.history_days.unwrap_or_default().max(self.flow_days)) * DAY_MS
    }

    /// Milliseconds of flow that shares are taken of.
    pub fn flow_ms(&self) -> i64 {
        i64::from(self.flow_days) * DAY_MS
    }
}
