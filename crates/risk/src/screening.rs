//! What screening against lists came to: an input of the score, from whoever screens.
//!
//! A hit is open until somebody has looked at it, and then confirmed or gone: a false positive is no hit any more. The pillar is worth
//! its best hit, by how well it matches and by how severe its list is; what is confirmed matches wholly, and may set a floor.

use serde::Serialize;

/// What kind of list a hit is on. Numbers are for ever: hashes are made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// Sanctions.
    Sanctions = 1,
    /// Foreign politically exposed persons (FATF Recommendation 12).
    ForeignPep = 2,
    /// Domestic politically exposed persons, and those of international organisations.
    DomesticPep = 3,
    /// Adverse media.
    AdverseMedia = 4,
}

/// How far the review of a hit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Nobody has decided yet.
    Open = 1,
    /// It is the client.
    Confirmed = 2,
}

/// An entry of a list that matches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListHit {
    /// What kind of list.
    pub list: ListKind,
    /// How far its review is.
    pub review: Review,
    /// How well it matches, in basis points; more than 10,000 counts as 10,000.
    pub match_bp: u16,
}

impl ListHit {
    /// How well it matches: what is confirmed, wholly.
    pub(crate) fn strength_bp(self) -> u16 {
        match self.review {
            Review::Open => self.match_bp.min(10_000),
            Review::Confirmed => 10_000,
        }
    }
}

/// The outcome of screening a client; without hits, that it is on no list. Order and repeats of hits do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screening {
    hits: Vec<ListHit>,
}

impl Screening {
    /// With these hits, false positives left out.
    pub fn new(hits: impl IntoIterator<Item = ListHit>) -> Self {
        let mut hits: Vec<ListHit> = hits.into_iter().collect();
        hits.sort_unstable();
        hits.dedup();
        Self { hits }
    }

    /// The hits, each once, ascending.
    pub fn hits(&self) -> &[ListHit] {
        &self.hits
    }

    /// Whether a hit on this kind of list is confirmed.
    pub fn is_confirmed(&self, list: ListKind) -> bool {
        self.hits.iter().any(|hit| (hit.list, hit.review) == (list, Review::Confirmed))
    }
}
