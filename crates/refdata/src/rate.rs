//! A rate as it is shown: an exact decimal, or one computed from two of them.

use risk::portfolio::Cross;
use std::fmt;

/// The significant digits of a computed rate.
const DIGITS: u32 = 10;

/// Units of a currency for one unit of another: `mantissa / 10^scale`, without zeros at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    mantissa: u128,
    scale: u32,
}

impl Quote {
    /// One to one.
    pub(crate) const ONE: Self = Self { mantissa: 1, scale: 0 };

    /// Takes what `risk::fx::Rate` takes: a positive decimal with at most nine digits before and nine after the point.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        risk::fx::Rate::parse(text)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { mantissa, scale: fraction.len() as u32 }.trimmed())
    }

    /// This rate against another base, which is quoted against the same one: to ten significant digits, half up.
    ///
    /// Nothing overflows: both products are at most 10^27, and the numerator grows to 10^37 at the most.
    pub(crate) fn against(self, base: Self) -> Self {
        let mut numerator = self.mantissa * 10_u128.pow(base.scale);
        let denominator = base.mantissa * 10_u128.pow(self.scale);
        let mut scale = 0;
        while numerator / denominator < 10_u128.pow(DIGITS - 1) {
            (numerator, scale) = (numerator * 10, scale + 1);
        }
        let mantissa = (numerator + denominator / 2) / denominator;
        Self { mantissa, scale }.trimmed()
    }

    /// The same for the maths of portfolios.
    pub(crate) fn cross(self) -> Option<Cross> {
        Cross::new(self.mantissa, self.scale)
    }

    fn trimmed(mut self) -> Self {
        while self.scale > 0 && self.mantissa.is_multiple_of(10) {
            (self.mantissa, self.scale) = (self.mantissa / 10, self.scale - 1);
        }
        self
    }
}

/// A plain decimal: `1.08`, `168`.
impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.mantissa);
        }
        let unit = 10_u128.pow(self.scale);
        let width = self.scale as usize;
        write!(f, "{}.{:0width$}", self.mantissa / unit, self.mantissa % unit)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn quote(text: &str) -> Quote {
        Quote::parse(text).unwrap()
    }

    #[test]
    fn a_quote_prints_without_zeros_at_its_end() {
        for (text, shown) in
            [("1.0800", "1.08"), ("168", "168"), ("8.60", "8.6"), ("0.000000001", "0.000000001")]
        {
            assert_eq!(quote(text).to_string(), shown);
        }
        for bad in ["", "0", "-1", "1.", ".5", "1e3", "1234567890"] {
            assert!(Quote::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_rate_against_another_base_has_ten_digits() {
        assert_eq!(quote("168").against(quote("1.14")).to_string(), "147.3684211");
        assert_eq!(Quote::ONE.against(quote("168")).to_string(), "0.005952380952");
        assert_eq!(quote("1.14").against(quote("1.14")), Quote::ONE);
        let (least, most) = (quote("0.000000001"), quote("999999999.999999999"));
        assert_eq!(least.against(most).to_string(), "0.000000000000000001");
        assert_eq!(most.against(least).to_string(), "999999999999999999");
    }

    proptest! {
        #[test]
        fn a_computed_rate_is_as_near_as_ten_digits_allow(
            a in 1_u64..1_000_000_000, b in 1_u64..1_000_000_000, places in (0_usize..5, 0_usize..5)
        ) {
            let text = |n: u64, places: usize| format!("{n}.{}", "5".repeat(places.max(1)));
            let (a, b) = (text(a, places.0), text(b, places.1));
            let computed: f64 = quote(&a).against(quote(&b)).to_string().parse().unwrap();
            let exact = a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap();
            prop_assert!(((computed - exact) / exact).abs() < 1e-9, "{a} / {b}: {computed}");
        }
    }
}
