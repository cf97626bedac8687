//! The append loop of one partition: one request at a time, with whatever queued up while the last one was under way. So the records of a
//! process keep their order, and a batch is as large as the brokers' pace makes it, without a timer.
//!
//! A request that was certainly not carried out is sent again, until the time is over. One that may have been is not: its records would
//! stand there twice, and nobody would know.

use super::cluster::{Attempts, Cluster, bounded};
use super::convert;
use super::failure::{Failure, Fate, source, told};
use super::options::Compression;
use crate::error::Error;
use crate::record::Record;
use riskmesh_core::{Clock, Timestamp};
use rskafka::client::partition::{self, OffsetAt, PartitionClient};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After a pause of this length the connection is tried first: one that a broker has closed meanwhile makes no outcome unknown.
const IDLE: Duration = Duration::from_secs(2);
/// Publications taken up at once.
const GROUP: usize = 1024;
/// Records of one batch.
const BATCH_RECORDS: usize = 65_536;

/// Records to append, in order.
pub(super) struct Append {
    pub(super) records: Vec<Record>,
    /// Gets the offset of each of them.
    pub(super) reply: oneshot::Sender<Result<Vec<i64>, Error>>,
}

/// The only one of this process who appends to a partition.
pub(super) struct Producer {
    cluster: Arc<Cluster>,
    clock: Arc<dyn Clock>,
    topic: Arc<str>,
    partition: u32,
    connection: Option<(PartitionClient, Instant)>,
    /// When the last record was appended; time does not go back, even if the clock does.
    last_at: Timestamp,
}

/// Why a batch was not appended, or perhaps was.
struct Failed {
    failure: Failure,
    fate: Fate,
}

impl Producer {
    pub(super) fn new(cluster: Arc<Cluster>, clock: Arc<dyn Clock>, topic: Arc<str>, partition: u32) -> Self {
        Self { cluster, clock, topic, partition, connection: None, last_at: Timestamp::MIN }
    }

    /// Runs until the bus is closed or dropped, and what was accepted until then is appended.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Append>, stop: CancellationToken) {
        let mut group = Vec::new();
        loop {
            let taken = tokio::select! {
                taken = queue.recv_many(&mut group, GROUP) => taken,
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            self.append(std::mem::take(&mut group)).await;
        }
    }

    /// Appends a group one batch after the other, up to the first that fails: what stands behind it was not sent.
    async fn append(&mut self, group: Vec<Append>) {
        let records: Vec<&Record> = group.iter().flat_map(|append| append.records.iter()).collect();
        let mut offsets = Vec::with_capacity(records.len());
        let mut failed = None;
        let mut sent = 0;
        while sent < records.len() && failed.is_none() {
            let batch = &records[sent..][..self.fitting(&records[sent..])];
            sent += batch.len();
            match self.produce(batch).await {
                Ok(appended) => offsets.extend(appended),
                Err(error) => failed = Some(error),
            }
        }
        drop(records);
        let mut next = 0;
        for Append { records, reply } in group {
            let end = next + records.len();
            let answer = match (&failed, offsets.get(next..end)) {
                (_, Some(appended)) => Ok(appended.to_vec()),
                (Some(failed), None) => Err(self.error(failed, next < sent)),
                (None, None) => Err(Error::Closed),
            };
            // Nobody minds if a publisher has gone away.
            let _ = reply.send(answer);
            next = end;
        }
    }

    fn error(&self, Failed { failure, fate }: &Failed, sent: bool) -> Error {
        match fate {
            Fate::Unknown if sent => Error::Unknown {
                topic: self.topic.clone(),
                partition: self.partition,
                source: source(failure),
            },
            _ => told("append", failure),
        }
    }

    /// How many of these records, at least one, fit into one batch.
    fn fitting(&self, records: &[&Record]) -> usize {
        let limit = self.cluster.options.batch_bytes;
        let mut bytes = 0;
        let fits = records.iter().take(BATCH_RECORDS).take_while(|record| {
            bytes += convert::size(record);
            bytes <= limit
        });
        fits.count().max(1)
    }

    async fn produce(&mut self, batch: &[&Record]) -> Result<Vec<i64>, Failed> {
        let at = self.last_at.max(self.clock.now());
        let mut attempts = Attempts::within(self.cluster.options.timeout);
        loop {
            let (failure, fate) = match self.connected(attempts.left()).await {
                // Nothing of the batch was sent, whatever became of the connection.
                Err(failure) if failure.fate() == Fate::Refused => (failure, Fate::Refused),
                Err(failure) => (failure, Fate::NotNow),
                Ok(connection) => {
                    let records = batch.iter().map(|record| convert::to_theirs(record, at)).collect();
                    let options = &self.cluster.options;
                    let producing = connection.produce(records, codec(options.compression));
                    match bounded(options.timeout, producing).await {
                        Ok(offsets) => {
                            self.connection = Some((connection, Instant::now()));
                            self.last_at = at;
                            return Ok(offsets);
                        }
                        Err(failure) => {
                            let fate = failure.fate();
                            (failure, fate)
                        }
                    }
                }
            };
            let (topic, partition) = (&self.topic, self.partition);
            tracing::warn!(%topic, partition, ?fate, error = %failure, "append failed");
            if fate != Fate::NotNow || !attempts.again().await {
                return Err(Failed { failure, fate });
            }
        }
    }

    /// A connection that works, as far as one can tell. It is put back when a batch went through it: so one that failed, or
    /// whose answer nobody waited for, is not used again.
    async fn connected(&mut self, within: Duration) -> Result<PartitionClient, Failure> {
        let deadline = Instant::now() + within;
        if let Some((connection, used)) = self.connection.take() {
            if used.elapsed() < IDLE {
                return Ok(connection);
            }
            let trying = connection.get_offset(OffsetAt::Latest);
            if bounded(within / 2, trying).await.is_ok() {
                return Ok(connection);
            }
        }
        let within = deadline.saturating_duration_since(Instant::now());
        self.cluster.connect(&self.topic, self.partition, within).await
    }
}

fn codec(compression: Compression) -> partition::Compression {
    match compression {
        Compression::None => partition::Compression::NoCompression,
        Compression::Gzip => partition::Compression::Gzip,
        Compression::Lz4 => partition::Compression::Lz4,
        Compression::Snappy => partition::Compression::Snappy,
        Compression::Zstd => partition::Compression::Zstd,
    }
}
