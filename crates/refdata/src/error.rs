//! Why a directory is not a set of reference data.

use risk::time::Day;
use std::path::PathBuf;

/// Names the file that is at fault; whatever is wrong with one file, none is taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or a file of it cannot be read.
    #[error("read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file's name says neither what it is nor that it is something else.
    #[error("{path} is neither a country-risk-*.toml nor an fx-*.toml")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A file is longer than any that is meant, or there are more of them.
    #[error("{path} is over the bound: {allowed}")]
    Bound {
        /// The file or the directory.
        path: PathBuf,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A file changed while it was being read.
    #[error("{path} changes while it is read")]
    Changing {
        /// The directory.
        path: PathBuf,
    },
    /// A risk list is not valid.
    #[error("risk list {path}")]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        source: risk::refdata::Error,
    },
    /// A file of exchange rates is not valid.
    #[error("exchange rates {path}")]
    Rates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: risk::fx::Error,
    },
    /// A version cannot stand in a path.
    #[error("{path}: version {version:?} must be 1 to 64 letters, digits, '.', '_', ':' or '-'")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version.
        version: String,
    },
    /// Letters that are no code in use.
    #[error("{path}: {code} is no code of {standard}")]
    Code {
        /// The file.
        path: PathBuf,
        /// The letters.
        code: String,
        /// Of what.
        standard: &'static str,
    },
    /// Two files have one version.
    #[error("{path} and {other} have the same version")]
    SameVersion {
        /// One.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// Two risk lists were published on one day: neither is the newest.
    #[error("{path} and {other} were published on the same day, {day}")]
    SameDay {
        /// One.
        path: PathBuf,
        /// The other.
        other: PathBuf,
        /// The day.
        day: Day,
    },
    /// Two files say different rates of one currency on one day.
    #[error("{path} and {other} differ on the rate of {currency} on {day}")]
    Conflict {
        /// One.
        path: PathBuf,
        /// The other.
        other: PathBuf,
        /// Whose rate.
        currency: risk::Currency,
        /// When.
        day: Day,
    },
    /// Files quote against different currencies.
    #[error("{path} is against {base}, {other} is not: all files of exchange rates have one base")]
    Base {
        /// One.
        path: PathBuf,
        /// The other.
        other: PathBuf,
        /// The base of the first.
        base: risk::Currency,
    },
    /// A table that ships with the program: a defect of the build.
    #[error("read the table of {what} that ships with the program")]
    Table {
        /// Which.
        what: &'static str,
        /// Why.
        source: csv::Error,
    },
}
