//! The model file: every weight, point and threshold of a score.
//!
//! A model is data that a compliance team owns, versions and signs; the code knows no number of its own. Files are parsed
//! strictly ([`Model::parse`]) and several can be loaded side by side ([`Models`]), so that a client can be scored under a
//! draft while the default stays. A model's hash is that of its file's bytes, which is also what a detached signature
//! covers; verifying that is the loader's business.

mod check;
mod scorecard;
mod values;

use std::{collections::BTreeMap, sync::Arc};

pub use scorecard::*;
pub use values::{KindSet, MajorByCurrency, PointsByIndustry, Step, Steps};

use crate::hash::StateHash;

/// Why a file is not a model, or cannot be loaded beside the others.
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
    /// Another model of this version is loaded.
    #[error("another model of version {0} is loaded already")]
    Conflict(String),
    /// No model of this version is loaded.
    #[error("no model of version {0} is loaded")]
    Unknown(String),
}

/// A parsed, checked model. Reads like its [`Scorecard`].
#[derive(Clone, Debug)]
pub struct Model {
    card: Scorecard,
    hash: StateHash,
}

impl std::ops::Deref for Model {
    type Target = Scorecard;
    fn deref(&self) -> &Scorecard {
        &self.card
    }
}

impl Model {
    /// The file that the program ships with.
    pub const BUILTIN: &'static str = include_str!("../../../../models/scorecard-2.toml");
    /// The one that it shipped with before; without the typologies that compare with the past and those over several accounts.
    pub const SCORECARD_1: &'static str = include_str!("../../../../models/scorecard-1.toml");

    /// Reads a model file, strictly.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let card: Scorecard = toml::from_str(text)?;
        check::card(&card)?;
        Ok(Self { card, hash: StateHash::of(text.as_bytes()) })
    }

    /// The model that the program ships with.
    pub fn builtin() -> Result<Self, Error> {
        Self::parse(Self::BUILTIN)
    }

    /// SHA-256 of the file's bytes.
    pub fn hash(&self) -> StateHash {
        self.hash
    }
}

/// Models loaded side by side, one of them the default.
#[derive(Clone, Debug)]
pub struct Models {
    default: Arc<Model>,
    loaded: BTreeMap<String, Arc<Model>>,
}

impl Models {
    /// With this model as the default.
    pub fn new(default: Model) -> Self {
        let default = Arc::new(default);
        Self { loaded: BTreeMap::from([(default.version.clone(), Arc::clone(&default))]), default }
    }

    /// Loads another one. The same file again changes nothing; another file of the same version is refused.
    pub fn load(&mut self, model: Model) -> Result<(), Error> {
        match self.loaded.get(&model.version) {
            Some(loaded) if loaded.hash == model.hash => Ok(()),
            Some(_) => Err(Error::Conflict(model.version.clone())),
            None => {
                self.loaded.insert(model.version.clone(), Arc::new(model));
                Ok(())
            }
        }
    }

    /// The default.
    pub fn default_model(&self) -> &Arc<Model> {
        &self.default
    }

    /// The one of this version.
    pub fn get(&self, version: &str) -> Result<&Arc<Model>, Error> {
        self.loaded.get(version).ok_or_else(|| Error::Unknown(version.to_owned()))
    }

    /// All of them, by version.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.loaded.values()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn edited(from: &str, to: &str) -> Result<Model, Error> {
        assert!(Model::BUILTIN.contains(from), "{from}");
        Model::parse(&Model::BUILTIN.replacen(from, to, 1))
    }

    #[test]
    fn the_builtin_model_is_the_scorecard_of_the_design() {
        let model = Model::builtin().unwrap();
        let w = &model.weights;
        assert_eq!(
            [w.geography, w.customer, w.behaviour, w.screening, w.product, w.channel],
            [2500, 2000, 2500, 1000, 1000, 1000]
        );
        assert_eq!((model.bands.medium_from, model.bands.high_from), (40, 70));
        assert_eq!(model.version, "scorecard-2");
        assert_eq!(model.hash(), StateHash::of(Model::BUILTIN.as_bytes()));
    }

    #[test]
    fn the_earlier_model_is_still_read_and_lacks_what_it_did_not_have() {
        let mut models = Models::new(Model::builtin().unwrap());
        models.load(Model::parse(Model::SCORECARD_1).unwrap()).unwrap();
        let earlier = &models.get("scorecard-1").unwrap().behaviour;
        assert!(earlier.spike.is_none() && earlier.benford.is_none() && earlier.round_tripping.is_none());
        assert!(models.default_model().behaviour.spike.is_some());
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        let key = |from, to| match edited(from, to) {
            Err(Error::Value { key, .. }) => key,
            other => panic!("{from} -> {to}: {other:?}"),
        };
        assert_eq!(key("geography = 2500", "geography = 2501"), "weights");
        assert_eq!(key("type = 2500", "type = 2600"), "customer.weights");
        assert_eq!(key("cash = { weight = 3500", "cash = { weight = 3400"), "product.*.weight");
        assert_eq!(key("high-from = 70", "high-from = 40"), "bands");
        assert_eq!(key("version = \"scorecard-2\"", "version = \"Score card\""), "version");
        assert_eq!(key("hours = 120", "hours = 24"), "behaviour.structuring.windows");
        assert_eq!(key("hours = 120", "hours = 721"), "behaviour.structuring.windows");
        assert_eq!(key("R92 = 90", "R92 = 101"), "points");
        assert_eq!(key("retained-days = 30", "retained-days = 0"), "window");
        assert_eq!(key("silent-days = 90", "silent-days = 456"), "behaviour.dormant-reactivation");
        assert_eq!(key("over-maximum-bp = 15000", "over-maximum-bp = 9999"), "behaviour.spike");
        assert_eq!(key("share-bp = 1000", "share-bp = 0"), "behaviour.high-risk-flow");
        assert_eq!(key("min-count = 50", "min-count = 5"), "behaviour.benford");
        assert_eq!(key("max-length = 6", "max-length = 9"), "behaviour.round-tripping");
        assert_eq!(key("min-length = 3", "min-length = 7"), "behaviour.round-tripping");
        assert_eq!(key("min-between = 4", "min-between = 1"), "behaviour.scatter-gather");
        assert_eq!(key("hours = 168", "hours = 721"), "behaviour.gather-scatter");
        assert_eq!(key("hops = 2", "hops = 4"), "network.hops");
        assert_eq!(key("max-accounts = 64", "max-accounts = 0"), "network.max-accounts");
        assert_eq!(key("foreign-pep = 80", "foreign-pep = 101"), "points");
        assert_eq!(
            key("min-counterparties = 5", "min-counterparties = 1"),
            "behaviour.fan-*.min-counterparties"
        );
    }

    #[test]
    fn unknown_missing_and_malformed_keys_are_refused() {
        for (from, to) in [
            ("[unknown]\npoints = 50", "[unknown]\npoints = 50\nbonus = 1"),
            ("high-from = 70\n", ""),
            ("R92 = 90", "X92 = 90"),
            ("kinds = [\"cash\"]", "kinds = [\"cash\", \"cash\"]"),
            ("kinds = [\"cash\"]", "kinds = []"),
            ("{ default = 10000,", "{"),
            ("{ default = 10000,", "{ default = 0,"),
            ("CHF = 15000", "chf = 15000"),
            ("{ up-to = 1, points = 30 }", "{ up-to = 0, points = 30 }"),
        ] {
            assert!(matches!(edited(from, to), Err(Error::Parse(_))), "{from} -> {to}");
        }
    }

    #[test]
    fn models_live_side_by_side_and_a_version_means_one_file() {
        let mut models = Models::new(Model::builtin().unwrap());
        let draft = || edited("version = \"scorecard-2\"", "version = \"draft-2\"").unwrap();
        models.load(draft()).unwrap();
        models.load(draft()).unwrap();
        assert_eq!(models.get("draft-2").unwrap().version, "draft-2");
        assert_eq!(models.default_model().version, "scorecard-2");
        assert_eq!(models.iter().count(), 2);
        let forged = edited("points = 50", "points = 0").unwrap();
        assert!(matches!(models.load(forged), Err(Error::Conflict(_))));
        assert!(matches!(models.get("other"), Err(Error::Unknown(_))));
    }
}
