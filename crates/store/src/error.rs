//! What can go wrong, typed. No variant carries a value of a row: names of tables and columns only.

use crate::value::Type;

/// The source of a backend's error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The declaration of a table breaks a rule.
    #[error("declaration of table {table}: {what}")]
    Declaration {
        /// The table.
        table: &'static str,
        /// The rule.
        what: String,
    },
    /// The store was not opened with this table.
    #[error("table {table} is not part of this store")]
    UnknownTable {
        /// The table.
        table: &'static str,
    },
    /// The stored schema and the declared one differ, and no migration says how to get from one to the other.
    #[error("schema of table {table}: {what}")]
    Schema {
        /// The table, or "(migrations)".
        table: String,
        /// The difference.
        what: String,
    },
    /// A column that the table does not have, or not in that role.
    #[error("table {table} has no such column {column}")]
    NoSuchColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
    },
    /// A value of another type than its column's.
    #[error("column {table}.{column} is {expected}, not {actual}")]
    WrongType {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The column's type.
        expected: Type,
        /// The type that was given or asked for.
        actual: Type,
    },
    /// A null where a value is required: in a key, or read by an accessor that is not `_opt`.
    #[error("column {table}.{column} is null")]
    Null {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A request that no backend can answer: wrong number of key columns, overlapping mutations, a condition on a row that
    /// the batch does not write. A mistake of the caller.
    #[error("request to table {table}: {what}")]
    Request {
        /// The table.
        table: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A request above one of the [`limits`](crate::limits).
    #[error("request to table {table}: {what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// The table.
        table: &'static str,
        /// What is too large.
        what: &'static str,
        /// Its size.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// A plain write that timed out or lost its connection: it may or may not have been applied. Writing it again is safe,
    /// since plain mutations are idempotent.
    #[error("{operation}: the outcome is unknown")]
    Unknown {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Option<Source>,
    },
    /// Too few nodes answer; nothing was done.
    #[error("{operation}: the store is not available")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Source,
    },
    /// A read that timed out.
    #[error("{operation} timed out")]
    Timeout {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Option<Source>,
    },
    /// The backend failed.
    #[error("{operation} failed")]
    Backend {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: Source,
    },
    /// Stored bytes that do not decode.
    #[error("stored {what} of table {table} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What does not decode.
        what: &'static str,
    },
    /// The store has been shut down, by its owner or by a fatal error.
    #[error("the store is closed")]
    Closed,
    /// Another process owns the data directory.
    #[error("data directory {directory} is in use by process {owner}")]
    InUse {
        /// The directory.
        directory: String,
        /// The owner's process id, or "unknown".
        owner: String,
    },
    /// A part of the data directory is not there, and what it held cannot be made again.
    #[error(
        "data directory {directory}: {missing} is missing; restore it from a backup, or start with an empty directory"
    )]
    Incomplete {
        /// The directory.
        directory: String,
        /// The file or directory in it.
        missing: &'static str,
    },
}

impl Error {
    /// Whether the same request may succeed if it is sent again.
    pub const fn retryable(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Unavailable { .. } | Self::Timeout { .. } | Self::InUse { .. }
        )
    }
}
