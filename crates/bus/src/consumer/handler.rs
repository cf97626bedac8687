//! What a service implements to consume.

use crate::error::Source;
use crate::event;
use crate::record::Record;
use async_trait::async_trait;
use riskmesh_core::Timestamp;
use std::sync::Arc;

/// A record as it is handed to a [`Handler`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// When it was appended.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
}

/// Handles records.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Handles consecutive records of one partition. Batches of one partition come one after the other, those of different
    /// partitions at the same time. `Ok` means that all of them are done for good; after an error, and after a crash, they come
    /// again. The future may be dropped at any await: when the lease was lost, or when stopping took too long.
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError>;
}

#[async_trait]
impl<H: Handler + ?Sized> Handler for Arc<H> {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        (**self).handle(batch).await
    }
}

/// Why records were not handled, and so what happens to them. The text goes to the log and into the quarantine's reason: it must
/// hold no data of the record.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Something else does not work, a store or another service: retried, with growing pauses, for as long as it takes.
    #[error("dependency unavailable")]
    Unavailable(#[source] Source),
    /// Perhaps a record is at fault: retried a few times, record by record, and then quarantined.
    #[error("record failed")]
    Failed(#[source] Source),
    /// A record can never be handled: quarantined without another try.
    #[error("record is poison")]
    Poison(#[source] Source),
}

impl From<event::Error> for HandlerError {
    fn from(error: event::Error) -> Self {
        Self::Poison(error.into())
    }
}

impl From<riskmesh_core::Error> for HandlerError {
    fn from(error: riskmesh_core::Error) -> Self {
        if error.code.retryable() { Self::Unavailable(error.into()) } else { Self::Failed(error.into()) }
    }
}

impl From<crate::Error> for HandlerError {
    fn from(error: crate::Error) -> Self {
        if error.retryable() || matches!(error, crate::Error::Closed) {
            Self::Unavailable(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<store::Error> for HandlerError {
    fn from(error: store::Error) -> Self {
        if error.retryable() || matches!(error, store::Error::Backend { .. } | store::Error::Closed) {
            Self::Unavailable(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}
