//! The back-test: on how many days the loss was beyond the value at risk that the days before it gave.
//!
//! Gains are hypothetical: of today's positions on past days. The zones are the Basel Committee's ("Supervisory framework for the use of
//! backtesting in conjunction with the internal models approach to market risk capital requirements", January 1996, table 2; MAR32.9 of
//! the framework in force): of 250 days at 99 %, up to 4 exceptions are green, up to 9 yellow, more are red.

use super::{Minor, model, tail};

/// What the number of exceptions says of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// As many as may be expected.
    Green,
    /// More: the model may be wrong.
    Yellow,
    /// Far more: it is wrong.
    Red,
}

/// The outcome of a back-test.
#[derive(Clone, Debug, PartialEq)]
pub struct BackTest {
    /// The places of the scenarios whose loss was beyond the value at risk.
    pub exceptions: Vec<usize>,
    /// How many days were looked at.
    pub days: usize,
    /// The traffic light.
    pub zone: Zone,
    /// Kupiec's likelihood ratio of the proportion of failures, chi-squared with one degree of freedom where the model is right.
    pub likelihood_ratio: f64,
    /// Whether that is beyond the critical value: then the number of exceptions, too many or too few, is not what the level says.
    pub rejected: bool,
}

/// Tests the last days of a series, each against the days before it; none where the series is too short.
pub fn back_test(settings: &model::BackTest, gains: &[Minor]) -> Option<BackTest> {
    let first = gains.len().checked_sub(settings.days).filter(|first| *first >= settings.window)?;
    let beyond = |at: &usize| {
        let losses = tail::losses(&gains[at - settings.window..*at]);
        -gains[*at] > tail::value_at_risk(&losses, settings.level_bp)
    };
    let exceptions: Vec<usize> = (first..gains.len()).filter(beyond).collect();
    let count = exceptions.len();
    let zone = match count {
        count if count >= settings.red_from => Zone::Red,
        count if count >= settings.yellow_from => Zone::Yellow,
        _ => Zone::Green,
    };
    let likelihood_ratio = kupiec(settings.days, count, settings.level_bp);
    let rejected = likelihood_ratio * 1_000.0 > f64::from(settings.kupiec_critical_milli);
    Some(BackTest { exceptions, days: settings.days, zone, likelihood_ratio, rejected })
}

/// `-2 ln( (1-p)^(n-x) p^x / ((1-x/n)^(n-x) (x/n)^x) )` with `p` the probability of an exception (Kupiec, "Techniques for verifying the
/// accuracy of risk measurement models", Journal of Derivatives 3, 1995). Four terms, summed in the order written; `0 ln 0` is 0.
fn kupiec(days: usize, exceptions: usize, level_bp: u32) -> f64 {
    let (n, x) = (days as f64, exceptions as f64);
    let p = f64::from(10_000 - level_bp) / 10_000.0;
    let term = |count: f64, probability: f64| if count == 0.0 { 0.0 } else { count * probability.ln() };
    let expected = term(n - x, 1.0 - p) + term(x, p);
    let observed = term(n - x, 1.0 - x / n) + term(x, x / n);
    // Rounding may leave less than nothing where both are the same.
    (-2.0 * (expected - observed)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> model::BackTest {
        let (window, days, level_bp) = (250, 250, 9_900);
        model::BackTest { window, days, level_bp, yellow_from: 5, red_from: 10, kupiec_critical_milli: 3_841 }
    }

    #[test]
    fn exceptions_are_counted_against_the_days_before() {
        // Losses of 1 to 5 in turn: 5 is the value at risk, until larger ones have come.
        let with = |large: usize| {
            let gain = |at: usize| {
                let is_large = at >= 250 && (at - 250) < 20 * large && (at - 250).is_multiple_of(20);
                Minor(if is_large { -100 - at as i128 } else { -((at % 5) as i128) - 1 })
            };
            back_test(&settings(), &(0..500).map(gain).collect::<Vec<_>>())
        };
        let none = with(0).map(|test| (test.exceptions.len(), test.zone, test.rejected));
        assert_eq!(none, Some((0, Zone::Green, true)), "none at all is too few as well");
        let four = with(4).map(|test| (test.exceptions, test.zone, test.rejected));
        assert_eq!(four, Some((vec![250, 270, 290, 310], Zone::Green, false)));
        assert_eq!(with(5).map(|test| (test.zone, test.rejected)), Some((Zone::Yellow, false)));
        assert_eq!(with(10).map(|test| (test.zone, test.rejected)), Some((Zone::Red, true)));
        assert_eq!(back_test(&settings(), &[Minor(0); 499]), None);
    }

    #[test]
    fn kupiec_s_ratio_is_that_of_the_binomial() {
        // By Python's math.log, in the form of the paper.
        for (exceptions, expected) in [
            (0, 5.025_167_927),
            (1, 1.176_491_135),
            (2, 0.108_435_216),
            (5, 1.956_809_788),
            (10, 12.955_491_062),
        ] {
            let got = kupiec(250, exceptions, 9_900);
            assert!((got - expected).abs() < 1e-6, "{exceptions}: {got}");
        }
        assert!(kupiec(100, 1, 9_900).abs() < 1e-12, "as many as expected");
        assert!(kupiec(10, 10, 9_900) > 90.0);
    }
}
