//! The model file of portfolio risk: levels, windows, weights, stress scenarios.
//!
//! As with scores, the code knows no number of its own; the file is parsed strictly, and its hash is that of its bytes. See
//! `models/portfolio-1.toml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{
    code::{Country, Currency},
    hash::StateHash,
};

/// Why a file is not a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, or not of this shape.
    #[error("parse model")]
    Parse(#[from] toml::de::Error),
    /// A value is outside what it may be.
    #[error("{key} must be {expected}")]
    Value {
        /// Which key of the file.
        key: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
}

/// What the file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Names the model in answers.
    pub version: String,
    /// Which past days are looked at.
    pub scenarios: History,
    /// The tail of the losses.
    pub tail: Levels,
    /// Volatility.
    pub volatility: Volatility,
    /// How concentration is told.
    pub concentration: Largest,
    /// The back-test.
    pub back_test: BackTest,
    /// Stress scenarios.
    #[serde(default)]
    pub stress: Vec<Stress>,
}

/// Which past days are looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct History {
    /// How many scenarios: changes from one day to the next.
    pub days: usize,
    /// For how many calendar days a price may stand in for those after it.
    pub max_stale_days: u32,
}

/// At which levels the tail is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Levels {
    /// In basis points, ascending.
    pub levels_bp: Vec<u32>,
    /// The one that components are told for.
    pub component_level_bp: u32,
}

/// Volatility.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Volatility {
    /// The weight of the past, in basis points.
    pub lambda_bp: u32,
    /// Whether the tail is also told with returns scaled to today's volatility, and how.
    pub scaling: Option<Scaling>,
}

impl Volatility {
    /// The weight of the past.
    pub fn lambda(&self) -> f64 {
        f64::from(self.lambda_bp) / 10_000.0
    }
}

/// Returns scaled to today's volatility.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scaling {
    /// By how much at the most, up or down.
    pub max_ratio: u32,
}

/// How concentration is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Largest {
    /// How many positions the share of the largest is of.
    pub top: usize,
}

/// The back-test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackTest {
    /// From how many days before it a day's value at risk is made.
    pub window: usize,
    /// How many days are tested.
    pub days: usize,
    /// At which level, in basis points.
    pub level_bp: u32,
    /// From how many exceptions on the light is yellow.
    pub yellow_from: usize,
    /// From how many on it is red.
    pub red_from: usize,
    /// Beyond what Kupiec's ratio rejects the model, in thousandths: a quantile of chi-squared with one degree of freedom.
    pub kupiec_critical_milli: u32,
}

/// A stress scenario. An instrument's price moves as its sector is said to, or else its country, or else all; its currency on top, against
/// the portfolio's base.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stress {
    /// Names it in answers.
    pub name: Box<str>,
    /// What it stands for.
    pub description: Box<str>,
    /// How far all prices move, in basis points.
    #[serde(default)]
    pub price_bp: i32,
    /// Those of a sector.
    #[serde(default)]
    pub sectors: BTreeMap<Box<str>, i32>,
    /// Those of a country.
    #[serde(default)]
    pub countries: BTreeMap<Country, i32>,
    /// How far a currency moves against the base.
    #[serde(default)]
    pub currencies: BTreeMap<Currency, i32>,
}

/// A parsed, checked model. Reads like its [`File`].
#[derive(Clone, Debug)]
pub struct Model {
    file: File,
    hash: StateHash,
}

impl std::ops::Deref for Model {
    type Target = File;
    fn deref(&self) -> &File {
        &self.file
    }
}

impl Model {
    /// The file that the program ships with.
    pub const BUILTIN: &'static str = include_str!("../../../../models/portfolio-1.toml");

    /// Reads a model file, strictly.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text)?;
        check(&file)?;
        Ok(Self { file, hash: StateHash::of(text.as_bytes()) })
    }

    /// The model that the program ships with.
    pub fn builtin() -> Result<Self, Error> {
        Self::parse(Self::BUILTIN)
    }

    /// SHA-256 of the file's bytes.
    pub fn hash(&self) -> StateHash {
        self.hash
    }

    /// The same with another number of scenarios, for tests that write their days by hand.
    #[cfg(test)]
    pub(super) fn with_days(mut self, days: usize) -> Self {
        self.file.scenarios.days = days;
        self
    }
}

fn ensure(holds: bool, key: &'static str, expected: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Value { key, expected }) }
}

/// What the numbers may be. With a model that passes, nothing can be out of range.
fn check(file: &File) -> Result<(), Error> {
    let version = file.version.as_bytes();
    let plain = version.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(b));
    ensure((1..=64).contains(&version.len()) && plain, "version", "1 to 64 characters a-z 0-9 - . _")?;
    let days = file.scenarios.days;
    ensure((1..=5_000).contains(&days), "scenarios.days", "1 to 5000")?;
    ensure(file.scenarios.max_stale_days <= 366, "scenarios.max-stale-days", "at most 366")?;
    let is_level = |level: u32| (5_000..10_000).contains(&level);
    let levels = &file.tail.levels_bp;
    let ascending = levels.is_sorted_by(|a, b| a < b) && (1..=10).contains(&levels.len());
    let expected = "1 to 10 levels from 5000 to 9999, ascending";
    ensure(ascending && levels.iter().all(|level| is_level(*level)), "tail.levels-bp", expected)?;
    let component = levels.contains(&file.tail.component_level_bp);
    ensure(component, "tail.component-level-bp", "one of tail.levels-bp")?;
    let lambda = (1..10_000).contains(&file.volatility.lambda_bp);
    ensure(lambda, "volatility.lambda-bp", "1 to 9999")?;
    let bounded =
        file.volatility.scaling.as_ref().is_none_or(|scaling| (1..=100).contains(&scaling.max_ratio));
    ensure(bounded, "volatility.scaling.max-ratio", "1 to 100")?;
    ensure((1..=1_000).contains(&file.concentration.top), "concentration.top", "1 to 1000")?;
    back_test(&file.back_test, days)?;
    let names: BTreeSet<&str> = file.stress.iter().map(|stress| &*stress.name).collect();
    ensure(
        names.len() == file.stress.len() && names.len() <= 100,
        "stress.name",
        "different ones, at most 100",
    )?;
    file.stress.iter().try_for_each(stress)
}

fn back_test(test: &BackTest, scenarios: usize) -> Result<(), Error> {
    let fits = test.window >= 1 && test.days >= 1 && test.window.saturating_add(test.days) <= scenarios;
    ensure(fits, "back-test.window", "with back-test.days at most scenarios.days, and each at least 1")?;
    ensure((5_000..10_000).contains(&test.level_bp), "back-test.level-bp", "5000 to 9999")?;
    let zones = 1 <= test.yellow_from && test.yellow_from < test.red_from && test.red_from <= test.days;
    ensure(zones, "back-test.red-from", "above back-test.yellow-from, at most back-test.days")?;
    let critical = (1..=100_000).contains(&test.kupiec_critical_milli);
    ensure(critical, "back-test.kupiec-critical-milli", "1 to 100000")
}

fn stress(stress: &Stress) -> Result<(), Error> {
    let text =
        |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.contains(char::is_control);
    ensure(text(&stress.name, 64), "stress.name", "1 to 64 characters")?;
    ensure(text(&stress.description, 500), "stress.description", "1 to 500 characters")?;
    let moves = stress.sectors.values().chain(stress.countries.values()).chain(stress.currencies.values());
    let bounded = moves.chain([&stress.price_bp]).all(|bp| (-10_000..=100_000).contains(bp));
    ensure(bounded, "stress", "moves from -10000, all is lost, to 100000 basis points")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_model_that_ships_is_valid() {
        let model = Model::builtin().unwrap();
        assert_eq!(model.version, "portfolio-1");
        assert_eq!(
            (model.scenarios.days, model.tail.levels_bp.as_slice()),
            (500, [9_500, 9_750, 9_900].as_slice())
        );
        assert_eq!(model.hash(), StateHash::of(Model::BUILTIN.as_bytes()));
    }

    #[test]
    fn what_a_model_may_not_say_is_named() {
        for (from, to, key) in [
            ("version = \"portfolio-1\"", "version = \"Portfolio 1\"", "version"),
            ("days = 500", "days = 499", "back-test.window"),
            ("days = 500", "days = 0", "scenarios.days"),
            ("[9500, 9750, 9900]", "[9750, 9500]", "tail.levels-bp"),
            ("[9500, 9750, 9900]", "[9500, 10000]", "tail.levels-bp"),
            ("component-level-bp = 9900", "component-level-bp = 9800", "tail.component-level-bp"),
            ("lambda-bp = 9400", "lambda-bp = 10000", "volatility.lambda-bp"),
            ("max-ratio = 10", "max-ratio = 0", "volatility.scaling.max-ratio"),
            ("top = 10", "top = 0", "concentration.top"),
            ("yellow-from = 5", "yellow-from = 10", "back-test.red-from"),
            ("kupiec-critical-milli = 3841", "kupiec-critical-milli = 0", "back-test.kupiec-critical-milli"),
            ("price-bp = -4000", "price-bp = -10001", "stress"),
            ("name = \"dollar-down\"", "name = \"equities-down\"", "stress.name"),
        ] {
            assert!(Model::BUILTIN.contains(from), "{from}");
            let error = Model::parse(&Model::BUILTIN.replacen(from, to, 1)).unwrap_err();
            assert!(matches!(error, Error::Value { key: found, .. } if found == key), "{to}: {error}");
        }
        for (from, to) in [("top = 10", "top = 10\nbottom = 1"), ("USD = -1500", "USDX = -1500")] {
            assert!(
                matches!(Model::parse(&Model::BUILTIN.replacen(from, to, 1)), Err(Error::Parse(_))),
                "{to}"
            );
        }
    }
}
