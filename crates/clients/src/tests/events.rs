//! What is told of entries, and what pointers lead to.

use super::*;

#[tokio::test]
async fn every_hour_with_a_new_entry_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    world
        .record(vec![message("a", "0000000001", START), message("b", "0000000002", START + HOUR_MS)])
        .await
        .unwrap();
    world.record(vec![message("c", "0000000001", START + 40 * DAY_MS)]).await.unwrap();
    world.service.settle().await;
    let hour = |at: i64| Timestamp(START + at).hour();
    let expected = BTreeMap::from([
        ("0000000001".to_owned(), BTreeSet::from([hour(0), hour(40 * DAY_MS)])),
        ("0000000002".to_owned(), BTreeSet::from([hour(HOUR_MS)])),
    ]);
    assert_eq!(world.told().await, expected);
}

/// A process has written its pointer and stands still. What it may have added is told of, what it has not added yet is told of
/// when it is there.
#[tokio::test]
async fn a_pointer_is_followed_until_each_of_its_months_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let world = World::on(store.clone(), store.clone()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    world.record(vec![message("a", "0000000001", START)]).await.unwrap();
    world.service.settle().await;

    let clock = Arc::new(SystemClock);
    let hour = Timestamp(START).hour();
    let (bucket, others) = (Timestamp(START).month(), [hour + 7, hour + 8]);
    let reference = format!(
        "acme\n0000000001:{bucket}:0:{}\n0000000002:{bucket}:0:{},{}",
        others[0], others[0], others[1]
    );
    let late = Outbox::new(store.clone(), clock.clone(), "late");
    drop(late.intend(vec![bus::Pointer::new("clients.months", reference)]).await.unwrap());
    let relay = Relay::new(
        Outbox::new(store.clone(), clock, "relay"),
        world.bus.clone(),
        world.service.sources(),
        bus::outbox::Config { grace: Duration::ZERO, ..Default::default() },
    )
    .unwrap();

    assert_eq!(relay.sweep_all().await.unwrap().published, 1);
    let mut expected = BTreeMap::from([("0000000001".to_owned(), BTreeSet::from([hour, others[0]]))]);
    assert_eq!(world.told().await, expected);
    let second = relay.sweep_all().await.unwrap();
    assert_eq!((second.published, second.settled, second.kept), (0, 0, 1));

    world.record(vec![message("b", "0000000002", START)]).await.unwrap();
    world.service.settle().await;
    let third = relay.sweep_all().await.unwrap();
    assert_eq!((third.published, third.settled, third.kept), (1, 1, 0));
    expected.insert("0000000002".to_owned(), BTreeSet::from([hour, others[0], others[1]]));
    assert_eq!(world.told().await, expected);
    assert_eq!(relay.sweep_all().await.unwrap(), bus::outbox::Swept::default());
}

/// A pointer that an older program left behind names months, and neither versions nor hours.
#[tokio::test]
async fn a_pointer_without_hours_tells_of_all_that_the_month_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_store(dir.path());
    let world = World::on(store.clone(), store.clone()).await;
    world.client("1", &["0000000001", "0000000002"]).await;
    let clock = Arc::new(SystemClock);
    let bucket = Timestamp(START).month();
    let older = Outbox::new(store.clone(), clock.clone(), "older");
    let reference = format!("acme\n0000000001:{bucket}\n0000000002:{bucket}");
    drop(older.intend(vec![bus::Pointer::new("clients.months", reference)]).await.unwrap());
    let relay = Relay::new(
        Outbox::new(store.clone(), clock, "relay"),
        world.bus.clone(),
        world.service.sources(),
        bus::outbox::Config { grace: Duration::ZERO, ..Default::default() },
    )
    .unwrap();
    world
        .record(vec![message("a", "0000000001", START), message("b", "0000000001", START + HOUR_MS)])
        .await
        .unwrap();
    world.service.settle().await;
    let first = relay.sweep_all().await.unwrap();
    assert_eq!((first.published, first.settled, first.kept, first.failed), (1, 1, 0, 0));
    let hour = Timestamp(START).hour();
    let events = world.events().await;
    let [_, relayed] = &events[..] else { panic!("the writer tells, and the relay: {events:?}") };
    assert_eq!((&relayed.account_id[..], &relayed.hours[..]), ("0000000001", &[hour, hour + 1][..]));
    // The other month is still followed.
    let second = relay.sweep_all().await.unwrap();
    assert_eq!((second.published, second.settled, second.kept, second.failed), (0, 0, 1, 0));
}
