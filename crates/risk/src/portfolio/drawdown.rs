//! Maximum drawdown by segments that merge.

use super::Minor;

/// What a stretch of days says about drawdowns: enough to put stretches together, in their order, without their days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// What was gained in all.
    total: Minor,
    /// The most that was ever up since the start, the start itself included.
    peak: Minor,
    /// The least.
    trough: Minor,
    /// The largest fall from a height to a later depth.
    drawdown: Minor,
}

impl Segment {
    /// One day.
    pub fn of(gain: Minor) -> Self {
        let zero = Minor(0);
        Self { total: gain, peak: gain.max(zero), trough: gain.min(zero), drawdown: (-gain).max(zero) }
    }

    /// This stretch, and another one after it.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        let across = self.peak - (self.total + later.trough);
        Self {
            total: self.total + later.total,
            peak: self.peak.max(self.total + later.peak),
            trough: self.trough.min(self.total + later.trough),
            drawdown: self.drawdown.max(later.drawdown).max(across),
        }
    }

    /// The largest fall from a height to a later depth.
    pub fn drawdown(&self) -> Minor {
        self.drawdown
    }
}

/// The stretch of these days, the oldest first.
impl FromIterator<Minor> for Segment {
    fn from_iter<I: IntoIterator<Item = Minor>>(gains: I) -> Self {
        gains.into_iter().map(Self::of).fold(Self::default(), Self::then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_fall_may_span_several_days() {
        let drawdown =
            |gains: &[i128]| gains.iter().map(|gain| Minor(*gain)).collect::<Segment>().drawdown().0;
        assert_eq!(drawdown(&[5, -3, 1, -4, 10, -5]), 6);
        assert_eq!(drawdown(&[-1, -1]), 2, "from where it starts");
        assert_eq!(drawdown(&[1, 2]), 0);
        assert_eq!(drawdown(&[]), 0);
    }

    proptest! {
        #[test]
        fn segments_merge_to_what_brute_force_finds(
            gains in prop::collection::vec(-100_i128..100, 0..40), cuts in prop::collection::vec(0_usize..40, 0..4)
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(gains.len())).collect();
            cuts.extend([0, gains.len()]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|cut| gains[cut[0]..cut[1]].iter().map(|gain| Minor(*gain)).collect::<Segment>());
            // From the right, the other way than a fold over days goes.
            let merged = parts.rev().fold(Segment::default(), |later, earlier| earlier.then(later));
            let heights: Vec<i128> = std::iter::once(0).chain(gains.iter().scan(0, |sum, gain| { *sum += gain; Some(*sum) })).collect();
            let worst = (0..heights.len()).flat_map(|to| (0..=to).map(move |from| (from, to)));
            let worst = worst.map(|(from, to)| heights[from] - heights[to]).max();
            prop_assert_eq!(Some(merged.drawdown().0), worst);
        }
    }
}
