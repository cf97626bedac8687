use super::*;
use crate::consumer::{QUARANTINE_CUT, QUARANTINE_REASON};
use crate::embedded::Embedded;
use crate::testing::{Disk, Fault, Faulty, TOPIC, key_of};
use std::time::Duration;

/// Records of a replay of several steps.
const MANY: usize = 2500;

fn numbered(n: usize) -> Record {
    Record::new(key_of(0), n.to_string())
}

async fn payloads(bus: &Embedded, partition: u32) -> Vec<usize> {
    let Bounds { low, high } = bus.bounds(TOPIC.name, partition).await.unwrap();
    let mut payloads = Vec::new();
    let mut next = low;
    while next < high {
        for stored in bus.fetch(Fetch::new(TOPIC.name, partition, next)).await.unwrap().records {
            payloads.push(std::str::from_utf8(&stored.record.payload).unwrap().parse().unwrap());
            next = stored.offset + 1;
        }
    }
    payloads
}

async fn play(replay: &Replay, mut range: Range) -> Result<(), error::Error> {
    while range.from < range.to {
        range.from = replay.step(TOPIC.name, range).await?.next;
    }
    Ok(())
}

/// The process dies at any write of a replay, before or after it. Whoever asks for the same range again gets everything again: some of it
/// twice, none of it not at all.
#[tokio::test]
async fn a_replay_that_a_crash_cuts_off_can_be_repeated_and_loses_nothing() {
    for write in 0..3 {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let disk = Disk::new();
            let store = Faulty::over(disk.open());
            let bus = Embedded::open(store.clone(), disk.clock(), &[TOPIC]).await.unwrap();
            bus.publish(TOPIC.name, (0..MANY).map(numbered).collect()).await.unwrap();
            let replay = Replay::new(bus.clone(), store.clone());
            let [range] = replay.plan(TOPIC.name, Some(0), Point::Offset(0), None).await.unwrap()[..] else {
                panic!()
            };
            store.plan(write, fault);
            assert!(play(&replay, range).await.is_err() && store.is_dead());
            bus.close().await;
            drop((replay, bus, store));

            let store = disk.open();
            let bus = Embedded::open(store.clone(), disk.clock(), &[TOPIC]).await.unwrap();
            play(&Replay::new(bus.clone(), store), range).await.unwrap();
            let found = payloads(&bus, 0).await;
            let whole = (write + usize::from(fault == Fault::DieAfter)) * 1000;
            assert_eq!(found.len(), MANY * 2 + whole.min(MANY));
            assert!(found.ends_with(&(0..MANY).collect::<Vec<_>>()));
        }
    }
}

#[tokio::test]
async fn what_retention_has_dropped_is_not_there_by_offset_and_left_out_by_time() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = Embedded::open_with(store.clone(), disk.clock(), &[TOPIC], 7).await.unwrap();
    bus.publish(TOPIC.name, (0..20).map(numbered).collect()).await.unwrap();
    disk.clock.advance(TOPIC.retention + Duration::from_secs(1));
    bus.publish(TOPIC.name, (20..30).map(numbered).collect()).await.unwrap();
    assert_eq!(bus.drop_old_segments(&*store, disk.clock().now()).await.unwrap(), 2);
    let replay = Replay::new(bus.clone(), store);
    let plan = async |from| replay.plan(TOPIC.name, Some(0), from, None).await;
    let gone = plan(Point::Offset(13)).await;
    assert!(matches!(gone, Err(Error::Bus(error::Error::OutOfRange { low: 14, high: 30, .. }))), "{gone:?}");
    let kept = Range { partition: 0, from: 14, to: 30 };
    assert_eq!(plan(Point::Offset(14)).await.unwrap(), [kept]);
    assert_eq!(plan(Point::Time(Timestamp(0))).await.unwrap(), [kept]);
    // Retention comes in between: what is gone is told, not passed over.
    let overtaken = replay.step(TOPIC.name, Range { from: 0, ..kept }).await;
    assert!(matches!(overtaken, Err(error::Error::OutOfRange { low: 14, .. })), "{overtaken:?}");
    play(&replay, kept).await.unwrap();
    assert_eq!(payloads(&bus, 0).await, (14..30).chain(14..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn poison_that_was_cut_is_left_out_and_the_others_go_on() {
    let disk = Disk::new();
    let store = disk.open();
    let bus = Embedded::open(store.clone(), disk.clock(), &[TOPIC]).await.unwrap();
    let told = |n| numbered(n).header(QUARANTINE_REASON, "cannot be read");
    let set_aside = vec![told(0), told(1).header(QUARANTINE_CUT, "2000000"), told(2)];
    bus.publish("things.quarantine", set_aside).await.unwrap();
    let replay = Replay::new(bus.clone(), store);
    let step = replay.step("things.quarantine", Range { partition: 0, from: 0, to: 3 }).await.unwrap();
    assert_eq!((step.next, step.published), (3, 2));
    let [LeftOut { offset: 1, reason }] = &step.left_out[..] else { panic!("{step:?}") };
    assert!(reason.contains("cut"), "{reason}");
    assert_eq!(payloads(&bus, 0).await, [0, 2]);
}
