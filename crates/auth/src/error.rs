//! What can go wrong here, and the one code that callers see for it.

use riskmesh_core::{ErrorCode, ServiceError};

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
    /// The outbox could not be written.
    #[error("write outbox pointer")]
    Outbox(#[source] bus::Error),
    /// A row holds what this code never writes.
    #[error("read {table}: column {column} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Personal data could not be sealed.
    #[error("seal personal data")]
    Seal(#[source] riskmesh_core::Error),
    /// Conditional writes lost too many races.
    #[error("{doing}: too many others write the same row")]
    Contended {
        /// What was being done.
        doing: &'static str,
    },
}

impl ServiceError for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store { source, .. } if source.retryable() => ErrorCode::ServiceUnavailable,
            Self::Outbox(source) if source.retryable() => ErrorCode::ServiceUnavailable,
            Self::Contended { .. } => ErrorCode::Conflict,
            Self::Store { .. } | Self::Outbox(_) | Self::Corrupt { .. } | Self::Seal(_) => {
                ErrorCode::Internal
            }
        }
    }
}

/// `result.doing("read user")?`
pub(crate) trait Doing<T> {
    /// Says what was being done when the store failed.
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, store::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Store { doing, source })
    }
}
