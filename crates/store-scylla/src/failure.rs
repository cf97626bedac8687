//! What an error of the driver means: did nothing happen, or does nobody know?

use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};
use store::{Error, Source};

/// Cassandra: nobody knows how a conditional write ended (CAS_WRITE_UNKNOWN, native protocol v5).
const CAS_WRITE_UNKNOWN: i32 = 0x1700;

/// What became of a write that failed.
pub(crate) enum Fate {
    /// It was not done, and may be done later.
    NotNow,
    /// It may have been done.
    Unknown,
    /// It was refused.
    Refused,
}

/// The fate of a write.
pub(crate) fn fate(error: &ExecutionError) -> Fate {
    match error {
        // No connection, no node: nothing was sent.
        ExecutionError::EmptyPlan
        | ExecutionError::ConnectionPoolError(_)
        | ExecutionError::PrepareError(PrepareError::ConnectionPoolError(_)) => Fate::NotNow,
        ExecutionError::RequestTimeout(_) => Fate::Unknown,
        ExecutionError::LastAttemptError(attempt) => match attempt {
            RequestAttemptError::UnableToAllocStreamId => Fate::NotNow,
            RequestAttemptError::DbError(error, _) => match error {
                DbError::Unavailable { .. }
                | DbError::Overloaded
                | DbError::IsBootstrapping
                | DbError::RateLimitReached { .. } => Fate::NotNow,
                DbError::WriteTimeout { .. }
                | DbError::WriteFailure { .. }
                | DbError::ReadTimeout { .. }
                | DbError::ReadFailure { .. }
                | DbError::ServerError
                | DbError::Other(CAS_WRITE_UNKNOWN) => Fate::Unknown,
                _ => Fate::Refused,
            },
            RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
                Fate::Refused
            }
            // A connection broke, or an answer could not be read: it was sent.
            _ => Fate::Unknown,
        },
        _ => Fate::Refused,
    }
}

/// The error of a plain write.
pub(crate) fn of_write(operation: &'static str, error: ExecutionError) -> Error {
    match fate(&error) {
        Fate::NotNow => Error::Unavailable { operation, source: Box::new(error) },
        Fate::Unknown => Error::Unknown { operation, source: Some(Box::new(error)) },
        Fate::Refused => Error::Backend { operation, source: Box::new(error) },
    }
}

/// The error of a read: what is not refused may succeed later.
pub(crate) fn of_read(operation: &'static str, error: ExecutionError) -> Error {
    match fate(&error) {
        Fate::NotNow => Error::Unavailable { operation, source: Box::new(error) },
        Fate::Unknown => Error::Timeout { operation, source: Some(Box::new(error)) },
        Fate::Refused => Error::Backend { operation, source: Box::new(error) },
    }
}

/// The error of a statement that could not be prepared: no part of it was carried out.
pub(crate) fn of_prepare(operation: &'static str, error: PrepareError) -> Error {
    let refused = match &error {
        PrepareError::ConnectionPoolError(_) => false,
        PrepareError::AllAttemptsFailed { first_attempt } => matches!(
            first_attempt,
            RequestAttemptError::DbError(
                DbError::SyntaxError | DbError::Invalid | DbError::Unauthorized | DbError::ConfigError,
                _
            )
        ),
        _ => true,
    };
    let source = Box::new(error);
    if refused { Error::Backend { operation, source } } else { Error::Unavailable { operation, source } }
}

/// Anything else.
pub(crate) fn other(operation: &'static str, source: impl Into<Source>) -> Error {
    Error::Backend { operation, source: source.into() }
}
