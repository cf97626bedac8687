//! What the operator decides about portfolio risk.

use risk::portfolio::Model;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the role `market`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The model file of portfolio risk, see `models/portfolio-1.toml`; the one that ships with the program where nothing is said.
    pub model: Option<PathBuf>,
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model cannot be read.
    #[error("market.model: read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
        let Some(path) = self.model.clone() else {
            return Model::builtin().map_err(invalid("(built in)".into()));
        };
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Error::Read { path: path.clone(), source })?;
        Model::parse(&text).map_err(invalid(path))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_is_missing_or_wrong_is_named() {
        assert_eq!(Config::default().load_model().unwrap().version, "portfolio-1");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.toml");
        let config = Config { model: Some(path.clone()) };
        assert_eq!(
            config.load_model().unwrap_err().to_string(),
            format!("market.model: read {}", path.display())
        );
        std::fs::write(&path, "version = 1").unwrap();
        assert!(matches!(config.load_model(), Err(Error::Invalid { .. })));
        std::fs::write(&path, Model::BUILTIN.replace("portfolio-1", "ours-2")).unwrap();
        assert_eq!(config.load_model().unwrap().version, "ours-2");
    }
}
