//! What the operator decides about portfolio risk.

use refdata::signed::{self, PublicKey};
use risk::portfolio::Model;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the role `market`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The model file of portfolio risk, see `models/portfolio-1.toml`; the one that ships with the program where nothing is said.
    pub model: Option<PathBuf>,
    /// Whose file that must be: the Ed25519 public key in 64 hex digits that a detached signature beside it, `FILE.sig`, is checked
    /// with. Without it the file is taken as it is.
    pub signed_by: Option<PublicKey>,
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model cannot be read, or is not signed by whom it should be.
    #[error("market.model")]
    File(#[from] signed::Error),
    /// The file is no model.
    #[error("market.model: {path} is not valid")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: risk::portfolio::ModelError,
    },
}

impl Config {
    /// Reads the file as a start does.
    pub fn check_files(&self) -> Result<(), Error> {
        self.load_model().map(drop)
    }

    /// The model.
    pub(crate) fn load_model(&self) -> Result<Model, Error> {
        let invalid = |path| move |source| Error::Invalid { path, source };
        let Some(path) = &self.model else {
            return Model::builtin().map_err(invalid("(built in)".into()));
        };
        let text = signed::read(path, self.signed_by.as_ref())?;
        Model::parse(&text).map_err(invalid(path.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::error::Error as _;
    use testkit::signer::Signer;

    #[test]
    fn a_file_that_is_missing_or_wrong_is_named() {
        assert_eq!(Config::default().load_model().unwrap().version, "portfolio-1");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.toml");
        let config = Config { model: Some(path.clone()), ..Config::default() };
        let error = config.load_model().unwrap_err();
        assert_eq!(error.to_string(), "market.model");
        assert_eq!(error.source().unwrap().to_string(), format!("read {}", path.display()));
        std::fs::write(&path, "version = 1").unwrap();
        assert!(matches!(config.load_model(), Err(Error::Invalid { .. })));
        std::fs::write(&path, Model::BUILTIN.replace("portfolio-1", "ours-2")).unwrap();
        assert_eq!(config.load_model().unwrap().version, "ours-2");
    }

    #[test]
    fn with_a_key_only_a_model_signed_with_it_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.toml");
        let ours = Model::BUILTIN.replace("portfolio-1", "ours-2");
        std::fs::write(&path, &ours).unwrap();
        let (signer, other) = (Signer::new().unwrap(), Signer::new().unwrap());
        let by = |signer: &Signer| {
            let signed_by = Some(PublicKey::try_from(signer.public_key()).unwrap());
            Config { model: Some(path.clone()), signed_by }.load_model()
        };
        assert!(matches!(by(&signer), Err(Error::File(signed::Error::Unsigned { .. }))));
        signer.sign(&path).unwrap();
        assert_eq!(by(&signer).unwrap().version, "ours-2");
        assert!(matches!(by(&other), Err(Error::File(signed::Error::Wrong { .. }))), "another key");
        std::fs::write(&path, ours.replace("ours-2", "ours-3")).unwrap();
        assert!(matches!(by(&signer), Err(Error::File(signed::Error::Wrong { .. }))), "changed since");
    }

    #[test]
    fn the_model_that_ships_needs_no_signature() {
        let signed_by = Some(PublicKey::try_from(Signer::new().unwrap().public_key()).unwrap());
        let config = Config { signed_by, ..Config::default() };
        assert_eq!(config.load_model().unwrap().version, "portfolio-1");
    }
}
