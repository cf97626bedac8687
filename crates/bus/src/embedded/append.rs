//! The append loop of one partition: the only one who writes to it. It gives out offsets, writes whatever queued up while its
//! last write ran, and moves the high watermark when that is durable.

use super::BUS_SEGMENTS;
use super::log::{Log, Segment, to_mutation};
use crate::error::Error;
use crate::record::Record;
use riskmesh_core::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use store::{Batch, upsert};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Records and bytes of one write; well below what the store takes, since keys and framing count there too.
const WRITE_RECORDS: usize = 4096;
const WRITE_BYTES: usize = 4 << 20;
/// What one row costs beside its record.
const ROW_BYTES: usize = 512;
/// How often a write whose outcome is unknown is repeated, and the first pause between; it doubles.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// Records to append, in order.
pub(super) struct Append {
    pub(super) records: Vec<Record>,
    /// Gets the offset of the first of them.
    pub(super) reply: oneshot::Sender<Result<i64, Error>>,
}

/// Where the log ends: what only its writer may change.
pub(super) struct Writer {
    pub(super) next: i64,
    /// When the last record was appended; time does not go back within a partition, even if the clock does.
    pub(super) last_at: Timestamp,
    pub(super) high: watch::Sender<i64>,
}

/// Runs until the bus is closed or dropped, or a write has failed for good: then every further append is refused, since an
/// earlier one might still turn up.
pub(super) async fn run(
    log: Arc<Log>,
    mut writer: Writer,
    clock: Arc<dyn Clock>,
    mut queue: mpsc::Receiver<Append>,
    stop: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            append = queue.recv() => append,
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        };
        let Some(first) = first else { return };
        let group = gather(first, &mut queue);
        let start = writer.next;
        let records: Vec<&Record> = group.iter().flat_map(|append| append.records.iter()).collect();
        let result = writer.append(&log, &records, clock.now()).await;
        reply(&log, group, start, &result);
        if let Err(error) = result {
            tracing::error!(topic = %log.topic, partition = log.index, %error, "the log takes no more records");
            return;
        }
    }
}

/// The first append and what waits behind it, up to about one write.
fn gather(first: Append, queue: &mut mpsc::Receiver<Append>) -> Vec<Append> {
    let size = |append: &Append| append.records.iter().map(row_bytes).sum::<usize>();
    let (mut records, mut bytes) = (first.records.len(), size(&first));
    let mut group = vec![first];
    while records < WRITE_RECORDS && bytes < WRITE_BYTES {
        let Ok(append) = queue.try_recv() else { break };
        records += append.records.len();
        bytes += size(&append);
        group.push(append);
    }
    group
}

/// Nobody minds if a publisher has gone away.
fn reply(log: &Log, group: Vec<Append>, mut next: i64, result: &Result<(), Arc<store::Error>>) {
    for append in group {
        let count = append.records.len() as i64;
        let answer = match result {
            Ok(()) => Ok(next),
            Err(source) => {
                Err(Error::Append { topic: log.topic.clone(), partition: log.index, source: source.clone() })
            }
        };
        let _ = append.reply.send(answer);
        next += count;
    }
}

fn row_bytes(record: &Record) -> usize {
    record.size() + ROW_BYTES
}

/// How many of these records, at least one, fit into one write.
fn fitting(records: &[&Record]) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take(WRITE_RECORDS).take_while(|record| {
        bytes += row_bytes(record);
        bytes <= WRITE_BYTES
    });
    fits.count().max(1)
}

impl Writer {
    /// Writes records one batch after the other: a crash leaves a prefix of them, never a gap.
    async fn append(
        &mut self,
        log: &Log,
        mut records: &[&Record],
        now: Timestamp,
    ) -> Result<(), Arc<store::Error>> {
        let at = self.last_at.max(now);
        while !records.is_empty() {
            let segment = log.segment_of(self.next);
            if self.next == log.base_of(segment) {
                self.begin(log, Segment { number: segment, first_at: at }).await?;
            }
            let room = (log.base_of(segment + 1) - self.next) as usize;
            let (written, rest) = records.split_at(fitting(records).min(room));
            let rows = (self.next..).zip(written).map(|(offset, record)| to_mutation(offset, at, record));
            let mut batch = log.batch(segment);
            batch.mutations.extend(rows);
            write(log, batch).await?;
            records = rest;
            self.next += written.len() as i64;
            self.last_at = at;
            self.high.send_replace(self.next);
        }
        Ok(())
    }

    /// Puts a segment on the list before it has records: so every record there is can be found.
    async fn begin(&self, log: &Log, segment: Segment) -> Result<(), Arc<store::Error>> {
        let row = upsert(segment.number).set("first_at", segment.first_at);
        write(log, Batch::new(&BUS_SEGMENTS, log.key()).with(row)).await?;
        log.add(segment);
        Ok(())
    }
}

/// Writes one batch for certain: after an unknown outcome the same again, at the same offsets.
async fn write(log: &Log, batch: Batch) -> Result<(), Arc<store::Error>> {
    let mut pause = PAUSE;
    let mut tries = 1;
    loop {
        match log.store.apply(vec![batch.clone()]).await {
            Ok(()) => return Ok(()),
            Err(error) if error.retryable() && tries < TRIES => {
                tracing::warn!(topic = %log.topic, partition = log.index, tries, %error, "append is repeated");
            }
            Err(error) => return Err(Arc::new(error)),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        tries += 1;
    }
}
