//! The tail of the losses: value at risk and expected shortfall, in integers.

use super::{Error, Minor, units::div_round};

/// Basis points in one.
const WHOLE: u32 = 10_000;

/// The tail at one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The level, in basis points: 9,750 is 97.5 %.
    pub level_bp: u32,
    /// The loss that is not exceeded at the level; less than 0 where even that is a gain.
    pub value_at_risk: Minor,
    /// The mean loss beyond it.
    pub expected_shortfall: Minor,
}

impl Tail {
    /// The tail of these gains.
    pub fn of(gains: &[Minor], level_bp: u32) -> Result<Self, Error> {
        let losses = losses(gains);
        Ok(Self {
            level_bp,
            value_at_risk: value_at_risk(&losses, level_bp),
            expected_shortfall: expected_shortfall(&losses, level_bp)?,
        })
    }
}

/// Losses, the smallest first.
pub(super) fn losses(gains: &[Minor]) -> Vec<Minor> {
    let mut losses: Vec<Minor> = gains.iter().map(|gain| -*gain).collect();
    losses.sort_unstable();
    losses
}

/// `ceil(n a)`: the rank of the value at risk among `n` losses, the smallest being 1.
pub(super) fn rank(n: usize, level_bp: u32) -> usize {
    (n as u64 * u64::from(level_bp)).div_ceil(u64::from(WHOLE)) as usize
}

/// The value at risk of ascending losses: the `ceil(n a)`-th of them, the lower quantile of the empirical distribution. 0 of none.
pub fn value_at_risk(losses: &[Minor], level_bp: u32) -> Minor {
    rank(losses.len(), level_bp).checked_sub(1).map_or(Minor(0), |at| losses[at])
}

/// The expected shortfall of ascending losses: the mean of the worst `n (1 - a)` of them, the one at the edge in part (Acerbi and
/// Tasche, "On the coherence of expected shortfall", Journal of Banking and Finance 26, 2002, definition 2.6). Exact, then rounded
/// half away from zero. 0 of none.
pub fn expected_shortfall(losses: &[Minor], level_bp: u32) -> Result<Minor, Error> {
    let (n, rank) = (losses.len() as u64, rank(losses.len(), level_bp));
    let Some(edge) = rank.checked_sub(1).map(|at| losses[at]) else { return Ok(Minor(0)) };
    let beyond: Minor = losses[rank..].iter().copied().sum();
    // In ten-thousandths of an observation: what of the one at the edge lies beyond the level, and how much does in all.
    let part = rank as u64 * u64::from(WHOLE) - n * u64::from(level_bp);
    let whole = n * u64::from(WHOLE - level_bp);
    let sum = beyond.0.checked_mul(i128::from(WHOLE)).ok_or(Error::Range)?;
    let sum =
        sum.checked_add(edge.0.checked_mul(i128::from(part)).ok_or(Error::Range)?).ok_or(Error::Range)?;
    Ok(Minor(div_round(sum, i128::from(whole))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn tail(gains: &[i128], level_bp: u32) -> (i128, i128) {
        let gains: Vec<Minor> = gains.iter().map(|gain| Minor(*gain)).collect();
        let tail = Tail::of(&gains, level_bp).unwrap();
        (tail.value_at_risk.0, tail.expected_shortfall.0)
    }

    #[test]
    fn the_tail_of_a_hundred_losses() {
        let gains: Vec<i128> = (1..=100).map(|loss| -loss * 100).collect();
        assert_eq!(tail(&gains, 9_500), (9_500, 9_800), "the mean of 96 to 100");
        assert_eq!(tail(&gains, 9_900), (9_900, 10_000));
        // 2.5 observations: the two worst, and half of the 98th.
        assert_eq!(tail(&gains, 9_750), (9_800, 9_920));
        assert_eq!(tail(&[500; 10], 9_500), (-500, -500), "gains only");
        assert_eq!(tail(&[], 9_900), (0, 0));
        assert_eq!(tail(&[-7], 9_900), (7, 7));
    }

    proptest! {
        #[test]
        fn shortfall_is_no_less_than_value_at_risk_and_no_more_than_the_worst(
            gains in prop::collection::vec(-1_000_000_i128..1_000_000, 1..200),
            level_bp in 5_000_u32..10_000,
        ) {
            let (var, es) = tail(&gains, level_bp);
            prop_assert!(var <= es && es <= -gains.iter().min().unwrap());
            let mut other = gains.clone();
            other.reverse();
            prop_assert_eq!(tail(&other, level_bp), (var, es), "order does not matter");
            // Coherence: scaling and shifting carry through to the tail.
            let shifted: Vec<i128> = gains.iter().map(|gain| gain - 10).collect();
            prop_assert_eq!(tail(&shifted, level_bp), (var + 10, es + 10));
            // By the definition of a quantile.
            let at_most = gains.iter().filter(|gain| -**gain <= var).count() as u64;
            let below = gains.iter().filter(|gain| -**gain < var).count() as u64;
            let n = gains.len() as u64;
            prop_assert!(at_most * 10_000 >= n * u64::from(level_bp) && below * 10_000 < n * u64::from(level_bp));
        }
    }
}
