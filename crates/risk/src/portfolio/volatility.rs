//! Exponentially weighted volatility, and returns scaled by it.
//!
//! `s(t+1)^2 = lambda s(t)^2 + (1 - lambda) x(t)^2`, from the oldest observation to the newest; `s(1)^2` is the mean square of all of
//! them, summed in the same order. The mean of daily returns is taken to be zero (J.P. Morgan and Reuters, "RiskMetrics: Technical
//! Document", fourth edition, 1996, section 5.2). `+ - * / sqrt` on doubles are exact to the bit everywhere (IEEE 754).

use super::{Minor, model::Scaling};

/// The variance for each observation before it was seen, and one more for what comes next.
fn variances(lambda: f64, observations: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let (count, squares) =
        observations.clone().fold((0_u32, 0.0), |(count, sum), x| (count + 1, sum + x * x));
    let mut variance = if count == 0 { 0.0 } else { squares / f64::from(count) };
    let mut all = vec![variance];
    for x in observations {
        variance = lambda * variance + (1.0 - lambda) * (x * x);
        all.push(variance);
    }
    all
}

/// The volatility of the next day's gain, from the gains of the days before it, the oldest first; to the nearest minor unit.
pub fn ewma(lambda: f64, gains: &[Minor]) -> Minor {
    let all = variances(lambda, gains.iter().map(|gain| gain.0 as f64));
    Minor(all.last().copied().unwrap_or_default().sqrt().round() as i128)
}

/// Each return times how much more volatile the next day is than the day of that return was (Hull and White, "Incorporating volatility
/// updating into the historical simulation method for value-at-risk", Journal of Risk 1, 1998). The ratio is kept within the model's
/// bound either way: after a long silence the volatility is next to nothing.
pub(super) fn scale(returns: &[i128], lambda: f64, scaling: &Scaling) -> Vec<i128> {
    let all = variances(lambda, returns.iter().map(|change| *change as f64));
    let now = all.last().copied().unwrap_or_default();
    let most = f64::from(scaling.max_ratio);
    let scaled = returns.iter().zip(&all).map(|(change, then)| {
        if *change == 0 {
            return 0;
        }
        let ratio = if *then > 0.0 { (now / then).sqrt().clamp(1.0 / most, most) } else { most };
        (*change as f64 * ratio).round() as i128
    });
    scaled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volatility_follows_the_recursion() {
        let gains = [300, -400, 0].map(Minor);
        // (90000 + 160000) / 3, then three steps.
        let seed = 250_000.0_f64 / 3.0;
        let expected = ((seed * 0.5 + 45_000.0) * 0.5 + 80_000.0) * 0.5;
        assert_eq!(ewma(0.5, &gains), Minor(expected.sqrt().round() as i128));
        assert_eq!(ewma(0.94, &[]), Minor(0));
        assert_eq!(ewma(0.94, &[Minor(-7); 40]), Minor(7));
    }

    #[test]
    fn a_quiet_past_is_scaled_up_and_a_wild_one_down_within_the_bound() {
        let scaling = Scaling { max_ratio: 3 };
        let quiet = [[1_000; 30], [10_000; 30]].concat();
        let scaled = scale(&quiet, 0.5, &scaling);
        assert!(scaled[29] > 2_900 && scaled[29] <= 3_000 && scaled[59] == 10_000, "{scaled:?}");
        let wild = [[10_000; 30], [1_000; 30]].concat();
        let scaled = scale(&wild, 0.5, &scaling);
        assert!((3_300..3_400).contains(&scaled[29]), "{scaled:?}");
        assert_eq!(scale(&[5; 20], 0.94, &scaling), [5; 20], "what never changes is left alone");
        assert_eq!(scale(&[0, 0, -8, 0], 0.94, &scaling)[0], 0);
        assert!(scale(&[], 0.94, &scaling).is_empty());
    }
}
