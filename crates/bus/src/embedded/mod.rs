//! The log inside the process's own store: the bus of a single-process deployment.
//!
//! A partition's records are rows of [`BUS_LOG`], cut into segments of 65,536 so that no store partition grows without bound;
//! [`BUS_SEGMENTS`] lists the segments. Each partition has one append loop, which gives out the offsets: whatever was published
//! while the last write ran goes into the next one, and a record is visible only when it is durable. Where each log ends is kept
//! in memory and found again at [`Embedded::open`]; so one process at a time may own the log, as it owns the data directory.
//!
//! Retention drops whole segments, the oldest first: those whose last record is older than the topic's retention time and whose
//! records every consumer group of the topic has committed. A group that has not been seen for 30 days holds nothing back.

mod append;
mod log;
mod retention;

use crate::error::Error;
use crate::partition::Spread;
use crate::record::{self, Record};
use crate::topic::{QUARANTINE_RETENTION, Topic, quarantine_of};
use crate::traits::{Batch, Bounds, Bus, Fetch, Position};
use append::Append;
use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use log::Log;
use riskmesh_core::{Clock, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use store::{Store, Table, asc, bigint, blob, boolean, int, text, timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The records.
pub static BUS_LOG: Table = Table::new("bus_log", &[text("topic"), int("part"), bigint("segment")])
    .clustering(&[asc(bigint("position"))])
    .values(&[timestamp("at"), blob("record_key"), blob("headers"), blob("payload")]);

/// The segments of each partition: a row is written before the segment's first record, and goes after its last.
pub static BUS_SEGMENTS: Table = Table::new("bus_segments", &[text("topic"), int("part")])
    .clustering(&[asc(bigint("segment"))])
    .values(&[timestamp("first_at"), boolean("dropped")]);

/// Records of one segment.
const SEGMENT: i64 = 65_536;
/// Calls of `publish` that wait for a partition's append loop; later ones wait at the door.
const QUEUE: usize = 64;
/// How many logs are recovered at once.
const RECOVER_AT_ONCE: usize = 16;
/// How often retention looks for segments to drop.
const RETENTION_EVERY: Duration = Duration::from_mins(10);

/// The embedded bus.
pub struct Embedded {
    topics: HashMap<String, TopicState>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

struct TopicState {
    retention: Duration,
    partitions: Vec<Partition>,
    /// Where the next call with records without a key goes.
    turn: AtomicU32,
}

struct Partition {
    log: Arc<Log>,
    appends: mpsc::Sender<Append>,
}

impl Embedded {
    /// Opens the log of these topics, and of a quarantine topic for each, and starts its tasks on the current runtime.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        topics: &[Topic],
    ) -> Result<Arc<Self>, Error> {
        Self::open_with(store, clock, topics, SEGMENT).await
    }

    /// With segments of another size, for tests.
    pub(crate) async fn open_with(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        topics: &[Topic],
        segment: i64,
    ) -> Result<Arc<Self>, Error> {
        let declared = topics.iter().flat_map(|topic| {
            let quarantine = (quarantine_of(topic.name), 1, QUARANTINE_RETENTION);
            [(topic.name.to_owned(), topic.partitions, topic.retention), quarantine]
        });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut opened = HashMap::new();
        for (name, partitions, retention) in declared {
            let topic: Arc<str> = name.as_str().into();
            let recovered = (0..partitions).map(|index| Log::recover(&store, topic.clone(), index, segment));
            let recovered: Vec<_> =
                futures::stream::iter(recovered).buffered(RECOVER_AT_ONCE).try_collect().await?;
            let partitions = recovered
                .into_iter()
                .map(|(log, writer)| {
                    let (appends, queue) = mpsc::channel(QUEUE);
                    tasks.spawn(append::run(log.clone(), writer, clock.clone(), queue, stop.clone()));
                    Partition { log, appends }
                })
                .collect();
            let state = TopicState { retention, partitions, turn: AtomicU32::new(0) };
            if opened.insert(name.clone(), state).is_some() {
                return Err(Error::Config { what: format!("topic {name} is declared twice") });
            }
        }
        let bus = Arc::new(Self {
            topics: opened,
            tasks,
            stop: stop.clone(),
            _stop_on_drop: stop.clone().drop_guard(),
        });
        bus.tasks.spawn(retention::run(Arc::downgrade(&bus), store, clock, stop));
        bus.tasks.close();
        Ok(bus)
    }

    /// Refuses further records, makes those durable that were accepted, and ends the tasks. To be called before the store is
    /// closed.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    fn topic(&self, topic: &str) -> Result<&TopicState, Error> {
        self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })
    }

    fn log(&self, topic: &str, partition: u32) -> Result<&Log, Error> {
        self.topic(topic)?
            .partitions
            .get(partition as usize)
            .map(|partition| partition.log.as_ref())
            .ok_or_else(|| Error::UnknownPartition { topic: topic.to_owned(), partition })
    }
}

#[async_trait]
impl Bus for Embedded {
    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        Ok(self.topic(topic)?.partitions.len() as u32)
    }

    async fn publish(&self, topic: &str, records: Vec<Record>) -> Result<Vec<Position>, Error> {
        record::check(topic, &records)?;
        let topic = self.topic(topic)?;
        let count = topic.partitions.len();
        let keyless = topic.turn.fetch_add(1, Ordering::Relaxed) % count as u32;
        let mut spread = Spread::new(records, count as u32, keyless);

        let mut answers = Vec::with_capacity(count);
        for (part, partition) in std::mem::take(&mut spread.parts).into_iter().zip(&topic.partitions) {
            if part.is_empty() {
                answers.push(None);
                continue;
            }
            let (reply, answer) = oneshot::channel();
            let records = part.len() as i64;
            partition.appends.send(Append { records: part, reply }).await.map_err(|_| Error::Closed)?;
            answers.push(Some((records, answer)));
        }
        let mut offsets = vec![Vec::new(); count];
        for (offsets, answer) in offsets.iter_mut().zip(answers) {
            if let Some((records, answer)) = answer {
                let first = answer.await.map_err(|_| Error::Closed)??;
                offsets.extend(first..first + records);
            }
        }
        Ok(spread.positions(offsets))
    }

    async fn fetch(&self, fetch: Fetch) -> Result<Batch, Error> {
        self.log(&fetch.topic, fetch.partition)?.fetch(&fetch).await
    }

    async fn offset_at(&self, topic: &str, partition: u32, at: Timestamp) -> Result<i64, Error> {
        self.log(topic, partition)?.offset_at(at).await
    }

    async fn bounds(&self, topic: &str, partition: u32) -> Result<Bounds, Error> {
        Ok(self.log(topic, partition)?.bounds())
    }
}

#[cfg(test)]
mod tests;
