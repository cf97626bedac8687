//! Idempotency keys: one effect for one key, whatever is repeated, raced or cut off.
//!
//! The key's row comes before the effect and holds what the effect depends on beyond the request: the id of what is made, and when it
//! was decided. Whoever repeats the request finds both, so the effect, written as inserts under that id, is the same effect. One
//! caller at a time works on a key; if it dies, its lease runs out and the next takes over under a higher epoch. An answer is not
//! kept: it is made from what was made. Errors that may pass (5xx, 429) leave the key open, so the same request may be sent again.

mod key;
mod keys;

pub use key::Key;
pub use keys::{Begun, KEPT, Keys, Request, Sharing, Ticket};

use riskmesh_core::{ErrorCode, ServiceError};
use std::time::Duration;
use store::{Table, bigint, blob, boolean, text, timestamp};

/// One row a key, for a day. `key` is a hash of the caller and the key that it sent.
pub(crate) static KEYS: Table =
    Table::new("idempotency_keys", &[text("tenant"), text("method"), text("key")]).values(&[
        blob("request"),
        text("resource"),
        timestamp("decided_at"),
        bigint("epoch"),
        blob("owner"),
        timestamp("leased_until"),
        boolean("done"),
    ]);

/// What a store needs for keys.
pub static TABLES: &[&Table] = &[&KEYS];

/// Why a request with a key is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key came with another request before.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// The same request is being worked on.
    #[error("the same request is being worked on")]
    Running {
        /// When its worker is given up, at the latest.
        wait: Duration,
    },
    /// The store failed.
    #[error("{doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: store::Error,
    },
    /// The machine gives no random bytes.
    #[error("name the owner of an idempotency key")]
    Random(#[source] riskmesh_core::Error),
    /// Conditional writes lost too many races.
    #[error("too many others write the same key")]
    Contended,
}

impl ServiceError for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Reused => ErrorCode::IdempotencyKeyReused,
            Self::Running { .. } => ErrorCode::RequestInProgress,
            Self::Store { source, .. } if source.retryable() => ErrorCode::ServiceUnavailable,
            Self::Store { .. } | Self::Random(_) => ErrorCode::Internal,
            Self::Contended => ErrorCode::Conflict,
        }
    }
}

impl Error {
    /// As callers see it.
    pub fn outward(self) -> riskmesh_core::Error {
        let wait = match &self {
            Self::Running { wait } => Some(*wait),
            _ => None,
        };
        let error = riskmesh_core::Error::from(self);
        match wait {
            Some(wait) => error.retry_after(wait),
            None => error,
        }
    }
}
