//! The way to the brokers: one client, made anew where it does not lead anywhere, and topics.
//!
//! The client is told to repeat nothing by itself: by default it would do so without end, and a repeated produce would append twice
//! unseen. What is repeated is decided here and in `produce`, with a bound on time.

use super::failure::{Cause, Failure, Fate, told};
use super::options::{Access, Mechanism, Options};
use crate::error::Error;
use rskafka::BackoffConfig;
use rskafka::client::error::{Error as Client, ProtocolError};
use rskafka::client::partition::{PartitionClient, UnknownTopicHandling};
use rskafka::client::{ClientBuilder, Credentials, SaslConfig};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Pauses between attempts; they double.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The largest answer that is read.
const MAX_ANSWER: usize = 64 << 20;

/// A cluster.
pub(super) struct Cluster {
    pub(super) options: Options,
    client: Mutex<Option<Arc<rskafka::client::Client>>>,
}

/// Growing pauses until a deadline.
pub(super) struct Attempts {
    deadline: Instant,
    pause: Duration,
}

impl Attempts {
    pub(super) fn within(time: Duration) -> Self {
        Self { deadline: Instant::now() + time, pause: FIRST_PAUSE }
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits before another attempt; false where there is no time for one.
    pub(super) async fn again(&mut self) -> bool {
        if Instant::now() + self.pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// A request with a bound on its time: the client has none.
pub(super) async fn bounded<T>(
    time: Duration,
    request: impl Future<Output = Result<T, Client>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(time, request).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Arc::new(Cause::Client(error))),
        Err(_) => Err(Arc::new(Cause::Timeout(time))),
    }
}

impl Cluster {
    pub(super) fn new(options: Options) -> Self {
        Self { options, client: Mutex::default() }
    }

    /// A connection to the leader of a partition, for whoever asks alone.
    pub(super) async fn connect(
        &self,
        topic: &str,
        partition: u32,
        within: Duration,
    ) -> Result<PartitionClient, Failure> {
        let deadline = Instant::now() + within;
        let client = bounded(within, self.client()).await?;
        let connecting = client.partition_client(topic, partition as i32, UnknownTopicHandling::Error);
        let connected = bounded(deadline.saturating_duration_since(Instant::now()), connecting).await;
        if connected.is_err() {
            self.forget(&client);
        }
        connected
    }

    /// Nobody waits for another who makes one: of those that are made at once the last is kept.
    async fn client(&self) -> Result<Arc<rskafka::client::Client>, Client> {
        if let Some(client) = lock(&self.client).clone() {
            return Ok(client);
        }
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
            base: 3.0,
            deadline: Some(Duration::ZERO),
        };
        let builder = ClientBuilder::new(self.options.brokers.clone())
            .client_id("riskmesh")
            .max_message_size(MAX_ANSWER)
            .backoff_config(backoff);
        let builder = match &self.options.access {
            Some(access) => builder.sasl_config(sasl(access)),
            None => builder,
        };
        let built = Arc::new(builder.build().await?);
        *lock(&self.client) = Some(built.clone());
        Ok(built)
    }

    /// The next one begins with the brokers of the options, and knows nothing of how things were.
    fn forget(&self, client: &Arc<rskafka::client::Client>) {
        lock(&self.client).take_if(|held| Arc::ptr_eq(held, client));
    }

    /// Makes the topics that lack, and checks that the others are as declared.
    pub(super) async fn bring_up(&self, declared: &HashMap<String, u32>) -> Result<(), Error> {
        let mut attempts = Attempts::within(self.options.timeout);
        loop {
            let failure = match self.try_bring_up(declared).await {
                Ok(checked) => return checked,
                Err(failure) => failure,
            };
            if failure.fate() == Fate::Refused || !attempts.again().await {
                return Err(told("bring topics up", &failure));
            }
        }
    }

    async fn try_bring_up(&self, declared: &HashMap<String, u32>) -> Result<Result<(), Error>, Failure> {
        let client = bounded(self.options.timeout, self.client()).await?;
        let listed = bounded(self.options.timeout, client.list_topics()).await;
        if listed.is_err() {
            self.forget(&client);
        }
        let there: HashMap<String, usize> =
            listed?.into_iter().map(|topic| (topic.name, topic.partitions.len())).collect();
        let refuse = |what| Ok(Err(Error::Config { what }));
        for (name, partitions) in declared {
            match there.get(name) {
                Some(count) if *count == *partitions as usize => {}
                Some(count) => {
                    return refuse(format!("topic {name} has {count} partitions, {partitions} are declared"));
                }
                None if !self.options.create => return refuse(format!("topic {name} is not there")),
                None => self.create(&client, name, *partitions).await?,
            }
        }
        Ok(Ok(()))
    }

    async fn create(
        &self,
        client: &rskafka::client::Client,
        topic: &str,
        partitions: u32,
    ) -> Result<(), Failure> {
        let Options { replication, timeout, .. } = &self.options;
        let controller = client.controller_client().map_err(|error| Arc::new(Cause::Client(error)))?;
        let patience = timeout.as_millis() as i32;
        let creating = controller.create_topic(topic, partitions as i32, replication.get() as i16, patience);
        match bounded(*timeout, creating).await {
            Err(failure) if !already_there(&failure) => Err(failure),
            _ => Ok(()),
        }
    }
}

/// Another process has made it in between; its partitions are checked where it is used.
fn already_there(failure: &Cause) -> bool {
    let Cause::Client(Client::ServerError { protocol_error, .. }) = failure else { return false };
    *protocol_error == ProtocolError::TopicAlreadyExists
}

fn sasl(access: &Access) -> SaslConfig {
    let credentials = Credentials::new(access.user.clone(), access.password.clone());
    match access.mechanism {
        Mechanism::Plain => SaslConfig::Plain(credentials),
        Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
        Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
