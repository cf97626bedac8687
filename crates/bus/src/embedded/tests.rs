use super::*;
use crate::testing::{BEGIN, Disk, Fault, Faulty, TOPIC, key_of};
use crate::traits::Stored;
use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use riskmesh_core::ManualClock;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

/// Small, so that tests cross many ends of segments.
const SMALL: i64 = 7;

async fn open(disk: &Disk, store: &Arc<dyn Store>) -> Arc<Embedded> {
    open_topic(disk, store, TOPIC).await
}

async fn open_topic(disk: &Disk, store: &Arc<dyn Store>, topic: Topic) -> Arc<Embedded> {
    Embedded::open_with(store.clone(), disk.clock(), &[topic], SMALL).await.unwrap()
}

/// A topic of its own for one run of many over the same store.
fn topic_number(number: usize) -> Topic {
    Topic { name: format!("things-{number}").leak(), ..TOPIC }
}

fn record(key: &str, payload: i64) -> Record {
    Record::new(key.to_owned(), payload.to_string())
}

fn number(record: &Record) -> i64 {
    std::str::from_utf8(&record.payload).unwrap().parse().unwrap()
}

async fn read_all(bus: &Embedded, partition: u32) -> Vec<Stored> {
    read_topic(bus, TOPIC, partition).await
}

async fn read_topic(bus: &Embedded, topic: Topic, partition: u32) -> Vec<Stored> {
    let Bounds { low, high } = bus.bounds(topic.name, partition).await.unwrap();
    let mut records: Vec<Stored> = Vec::new();
    while low + (records.len() as i64) < high {
        let offset = low + records.len() as i64;
        let batch = bus.fetch(Fetch::new(topic.name, partition, offset)).await.unwrap();
        assert!(!batch.records.is_empty(), "nothing at {offset} below {high}");
        records.extend(batch.records);
    }
    let offsets: Vec<_> = records.iter().map(|stored| stored.offset).collect();
    assert_eq!(offsets, (low..high).collect::<Vec<_>>());
    records
}

async fn reopen(disk: &Disk, bus: Arc<Embedded>, store: Arc<dyn Store>) -> (Arc<Embedded>, Arc<dyn Store>) {
    bus.close().await;
    drop((bus, store));
    let store = disk.open();
    (open(disk, &store).await, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_publishers_leave_no_gap_and_keep_their_order() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    let publishers = (0..16).map(|publisher| {
        let bus = bus.clone();
        tokio::spawn(async move {
            let mut positions = Vec::new();
            let mut sent = 0;
            for call in 0..12 {
                let size = 1 + (publisher * 7 + call * 5) % 9;
                let records =
                    (sent..sent + size).map(|n| record(&format!("publisher-{publisher}"), n)).collect();
                sent += size;
                positions.extend(bus.publish(TOPIC.name, records).await.unwrap());
            }
            positions
        })
    });
    let positions: Vec<Vec<Position>> = try_join_all(publishers).await.unwrap();
    for own in &positions {
        assert!(own.is_sorted(), "one key, one partition, rising offsets");
    }
    let mut all: Vec<_> = positions.into_iter().flatten().collect();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count);

    let (bus, _store) = reopen(&disk, bus, store).await;
    let mut seen = 0;
    for partition in 0..TOPIC.partitions {
        let mut next: BTreeMap<Bytes, i64> = BTreeMap::new();
        let records = read_all(&bus, partition).await;
        assert!(records.iter().map(|stored| stored.at).is_sorted());
        for stored in &records {
            let expected = next.entry(stored.record.key.clone()).or_default();
            assert_eq!(number(&stored.record), *expected);
            *expected += 1;
        }
        seen += records.len();
    }
    assert_eq!(seen, count);
}

#[tokio::test]
async fn publications_that_wait_share_writes() {
    let disk = Disk::new();
    let faulty = Faulty::over(disk.open());
    let store: Arc<dyn Store> = faulty.clone();
    let bus = Embedded::open(store, disk.clock(), &[TOPIC]).await.unwrap();
    let key = key_of(0);
    join_all((0..200).map(|n| bus.publish(TOPIC.name, vec![record(&key, n)]))).await;
    assert_eq!(bus.bounds(TOPIC.name, 0).await.unwrap().high, 200);
    // One for the segment, one for the first record, and then whole queues of 64.
    assert!(faulty.writes() <= 12, "{} writes for 200 publications", faulty.writes());
}

/// Kills the process at every write of a run of publications, before and after it: what was acknowledged is there, in order and
/// without gaps, and the log goes on.
#[tokio::test]
async fn a_crash_at_any_write_leaves_a_prefix() {
    let disk = Disk::new();
    let store = disk.open();
    let mut topics = (0..).map(topic_number);
    for fault in [Fault::DieBefore, Fault::DieAfter] {
        for write in 0.. {
            let topic = topics.next().unwrap();
            let faulty = Faulty::over(store.clone());
            let bus = open_topic(&disk, &(faulty.clone() as Arc<dyn Store>), topic).await;
            faulty.plan(write, fault);
            let key = key_of(0);
            let mut acknowledged = 0;
            for call in 0..4_i64 {
                let records = (call * 5..call * 5 + 5).map(|n| record(&key, n)).collect();
                match bus.publish(topic.name, records).await {
                    Ok(_) => acknowledged += 5,
                    Err(error) => assert!(matches!(error, Error::Append { .. } | Error::Closed), "{error:?}"),
                }
            }
            let survived = !faulty.is_dead();
            bus.close().await;
            drop((bus, faulty));

            let bus = open_topic(&disk, &store, topic).await;
            let numbers: Vec<_> =
                read_topic(&bus, topic, 0).await.iter().map(|stored| number(&stored.record)).collect();
            assert!(numbers.iter().copied().eq(0..numbers.len() as i64), "{numbers:?}");
            assert!(
                numbers.len() as i64 >= acknowledged,
                "{acknowledged} acknowledged, {} there",
                numbers.len()
            );
            let positions = bus.publish(topic.name, vec![record(&key, 99)]).await.unwrap();
            assert_eq!(positions[0].offset, numbers.len() as i64);
            if survived {
                assert_eq!(numbers.len(), 20);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_repeated_at_the_same_offsets() {
    for fault in [Fault::DoneUnknown, Fault::LostUnknown] {
        let disk = Disk::new();
        let faulty = Faulty::over(disk.open());
        let bus = open(&disk, &(faulty.clone() as Arc<dyn Store>)).await;
        for write in 0..4 {
            faulty.plan(2 * write, fault);
        }
        let key = key_of(0);
        for n in 0..10 {
            bus.publish(TOPIC.name, vec![record(&key, n)]).await.unwrap();
        }
        assert!(read_all(&bus, 0).await.iter().map(|stored| number(&stored.record)).eq(0..10));
    }
}

#[tokio::test]
async fn a_record_is_not_seen_before_it_is_known_to_be_durable() {
    let disk = Disk::new();
    let faulty = Faulty::over(disk.open());
    let bus = open(&disk, &(faulty.clone() as Arc<dyn Store>)).await;
    let key = key_of(0);
    bus.publish(TOPIC.name, vec![record(&key, 0)]).await.unwrap();
    faulty.plan(0, Fault::DoneFailed);
    let published = bus.publish(TOPIC.name, vec![record(&key, 1)]).await;
    assert!(matches!(published, Err(Error::Append { partition: 0, .. })));
    // The row is in the store; the log ends before it, and takes nothing more that could come to stand on it.
    let batch = bus.fetch(Fetch::new(TOPIC.name, 0, 0)).await.unwrap();
    assert_eq!((batch.records.len(), batch.high_watermark), (1, 1));
    assert!(matches!(bus.publish(TOPIC.name, vec![record(&key, 2)]).await, Err(Error::Closed)));
    bus.publish(TOPIC.name, vec![record(&key_of(1), 3)]).await.unwrap();
}

#[tokio::test]
async fn a_closed_bus_keeps_what_it_accepted_and_takes_no_more() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    let key = key_of(0);
    let accepted = join_all((0..20).map(|n| bus.publish(TOPIC.name, vec![record(&key, n)])));
    let (accepted, ()) = futures::join!(accepted, bus.close());
    let done = accepted.iter().filter(|published| published.is_ok()).count() as i64;
    assert!(
        accepted
            .iter()
            .filter_map(|published| published.as_ref().err())
            .all(|error| matches!(error, Error::Closed))
    );
    assert!(matches!(bus.publish(TOPIC.name, vec![record(&key, 1)]).await, Err(Error::Closed)));
    drop(bus);
    let bus = open(&disk, &store).await;
    assert_eq!(bus.bounds(TOPIC.name, 0).await.unwrap().high, done);
}

#[tokio::test]
async fn time_does_not_go_back_within_a_partition() {
    let disk = Disk::new();
    let store = disk.open();
    let ahead: Arc<dyn Clock> = Arc::new(ManualClock::at(BEGIN.plus(Duration::from_hours(1))));
    let bus = Embedded::open_with(store.clone(), ahead, &[TOPIC], SMALL).await.unwrap();
    bus.publish(TOPIC.name, vec![record(&key_of(0), 1)]).await.unwrap();
    bus.close().await;
    let bus = open(&disk, &store).await;
    bus.publish(TOPIC.name, vec![record(&key_of(0), 2)]).await.unwrap();
    let records = read_all(&bus, 0).await;
    assert_eq!(records[1].at, records[0].at);
}

#[test]
fn offsets_are_found_by_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let disk = Disk::new();
    let store = disk.open();
    let topics = AtomicUsize::new(0);
    let pauses = prop::collection::vec(0..3_u64, 1..30);
    let probes = prop::collection::vec(-2..60_i64, 10);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(20));
    let found = runner.run(&(pauses, probes), |(pauses, probes)| {
        runtime.block_on(async {
            let topic = topic_number(topics.fetch_add(1, Ordering::Relaxed));
            let bus = open_topic(&disk, &store, topic).await;
            let begin = disk.clock.now();
            let mut times = Vec::new();
            for pause in pauses {
                disk.clock.advance(Duration::from_millis(pause));
                times.push(disk.clock.now());
                bus.publish(topic.name, vec![record(&key_of(0), 1)]).await.unwrap();
            }
            for probe in probes {
                let at = Timestamp(begin.0 + probe);
                let expected = times.partition_point(|time| *time < at) as i64;
                prop_assert_eq!(bus.offset_at(topic.name, 0, at).await.unwrap(), expected);
            }
            Ok(())
        })
    });
    found.unwrap();
}

mod retention {
    use super::*;
    use crate::group::lease::{Acquired, Leases, Moment, Part, Renewed};
    use std::time::Instant;

    /// Twenty records an hour apart in partition 0: segments 0..7, 7..14, 14..20.
    async fn filled(disk: &Disk, store: &Arc<dyn Store>) -> Arc<Embedded> {
        let bus = open(disk, store).await;
        for n in 0..20 {
            bus.publish(TOPIC.name, vec![record(&key_of(0), n)]).await.unwrap();
            disk.clock.advance(Duration::from_hours(1));
        }
        bus
    }

    /// A group that has committed this offset.
    async fn committed(disk: &Disk, store: &Arc<dyn Store>, offset: i64) {
        let now = Moment { wall: disk.clock.now(), monotonic: Instant::now() };
        let leases = Leases {
            store: store.clone(),
            group: "slow".into(),
            member: "one".into(),
            duration: Duration::from_secs(10),
            seize: true,
        };
        crate::group::register(&**store, "slow", &[TOPIC.name.into()], now.wall).await.unwrap();
        let part = Part { topic: TOPIC.name.into(), partition: 0 };
        let Acquired::Held(mut lease) = leases.acquire(&part, 0, now).await.unwrap() else { panic!() };
        assert_eq!(leases.renew(&mut [(&mut lease, offset)], now).await.unwrap(), [Renewed::Done]);
    }

    #[tokio::test]
    async fn drops_old_segments_but_the_last() {
        let disk = Disk::new();
        let store = disk.open();
        let bus = filled(&disk, &store).await;
        assert_eq!(
            bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(),
            0,
            "nothing is a day old"
        );
        disk.clock.advance(Duration::from_hours(11));
        assert_eq!(bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(), 1);
        assert_eq!(bus.bounds(TOPIC.name, 0).await.unwrap(), Bounds { low: 7, high: 20 });
        assert!(matches!(
            bus.fetch(Fetch::new(TOPIC.name, 0, 6)).await,
            Err(Error::OutOfRange { low: 7, .. })
        ));
        disk.clock.advance(Duration::from_hours(1000));
        assert_eq!(bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(), 1);
        let (bus, _store) = reopen(&disk, bus, store).await;
        assert_eq!(bus.bounds(TOPIC.name, 0).await.unwrap(), Bounds { low: 14, high: 20 });
        assert_eq!(number(&read_all(&bus, 0).await[0].record), 14);
    }

    #[tokio::test]
    async fn waits_for_the_slowest_group() {
        let disk = Disk::new();
        let store = disk.open();
        let bus = filled(&disk, &store).await;
        disk.clock.advance(Duration::from_hours(72));
        committed(&disk, &store, 13).await;
        assert_eq!(bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(), 1);
        assert_eq!(bus.bounds(TOPIC.name, 0).await.unwrap().low, 7);
        committed(&disk, &store, 14).await;
        assert_eq!(bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(), 1);
        assert_eq!(bus.bounds(TOPIC.name, 0).await.unwrap().low, 14);
    }

    #[tokio::test]
    async fn does_not_wait_for_a_group_that_is_gone() {
        let disk = Disk::new();
        let store = disk.open();
        let bus = filled(&disk, &store).await;
        committed(&disk, &store, 0).await;
        disk.clock.advance(Duration::from_hours(24 * 29));
        assert_eq!(bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(), 0);
        disk.clock.advance(Duration::from_hours(24 * 2));
        assert_eq!(bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn is_finished_after_a_crash() {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            for write in 0..3 {
                let disk = Disk::new();
                let store = disk.open();
                filled(&disk, &store).await.close().await;
                disk.clock.advance(Duration::from_hours(1000));
                let faulty = Faulty::over(store.clone());
                let bus = open(&disk, &(faulty.clone() as Arc<dyn Store>)).await;
                faulty.plan(write, fault);
                bus.drop_old_segments(&*faulty, disk.clock.now()).await.unwrap_err();
                bus.close().await;
                let bus = open(&disk, &store).await;
                let low = bus.bounds(TOPIC.name, 0).await.unwrap().low;
                assert_eq!(low, if (write, fault) == (0, Fault::DieBefore) { 0 } else { 7 });
                assert_eq!(number(&read_all(&bus, 0).await[0].record), low);
                bus.drop_old_segments(&*store, disk.clock.now()).await.unwrap();
                assert_eq!(read_all(&bus, 0).await.len(), 6);
                // Nothing of what is below is left behind.
                for segment in 0..2 {
                    let scan = store::Scan::new(&BUS_LOG, (TOPIC.name, 0, i64::from(segment)), 10);
                    assert_eq!(store.scan(scan).await.unwrap().rows, []);
                }
            }
        }
    }
}
