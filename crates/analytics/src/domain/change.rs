//! A change of a client's risk: what the history keeps, and what watchers are told.

use super::assessment::Assessment;
use super::standing::Standing;
use riskmesh_core::{ClientId, Timestamp};

/// The risk as it came to be, at one change of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) client: ClientId,
    /// Its place in the client's history: each change has the number after the one before.
    pub(crate) number: i64,
    pub(crate) assessment: Assessment,
    /// The score before; none for the first one.
    pub(crate) previous_score: Option<u8>,
    pub(crate) at: Timestamp,
}

impl Change {
    /// The last change of a standing, with the risk as it stands. While something is pending, that is the change itself; later
    /// the wording, the evidence or the confidence may have moved.
    pub(crate) fn last_of(standing: &Standing) -> Self {
        Self {
            client: standing.client.clone(),
            number: standing.change,
            assessment: standing.assessment.clone(),
            previous_score: standing.previous_score,
            at: standing.updated_at,
        }
    }
}
