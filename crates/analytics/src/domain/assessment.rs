//! What a scoring comes to: everything about a client's risk that callers can see, apart from when it changed.

use risk::score::Floor;
use risk::{Band, ReasonCode, Score, StateHash};
use riskmesh_core::Timestamp;

/// A client's risk as of an instant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assessment {
    /// 0 to 100.
    pub(crate) score: u8,
    pub(crate) category: Band,
    /// In basis points, 0 to 10,000.
    pub(crate) confidence_bp: u16,
    /// Floors first, then the weightiest first.
    pub(crate) reasons: Vec<Reason>,
    pub(crate) model_version: String,
    pub(crate) refdata_version: String,
    pub(crate) as_of: Timestamp,
    pub(crate) state_hash: StateHash,
}

/// One reason, as it is stored: field numbers stay.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Reason {
    #[prost(string, tag = "1")]
    pub(crate) code: String,
    #[prost(string, tag = "2")]
    pub(crate) pillar: String,
    /// What it adds to the score; of a floor, the least score.
    #[prost(uint32, tag = "3")]
    pub(crate) points: u32,
    #[prost(string, tag = "4")]
    pub(crate) text: String,
    #[prost(string, repeated, tag = "5")]
    pub(crate) transactions: Vec<String>,
    #[prost(bool, tag = "6")]
    pub(crate) floor: bool,
}

impl Assessment {
    /// The outcome of the risk maths.
    pub(crate) fn of(score: &Score) -> Self {
        let floors = score.floors.iter().map(Reason::of_floor);
        Self {
            score: score.value,
            category: score.band,
            confidence_bp: score.confidence.bp(),
            reasons: floors.chain(score.reasons.iter().map(Reason::of)).collect(),
            model_version: score.model_version.clone(),
            refdata_version: score.refdata_version.clone(),
            as_of: Timestamp(score.as_of_ms),
            state_hash: score.state_hash,
        }
    }

    /// Whether the client is confirmed to be on a sanctions list.
    pub(crate) fn is_blocked(&self) -> bool {
        let sanction = ReasonCode::FloorSanction.as_str();
        self.reasons.iter().any(|reason| reason.floor && reason.code == sanction)
    }

    /// Whether the risk is another one: the score, its category, or which reasons give how many points. The wording of a reason
    /// ("a client for 812 days"), the evidence it names and the confidence move with almost every transaction; that is no news.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let weights = |assessment: &Self| -> Vec<(String, u32, bool)> {
            let weight = |reason: &Reason| (reason.code.clone(), reason.points, reason.floor);
            assessment.reasons.iter().map(weight).collect()
        };
        (self.score, self.category) != (other.score, other.category) || weights(self) != weights(other)
    }
}

impl Reason {
    fn of(reason: &risk::Reason) -> Self {
        Self {
            code: reason.code.to_string(),
            pillar: reason.pillar.as_str().to_owned(),
            points: reason.contribution.into(),
            text: reason.text.clone(),
            transactions: reason.transactions.iter().map(ToString::to_string).collect(),
            floor: false,
        }
    }

    fn of_floor(floor: &Floor) -> Self {
        Self {
            code: floor.code.to_string(),
            pillar: floor.pillar.as_str().to_owned(),
            points: floor.at_least.into(),
            text: floor.text.clone(),
            transactions: Vec::new(),
            floor: true,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use risk::{ClientProfile, Country, Facts, Model, Pillar, RefData};

    /// The score of a client of whom nothing is known, with another value.
    pub(crate) fn score(value: u8) -> Score {
        let model = Model::builtin().unwrap();
        let profile = ClientProfile::default();
        let facts = Facts { profile: &profile, accounts: &[], network: None, screening: None };
        let score = risk::score(&facts, &model, &RefData::builtin().unwrap(), 3_600_000);
        Score { value, band: Band::of(value, &model.bands), ..score }
    }

    #[test]
    fn wording_evidence_and_confidence_are_no_news() {
        let before = Assessment::of(&score(30));
        let mut after = Assessment { confidence_bp: 1, as_of: Timestamp(7_200_000), ..before.clone() };
        after.reasons[0].text = "other words".into();
        after.reasons[0].transactions.push("t-2".into());
        assert!(!after.differs(&before));
        after.reasons[0].points += 1;
        assert!(after.differs(&before), "points moved between reasons");
        assert!(Assessment::of(&score(31)).differs(&before));
    }

    #[test]
    fn only_a_confirmed_sanction_blocks() {
        let of = |code, pillar| {
            let mut score = score(100);
            score.floors = vec![Floor { code, pillar, at_least: 100, text: "a floor".into() }];
            Assessment::of(&score).is_blocked()
        };
        assert!(of(ReasonCode::FloorSanction, Pillar::Screening));
        assert!(!of(ReasonCode::FloorForeignPep, Pillar::Screening));
        assert!(!Assessment::of(&score(100)).is_blocked());
    }

    #[test]
    fn floors_come_first_and_points_of_the_rest_sum_to_the_score_before_floors() {
        let profile =
            ClientProfile { residence: Some(Country::new("KP").unwrap()), ..ClientProfile::default() };
        let (model, refdata) = (Model::builtin().unwrap(), RefData::builtin().unwrap());
        let facts = Facts { profile: &profile, accounts: &[], network: None, screening: None };
        let score = risk::score(&facts, &model, &refdata, 3_600_000);
        let assessment = Assessment::of(&score);
        assert!(assessment.reasons[0].floor && assessment.reasons[0].points == 85);
        assert_eq!(assessment.score, 85);
        let points = assessment.reasons.iter().filter(|reason| !reason.floor).map(|reason| reason.points);
        assert_eq!(points.sum::<u32>(), u32::from(score.additive));
    }
}
