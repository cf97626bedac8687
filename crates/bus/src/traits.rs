//! The trait that every backend implements.

use crate::error::Error;
use crate::record::Record;
use async_trait::async_trait;
use riskmesh_core::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A durable log of records, cut into topics and partitions. Groups, retries and quarantine are built upon it by
/// [`Consumer`](crate::Consumer), the same for every backend.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// How many partitions a topic has.
    async fn partitions(&self, topic: &str) -> Result<u32, Error>;

    /// Appends records, each to the partition of its key, and returns where each one went. They are durable when this returns,
    /// and keep their order within a partition. After an error, or when this is dropped before it is done, any of them may have
    /// been appended: consumers must not mind a repeat.
    async fn publish(&self, topic: &str, records: Vec<Record>) -> Result<Vec<Position>, Error>;

    /// Reads records from an offset on, and waits for the first one if there is none yet. [`Error::OutOfRange`] if retention
    /// has dropped the offset, or it lies beyond the next one.
    async fn fetch(&self, fetch: Fetch) -> Result<Batch, Error>;

    /// The first offset whose record was appended at `at` or later; the next offset to be written if there is none.
    async fn offset_at(&self, topic: &str, partition: u32, at: Timestamp) -> Result<i64, Error>;

    /// Which offsets a partition has.
    async fn bounds(&self, topic: &str, partition: u32) -> Result<Bounds, Error>;
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// Counted from 0 within the partition, without gaps on [`Embedded`](crate::Embedded). Other backends may skip offsets.
    pub offset: i64,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// The first offset wanted.
    pub offset: i64,
    /// At most this many records; at least 1.
    pub max_records: usize,
    /// At most this many bytes of records; but the first record comes whatever its size.
    pub max_bytes: usize,
    /// How long to wait if there is no record yet. Zero asks for what is there.
    pub max_wait: Duration,
}

impl Fetch {
    /// What is there from an offset on, up to 1,000 records and 4 MiB, without waiting.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32, offset: i64) -> Self {
        Self {
            topic: topic.into(),
            partition,
            offset,
            max_records: 1000,
            max_bytes: 4 << 20,
            max_wait: Duration::ZERO,
        }
    }

    /// Waiting up to this long for the first record.
    #[must_use]
    pub const fn wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Consecutive records; empty if none came in time.
    pub records: Vec<Stored>,
    /// The next offset to be written, as of this read.
    pub high_watermark: i64,
}

/// A record as it stands in its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its offset.
    pub offset: i64,
    /// When it was appended. Never before the record ahead of it, as far as the clocks of those who publish agree.
    pub at: Timestamp,
    /// The record.
    pub record: Record,
}

/// The offsets of a partition: `low..high`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset there is, or `high` if there is none.
    pub low: i64,
    /// The next offset to be written.
    pub high: i64,
}
