//! What the tests of the suite share.
#![allow(clippy::unwrap_used, reason = "tests, which a backend's test crate calls")]

use super::Subject;
use crate::partition;
use crate::record::Record;
use crate::traits::{Fetch, Position, Stored};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a condition may take; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

impl Subject {
    /// A key of a partition.
    pub(super) fn key(&self, partition: u32) -> String {
        let mut keys = (0..1000).map(|n| format!("key-{n}"));
        keys.find(|key| partition::of(key.as_bytes(), self.topic.partitions) == partition).unwrap()
    }

    /// Publishes records with these payloads to a partition.
    pub(super) async fn publish(&self, partition: u32, payloads: &[&str]) -> Vec<Position> {
        let key = self.key(partition);
        let records =
            payloads.iter().map(|payload| Record::new(key.clone(), (*payload).to_owned())).collect();
        self.bus.publish(self.topic.name, records).await.unwrap()
    }

    /// A fetch from the test's topic, that waits a little.
    pub(super) fn fetch(&self, partition: u32, offset: i64) -> Fetch {
        Fetch::new(self.topic.name, partition, offset).wait(Duration::from_secs(5))
    }

    /// Everything in a partition.
    pub(super) async fn read_all(&self, partition: u32) -> Vec<Stored> {
        self.read_topic(self.topic.name, partition).await
    }

    /// Everything in a partition of a topic.
    pub(super) async fn read_topic(&self, topic: &str, partition: u32) -> Vec<Stored> {
        let bounds = self.bus.bounds(topic, partition).await.unwrap();
        let mut records: Vec<Stored> = Vec::new();
        let mut offset = bounds.low;
        while offset < bounds.high {
            let fetch = Fetch::new(topic, partition, offset).wait(PATIENCE);
            let batch = self.bus.fetch(fetch).await.unwrap();
            let last = batch.records.last().unwrap();
            offset = last.offset + 1;
            records.extend(batch.records);
        }
        assert!(records.is_sorted_by(|one, next| one.offset < next.offset));
        records
    }
}

/// The headers of a record by name: their order is not promised.
pub(super) fn headers(record: &Record) -> BTreeMap<&str, &[u8]> {
    record.headers.iter().map(|(name, value)| (name, &value[..])).collect()
}

/// The payload as text.
pub(super) fn text(record: &Record) -> &str {
    std::str::from_utf8(&record.payload).unwrap()
}

/// Waits until a condition holds, and fails when it does not within a generous time.
pub(super) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut turn = tokio::time::interval(Duration::from_millis(5));
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}");
        turn.tick().await;
    }
}
