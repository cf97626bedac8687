//! What can go wrong on the bus, typed. No variant carries a key, a header or a payload.

use riskmesh_core::{ErrorCode, ServiceError};
use std::sync::Arc;

/// The source of a backend's error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error of the bus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody declared this topic.
    #[error("topic {topic} is not declared")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// The topic has fewer partitions.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The offset is not one that the partition has, nor its next one: retention has dropped it, or it lies in the future.
    #[error("offset {offset} is outside of {low} to {high}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// The first offset there is.
        low: i64,
        /// The next offset to be written.
        high: i64,
    },
    /// A request above a limit.
    #[error("{what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// A setting that cannot work.
    #[error("invalid setting: {what}")]
    Config {
        /// What is wrong with it.
        what: String,
    },
    /// Records could not be made durable. They may have been appended all the same.
    #[error("append to {topic}/{partition}")]
    Append {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// Why; shared by everybody whose records were in the same group.
        #[source]
        source: Arc<store::Error>,
    },
    /// A broker was asked to append records and did not say how that ended: they may have been appended, or still be. Whoever publishes
    /// them again may have them twice.
    #[error("append to {topic}/{partition} has an unknown outcome")]
    Unknown {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: u32,
        /// Why; shared by everybody whose records were in the same request.
        #[source]
        source: Source,
    },
    /// The store failed.
    #[error("{doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: store::Error,
    },
    /// A broker failed.
    #[error("{doing}")]
    Backend {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: Source,
        /// Whether the same request may succeed later.
        retryable: bool,
    },
    /// A service that fills the outbox failed.
    #[error("read pending events of {kind}")]
    Pending {
        /// The kind of its pointers.
        kind: &'static str,
        /// Why.
        #[source]
        source: Source,
    },
    /// The bus, or this partition of it, has been shut down, by its owner or by a fatal error.
    #[error("the bus is closed")]
    Closed,
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Append { source, .. } => source.retryable(),
            Self::Store { source, .. } => source.retryable(),
            Self::Backend { retryable, .. } => *retryable,
            Self::Unknown { .. } => true,
            _ => false,
        }
    }

    /// For `map_err`: an error of the store while `doing` something.
    pub(crate) fn store(doing: &'static str) -> impl Fn(store::Error) -> Self {
        move |source| Self::Store { doing, source }
    }
}

impl ServiceError for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Closed => ErrorCode::ServiceUnavailable,
            error if error.retryable() => ErrorCode::ServiceUnavailable,
            _ => ErrorCode::Internal,
        }
    }
}
