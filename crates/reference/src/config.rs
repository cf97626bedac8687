//! What the operator decides about reference data.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the role `reference`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The directory of the operator's own risk lists (`country-risk-*.toml`) and exchange rates (`fx-*.toml`); none where nothing is
    /// said. It is followed while the program runs.
    pub directory: Option<PathBuf>,
}
