//! Records and where they are.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::Subject;
use super::support::{headers, text};
use crate::partition;
use crate::record::Record;
use crate::traits::{Bounds, Fetch, Stored};
use bytes::Bytes;
use futures::future::join_all;
use riskmesh_core::{Clock as _, Timestamp};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Key, headers and payload come back byte for byte, whatever bytes they are; none of them need be there.
pub async fn a_record_comes_back_as_it_was_published(subject: &Subject) {
    let every_byte: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let full = Record::new(every_byte.clone(), every_byte.clone())
        .header("z-first", "text")
        .header("empty", Bytes::new())
        .header("raw", every_byte)
        .header("ümlaut", &b"\xff\0"[..]);
    for sent in [full, Record::new("key", ""), Record::new("", "payload"), Record::default()] {
        let position = subject.bus.publish(subject.topic.name, vec![sent.clone()]).await.unwrap()[0];
        let fetch = subject.fetch(position.partition, position.offset);
        let batch = subject.bus.fetch(fetch).await.unwrap();
        assert!(batch.high_watermark > position.offset);
        let Stored { offset, at, record } = &batch.records[0];
        assert_eq!((*offset, *at), (position.offset, subject.clock.now()));
        assert_eq!((&record.key, &record.payload), (&sent.key, &sent.payload));
        assert_eq!(headers(record), headers(&sent));
    }
}

/// The partition of a key is the one that Java's default partitioner gives it, and there its records stand in order.
pub async fn records_of_a_key_keep_their_order_in_the_partition_of_java(subject: &Subject) {
    let keys: Vec<String> = (0..12).map(|n| format!("key-{n}")).collect();
    for round in 0..5 {
        let records = keys.iter().map(|key| Record::new(key.clone(), round.to_string())).collect();
        let positions = subject.bus.publish(subject.topic.name, records).await.unwrap();
        let expected: Vec<u32> = keys.iter().map(|key| partition::of(key.as_bytes(), 3)).collect();
        assert_eq!(positions.iter().map(|position| position.partition).collect::<Vec<_>>(), expected);
    }
    let mut rounds: BTreeMap<Bytes, Vec<String>> = BTreeMap::new();
    for partition in 0..3 {
        for stored in subject.read_all(partition).await {
            assert_eq!(partition::of(&stored.record.key, 3), partition);
            rounds.entry(stored.record.key.clone()).or_default().push(text(&stored.record).to_owned());
        }
    }
    assert_eq!(rounds.len(), keys.len());
    assert!(rounds.values().all(|rounds| rounds == &["0", "1", "2", "3", "4"]), "{rounds:?}");
}

/// A call's records without a key go to one partition, and the next call's to the next one.
pub async fn records_without_a_key_spread_over_partitions(subject: &Subject) {
    for n in 0..6 {
        let record = Record::new("", n.to_string());
        let positions = subject.bus.publish(subject.topic.name, vec![record.clone(), record]).await.unwrap();
        assert_eq!(positions[0].partition, positions[1].partition);
    }
    for partition in 0..3 {
        assert_eq!(subject.read_all(partition).await.len(), 4);
    }
}

/// Each publisher's records stand in its order, once, where it was told that they are.
pub async fn concurrent_publishers_keep_their_order(subject: &Subject) {
    const PUBLISHERS: i64 = 16;
    const CALLS: i64 = 12;
    let publishing = (0..PUBLISHERS).map(|publisher| {
        let (bus, topic) = (subject.bus.clone(), subject.topic.name);
        tokio::spawn(async move {
            let mut told = Vec::new();
            let mut sent = 0;
            for call in 0..CALLS {
                let size = 1 + (publisher * 7 + call * 5) % 9;
                let key = format!("publisher-{publisher}");
                let records = (sent..sent + size).map(|n| Record::new(key.clone(), n.to_string())).collect();
                let positions = bus.publish(topic, records).await.unwrap();
                told.extend(
                    positions.into_iter().zip(sent..).map(|(position, n)| (position, key.clone(), n)),
                );
                sent += size;
            }
            told
        })
    });
    let mut told = BTreeMap::new();
    for publisher in join_all(publishing).await {
        for (position, key, n) in publisher.unwrap() {
            assert_eq!(told.insert((position.partition, position.offset), (key, n)), None);
        }
    }
    let mut seen = BTreeMap::new();
    for partition in 0..3 {
        let records = subject.read_all(partition).await;
        assert!(records.iter().map(|stored| stored.at).is_sorted());
        let mut next: BTreeMap<Bytes, i64> = BTreeMap::new();
        for Stored { offset, record, .. } in records {
            let n: i64 = text(&record).parse().unwrap();
            let expected = next.entry(record.key.clone()).or_default();
            assert_eq!(n, *expected);
            *expected += 1;
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            seen.insert((partition, offset), (key, n));
        }
    }
    assert_eq!(seen, told);
}

/// What does not fit into one write, or one request, is appended by several, in order.
pub async fn a_large_publication_is_appended_in_order(subject: &Subject) {
    let key = subject.key(2);
    let records = (0..20_u8).map(|n| Record::new(key.clone(), vec![n; 900_000])).collect();
    let positions = subject.bus.publish(subject.topic.name, records).await.unwrap();
    assert!(positions.is_sorted_by(|one, next| one.offset < next.offset));
    let small = (0..10_000).map(|n| Record::new(key.clone(), n.to_string())).collect();
    subject.bus.publish(subject.topic.name, small).await.unwrap();
    let records = subject.read_all(2).await;
    let large: Vec<u8> = records[..20].iter().map(|stored| stored.record.payload[899_999]).collect();
    assert_eq!(large, (0..20).collect::<Vec<_>>());
    let small = records[20..].iter().map(|stored| text(&stored.record).parse::<i64>().unwrap());
    assert!(small.eq(0..10_000));
}

/// A fetch at the end wakes with the next record, long before its time is over; without one it ends in time, empty.
pub async fn a_fetch_waits_for_the_next_record(subject: &Subject) {
    let begin = Instant::now();
    let (bus, fetch) = (subject.bus.clone(), subject.fetch(0, 0).wait(Duration::from_mins(5)));
    let waiting = tokio::spawn(async move { bus.fetch(fetch).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    subject.publish(0, &["a"]).await;
    let batch = waiting.await.unwrap().unwrap();
    assert_eq!((batch.records.len(), batch.high_watermark), (1, 1));
    assert!(begin.elapsed() < Duration::from_mins(1));

    for wait in [Duration::ZERO, Duration::from_millis(50)] {
        let batch = subject.bus.fetch(subject.fetch(0, 1).wait(wait)).await.unwrap();
        assert_eq!((batch.records.len(), batch.high_watermark), (0, 1));
    }
    assert!(begin.elapsed() < Duration::from_mins(1));
}

/// Not more records, and not more bytes than asked for; but one whatever its size.
pub async fn a_fetch_keeps_to_its_bounds(subject: &Subject) {
    let key = subject.key(1);
    let size = 1000 + key.len();
    let records = (0..200).map(|_| Record::new(key.clone(), vec![7; 1000])).collect();
    subject.bus.publish(subject.topic.name, records).await.unwrap();
    let count = async |max_records, max_bytes| {
        let fetch = Fetch { max_records, max_bytes, ..subject.fetch(1, 3) };
        let records = subject.bus.fetch(fetch).await.unwrap().records;
        assert!(records.iter().map(|stored| stored.offset).eq(3..3 + records.len() as i64));
        records.len()
    };
    assert_eq!(count(150, usize::MAX).await, 150);
    assert_eq!(count(1000, usize::MAX).await, 197);
    assert_eq!(count(1000, 90 * size).await, 90);
    assert_eq!(count(1000, 90 * size - 1).await, 89);
    assert_eq!(count(1000, 1).await, 1);
    assert_eq!(count(0, 0).await, 1);
}

/// Whoever asks for the offset after the last record that he has gets everything once, in order, however little at a time.
pub async fn reading_on_from_the_last_record_misses_nothing(subject: &Subject) {
    let key = subject.key(0);
    for call in 0..10 {
        let records = (call * 30..call * 30 + 30).map(|n| Record::new(key.clone(), n.to_string())).collect();
        subject.bus.publish(subject.topic.name, records).await.unwrap();
    }
    for max_records in [1, 7, 1000] {
        let mut read = Vec::new();
        let mut offset = 0;
        while read.len() < 300 {
            let fetch = Fetch { max_records, ..subject.fetch(0, offset) };
            for stored in subject.bus.fetch(fetch).await.unwrap().records {
                offset = stored.offset + 1;
                read.push(text(&stored.record).parse::<i64>().unwrap());
            }
        }
        assert!(read.into_iter().eq(0..300));
    }
}

/// One who waits at the end of a partition does not keep another from reading its beginning.
pub async fn readers_of_a_partition_do_not_hinder_each_other(subject: &Subject) {
    subject.publish(0, &["a"]).await;
    let begin = Instant::now();
    let waiting = (0..3).map(|_| {
        let (bus, fetch) = (subject.bus.clone(), subject.fetch(0, 1).wait(Duration::from_mins(5)));
        tokio::spawn(async move { bus.fetch(fetch).await })
    });
    let waiting: Vec<_> = waiting.collect();
    for _ in 0..20 {
        assert_eq!(subject.bus.fetch(subject.fetch(0, 0)).await.unwrap().records.len(), 1);
        assert_eq!(subject.bus.bounds(subject.topic.name, 0).await.unwrap(), Bounds { low: 0, high: 1 });
    }
    subject.publish(0, &["b"]).await;
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().unwrap().records.len(), 1);
    }
    assert!(begin.elapsed() < Duration::from_mins(1));
}

/// The first record at an instant or after it; the end where there is none.
pub async fn offsets_are_found_by_time(subject: &Subject) {
    let begin = subject.clock.now();
    let mut times = Vec::new();
    for pause in [0, 2, 0, 1, 5, 0, 0, 3] {
        subject.clock.advance(Duration::from_millis(pause));
        times.push(subject.clock.now());
        subject.publish(0, &["a"]).await;
    }
    for probe in -2..14 {
        let at = Timestamp(begin.0 + probe);
        let expected = times.partition_point(|time| *time < at) as i64;
        assert_eq!(subject.bus.offset_at(subject.topic.name, 0, at).await.unwrap(), expected, "{probe}");
    }
    for at in [Timestamp(i64::MIN), Timestamp(0), Timestamp(i64::MAX)] {
        let expected = if at > begin { 8 } else { 0 };
        assert_eq!(subject.bus.offset_at(subject.topic.name, 0, at).await.unwrap(), expected);
    }
    assert_eq!(subject.bus.offset_at(subject.topic.name, 1, begin).await.unwrap(), 0);
}
