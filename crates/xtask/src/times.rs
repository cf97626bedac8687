//! Times of many requests and their quantiles, exact: a run has some hundred thousand at the most, which fit in memory.

use std::time::Duration;

/// Measured times.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that this share of all does not exceed; 1 is the longest, and of no times it is zero.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn micros(&self, share: f64) -> f64 {
        self.quantile(share).as_secs_f64() * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_times() {
        let times = Times::new((1..=200).rev().map(Duration::from_micros).collect());
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| times.micros(share).round() as u64), [1, 100, 198, 200]);
        assert_eq!(Times::new(Vec::new()).quantile(0.99), Duration::ZERO);
    }
}
