//! Records that are given to their consumers again.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests, which a backend's test crate calls"
)]

use super::Subject;
use super::groups::{Member, numbers, publish};
use super::support::{eventually, headers, text};
use crate::error;
use crate::record::Record;
use crate::replay::{Error, Point, Range, Replay, Rewound, Step};
use crate::topic::quarantine_of;
use riskmesh_core::{Clock as _, Timestamp};
use std::sync::atomic::Ordering;
use std::time::Duration;

const BEGINNING: Point = Point::Time(Timestamp(0));

impl Subject {
    fn replay(&self) -> Replay {
        Replay::new(self.bus.clone(), self.store.clone())
    }

    /// Replays ranges to their ends; gives how many records that were.
    async fn play(&self, topic: &str, ranges: Vec<Range>) -> usize {
        let mut published = 0;
        for mut range in ranges {
            while range.from < range.to {
                let step = self.replay().step(topic, range).await.unwrap();
                assert!(
                    step.next > range.from && step.next <= range.to && step.left_out.is_empty(),
                    "{step:?}"
                );
                range.from = step.next;
                published += step.published;
            }
        }
        published
    }

    async fn texts(&self, partition: u32) -> Vec<String> {
        let records = self.read_all(partition).await;
        records.iter().map(|stored| text(&stored.record).to_owned()).collect()
    }
}

/// Everything is committed, as of a moment ago.
fn no_lag(member: &Member) -> bool {
    member.lag.partitions().len() == 3 && member.lag.records() == 0
}

/// Key, headers and payload are the same, the order too, and the partition where there is a key; and what a replay has published is not
/// part of it.
pub async fn what_is_replayed_is_published_again_as_it_was(subject: &Subject) {
    let topic = subject.topic.name;
    let records = (0..2500).map(|n| {
        Record::new(format!("key-{}", n % 7), n.to_string())
            .header("ce_id", n.to_string())
            .header("raw", &b"\xff\0"[..])
    });
    subject.bus.publish(topic, records.collect()).await.unwrap();
    let before = [subject.read_all(0).await, subject.read_all(1).await, subject.read_all(2).await];
    let ranges = subject.replay().plan(topic, None, BEGINNING, None).await.unwrap();
    assert_eq!(subject.play(topic, ranges).await, 2500);
    for (before, partition) in before.iter().zip(0..) {
        let after = subject.read_all(partition).await;
        assert_eq!(after.len(), before.len() * 2);
        for (stored, again) in before.iter().zip(&after[before.len()..]) {
            assert_eq!(
                (&stored.record.key, &stored.record.payload),
                (&again.record.key, &again.record.payload)
            );
            assert_eq!(headers(&stored.record), headers(&again.record));
        }
    }
}

/// From an offset on, up to another: these and no others.
pub async fn offsets_bound_a_replay_within_a_partition(subject: &Subject) {
    let topic = subject.topic.name;
    let letters = ["a", "b", "c", "d", "e", "f"];
    let plan = async |from, to: Option<i64>| {
        let (from, to) = (Point::Offset(from), to.map(Point::Offset));
        subject.replay().plan(topic, Some(1), from, to).await.unwrap()
    };
    subject.publish(1, &letters).await;
    subject.publish(0, &["elsewhere"]).await;
    let range = Range { partition: 1, from: 2, to: 4 };
    assert_eq!(plan(2, Some(4)).await, [range]);
    assert_eq!(subject.play(topic, vec![range]).await, 2);
    assert_eq!(subject.texts(1).await, [&letters[..], &["c", "d"]].concat());
    assert_eq!(plan(7, None).await, [Range { partition: 1, from: 7, to: 8 }]);
    for (from, to) in [(8, None), (8, Some(8)), (3, Some(3)), (0, Some(0))] {
        let [range] = plan(from, to).await[..] else { panic!() };
        assert_eq!((range.from, range.to), (from, from));
        let step = subject.replay().step(topic, range).await.unwrap();
        assert_eq!(step, Step { next: from, ..Step::default() });
    }
    assert_eq!(subject.texts(1).await.len(), 8);
}

/// What was appended at the first instant or later, and before the second one.
pub async fn times_bound_a_replay_whether_or_not_a_record_has_them(subject: &Subject) {
    let topic = subject.topic.name;
    let begin = subject.clock.now();
    for letter in ["a", "b", "c"] {
        subject.publish(0, &[letter]).await;
        subject.clock.advance(Duration::from_millis(10));
    }
    subject.publish(2, &["x"]).await;
    let after = |millis: i64| Point::Time(Timestamp(begin.0 + millis));
    let lengths = async |from, to| {
        let ranges = subject.replay().plan(topic, None, from, to).await.unwrap();
        ranges.iter().map(|range| range.to - range.from).collect::<Vec<_>>()
    };
    assert_eq!(lengths(BEGINNING, None).await, [3, 0, 1]);
    assert_eq!(lengths(after(5), Some(after(15))).await, [1, 0, 0], "between records");
    assert_eq!(lengths(after(10), Some(after(20))).await, [1, 0, 0], "just when records came");
    assert_eq!(lengths(after(21), Some(after(29))).await, [0, 0, 0], "between records, none within");
    assert_eq!(lengths(after(30), None).await, [0, 0, 1]);
    assert_eq!(lengths(after(60_000), Some(after(70_000))).await, [0, 0, 0], "in the future");
    let mixed = subject.replay().plan(topic, Some(0), after(5), Some(Point::Offset(3))).await.unwrap();
    assert_eq!(mixed, [Range { partition: 0, from: 1, to: 3 }]);
    assert_eq!(subject.play(topic, mixed).await, 2);
    assert_eq!(subject.texts(0).await, ["a", "b", "c", "b", "c"]);
}

/// A group at work gets everything again, and everything that comes meanwhile.
pub async fn consumers_get_what_is_replayed_beside_what_is_new(subject: &Subject) {
    let topic = subject.topic.name;
    publish(subject, 0..300).await;
    let member = Member::start(subject, "one");
    eventually("the first handled", async || member.notes.sorted() == numbers(0..300)).await;
    let ranges = subject.replay().plan(topic, None, BEGINNING, None).await.unwrap();
    tokio::join!(subject.play(topic, ranges), publish(subject, 300..400));
    let mut expected = [numbers(0..300), numbers(0..300), numbers(300..400)].concat();
    expected.sort_unstable();
    eventually("everything handled, and the first again", async || member.notes.sorted() == expected).await;
    eventually("no lag", async || no_lag(&member)).await;
    member.stop().await;
}

/// When the handler is mended it gets the record as it was, from the topic that it was on.
pub async fn poison_that_is_replayed_goes_back_to_its_topic(subject: &Subject) {
    let quarantine = quarantine_of(subject.topic.name);
    let poison = Record::new(subject.key(0), "poison").header("ce_id", &b"\xff\0"[..]);
    subject.bus.publish(subject.topic.name, vec![poison.clone()]).await.unwrap();
    subject.publish(0, &["a"]).await;
    let member = Member::start(subject, "one");
    eventually("the other handled", async || member.notes.sorted() == ["a"]).await;
    let plan = async || subject.replay().plan(&quarantine, None, Point::Offset(0), None).await.unwrap();
    let ranges = plan().await;
    assert_eq!(ranges, [Range { partition: 0, from: 0, to: 1 }]);

    // Nobody has mended anything: it is set aside again, and the others go on.
    assert_eq!(subject.play(&quarantine, ranges).await, 1);
    eventually("set aside again", async || plan().await[0].to == 2).await;
    subject.publish(0, &["b"]).await;
    eventually("the other handled", async || member.notes.sorted() == ["a", "b"]).await;

    member.notes.mended.store(true, Ordering::SeqCst);
    let last = Range { partition: 0, from: 1, to: 2 };
    assert_eq!(subject.play(&quarantine, vec![last]).await, 1);
    eventually("handled", async || member.notes.sorted() == ["a", "b", "poison"]).await;
    member.stop().await;
    assert_eq!(plan().await[0].to, 2, "nothing was published to the quarantine");
    let records = subject.read_all(0).await;
    let again = &records.last().unwrap().record;
    assert_eq!((&again.key, &again.payload), (&poison.key, &poison.payload));
    assert_eq!(headers(again), headers(&poison));
}

/// One group alone, while it works; nothing is published, and nothing that is new is left out.
pub async fn a_group_that_is_rewound_handles_everything_again_from_there(subject: &Subject) {
    let topic = subject.topic.name;
    subject.publish(0, &["a", "b", "c"]).await;
    subject.publish(1, &["x"]).await;
    let member = Member::start(subject, "one");
    eventually("handled and committed", async || {
        member.notes.sorted() == ["a", "b", "c", "x"] && no_lag(&member)
    })
    .await;
    let rewound = subject.replay().rewind("group", topic, 0, 1).await.unwrap();
    assert_eq!(rewound, Rewound { was: 3, now: 1 });
    subject.publish(0, &["d"]).await;
    eventually("handled again", async || {
        let mut handled = member.notes.sorted();
        handled.dedup();
        let again = |letter: &str| member.notes.sorted().iter().filter(|other| *other == letter).count();
        handled == ["a", "b", "c", "d", "x"] && again("b") == 2 && again("c") == 2
    })
    .await;
    eventually("no lag", async || no_lag(&member)).await;
    let notes = member.notes.clone();
    member.stop().await;
    let handled = notes.sorted();
    assert_eq!(
        handled.iter().filter(|letter| ["a", "x"].contains(&letter.as_str())).count(),
        2,
        "{handled:?}"
    );

    // While nobody works, too.
    let rewound = subject.replay().rewind("group", topic, 0, 0).await.unwrap();
    assert_eq!(rewound, Rewound { was: 4, now: 0 });
    let rewound = subject.replay().rewind("group", topic, 0, 2).await.unwrap();
    assert_eq!(rewound, Rewound { was: 0, now: 0 }, "nothing is left out");
    let member = Member::start(subject, "two");
    eventually("handled again", async || member.notes.sorted() == ["a", "b", "c", "d"]).await;
    member.stop().await;
    assert_eq!(subject.texts(0).await, ["a", "b", "c", "d"]);
}

/// Each by itself, and nothing is done.
pub async fn what_cannot_be_replayed_is_told(subject: &Subject) {
    use error::Error::{OutOfRange, UnknownPartition, UnknownTopic};
    let (topic, replay) = (subject.topic.name, subject.replay());
    subject.publish(0, &["a", "b"]).await;
    let plan =
        async |topic: &str, partition, from, to| replay.plan(topic, partition, from, to).await.unwrap_err();
    let at = Point::Offset;
    let told = plan("nothing", None, BEGINNING, None).await;
    assert!(matches!(told, Error::Bus(UnknownTopic { .. })), "{told}");
    for partition in [3, u32::MAX] {
        let told = plan(topic, Some(partition), BEGINNING, None).await;
        assert!(matches!(told, Error::Bus(UnknownPartition { .. })), "{told}");
    }
    for (from, to) in [(at(0), None), (BEGINNING, Some(at(1)))] {
        let told = plan(topic, None, from, to).await;
        assert!(matches!(told, Error::AnyPartition { partitions: 3, .. }), "{told}");
    }
    for (from, to) in
        [(at(-1), None), (at(3), None), (at(0), Some(at(3))), (at(i64::MIN), Some(at(i64::MAX)))]
    {
        let told = plan(topic, Some(0), from, to).await;
        assert!(matches!(told, Error::Bus(OutOfRange { low: 0, high: 2, .. })), "{told}");
    }
    let (early, late) = (Point::Time(Timestamp(1)), Point::Time(Timestamp(2)));
    for (from, to) in [(at(2), at(1)), (late, early), (at(1), early)] {
        let told = plan(topic, Some(0), from, Some(to)).await;
        assert!(matches!(told, Error::Backwards), "{told}");
    }
    for (partition, from) in [(0, 3), (0, -1), (3, 0)] {
        assert!(replay.step(topic, Range { partition, from, to: 9 }).await.is_err());
    }
    let rewind = async |group, topic: &str, partition, offset| {
        replay.rewind(group, topic, partition, offset).await.unwrap_err()
    };
    for (group, topic) in [("nobody", topic), ("nobody", &*quarantine_of(topic))] {
        let told = rewind(group, topic, 0, 0).await;
        assert!(matches!(told, Error::UnknownGroup { .. }), "{told}");
    }
    assert!(matches!(rewind("nobody", topic, 0, 3).await, Error::Bus(OutOfRange { .. })));
    assert!(matches!(rewind("nobody", topic, 3, 0).await, Error::Bus(UnknownPartition { .. })));
    assert!(matches!(rewind("nobody", "nothing", 0, 0).await, Error::Bus(UnknownTopic { .. })));
    assert_eq!(subject.texts(0).await, ["a", "b"]);
}
