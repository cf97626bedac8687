//! What can go wrong here, and the one code that callers see for it.

use riskmesh_core::{ErrorCode, ServiceError};
use tonic::Status;

/// An error of this service's own making; what callers can correct is a [`riskmesh_core::Error`] from the start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store failed.
    #[error("{doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: store::Error,
    },
    /// Another service refused or failed.
    #[error("{doing}")]
    Upstream {
        /// What was being done.
        doing: &'static str,
        /// What it answered.
        source: Box<riskmesh_core::Error>,
    },
    /// Another service answered with what the contract does not allow.
    #[error("{doing}: {field} is not what the contract allows")]
    Answer {
        /// What was being done.
        doing: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// A row holds what this code never writes.
    #[error("read {table}: column {column} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Conditional writes lost too many races.
    #[error("{doing}: too many others write the same row")]
    Contended {
        /// What was being done.
        doing: &'static str,
    },
    /// A computation was cut off by a shutdown.
    #[error("compute portfolio risk")]
    Compute(#[source] tokio::task::JoinError),
}

impl Error {
    /// What another service answered.
    pub(crate) fn upstream(doing: &'static str, status: &Status) -> Self {
        Self::Upstream { doing, source: Box::new(riskmesh_core::Error::from_status(status)) }
    }
}

impl ServiceError for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Contended { .. } => ErrorCode::Conflict,
            Self::Compute(_) => ErrorCode::ServiceUnavailable,
            Self::Store { source, .. } if source.retryable() => ErrorCode::ServiceUnavailable,
            Self::Upstream { source, .. } if source.code == ErrorCode::DeadlineExceeded => source.code,
            Self::Upstream { source, .. } if source.code.retryable() => ErrorCode::ServiceUnavailable,
            Self::Store { .. } | Self::Upstream { .. } | Self::Answer { .. } | Self::Corrupt { .. } => {
                ErrorCode::Internal
            }
        }
    }
}

/// `result.doing("read prices")?`
pub(crate) trait Doing<T> {
    /// Says what was being done when it failed.
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, store::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Store { doing, source })
    }
}

impl<T> Doing<T> for Result<T, Status> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|status| Error::upstream(doing, &status))
    }
}
