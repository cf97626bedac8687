//! Where a client stands: the last assessment, and what must be remembered beside it. The one place that decides what a new
//! assessment changes, what is told of it, and when an alert is raised.

use super::assessment::Assessment;
use risk::{Alarm, Model, Score};
use riskmesh_core::{ClientId, Timestamp};

/// A client's row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) client: ClientId,
    pub(crate) assessment: Assessment,
    /// The score before the last change; none for the first one.
    pub(crate) previous_score: Option<u8>,
    /// When the risk last changed: see [`Assessment::differs`].
    pub(crate) updated_at: Timestamp,
    /// Counts what callers can see; the ETag, and the version in events.
    pub(crate) version: i64,
    /// Counts scorings; guards the row.
    pub(crate) revision: i64,
    /// Counts changes of the risk, over all clients that ever had this id: the number of the last one in the history.
    pub(crate) change: i64,
    /// The number of the client's first change: what lies before is the history of another client, who was deleted.
    pub(crate) born: i64,
    /// The place in the order of first scoring.
    pub(crate) ordinal: u64,
    pub(crate) alarm: Alarm,
    pub(crate) pending: Option<Pending>,
    /// A tombstone: the client is gone.
    pub(crate) deleted: bool,
}

/// What the last change has left to do: the list, and the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// Tell that the risk changed.
    Changed,
    /// Tell that it changed, and that it reached High.
    Alert,
}

impl Pending {
    /// As it is stored.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Changed => 1,
            Self::Alert => 2,
        }
    }

    /// From what is stored.
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        [Self::Changed, Self::Alert].into_iter().find(|pending| pending.code() == code)
    }
}

impl Standing {
    /// A client's first standing.
    pub(crate) fn first(
        client: ClientId,
        score: &Score,
        ordinal: u64,
        model: &Model,
        now: Timestamp,
    ) -> Self {
        let (alarm, pending) = step(Alarm::default(), score, model);
        Self {
            client,
            assessment: Assessment::of(score),
            previous_score: None,
            updated_at: now,
            version: 1,
            revision: 1,
            change: 1,
            born: 1,
            ordinal,
            alarm,
            pending: Some(pending),
            deleted: false,
        }
    }

    /// The standing after another scoring. What was pending must have been told before: this replaces it.
    #[must_use]
    pub(crate) fn next(&self, score: &Score, model: &Model, now: Timestamp) -> Self {
        let assessment = Assessment::of(score);
        let revision = self.revision + 1;
        if assessment == self.assessment {
            return Self { revision, pending: None, ..self.clone() };
        }
        let version = self.version + 1;
        if !assessment.differs(&self.assessment) {
            return Self { assessment, version, revision, pending: None, ..self.clone() };
        }
        let (alarm, pending) = step(self.alarm, score, model);
        Self {
            previous_score: Some(self.assessment.score),
            assessment,
            updated_at: now,
            version,
            revision,
            change: self.change + 1,
            alarm,
            pending: Some(pending),
            ..self.clone()
        }
    }

    /// The standing of a client that was deleted: a tombstone that keeps the counts, so that no version comes twice.
    #[must_use]
    pub(crate) fn gone(&self) -> Self {
        let version = if self.deleted { self.version } else { self.version + 1 };
        Self { version, revision: self.revision + 1, pending: None, deleted: true, ..self.clone() }
    }

    /// The standing of a client that was created again after it had been deleted: a new client in its old place, and versions go on.
    #[must_use]
    pub(crate) fn reborn(&self, score: &Score, model: &Model, now: Timestamp) -> Self {
        let first = Self::first(self.client.clone(), score, self.ordinal, model, now);
        let change = self.change + 1;
        Self { version: self.version + 1, revision: self.revision + 1, change, born: change, ..first }
    }
}

fn step(alarm: Alarm, score: &Score, model: &Model) -> (Alarm, Pending) {
    let (alarm, alert) = alarm.step(score, model);
    (alarm, if alert { Pending::Alert } else { Pending::Changed })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assessment::tests::score;
    use super::*;

    fn scored(scores: &[u8]) -> Vec<Standing> {
        let model = Model::builtin().unwrap();
        let first = Standing::first(ClientId::new("7").unwrap(), &score(scores[0]), 0, &model, Timestamp(0));
        let mut all = vec![first];
        for (at, value) in (1..).zip(&scores[1..]) {
            let next = all[all.len() - 1].next(&score(*value), &model, Timestamp(at));
            all.push(next);
        }
        all
    }

    #[test]
    fn an_alert_is_raised_once_until_the_score_has_fallen_five_points_below_high() {
        let all = scored(&[69, 70, 71, 69, 70, 66, 72, 65, 69, 70]);
        let alerts: Vec<i64> =
            all.iter().filter(|one| one.pending == Some(Pending::Alert)).map(|one| one.version).collect();
        assert_eq!(alerts, [2, 10]);
    }

    #[test]
    fn a_client_whose_first_score_is_high_raises_an_alert() {
        assert_eq!(scored(&[70])[0].pending, Some(Pending::Alert));
    }

    #[test]
    fn the_same_assessment_counts_the_scoring_and_nothing_else() {
        let all = scored(&[50, 50]);
        assert_eq!(all[1], Standing { revision: 2, pending: None, ..all[0].clone() });
    }

    #[test]
    fn what_callers_see_has_a_new_version_and_only_another_risk_a_new_date() {
        let model = Model::builtin().unwrap();
        let first = scored(&[50]).remove(0);
        let moved = Score { as_of_ms: 7_200_000, ..score(50) };
        let next = first.next(&moved, &model, Timestamp(9));
        assert_eq!((next.version, next.updated_at, next.pending), (2, Timestamp(0), None));
        assert_eq!(next.change, 1);
        let next = next.next(&score(51), &model, Timestamp(9));
        assert_eq!((next.version, next.updated_at, next.previous_score), (3, Timestamp(9), Some(50)));
        assert_eq!((next.change, next.born), (2, 1));
    }

    #[test]
    fn a_client_that_comes_back_is_new_but_versions_go_on() {
        let model = Model::builtin().unwrap();
        let high = scored(&[80]).remove(0);
        let gone = high.gone();
        assert!(gone.deleted && gone.version == 2 && gone.gone().version == 2);
        let back = gone.reborn(&score(80), &model, Timestamp(5));
        assert_eq!((back.version, back.ordinal, back.previous_score), (3, 0, None));
        assert_eq!((gone.change, back.change, back.born), (1, 2, 2), "its history begins anew");
        assert_eq!(back.pending, Some(Pending::Alert), "the alarm was another client's");
    }
}
