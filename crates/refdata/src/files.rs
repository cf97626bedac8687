//! A directory of files, read at one moment.

use crate::Error;
use risk::StateHash;
use riskmesh_core::country::is_country;
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The most files of a directory.
const MAX_FILES: usize = 1_000;
/// The most bytes of a file.
const MAX_BYTES: u64 = 4 << 20;

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `country-risk-*.toml`
    RiskList,
    /// `fx-*.toml`
    Rates,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) hash: StateHash,
}

impl File {
    /// A file of this text.
    pub(crate) fn of(path: impl Into<PathBuf>, text: String) -> Self {
        let hash = StateHash::of(text.as_bytes());
        Self { path: path.into(), text, hash }
    }

    /// Versions stand in paths and answers.
    pub(crate) fn check_version(&self, version: &str) -> Result<(), Error> {
        let fits = (1..=64).contains(&version.len())
            && version.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-'));
        let refused = || Error::Version { path: self.path.clone(), version: version.to_owned() };
        fits.then_some(()).ok_or_else(refused)
    }

    /// Letters alone do not make a country.
    pub(crate) fn check_country(&self, country: risk::Country) -> Result<(), Error> {
        let known = is_country(country.as_str());
        known.then_some(()).ok_or_else(|| self.unknown(country.as_str(), "ISO 3166-1"))
    }

    /// Letters alone do not make a currency.
    pub(crate) fn check_currency(&self, currency: risk::Currency) -> Result<(), Error> {
        let known = riskmesh_core::Currency::new(currency.as_str()).is_some();
        known.then_some(()).ok_or_else(|| self.unknown(currency.as_str(), "ISO 4217"))
    }

    fn unknown(&self, code: &str, standard: &'static str) -> Error {
        Error::Code { path: self.path.clone(), code: code.to_owned(), standard }
    }
}

/// What can be seen of a directory's files without reading them: when that is the same, so are they.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(BTreeMap<PathBuf, Seen>);

/// Length, time of change in seconds and nanoseconds, device and inode.
type Seen = (u64, i64, i64, u64, u64);

fn seen(of: &Metadata) -> Seen {
    (of.len(), of.mtime(), of.mtime_nsec(), of.dev(), of.ino())
}

impl Fingerprint {
    /// Looks at a directory. Hidden files are nobody's, and neither are those that are not TOML; a name in between is an error, for it
    /// is probably misspelt.
    pub(crate) fn of(directory: &Path) -> Result<Self, Error> {
        let read = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Read { path, source }
        };
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(read(directory))? {
            let path = entry.map_err(read(directory))?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if hidden || path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            // Of the file that a link leads to.
            let metadata = fs::metadata(&path).map_err(read(&path))?;
            if metadata.len() > MAX_BYTES || !metadata.is_file() {
                return Err(Error::Bound { path, allowed: "a file of at most 4 MiB" });
            }
            files.insert(path, seen(&metadata));
        }
        if files.len() > MAX_FILES {
            return Err(Error::Bound { path: directory.to_owned(), allowed: "1,000 files" });
        }
        Ok(Self(files))
    }

    /// Reads the files, by name. They are what was seen of them, or it is an error.
    pub(crate) fn read(&self, directory: &Path) -> Result<Vec<(Kind, File)>, Error> {
        let mut files = Vec::with_capacity(self.0.len());
        for path in self.0.keys() {
            let kind = kind(path).ok_or_else(|| Error::Name { path: path.clone() })?;
            let text =
                fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
            files.push((kind, File::of(path, text)));
        }
        if Self::of(directory)? != *self {
            return Err(Error::Changing { path: directory.to_owned() });
        }
        Ok(files)
    }
}

fn kind(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with("country-risk-") {
        Some(Kind::RiskList)
    } else if name.starts_with("fx-") {
        Some(Kind::Rates)
    } else {
        None
    }
}
