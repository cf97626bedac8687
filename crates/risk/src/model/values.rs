//! Values of a model file that check themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use crate::{code::Currency, entry::Kind, profile::Industry};

/// An amount in major units that may differ by currency: `{ default = 10000, JPY = 2000000 }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, u64>")]
pub struct MajorByCurrency {
    default: u64,
    /// In minor units. They are few, and asked for with every payment: looking at each is the fastest.
    other: Vec<(Currency, u64)>,
}

impl TryFrom<BTreeMap<String, u64>> for MajorByCurrency {
    type Error = &'static str;

    fn try_from(mut map: BTreeMap<String, u64>) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected a default and currency codes, each 1 to 10^11 major units";
        if !map.values().all(|major| (1..=100_000_000_000).contains(major)) {
            return Err(EXPECTED);
        }
        let default = map.remove("default").ok_or(EXPECTED)?;
        let other = map.into_iter().map(|(code, major)| {
            let currency = Currency::new(&code).map_err(|_| EXPECTED)?;
            Ok((currency, minor(major, currency)))
        });
        Ok(Self { default, other: other.collect::<Result<_, Self::Error>>()? })
    }
}

impl MajorByCurrency {
    /// In minor units of `currency`.
    pub fn minor(&self, currency: Currency) -> u64 {
        let other = self.other.iter().find(|(one, _)| *one == currency);
        other.map_or_else(|| minor(self.default, currency), |(_, minor)| *minor)
    }
}

/// At most 10^11 major units in minor ones.
fn minor(major: u64, currency: Currency) -> u64 {
    major * 10_u64.pow(currency.exponent())
}

/// Kinds of entry that a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSet([bool; Kind::COUNT]);

impl KindSet {
    /// Whether it looks at this kind.
    pub fn has(self, kind: Kind) -> bool {
        self.0[kind.index()]
    }
}

impl<'de> Deserialize<'de> for KindSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut set = [false; Kind::COUNT];
        let kinds = Vec::<Kind>::deserialize(deserializer)?;
        for kind in &kinds {
            if std::mem::replace(&mut set[kind.index()], true) {
                return Err(de::Error::custom("expected each kind once"));
            }
        }
        if kinds.is_empty() {
            return Err(de::Error::custom("expected at least one kind"));
        }
        Ok(Self(set))
    }
}

/// Points by industry: the longest prefix that matches wins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PointsByIndustry {
    default: u8,
    #[serde(rename = "points")]
    by_prefix: BTreeMap<Industry, u8>,
}

impl PointsByIndustry {
    /// Points of this industry.
    pub fn of(&self, industry: Industry) -> u8 {
        self.by_prefix
            .iter()
            .filter(|(prefix, _)| industry.as_str().starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.as_str().len())
            .map_or(self.default, |(_, points)| *points)
    }

    pub(super) fn points(&self) -> impl Iterator<Item = u8> {
        std::iter::once(self.default).chain(self.by_prefix.values().copied())
    }
}

impl<'de> Deserialize<'de> for Industry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// One step of a staircase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// The largest value it covers.
    pub up_to: u32,
    /// Its points.
    pub points: u8,
}

/// Points by a number: the first step that is not below it decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawSteps")]
pub struct Steps {
    steps: Vec<Step>,
    beyond: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawSteps {
    steps: Vec<Step>,
    beyond: u8,
}

impl TryFrom<RawSteps> for Steps {
    type Error = &'static str;

    fn try_from(RawSteps { steps, beyond }: RawSteps) -> Result<Self, Self::Error> {
        if !steps.is_sorted_by(|a, b| a.up_to < b.up_to) {
            return Err("expected steps with ascending up-to");
        }
        Ok(Self { steps, beyond })
    }
}

impl Steps {
    /// Points of this value.
    pub fn of(&self, value: u32) -> u8 {
        self.steps.iter().find(|step| value <= step.up_to).map_or(self.beyond, |step| step.points)
    }

    pub(super) fn points(&self) -> impl Iterator<Item = u8> {
        self.steps.iter().map(|step| step.points).chain([self.beyond])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Model;

    #[test]
    fn the_longest_prefix_of_an_industry_wins() {
        let model = Model::builtin().unwrap();
        let points = |code| model.customer.industry.of(Industry::new(code).unwrap());
        assert_eq!(points("K64"), 45);
        assert_eq!(points("K6612"), 75);
        assert_eq!(points("R92"), 90);
        assert_eq!(points("A01"), 30);
    }

    #[test]
    fn thresholds_follow_the_currency_and_its_minor_unit() {
        let model = Model::builtin().unwrap();
        let minor = |code| model.behaviour.structuring.threshold.minor(Currency::new(code).unwrap());
        assert_eq!(minor("EUR"), 1_000_000);
        assert_eq!(minor("USD"), 1_000_000);
        assert_eq!(minor("JPY"), 2_000_000);
        assert_eq!(minor("KWD"), 10_000_000);
    }

    #[test]
    fn the_first_step_not_below_decides() {
        let age = Model::builtin().unwrap().customer.age_days.clone();
        assert_eq!(
            [0, 90, 91, 365, 1095, 1096, u32::MAX].map(|days| age.of(days)),
            [90, 90, 70, 70, 45, 20, 20]
        );
    }
}
