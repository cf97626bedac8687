//! A broker that is killed, and one that is stopped, while records are published and consumed. What counts is the history: of every call
//! what it was told, and of every record where it is in the end.

use crate::broker::{self, World};
use riskmesh_bus::consumer::{Config, Retry};
use riskmesh_bus::suite::fresh_topic;
use riskmesh_bus::{
    Bus as _, Consumer, Delivered, Error, Fetch, Handler, HandlerError, Kafka, Position, Record, Stored,
    Topic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long the broker may be looked for, and then be waited for.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a publication may take that way, behind one that is under way; and some time for a busy machine.
const LONGEST: Duration = Duration::from_secs(2 * 2 * 2 + 4);
/// How long it may take until everything goes on.
const RECOVERY: Duration = Duration::from_mins(1);

/// What publications were told, by payload.
#[derive(Default)]
struct Told {
    appended: BTreeMap<String, Position>,
    unknown: BTreeSet<String>,
    refused: BTreeSet<String>,
    slowest: Duration,
}

impl Told {
    /// Publishes a record, once whatever comes of it.
    async fn publish(&mut self, bus: &Kafka, topic: Topic, key: &str, payload: String) {
        let begin = Instant::now();
        let published = bus.publish(topic.name, vec![Record::new(key.to_owned(), payload.clone())]).await;
        self.slowest = self.slowest.max(begin.elapsed());
        match published {
            Ok(positions) => drop(self.appended.insert(payload, positions[0])),
            Err(Error::Unknown { .. }) => drop(self.unknown.insert(payload)),
            Err(error) => {
                assert!(error.retryable(), "{error:?}");
                self.refused.insert(payload);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.appended.extend(other.appended);
        self.unknown.extend(other.unknown);
        self.refused.extend(other.refused);
        self.slowest = self.slowest.max(other.slowest);
    }

    /// What was told is what is there: acknowledged records once and where they were said to be, refused ones nowhere.
    fn check(&self, there: &[(u32, Stored)]) {
        let mut places: BTreeMap<&str, Vec<Position>> = BTreeMap::new();
        for (partition, Stored { offset, record, .. }) in there {
            let position = Position { partition: *partition, offset: *offset };
            places.entry(std::str::from_utf8(&record.payload).unwrap()).or_default().push(position);
        }
        for (payload, position) in &self.appended {
            assert_eq!(places.remove(&**payload), Some(vec![*position]), "{payload} was acknowledged");
        }
        for payload in &self.refused {
            assert_eq!(places.remove(&**payload), None, "{payload} was refused");
        }
        for payload in &self.unknown {
            assert!(
                places.remove(&**payload).is_none_or(|places| places.len() == 1),
                "{payload} is there twice"
            );
        }
        assert!(places.is_empty(), "nobody published {places:?}");
        assert!(self.slowest < LONGEST, "a publication took {:?}", self.slowest);
    }
}

async fn read_all(bus: &Kafka, topic: Topic) -> Vec<(u32, Stored)> {
    let mut all = Vec::new();
    for partition in 0..topic.partitions {
        let bounds = bus.bounds(topic.name, partition).await.unwrap();
        let mut offset = bounds.low;
        while offset < bounds.high {
            let batch = bus.fetch(Fetch::new(topic.name, partition, offset).wait(TIMEOUT)).await.unwrap();
            offset = batch.records.last().unwrap().offset + 1;
            all.extend(batch.records.into_iter().map(|stored| (partition, stored)));
        }
    }
    all
}

/// Notes which payloads it was given.
#[derive(Default)]
struct Notes(Mutex<BTreeSet<Vec<u8>>>);

#[async_trait::async_trait]
impl Handler for Notes {
    async fn handle(&self, batch: &[Delivered]) -> Result<(), HandlerError> {
        self.0.lock().unwrap().extend(batch.iter().map(|delivered| delivered.record.payload.to_vec()));
        Ok(())
    }
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + RECOVERY;
    while !condition().await {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn consumer(world: &World, bus: &Arc<Kafka>, topic: Topic) -> Consumer {
    let retry = Retry { longest_pause: Duration::from_millis(500), ..Retry::default() };
    let config = Config { retry, ..Config::new("group", "one", [topic.name]) };
    Consumer::new(bus.clone(), world.store.clone(), world.clock.clone(), config).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_loses_nothing_and_is_found_again() {
    const PUBLISHERS: usize = 8;
    let mut broker = broker::alone().await;
    let (world, topic) = (World::new(), fresh_topic());
    let bus = world.open(broker::options(&broker).timeout(TIMEOUT), topic).await;
    let (notes, stop) = (Arc::new(Notes::default()), CancellationToken::new());
    let consuming = tokio::spawn(consumer(&world, &bus, topic).run(notes.clone(), stop.clone()));

    let end = CancellationToken::new();
    let appended: Arc<Vec<AtomicUsize>> = Arc::new((0..PUBLISHERS).map(|_| AtomicUsize::new(0)).collect());
    let publishers = (0..PUBLISHERS).map(|publisher| {
        let (bus, end, appended) = (bus.clone(), end.clone(), appended.clone());
        tokio::spawn(async move {
            let (mut told, key) = (Told::default(), format!("publisher-{publisher}"));
            for n in 0.. {
                if end.is_cancelled() {
                    break;
                }
                told.publish(&bus, topic, &key, format!("{key}/{n:06}")).await;
                appended[publisher].store(told.appended.len(), Ordering::SeqCst);
            }
            told
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let counts = || appended.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
    for _ in 0..2 {
        let before = counts();
        let all_go_on = async || counts().iter().zip(&before).all(|(now, before)| now >= &(before + 20));
        eventually("everybody publishes", all_go_on).await;
        tokio::task::block_in_place(|| broker.kill().unwrap());
        *broker = broker::start();
    }
    let before = counts();
    let all_go_on = async || counts().iter().zip(&before).all(|(now, before)| now >= &(before + 20));
    eventually("everybody publishes again", all_go_on).await;
    end.cancel();
    let mut told = Told::default();
    for publisher in publishers {
        told.merge(publisher.await.unwrap());
    }

    let there = read_all(&bus, topic).await;
    told.check(&there);
    assert!(!told.refused.is_empty() || !told.unknown.is_empty(), "nobody noticed");
    // A publisher's calls come one after the other, and so do its records.
    for publisher in 0..PUBLISHERS {
        let key = format!("publisher-{publisher}");
        let in_order = told.appended.iter().filter(|(payload, _)| payload.starts_with(&key));
        assert!(in_order.map(|(_, position)| position.offset).is_sorted_by(|one, next| one < next));
    }
    let everything: BTreeSet<Vec<u8>> =
        there.iter().map(|(_, stored)| stored.record.payload.to_vec()).collect();
    eventually("everything consumed", async || *notes.0.lock().unwrap() == everything).await;
    stop.cancel();
    consuming.await.unwrap().unwrap();
    println!(
        "{} acknowledged, {} unknown, {} refused, slowest call {:?}",
        told.appended.len(),
        told.unknown.len(),
        told.refused.len(),
        told.slowest
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_answer_any_more_leaves_the_outcome_unknown() {
    let broker = broker::alone().await;
    let (world, topic) = (World::new(), fresh_topic());
    let bus = world.open(broker::options(&broker).timeout(TIMEOUT), topic).await;
    let (notes, stop) = (Arc::new(Notes::default()), CancellationToken::new());
    let consuming = tokio::spawn(consumer(&world, &bus, topic).run(notes.clone(), stop.clone()));
    let mut told = Told::default();
    told.publish(&bus, topic, "key", "before".to_owned()).await;
    let Position { partition, offset } = told.appended["before"];
    let (reading, fetch) = (bus.clone(), Fetch::new(topic.name, partition, offset + 1));
    let begin = Instant::now();
    let waiting = tokio::spawn(async move { reading.fetch(fetch.wait(Duration::from_mins(5))).await });
    eventually("the first consumed", async || notes.0.lock().unwrap().len() == 1).await;
    told.publish(&bus, topic, "key", "just before".to_owned()).await;
    assert_eq!(told.appended.len(), 2);
    // It has the record after all.
    assert_eq!(waiting.await.unwrap().unwrap().records.len(), 1);

    let (reading, fetch) = (bus.clone(), Fetch::new(topic.name, partition, offset + 2));
    let waiting = tokio::spawn(async move { reading.fetch(fetch.wait(Duration::from_mins(5))).await });
    broker.pause().unwrap();
    // It was sent over a connection that worked a moment ago, and nobody knows what became of it.
    told.publish(&bus, topic, "key", "during".to_owned()).await;
    assert!(told.unknown.contains("during"), "{:?}", told.refused);
    // This one was not: nobody is there to send it to.
    told.publish(&bus, topic, "key", "later".to_owned()).await;
    assert!(told.refused.contains("later"), "{:?}", told.unknown);
    let waited = waiting.await.unwrap();
    assert!(waited.as_ref().is_err_and(Error::retryable), "{waited:?}");
    assert!(begin.elapsed() < RECOVERY, "{:?}", begin.elapsed());

    broker.resume().unwrap();
    let mut again = 0;
    eventually("goes on", async || {
        again += 1;
        told.publish(&bus, topic, "key", format!("after {again}")).await;
        told.appended.len() == 3
    })
    .await;
    let there = read_all(&bus, topic).await;
    told.check(&there);
    let everything: BTreeSet<Vec<u8>> =
        there.iter().map(|(_, stored)| stored.record.payload.to_vec()).collect();
    eventually("everything consumed", async || *notes.0.lock().unwrap() == everything).await;
    stop.cancel();
    consuming.await.unwrap().unwrap();
}
