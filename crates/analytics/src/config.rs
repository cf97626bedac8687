//! What the operator decides about scores.

use crate::reference::Pinned;
use refdata::signed::{self, PublicKey};
use risk::fx::FxTable;
use risk::refdata::CountryLists;
use risk::{Model, Models, RefData};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Settings of the role `analytics`. Without any, the model that ships with the program is used, and the reference data in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The model file; see `models/scorecard-2.toml`.
    pub model: Option<PathBuf>,
    /// More model files, to score clients under as if (`:simulate`); none of them counts.
    pub drafts: Vec<PathBuf>,
    /// The country risk lists, instead of those in force; see `models/refdata/country-risk-2026-02-13.toml`.
    pub country_risk: Option<PathBuf>,
    /// The exchange rates, instead of those in force; see `models/refdata/fx-sample-1.toml`.
    pub fx_rates: Option<PathBuf>,
    /// Whose files these must be: the Ed25519 public key in 64 hex digits that a detached signature beside each file, `FILE.sig`, is
    /// checked with. Without it files are taken as they are.
    pub signed_by: Option<PublicKey>,
    /// Clients of one batch of events that are worked on at once, 1 to 1024.
    pub concurrency: usize,
    /// Events of one batch, 1 to 100,000: the more, the more of them come to one recomputation.
    pub batch: usize,
    /// Streams (`:watch`) that a tenant may have open at a time, 1 to 100,000.
    pub watchers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: None,
            drafts: Vec::new(),
            country_risk: None,
            fx_rates: None,
            signed_by: None,
            concurrency: 64,
            batch: 5_000,
            watchers: 1_000,
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, or is not signed by whom it should be.
    #[error("analytics.{key}")]
    File {
        /// The setting.
        key: &'static str,
        /// Why.
        source: signed::Error,
    },
    /// A file is not what it should be.
    #[error("analytics.{key}: {path} is not valid")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value is outside what it may be.
    #[error("analytics.{key} is {value}, allowed is {allowed}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What it is.
        value: usize,
        /// What it may be.
        allowed: &'static str,
    },
    /// The consumer cannot work so.
    #[error("consumer of role analytics")]
    Consumer(#[source] bus::Error),
}

impl Config {
    /// Reads the files as a start does.
    pub fn check_files(&self) -> Result<(), Error> {
        self.load_models()?;
        self.load_pinned().map(drop)
    }

    /// Checks what needs no file.
    pub fn check(&self) -> Result<(), Error> {
        let within = |key, value: usize, most: usize, allowed| match value {
            value if (1..=most).contains(&value) => Ok(()),
            value => Err(Error::Value { key, value, allowed }),
        };
        within("concurrency", self.concurrency, 1024, "1 to 1024")?;
        within("batch", self.batch, 100_000, "1 to 100000")?;
        within("watchers", self.watchers, 100_000, "1 to 100000")
    }

    /// The model.
    pub(crate) fn load_model(&self) -> Result<Model, Error> {
        let key = "model";
        let Some(path) = &self.model else { return Model::builtin().map_err(invalid(key, BUILTIN)) };
        Model::parse(&self.read(key, path)?).map_err(invalid(key, path))
    }

    /// The model in use, and beside it the drafts and the models that the program ships with.
    pub(crate) fn load_models(&self) -> Result<Models, Error> {
        let mut models = Models::new(self.load_model()?);
        for path in &self.drafts {
            let key = "drafts";
            let draft = Model::parse(&self.read(key, path)?).map_err(invalid(key, path))?;
            models.load(draft).map_err(invalid(key, path))?;
        }
        for text in [Model::BUILTIN, Model::SCORECARD_1] {
            let model = Model::parse(text).map_err(invalid("model", BUILTIN))?;
            // A file of the operator's that bears the version counts instead.
            if models.get(&model.version).is_err() {
                models.load(model).map_err(invalid("model", BUILTIN))?;
            }
        }
        Ok(models)
    }

    /// The reference data that these settings name. With a key nothing else counts but what ships with the program: files of the
    /// reference directory are not signed.
    pub(crate) fn load_pinned(&self) -> Result<Pinned, Error> {
        let signed = self.signed_by.is_some();
        let lists = match &self.country_risk {
            Some(path) => Some(
                CountryLists::parse(&self.read("country-risk", path)?)
                    .map_err(invalid("country-risk", path))?,
            ),
            None if signed => {
                Some(RefData::builtin().map_err(invalid("country-risk", BUILTIN))?.countries().clone())
            }
            None => None,
        };
        let rates = match &self.fx_rates {
            Some(path) => {
                Some(FxTable::parse(&self.read("fx-rates", path)?).map_err(invalid("fx-rates", path))?)
            }
            None if signed => Some(FxTable::sample().map_err(invalid("fx-rates", BUILTIN))?),
            None => None,
        };
        Ok(Pinned { lists: lists.map(Arc::new), rates: rates.map(Arc::new) })
    }

    /// A file's text, its signature checked where there must be one.
    fn read(&self, key: &'static str, path: &Path) -> Result<String, Error> {
        signed::read(path, self.signed_by.as_ref()).map_err(|source| Error::File { key, source })
    }
}

/// Stands for a path where there is none.
const BUILTIN: &str = "(built in)";

fn invalid<E>(key: &'static str, path: impl AsRef<Path>) -> impl FnOnce(E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let path = path.as_ref().to_owned();
    move |source| Error::Invalid { key, path, source: source.into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::error::Error as _;
    use testkit::signer::Signer;

    #[test]
    fn without_settings_the_program_s_own_files_are_used() {
        let config = Config::default();
        config.check().unwrap();
        assert_eq!(config.load_model().unwrap().version, "scorecard-2");
        let pinned = config.load_pinned().unwrap();
        assert!(pinned.lists.is_none() && pinned.rates.is_none(), "what is in force counts");
    }

    #[test]
    fn a_file_that_is_missing_or_wrong_is_named_with_its_setting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.toml");
        let config = Config { model: Some(path.clone()), ..Config::default() };
        let error = config.load_model().unwrap_err();
        assert_eq!(error.to_string(), "analytics.model");
        assert_eq!(error.source().unwrap().to_string(), format!("read {}", path.display()));
        std::fs::write(&path, "version = 1").unwrap();
        assert!(matches!(config.load_model(), Err(Error::Invalid { key: "model", .. })));
        std::fs::write(&path, Model::BUILTIN.replace("scorecard-2", "draft-2")).unwrap();
        assert_eq!(config.load_model().unwrap().version, "draft-2");
    }

    #[test]
    fn drafts_stand_beside_the_model_in_use_and_what_the_program_ships_with() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("draft.toml");
        std::fs::write(&path, Model::BUILTIN.replace("scorecard-2", "draft-3")).unwrap();
        let config = Config { drafts: vec![path.clone()], ..Config::default() };
        let models = config.load_models().unwrap();
        let versions: Vec<&str> = models.iter().map(|model| model.version.as_str()).collect();
        assert_eq!(versions, ["draft-3", "scorecard-1", "scorecard-2"]);
        assert_eq!(models.default_model().version, "scorecard-2");
        std::fs::write(&path, "version = 1").unwrap();
        assert!(matches!(config.load_models(), Err(Error::Invalid { key: "drafts", .. })));
    }

    #[test]
    fn with_a_key_only_files_signed_with_it_are_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.toml");
        std::fs::write(&path, Model::BUILTIN).unwrap();
        let signer = Signer::new().unwrap();
        let signed_by = Some(PublicKey::try_from(signer.public_key()).unwrap());
        let config = Config { model: Some(path.clone()), signed_by, ..Config::default() };
        let unsigned = |result: Result<Model, Error>| {
            matches!(result, Err(Error::File { key: "model", source: signed::Error::Unsigned { .. } }))
        };
        assert!(unsigned(config.load_model()));
        signer.sign(&path).unwrap();
        config.load_model().unwrap();
        let pinned = config.load_pinned().unwrap();
        assert!(pinned.lists.is_some() && pinned.rates.is_some(), "what is in force is not signed");
        std::fs::write(&path, Model::BUILTIN.replace("scorecard-2", "draft-2")).unwrap();
        let changed = config.load_model();
        assert!(matches!(changed, Err(Error::File { source: signed::Error::Wrong { .. }, .. })));
    }

    #[test]
    fn bounds_are_named() {
        let error = Config { concurrency: 0, ..Config::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "analytics.concurrency is 0, allowed is 1 to 1024");
        assert!(Config { batch: 100_001, ..Config::default() }.check().is_err());
        assert!(Config { watchers: 0, ..Config::default() }.check().is_err());
    }
}
