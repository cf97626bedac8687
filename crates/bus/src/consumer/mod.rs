//! Consumers: members of a group that share the partitions of its topics and handle every record at least once.
//!
//! A member works only on partitions that it holds a lease on (leases, epochs and who gets which partition are in `group`); each
//! partition has a worker that fetches, calls the [`Handler`] and moves on. About once a second one conditional write renews the
//! lease and commits the offset. What was handled but not committed when a process died is delivered again: handlers are
//! idempotent, by the id of the event or because an event is an invalidation.
//!
//! A batch whose handling failed is tried again, then record by record; a record that keeps failing goes to the quarantine topic
//! with the reason, and the others go on. A handler that reports [`HandlerError::Unavailable`] is retried for as long as it takes.

mod deliver;
mod handler;
mod lag;
pub(crate) mod quarantine;
mod run;
mod worker;

pub use handler::{Delivered, Handler, HandlerError};
pub use lag::{Lag, PartitionLag};
pub use quarantine::{
    QUARANTINE_CUT, QUARANTINE_GROUP, QUARANTINE_ORIGIN, QUARANTINE_REASON, QUARANTINE_TIME,
};

use crate::error::Error;
use crate::topic::QUARANTINE_SUFFIX;
use crate::traits::Bus;
use riskmesh_core::Clock;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio_util::sync::CancellationToken;

/// Bytes of the names of a group and of a member.
const MAX_NAME: usize = 255;

/// When a member may take a partition that somebody else holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// When the lease has run out or was given back: several members share the group.
    #[default]
    WhenExpired,
    /// At once: whoever holds it is a former process of an embedded data directory, which has one owner, and so the group has
    /// one member, this one. It takes every partition, needs no heartbeats, and writes nothing while there is nothing to commit.
    Immediate,
}

/// Where a group begins that has no offset yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first record there is.
    #[default]
    Earliest,
    /// With the next record that comes.
    Latest,
}

/// How failures are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts at a batch before its records are handled one by one.
    pub batch_tries: u32,
    /// Attempts at a single record before it is quarantined.
    pub tries: u32,
    /// The first pause; it doubles.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            batch_tries: 2,
            tries: 5,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// What a consumer consumes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The group: the name of what is done with the records.
    pub group: Arc<str>,
    /// Names this start of this process: unique among all members and all their starts, such as host name and start time.
    pub member: Arc<str>,
    /// The topics.
    pub topics: Vec<Arc<str>>,
    /// When a partition may be taken from another holder.
    pub takeover: Takeover,
    /// Where a new group begins.
    pub start: Start,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How often leases are renewed and offsets committed; at most a third of `lease`.
    pub renew: Duration,
    /// Records of one batch.
    pub max_records: usize,
    /// Bytes of one batch.
    pub max_bytes: usize,
    /// How failures are retried.
    pub retry: Retry,
    /// How long a handler may take to finish its batch when the consumer is stopped.
    pub drain: Duration,
}

impl Config {
    /// The usual settings: shared group from the earliest record, leases of 10 s renewed every second, batches of 500 records or
    /// 4 MiB, 5 s to finish.
    pub fn new(
        group: impl Into<Arc<str>>,
        member: impl Into<Arc<str>>,
        topics: impl IntoIterator<Item = impl Into<Arc<str>>>,
    ) -> Self {
        Self {
            group: group.into(),
            member: member.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            takeover: Takeover::default(),
            start: Start::default(),
            lease: Duration::from_secs(10),
            renew: Duration::from_secs(1),
            max_records: 500,
            max_bytes: 4 << 20,
            retry: Retry::default(),
            drain: Duration::from_secs(5),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Config { what });
        if self.group.is_empty() || self.member.is_empty() || self.topics.is_empty() {
            return refuse("a consumer needs a group, a member and topics".to_owned());
        }
        if self.group.len() > MAX_NAME || self.member.len() > MAX_NAME {
            return refuse(format!("the names of a group and of a member have at most {MAX_NAME} bytes"));
        }
        if let Some(topic) = self.topics.iter().find(|topic| topic.ends_with(QUARANTINE_SUFFIX)) {
            return refuse(format!(
                "{topic} cannot be consumed by a group: its poison would have nowhere to go"
            ));
        }
        if self.renew.is_zero() || self.renew * 3 > self.lease {
            return refuse("renew must be above zero and at most a third of lease".to_owned());
        }
        if self.max_records == 0 || self.retry.tries == 0 {
            return refuse("max_records and retry.tries must be at least 1".to_owned());
        }
        Ok(())
    }
}

/// A member of a group.
pub struct Consumer {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    lag: Lag,
}

impl Consumer {
    /// A member that does nothing yet. `store` keeps the leases. [`Error::Config`] if the settings cannot work.
    pub fn new(
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: Config,
    ) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { bus, store, clock, config: Arc::new(config), lag: Lag::default() })
    }

    /// How far this member is behind, while it runs; for metrics.
    pub fn lag(&self) -> Lag {
        self.lag.clone()
    }

    /// Consumes until `stop` is cancelled; then finishes what is being handled, commits it and gives the leases back, so that the
    /// next member can begin at once. Fails only at the start: a topic is unknown, or the group cannot be registered. Later
    /// failures of the store or the bus are logged and outlived.
    pub async fn run(self, handler: impl Handler, stop: CancellationToken) -> Result<(), Error> {
        run::Member::start(self, Arc::new(handler)).await?.run(stop).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
