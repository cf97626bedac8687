//! `riskmesh import transactions`: files in, entries recorded, every line accounted for.
//!
//! A reader thread parses and maps rows into windows; each window's entries go to a few workers, by account, so that no two of them
//! write the same account at once. A window that is recorded moves the checkpoint: an import that was cut off goes on there.
//! Recording is idempotent by transaction id, so whatever is sent twice is counted once.

mod checkpoint;
mod mapping;
mod rejects;
mod rows;
mod run;

pub use checkpoint::Checkpoint;
pub use mapping::Mapping;
pub use run::{Ledger, Options, Summary, run};

use std::path::PathBuf;

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The mapping is not usable with this file.
    #[error("mapping: {0}")]
    Mapping(String),
    /// The file as a whole cannot be read in this format.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The server refused a batch, or cannot be reached.
    #[error("record transactions: {0}")]
    Server(Box<riskmesh_core::Error>),
}
