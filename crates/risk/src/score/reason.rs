//! Reasons: why a score is what it is, in codes that stay.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Pillar;
use crate::text::EntryId;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What a reason is about. Codes are part of the contract: they are added to, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode { $($(#[$doc])* $variant),+ }

        impl ReasonCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is in answers.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

reason_codes! {
    /// A country of the client is subject to a call for action: the score is at least the model's floor.
    FloorCallForAction = "FLOOR_CALL_FOR_ACTION",
    /// A hit on a sanctions list is confirmed: the score is at least the model's floor, and the client is blocked.
    FloorSanction = "FLOOR_SANCTION",
    /// The client is a foreign politically exposed person: the score is at least the model's floor.
    FloorForeignPep = "FLOOR_FOREIGN_PEP",
    /// Adverse media on the client is confirmed: the score is at least the model's floor.
    FloorAdverseMedia = "FLOOR_ADVERSE_MEDIA",
    /// A country of the client is subject to a call for action.
    CountryCallForAction = "COUNTRY_CALL_FOR_ACTION",
    /// A country of the client is under increased monitoring.
    CountryIncreasedMonitoring = "COUNTRY_INCREASED_MONITORING",
    /// The client's countries are on no list.
    CountryUnlisted = "COUNTRY_UNLISTED",
    /// Countries of counterparties, weighted by amount.
    FlowCountries = "FLOW_COUNTRIES",
    /// Person or company.
    CustomerType = "CUSTOMER_TYPE",
    /// Economic activity.
    CustomerIndustry = "CUSTOMER_INDUSTRY",
    /// Layers of owners.
    CustomerOwnership = "CUSTOMER_OWNERSHIP",
    /// Age of the relationship.
    CustomerAge = "CUSTOMER_AGE",
    /// Cash kept just below a reporting threshold.
    Structuring = "STRUCTURING",
    /// Money that leaves almost as soon as it has come.
    RapidMovement = "RAPID_MOVEMENT",
    /// Many senders in a short time.
    FanIn = "FAN_IN",
    /// Many receivers in a short time.
    FanOut = "FAN_OUT",
    /// An account that was silent for long moves unusual amounts.
    DormantReactivation = "DORMANT_REACTIVATION",
    /// A day's total far above those of the months before.
    Spike = "SPIKE",
    /// A large share of money from or to listed countries.
    HighRiskFlow = "HIGH_RISK_FLOW",
    /// First digits of amounts that do not follow Benford's law.
    Benford = "BENFORD",
    /// Money that returns to where it started.
    RoundTripping = "ROUND_TRIPPING",
    /// One payer, many between, one receiver.
    ScatterGather = "SCATTER_GATHER",
    /// Many senders, and then many receivers.
    GatherScatter = "GATHER_SCATTER",
    /// Not all of the network around the client's accounts was looked at.
    NetworkCut = "NETWORK_CUT",
    /// A hit on a sanctions list, open or confirmed.
    ScreeningSanctions = "SCREENING_SANCTIONS",
    /// A hit on a list of politically exposed persons, open or confirmed.
    ScreeningPep = "SCREENING_PEP",
    /// A hit in adverse media, open or confirmed.
    ScreeningAdverseMedia = "SCREENING_ADVERSE_MEDIA",
    /// Share of cash.
    ProductCash = "PRODUCT_CASH",
    /// Share of flow that crosses the border.
    ProductCrossBorder = "PRODUCT_CROSS_BORDER",
    /// Share of crypto-asset services.
    ProductCrypto = "PRODUCT_CRYPTO",
    /// Private banking is used.
    ProductPrivateBanking = "PRODUCT_PRIVATE_BANKING",
    /// Orders at branches and cash machines.
    ChannelInPerson = "CHANNEL_IN_PERSON",
    /// Orders that nobody gave face to face.
    ChannelNonFaceToFace = "CHANNEL_NON_FACE_TO_FACE",
    /// Orders through third parties.
    ChannelIntermediary = "CHANNEL_INTERMEDIARY",
    /// Where the client lives is not known.
    DataMissingResidence = "DATA_MISSING_RESIDENCE",
    /// The person's nationality is not known.
    DataMissingNationality = "DATA_MISSING_NATIONALITY",
    /// Where the company is incorporated is not known.
    DataMissingIncorporation = "DATA_MISSING_INCORPORATION",
    /// Countries of some counterparties are not known.
    DataMissingCounterpartyCountry = "DATA_MISSING_COUNTERPARTY_COUNTRY",
    /// Some amounts have no exchange rate.
    DataMissingFxRate = "DATA_MISSING_FX_RATE",
    /// Person or company is not known.
    DataMissingClientType = "DATA_MISSING_CLIENT_TYPE",
    /// The economic activity is not known.
    DataMissingIndustry = "DATA_MISSING_INDUSTRY",
    /// Layers of owners are not known.
    DataMissingOwnership = "DATA_MISSING_OWNERSHIP",
    /// When the relationship began is not known.
    DataMissingOnboarding = "DATA_MISSING_ONBOARDING",
    /// No transaction was seen.
    DataMissingTransactions = "DATA_MISSING_TRANSACTIONS",
    /// The client was not screened.
    DataMissingScreening = "DATA_MISSING_SCREENING",
    /// Whether private banking is used is not known.
    DataMissingPrivateBanking = "DATA_MISSING_PRIVATE_BANKING",
    /// How some orders were given is not known.
    DataMissingChannel = "DATA_MISSING_CHANNEL",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One reason of a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// What it is about.
    pub code: ReasonCode,
    /// Which pillar it belongs to.
    pub pillar: Pillar,
    /// What it is worth on its own, 0 to 100.
    pub points: u8,
    /// Its part of the score. The contributions of all reasons sum exactly to [`super::Score::additive`].
    pub contribution: u8,
    /// One sentence for people.
    pub text: String,
    /// The transactions it is made of, in canonical order; at most as many as the model says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transactions: Vec<EntryId>,
    /// How many there are in all.
    pub transaction_count: u64,
}

/// A condition under which a score may not be lower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    /// Which condition.
    pub code: ReasonCode,
    /// Which pillar it belongs to.
    pub pillar: Pillar,
    /// The least score.
    pub at_least: u8,
    /// One sentence for people.
    pub text: String,
}

/// A reason before its part of the score is known.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) code: ReasonCode,
    pub(super) points: u8,
    /// Its share in the pillar's points, in any unit that the pillar's findings have in common.
    pub(super) share: u64,
    pub(super) text: String,
    pub(super) transactions: Vec<EntryId>,
    pub(super) transaction_count: u64,
}

impl Finding {
    pub(super) fn new(code: ReasonCode, points: u8, share: u64, text: impl Into<String>) -> Self {
        Self { code, points, share, text: text.into(), transactions: Vec::new(), transaction_count: 0 }
    }
}

/// What a pillar came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// 0 to 100.
    pub(super) points: u8,
    /// Which part of its inputs is known.
    pub(super) known_bp: u32,
    pub(super) findings: Vec<Finding>,
}
