//! When a score that crosses into High raises an alert.
//!
//! Once, then not again until the score has fallen clearly below the band: without that, a score that trembles around the
//! bound would alert on every tremble. This is state of the alert and no part of a score or its hash.

use crate::{model::Model, score::Score};

/// Whether the next crossing alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alarm {
    /// The next score in High alerts.
    #[default]
    Armed,
    /// It has alerted; the score has not been clearly below High since.
    Fired,
}

impl Alarm {
    /// The alarm after this score, and whether to raise HIGH_RISK_ALERT now.
    #[must_use]
    pub fn step(self, score: &Score, model: &Model) -> (Self, bool) {
        self.step_value(score.value, model.bands.high_from, model.alerts.hysteresis)
    }

    fn step_value(self, value: u8, high_from: u8, hysteresis: u8) -> (Self, bool) {
        match self {
            Self::Armed if value >= high_from => (Self::Fired, true),
            Self::Fired if value <= high_from.saturating_sub(hysteresis) => (Self::Armed, false),
            unchanged => (unchanged, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_once_until_five_points_below_high() {
        let mut alarm = Alarm::default();
        let fired: Vec<bool> = [69, 70, 71, 69, 70, 66, 72, 65, 69, 70]
            .into_iter()
            .map(|value| {
                let (next, fire) = alarm.step_value(value, 70, 5);
                alarm = next;
                fire
            })
            .collect();
        assert_eq!(fired, [false, true, false, false, false, false, false, false, false, true]);
    }
}
