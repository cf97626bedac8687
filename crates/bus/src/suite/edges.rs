//! Limits, what is not there, and calls that are given up.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::Subject;
use super::support::text;
use crate::error::Error;
use crate::record::{MAX_HEADERS, MAX_PUBLISH_BYTES, MAX_PUBLISH_RECORDS, MAX_RECORD_BYTES, Record};
use crate::topic::quarantine_of;
use crate::traits::Bounds;
use futures::FutureExt as _;
use riskmesh_core::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Topics, partitions and offsets that are not there are told as such.
pub async fn what_is_not_there_is_an_error(subject: &Subject) {
    let (bus, topic) = (&subject.bus, subject.topic.name);
    assert!(matches!(bus.partitions("nothing").await, Err(Error::UnknownTopic { .. })));
    assert!(matches!(bus.publish("nothing", vec![]).await, Err(Error::UnknownTopic { .. })));
    assert!(matches!(bus.bounds(topic, 3).await, Err(Error::UnknownPartition { partition: 3, .. })));
    let found = bus.offset_at(topic, 3, Timestamp(0)).await;
    assert!(matches!(found, Err(Error::UnknownPartition { .. })));
    assert!(matches!(bus.fetch(subject.fetch(3, 0)).await, Err(Error::UnknownPartition { .. })));
    assert_eq!(bus.partitions(topic).await.unwrap(), 3);
    assert_eq!(bus.partitions(&quarantine_of(topic)).await.unwrap(), 1);
    assert_eq!(bus.publish(topic, vec![]).await.unwrap(), []);
    for high in 0..2 {
        for offset in [i64::MIN, -1, high + 1, i64::MAX] {
            let fetched = bus.fetch(subject.fetch(0, offset)).await;
            let told = matches!(fetched, Err(Error::OutOfRange { offset: told, low: 0, high: end })
                if (told, end) == (offset, high));
            assert!(told, "{offset}: {fetched:?}");
        }
        subject.publish(0, &["a"]).await;
    }
}

/// One record too large, too many headers, too many records or bytes: nothing of the call is published.
pub async fn what_is_too_large_is_refused_and_nothing_of_it_is_published(subject: &Subject) {
    let small = || Record::new("a", "1");
    let large = Record::new("a", vec![0; MAX_RECORD_BYTES]);
    let headers = (0..=MAX_HEADERS).fold(small(), |record, n| record.header(format!("h{n}"), "v"));
    let many = vec![small(); MAX_PUBLISH_RECORDS + 1];
    let heavy = vec![Record::new("a", vec![0; 1 << 19]); (MAX_PUBLISH_BYTES >> 19) + 1];
    for records in [vec![small(), large], vec![headers], many, heavy] {
        let published = subject.bus.publish(subject.topic.name, records).await;
        assert!(matches!(published, Err(Error::TooLarge { .. })), "{published:?}");
    }
    for partition in 0..3 {
        let bounds = subject.bus.bounds(subject.topic.name, partition).await.unwrap();
        assert_eq!(bounds, Bounds::default());
    }
}

/// A record of just the size and the headers that there may be.
pub async fn the_largest_record_is_taken(subject: &Subject) {
    let headers = (0..MAX_HEADERS).map(|n| (format!("header-{n:04}"), "v"));
    let mut record = headers.fold(Record::new("a", ""), |record, (name, value)| record.header(name, value));
    record.payload = vec![7; MAX_RECORD_BYTES - record.size()].into();
    let position = subject.bus.publish(subject.topic.name, vec![record.clone()]).await.unwrap()[0];
    let stored = subject.read_all(position.partition).await.remove(0);
    assert_eq!(stored.record.payload, record.payload);
    assert_eq!(stored.record.headers.iter().count(), MAX_HEADERS);
}

/// Publications and fetches whose callers go away, at whatever moment: what they had sent may be there, the others' is, in order.
pub async fn calls_that_are_dropped_do_no_harm(subject: &Subject) {
    let key = subject.key(0);
    let mut acknowledged = Vec::new();
    for n in 0..60_u64 {
        let record = Record::new(key.clone(), format!("dropped-{n}"));
        let publish = subject.bus.publish(subject.topic.name, vec![record]);
        // Some are dropped before they are polled twice, some on their way.
        if n % 3 == 0 {
            assert!(Box::pin(publish).now_or_never().is_none_or(|published| published.is_ok()));
        } else {
            let _ = tokio::time::timeout(Duration::from_micros(n * 50), publish).await;
        }
        let fetch = subject.bus.fetch(subject.fetch(0, 0));
        let _ = tokio::time::timeout(Duration::from_micros(n * 50), fetch).await;
        let kept = format!("kept-{n}");
        subject.publish(0, &[&kept]).await;
        acknowledged.push(kept);
    }
    let records = subject.read_all(0).await;
    let texts: Vec<&str> = records.iter().map(|stored| text(&stored.record)).collect();
    let kept: Vec<&str> = texts.iter().copied().filter(|text| text.starts_with("kept")).collect();
    assert_eq!(kept, acknowledged);
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "nothing twice");
}
