//! How far an import got: one small file in the data directory, replaced atomically after each window, removed at the end.

use super::Error;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How far an import got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checkpoint {
    /// Bytes of the file that are done.
    pub byte: u64,
    /// The line after them.
    pub line: u64,
    /// Rows done.
    pub rows: u64,
    /// Entries that were new.
    pub created: u64,
    /// Entries that were there already.
    pub duplicates: u64,
    /// Rows in the reject file.
    pub rejected: u64,
    /// Bytes of the reject file that belong to what is done.
    pub rejects_length: u64,
}

/// Where a checkpoint is kept: named by what the import reads and how.
pub(super) struct Place(PathBuf);

impl Place {
    /// The place for this file with this mapping; another size or another mapping is another import.
    pub(super) fn new(data_dir: &Path, file: &Path, mapping: &str) -> Result<Self, Error> {
        let fail = |source| Error::File { doing: "look at", path: file.to_owned(), source };
        let path = file.canonicalize().map_err(fail)?;
        let size = path.metadata().map_err(fail)?.len();
        let name =
            bus::event::id(&[path.as_os_str().as_encoded_bytes(), &size.to_be_bytes(), mapping.as_bytes()]);
        Ok(Self(data_dir.join("imports").join(format!("{name}.toml"))))
    }

    /// The checkpoint of an earlier run that did not finish.
    pub(super) fn load(&self) -> Option<Checkpoint> {
        // A checkpoint that cannot be read only costs time: everything is recorded idempotently.
        toml::from_str(&std::fs::read_to_string(&self.0).ok()?).ok()
    }

    /// Replaces it.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let fail = |source| Error::File { doing: "write checkpoint", path: self.0.clone(), source };
        let text = toml::to_string(checkpoint).map_err(|error| fail(std::io::Error::other(error)))?;
        let dir = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(fail)?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(fail)?;
        file.write_all(text.as_bytes()).map_err(fail)?;
        file.persist(&self.0).map_err(|error| fail(error.error))?;
        Ok(())
    }

    /// The import is done.
    pub(super) fn clear(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.0) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { doing: "remove checkpoint", path: self.0.clone(), source })
            }
            _ => Ok(()),
        }
    }
}
