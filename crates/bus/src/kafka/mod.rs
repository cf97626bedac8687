//! The bus on a Kafka cluster (tried with 4.1), through the client `rskafka`: topics are Kafka's, keys go to the partitions that Java's
//! default partitioner gives them, headers are Kafka's headers. Groups are this crate's own, on leases in the store: Kafka's groups know
//! nothing of ours, and theirs may read beside them.
//!
//! `cluster` is the way to the brokers, `produce` the append loop of a partition, `read` what is asked of one, `failure` says what an
//! error of the client means, `convert` carries records.
//!
//! A publication is acknowledged when all replicas in sync have it (`acks=all`). The client has no idempotent producer: a request whose
//! outcome is unknown is told as [`Error::Unknown`] and not repeated here, and what it had may still turn up, behind younger records.

mod cluster;
mod convert;
mod failure;
mod options;
mod produce;
mod read;

pub use options::{Access, Compression, Mechanism, Options};

use crate::error::Error;
use crate::partition::Spread;
use crate::record::{self, Record};
use crate::topic::{Topic, quarantine_of};
use crate::traits::{Batch, Bounds, Bus, Fetch, Position};
use async_trait::async_trait;
use cluster::Cluster;
use produce::{Append, Producer};
use read::Reader;
use riskmesh_core::{Clock, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Calls of `publish` that wait for a partition's append loop; later ones wait at the door.
const QUEUE: usize = 1024;

/// The bus on a cluster.
pub struct Kafka {
    topics: HashMap<String, TopicState>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

struct TopicState {
    partitions: Vec<Partition>,
    /// Where the next call with records without a key goes.
    turn: AtomicU32,
}

struct Partition {
    reader: Reader,
    appends: mpsc::Sender<Append>,
}

impl Kafka {
    /// Connects, makes the topics that lack, and a quarantine topic for each, and starts the append loops on the current runtime. How
    /// long records are kept is the brokers' setting.
    ///
    /// # Errors
    /// [`Error::Backend`] if no broker answers in time; [`Error::Config`] if a topic has other partitions than declared, or lacks and may
    /// not be made.
    pub async fn open(options: Options, clock: Arc<dyn Clock>, topics: &[Topic]) -> Result<Arc<Self>, Error> {
        let mut declared = HashMap::new();
        for topic in topics {
            for (name, partitions) in
                [(topic.name.to_owned(), topic.partitions), (quarantine_of(topic.name), 1)]
            {
                if partitions == 0 || declared.insert(name.clone(), partitions).is_some() {
                    return Err(Error::Config {
                        what: format!("topic {name} is declared twice, or without partitions"),
                    });
                }
            }
        }
        let prefix = options.prefix.clone();
        let there = |name: &str| format!("{prefix}{name}");
        let cluster = Arc::new(Cluster::new(options));
        cluster.bring_up(&declared.iter().map(|(name, count)| (there(name), *count)).collect()).await?;

        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut opened = HashMap::new();
        for (name, partitions) in declared {
            let topic: Arc<str> = there(&name).into();
            let partitions = (0..partitions).map(|index| {
                let (appends, queue) = mpsc::channel(QUEUE);
                let producer = Producer::new(cluster.clone(), clock.clone(), topic.clone(), index);
                tasks.spawn(producer.run(queue, stop.clone()));
                Partition { reader: Reader::new(cluster.clone(), topic.clone(), index), appends }
            });
            let state = TopicState { partitions: partitions.collect(), turn: AtomicU32::new(0) };
            opened.insert(name, state);
        }
        tasks.close();
        Ok(Arc::new(Self { topics: opened, tasks, stop: stop.clone(), _stop_on_drop: stop.drop_guard() }))
    }

    /// Refuses further records, sends those that were accepted, and ends the tasks.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    fn topic(&self, topic: &str) -> Result<&TopicState, Error> {
        self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })
    }

    fn reader(&self, topic: &str, partition: u32) -> Result<&Reader, Error> {
        let found = self.topic(topic)?.partitions.get(partition as usize);
        let unknown = || Error::UnknownPartition { topic: topic.to_owned(), partition };
        found.map(|partition| &partition.reader).ok_or_else(unknown)
    }
}

#[async_trait]
impl Bus for Kafka {
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
            partition.appends.send(Append { records: part, reply }).await.map_err(|_| Error::Closed)?;
            answers.push(Some(answer));
        }
        let mut offsets = vec![Vec::new(); count];
        for (offsets, answer) in offsets.iter_mut().zip(answers) {
            if let Some(answer) = answer {
                *offsets = answer.await.map_err(|_| Error::Closed)??;
            }
        }
        Ok(spread.positions(offsets))
    }

    async fn fetch(&self, fetch: Fetch) -> Result<Batch, Error> {
        self.reader(&fetch.topic, fetch.partition)?.fetch(&fetch).await
    }

    async fn offset_at(&self, topic: &str, partition: u32, at: Timestamp) -> Result<i64, Error> {
        self.reader(topic, partition)?.offset_at(at).await
    }

    async fn bounds(&self, topic: &str, partition: u32) -> Result<Bounds, Error> {
        self.reader(topic, partition)?.bounds().await
    }
}
