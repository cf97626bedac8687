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

#[tokio::test]
async fn a_record_comes_back_as_it_was_published() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    let sent =
        record("a", 1).header("ce_id", "x").header("empty", Bytes::new()).header("raw", &b"\xff\0"[..]);
    let positions = bus.publish(TOPIC.name, vec![sent.clone()]).await.unwrap();
    let partition = partition::of(b"a", TOPIC.partitions);
    assert_eq!(positions, [Position { partition, offset: 0 }]);
    let batch = bus.fetch(Fetch::new(TOPIC.name, partition, 0)).await.unwrap();
    assert_eq!(
        batch,
        Batch { records: vec![Stored { offset: 0, at: BEGIN, record: sent }], high_watermark: 1 }
    );
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

#[tokio::test]
async fn records_without_a_key_spread_over_partitions() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    for n in 0..6 {
        bus.publish(TOPIC.name, vec![record("", n), record("", n)]).await.unwrap();
    }
    for partition in 0..3 {
        assert_eq!(bus.bounds(TOPIC.name, partition).await.unwrap(), Bounds { low: 0, high: 4 });
    }
}

#[tokio::test]
async fn a_fetch_waits_for_the_next_record() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    let waiting = bus.fetch(Fetch::new(TOPIC.name, 0, 0).wait(Duration::from_mins(5)));
    let publishing = async {
        tokio::task::yield_now().await;
        bus.publish(TOPIC.name, vec![record(&key_of(0), 1)]).await
    };
    let (batch, published) = futures::join!(waiting, publishing);
    published.unwrap();
    assert_eq!(batch.unwrap().records.len(), 1);
    let empty = bus.fetch(Fetch::new(TOPIC.name, 0, 1).wait(Duration::from_millis(1))).await.unwrap();
    assert_eq!(empty, Batch { records: vec![], high_watermark: 1 });
}

#[tokio::test]
async fn a_fetch_keeps_to_its_bounds() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = Embedded::open(store, disk.clock(), &[TOPIC]).await.unwrap();
    let key = key_of(1);
    let size = 1000 + key.len();
    let records = (0..200).map(|_| Record::new(key.clone(), vec![7; 1000])).collect();
    bus.publish(TOPIC.name, records).await.unwrap();
    let fetch = Fetch::new(TOPIC.name, 1, 3);
    let count = async |max_records, max_bytes| {
        let fetch = Fetch { max_records, max_bytes, ..fetch.clone() };
        bus.fetch(fetch).await.unwrap().records.len()
    };
    assert_eq!(count(150, usize::MAX).await, 150);
    assert_eq!(count(1000, usize::MAX).await, 197);
    assert_eq!(count(1000, 90 * size).await, 90);
    assert_eq!(count(1000, 90 * size - 1).await, 89);
    assert_eq!(count(1000, 1).await, 1, "the first comes whatever its size");
    assert_eq!(count(0, 0).await, 1);
}

#[tokio::test]
async fn what_is_not_there_is_an_error() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    assert!(matches!(bus.partitions("nothing").await, Err(Error::UnknownTopic { .. })));
    assert!(matches!(bus.publish("nothing", vec![]).await, Err(Error::UnknownTopic { .. })));
    assert!(matches!(bus.bounds(TOPIC.name, 3).await, Err(Error::UnknownPartition { partition: 3, .. })));
    for offset in [-1, 1] {
        let fetched = bus.fetch(Fetch::new(TOPIC.name, 0, offset)).await;
        assert!(matches!(fetched, Err(Error::OutOfRange { low: 0, high: 0, .. })));
    }
    assert_eq!(bus.partitions("things.quarantine").await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_nothing_of_it_is_published() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = open(&disk, &store).await;
    let large = Record::new("a", vec![0; crate::MAX_RECORD_BYTES]);
    let headers = (0..65).fold(record("a", 1), |record, n| record.header(format!("h{n}"), "v"));
    let many = vec![record("a", 1); PUBLISH_RECORDS + 1];
    let heavy = vec![Record::new("a", vec![0; 1 << 19]); 65];
    for records in [vec![record("a", 1), large], vec![headers], many, heavy] {
        assert!(matches!(bus.publish(TOPIC.name, records).await, Err(Error::TooLarge { .. })));
    }
    for partition in 0..3 {
        assert_eq!(bus.bounds(TOPIC.name, partition).await.unwrap(), Bounds::default());
    }
}

#[tokio::test]
async fn a_publication_larger_than_one_write_is_appended_in_order() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = Embedded::open(store, disk.clock(), &[TOPIC]).await.unwrap();
    let key = key_of(2);
    let records = (0..20_i64).map(|n| Record::new(key.clone(), vec![n as u8; 900_000])).collect();
    let positions = bus.publish(TOPIC.name, records).await.unwrap();
    assert!(positions.iter().map(|position| position.offset).eq(0..20));
    let first_bytes: Vec<_> = read_all(&bus, 2).await.iter().map(|stored| stored.record.payload[0]).collect();
    assert_eq!(first_bytes, (0..20).collect::<Vec<_>>());
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
