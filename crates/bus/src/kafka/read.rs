//! Reads of one partition. Each goes over a connection of its own while it lasts: a broker answers the requests of a connection one after
//! the other, so that one who waits for records would keep all others waiting. A connection whose request failed, or was given up, is not
//! used again.

use super::cluster::{Attempts, Cluster, bounded, lock};
use super::convert::{instant, to_stored};
use super::failure::{Failure, Fate, told};
use crate::error::Error;
use crate::traits::{Batch, Bounds, Fetch, Stored};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use riskmesh_core::Timestamp;
use rskafka::client::error::{Error as Client, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How long one request waits at a broker; so that one that does not answer any more is found out.
const WAIT: Duration = Duration::from_secs(5);
/// The least and the most that is asked for at once. A batch comes as a whole, whatever is asked for.
const MIN_BYTES: usize = 64 << 10;
const MAX_BYTES: usize = 8 << 20;
/// Connections kept for later.
const KEPT: usize = 8;

/// The reading side of a partition.
pub(super) struct Reader {
    cluster: Arc<Cluster>,
    topic: Arc<str>,
    partition: u32,
    idle: Mutex<Vec<PartitionClient>>,
    /// What the last answer had beyond what was asked for: whole batches come, and a reader goes on where it was.
    ahead: Mutex<Ahead>,
}

/// Records from an offset on.
#[derive(Default)]
struct Ahead {
    next: i64,
    high_watermark: i64,
    records: VecDeque<Stored>,
}

impl Reader {
    pub(super) fn new(cluster: Arc<Cluster>, topic: Arc<str>, partition: u32) -> Self {
        Self { cluster, topic, partition, idle: Mutex::default(), ahead: Mutex::default() }
    }

    pub(super) async fn bounds(&self) -> Result<Bounds, Error> {
        let low = self.offset(OffsetAt::Earliest).await?;
        let high = self.offset(OffsetAt::Latest).await?;
        Ok(Bounds { low, high })
    }

    pub(super) async fn offset_at(&self, at: Timestamp) -> Result<i64, Error> {
        // Below zero are questions of another kind.
        let at = Timestamp(at.0.max(0));
        let found = self.offset(OffsetAt::Timestamp(instant(at))).await?;
        if found < 0 { self.offset(OffsetAt::Latest).await } else { Ok(found) }
    }

    async fn offset(&self, at: OffsetAt) -> Result<i64, Error> {
        let timeout = self.cluster.options.timeout;
        self.ask("find an offset", timeout, move |connection| connection.get_offset(at).boxed()).await
    }

    pub(super) async fn fetch(&self, fetch: &Fetch) -> Result<Batch, Error> {
        if let Some(batch) = self.take_ahead(fetch) {
            return Ok(batch);
        }
        let deadline = Instant::now() + fetch.max_wait;
        let bytes = fetch.max_bytes.clamp(MIN_BYTES, MAX_BYTES) as i32;
        let mut offset = fetch.offset;
        if offset < 0 {
            return Err(self.out_of_range(offset).await?);
        }
        loop {
            let wait = deadline.saturating_duration_since(Instant::now()).min(WAIT);
            let time = wait + self.cluster.options.timeout;
            let wait = wait.as_millis() as i32;
            let fetched = self.ask("fetch", time, move |connection| {
                connection.fetch_records(offset, 1..bytes + 1, wait).map(in_range).boxed()
            });
            let Some((records, high_watermark)) = fetched.await? else {
                return Err(self.out_of_range(offset).await?);
            };
            if !records.is_empty() {
                let records = records.into_iter().map(to_stored).collect();
                return Ok(self.cut(fetch, Ahead { next: fetch.offset, high_watermark, records }));
            }
            // Marks of transactions, and what compaction took away, have offsets too. Where a transaction is open, the end is before it.
            if offset < high_watermark && offset < self.offset(OffsetAt::Latest).await? {
                offset += 1;
            } else if Instant::now() >= deadline {
                return Ok(Batch { records: Vec::new(), high_watermark });
            }
        }
    }

    fn take_ahead(&self, fetch: &Fetch) -> Option<Batch> {
        let mut ahead = lock(&self.ahead);
        if ahead.next != fetch.offset || ahead.records.is_empty() {
            return None;
        }
        let held = std::mem::take(&mut *ahead);
        drop(ahead);
        Some(self.cut(fetch, held))
    }

    /// Gives as much as was asked for, and keeps the rest.
    fn cut(&self, fetch: &Fetch, mut held: Ahead) -> Batch {
        let mut bytes = 0;
        let fits = held.records.iter().take(fetch.max_records.max(1)).take_while(|stored| {
            bytes += stored.record.size();
            bytes <= fetch.max_bytes
        });
        let count = fits.count().max(1).min(held.records.len());
        let records: Vec<Stored> = held.records.drain(..count).collect();
        let high_watermark = held.high_watermark;
        held.next = records.last().map_or(fetch.offset, |last| last.offset + 1);
        *lock(&self.ahead) = held;
        Batch { records, high_watermark }
    }

    async fn out_of_range(&self, offset: i64) -> Result<Error, Error> {
        let Bounds { low, high } = self.bounds().await?;
        Ok(Error::OutOfRange { offset, low, high })
    }

    /// Asks the leader, wherever it is, until it answers or the time is over.
    async fn ask<T: Send>(
        &self,
        doing: &'static str,
        time: Duration,
        request: impl for<'a> Fn(&'a PartitionClient) -> BoxFuture<'a, Result<T, Client>> + Send + Sync,
    ) -> Result<T, Error> {
        let mut attempts = Attempts::within(time);
        loop {
            let failure = match self.try_ask(attempts.left(), time, &request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // Others are likely to have ended with it.
            lock(&self.idle).clear();
            if failure.fate() == Fate::Refused || !attempts.again().await {
                return Err(told(doing, &failure));
            }
            let (topic, partition) = (&self.topic, self.partition);
            tracing::debug!(%topic, partition, doing, error = %failure, "asked again");
        }
    }

    async fn try_ask<T: Send>(
        &self,
        reach: Duration,
        time: Duration,
        request: &(impl for<'a> Fn(&'a PartitionClient) -> BoxFuture<'a, Result<T, Client>> + Send + Sync),
    ) -> Result<T, Failure> {
        let idle = lock(&self.idle).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.cluster.connect(&self.topic, self.partition, reach).await?,
        };
        let answer = bounded(time, request(&connection)).await?;
        let mut idle = lock(&self.idle);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        Ok(answer)
    }
}

/// An answer; none where the offset is not there.
fn in_range<T>(fetched: Result<T, Client>) -> Result<Option<T>, Client> {
    match fetched {
        Err(Client::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. }) => Ok(None),
        fetched => fetched.map(Some),
    }
}
