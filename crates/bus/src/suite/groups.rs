//! Consumers, quarantine and relay over a backend.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::support::{eventually, text};
use super::{STATE, Subject};
use crate::consumer::{Config, Consumer, Delivered, Handler, HandlerError, Retry, Takeover};
use crate::consumer::{Lag, QUARANTINE_ORIGIN, QUARANTINE_REASON};
use crate::error::{Error, Source};
use crate::event;
use crate::outbox::{self, Outbox, Outgoing, PendingSource, Pointer, Relay, Swept};
use crate::record::Record;
use crate::topic::quarantine_of;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Batch, Cas, Get, Store, upsert};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Notes the payloads that it was given; "poison" is poison, until the handler is mended.
#[derive(Default)]
pub(super) struct Notes {
    handled: Mutex<Vec<String>>,
    pub(super) mended: AtomicBool,
}

#[async_trait]
impl Handler for Notes {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        let mended = self.mended.load(Ordering::SeqCst);
        if !mended && batch.iter().any(|delivered| &*delivered.record.payload == b"poison") {
            return Err(HandlerError::Poison("cannot be read".into()));
        }
        self.handled.lock().unwrap().extend(batch.iter().map(|delivered| text(&delivered.record).to_owned()));
        Ok(())
    }
}

impl Notes {
    pub(super) fn sorted(&self) -> Vec<String> {
        let mut notes = self.handled.lock().unwrap().clone();
        notes.sort_unstable();
        notes
    }
}

/// A member at work.
pub(super) struct Member {
    pub(super) notes: Arc<Notes>,
    pub(super) lag: Lag,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Member {
    pub(super) fn start(subject: &Subject, name: &str) -> Self {
        let config = Config {
            renew: Duration::from_millis(20),
            retry: Retry { first_pause: Duration::from_millis(1), ..Retry::default() },
            ..Config::new("group", name, [subject.topic.name])
        };
        let (bus, store, clock) = (subject.bus.clone(), subject.store.clone(), subject.clock.clone());
        let consumer = Consumer::new(bus, store, clock, config).unwrap();
        let (notes, lag, stop) = (Arc::new(Notes::default()), consumer.lag(), CancellationToken::new());
        let task = tokio::spawn(consumer.run(notes.clone(), stop.clone()));
        Self { notes, lag, stop, task }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub(super) fn numbers(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|n| format!("{n:04}")).collect()
}

/// Publishes numbers, each under a key of its own.
pub(super) async fn publish(subject: &Subject, range: std::ops::Range<i64>) {
    let records = numbers(range).into_iter().map(|n| Record::new(n.clone(), n)).collect();
    subject.bus.publish(subject.topic.name, records).await.unwrap();
}

/// Everything is handled, as it comes; after a clean stop nothing again.
pub async fn a_group_handles_everything_and_goes_on_where_it_was(subject: &Subject) {
    publish(subject, 0..300).await;
    let one = Member::start(subject, "one");
    eventually("the first handled", async || one.notes.sorted() == numbers(0..300)).await;
    publish(subject, 300..500).await;
    eventually("the next handled", async || one.notes.sorted() == numbers(0..500)).await;
    eventually("no lag on three partitions", async || {
        one.lag.partitions().len() == 3 && one.lag.records() == 0
    })
    .await;
    one.stop().await;
    publish(subject, 500..600).await;
    let two = Member::start(subject, "two");
    eventually("the rest handled", async || two.notes.sorted() == numbers(500..600)).await;
    two.stop().await;
}

/// Members come to share the partitions; while nobody dies, each record is handled by one of them.
pub async fn two_members_share_the_partitions(subject: &Subject) {
    let members = [Member::start(subject, "one"), Member::start(subject, "two")];
    // Rendezvous hashing gives a member what it gives it, which may be nothing.
    eventually("every partition has one member", async || {
        members.iter().map(|member| member.lag.partitions().len()).sum::<usize>() == 3
    })
    .await;
    publish(subject, 0..500).await;
    let all = || {
        let mut all: Vec<_> = members.iter().flat_map(|member| member.notes.sorted()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    eventually("everything handled", async || all() == numbers(0..500)).await;
    for member in members {
        member.stop().await;
    }
}

/// What cannot be handled goes to the quarantine topic, with its headers, the reason and where it was.
pub async fn poison_is_quarantined_and_the_others_go_on(subject: &Subject) {
    subject.publish(0, &["a", "b"]).await;
    let poison = Record::new(subject.key(0), "poison").header("ce_id", &b"\xff\0"[..]);
    let at = subject.bus.publish(subject.topic.name, vec![poison.clone()]).await.unwrap()[0];
    subject.publish(0, &["c"]).await;
    let member = Member::start(subject, "one");
    eventually("the others handled", async || member.notes.sorted() == ["a", "b", "c"]).await;
    member.stop().await;
    let quarantined = subject.read_topic(&quarantine_of(subject.topic.name), 0).await;
    assert_eq!(quarantined.len(), 1);
    let record = &quarantined[0].record;
    assert_eq!((&record.key, &record.payload), (&poison.key, &poison.payload));
    assert_eq!(record.headers.get("ce_id"), poison.headers.get("ce_id"));
    assert_eq!(record.headers.text(QUARANTINE_REASON), Some("record is poison: cannot be read"));
    let origin = format!("{}/0/{}", subject.topic.name, at.offset);
    assert_eq!(record.headers.text(QUARANTINE_ORIGIN), Some(&*origin));
}

/// A service's rows; its references are their names.
struct Rows {
    store: Arc<dyn Store>,
    topic: &'static str,
}

#[async_trait]
impl PendingSource for Rows {
    fn kind(&self) -> &'static str {
        "state"
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Source> {
        let name = std::str::from_utf8(reference)?;
        let row = self.store.get(Get::row(&STATE, name, ()).latest()).await?;
        let Some(row) = row.filter(|row| row.boolean("pending").is_ok_and(|pending| pending)) else {
            return Ok(Vec::new());
        };
        let version = row.bigint("version")?;
        let id = event::id(&[reference, &version.to_be_bytes()]);
        let record = Record::new(name.to_owned(), version.to_string());
        let record = record.header(event::CE_ID, id.to_string());
        Ok(vec![Outgoing { topic: self.topic, record }])
    }

    async fn clear(&self, reference: &[u8], _: &[Outgoing]) -> Result<(), Source> {
        let name = std::str::from_utf8(reference)?;
        let cleared = Cas::new(&STATE, name).if_equals((), "version", 1_i64);
        drop(self.store.cas(cleared.with(upsert(()).set("pending", false))).await?);
        Ok(())
    }
}

/// Rows were changed and nothing was published, as after a crash: the relay publishes each event, and nothing for a row that did not
/// change.
pub async fn the_relay_publishes_what_was_left_behind(subject: &Subject) {
    let outbox = Outbox::new(subject.store.clone(), subject.clock.clone(), "1");
    let names: Vec<String> = (0..100).map(|n| format!("{}/row-{n}", subject.topic.name)).collect();
    let pointers = names.iter().map(|name| Pointer::new("state", name.clone())).collect();
    drop(outbox.intend(pointers).await.unwrap());
    let changed = names[..90].iter();
    let changed = changed
        .map(|name| Batch::new(&STATE, name).with(upsert(()).set("version", 1_i64).set("pending", true)));
    subject.store.apply(changed.collect()).await.unwrap();

    let rows = Rows { store: subject.store.clone(), topic: subject.topic.name };
    let config = outbox::Config { takeover: Takeover::Immediate, ..outbox::Config::default() };
    subject.clock.advance(outbox::GRACE);
    let relay = Relay::new(outbox, subject.bus.clone(), vec![Arc::new(rows)], config).unwrap();
    let swept = relay.recover().await.unwrap();
    assert_eq!(swept, Swept { published: 90, settled: 100, kept: 0, failed: 0 });
    let mut published: BTreeMap<String, usize> = BTreeMap::new();
    for partition in 0..3 {
        for stored in subject.read_all(partition).await {
            let name = String::from_utf8(stored.record.key.to_vec()).unwrap();
            *published.entry(name).or_default() += 1;
        }
    }
    let expected: BTreeMap<String, usize> = names[..90].iter().map(|name| (name.clone(), 1)).collect();
    assert_eq!(published, expected);
    assert_eq!(relay.recover().await.unwrap(), Swept::default());
}
