//! Events in, scores out.

use super::fake::{Fake, account, client, entry};
use super::oracle::{assert_all, assert_is, assess};
use super::world::{NOW, TENANT, World, changed, eventually, recorded};
use crate::domain::standing::Standing;
use crate::refresh::Refresh;
use crate::repo::hours::Hours;
use crate::repo::scores::Scores;
use crate::upstream::Upstream;
use api::transactions::v1::{Channel, Direction, Transaction, TransactionType};
use bus::consumer::{Delivered, Handler as _};
use bus::{Bus as _, Fetch, Record, kinds};
use proptest::prelude::*;
use riskmesh_core::{AccountId, ClientId, TenantId, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Two clients with three accounts among them.
fn two_clients() -> Arc<Fake> {
    let fake = Arc::new(Fake::default());
    fake.put_client(TENANT, client("1", "IE", NOW));
    fake.put_client(TENANT, client("2", "DE", NOW));
    for (id, owner) in [("0000000011", "1"), ("0000000012", "1"), ("0000000021", "2")] {
        fake.put_account(TENANT, account(id, owner));
    }
    fake
}

fn owner(account: &str) -> &'static str {
    if account == "0000000021" { "2" } else { "1" }
}

fn id(client: &str) -> ClientId {
    ClientId::new(client).unwrap()
}

fn tenant() -> TenantId {
    TenantId::new(TENANT).unwrap()
}

/// Entries over 150 days, so that some lie before every window; close enough together that typologies are hit.
fn entries() -> impl Strategy<Value = Vec<Transaction>> {
    let one = (
        prop::sample::select(&["0000000011", "0000000012", "0000000021"][..]),
        prop_oneof![0..150 * 24_i64, 0..30_i64],
        0..HOUR,
        prop::sample::select(&["9500.00", "120.50", "8200.00", "30000.00"][..]),
        prop::sample::select(&[TransactionType::Cash, TransactionType::Transfer][..]),
        prop::bool::ANY,
        0..9_u8,
    );
    let one = one.prop_map(|(account, hours_ago, within, amount, kind, debit, party)| Transaction {
        direction: if debit { Direction::Debit } else { Direction::Credit }.into(),
        amount: amount.into(),
        r#type: kind.into(),
        channel: Channel::Branch.into(),
        counterparty_account: format!("party-{party}"),
        counterparty_country: if party == 0 { "IR" } else { "FR" }.into(),
        ..entry("", account, Timestamp(NOW.0 - hours_ago * HOUR - within))
    });
    proptest::collection::vec(one, 1..60).prop_map(|mut entries| {
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.transaction_id = format!("t-{at}");
        }
        entries
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever the order in which entries are recorded and told of, and however often: the rows are those that all entries at once
    /// give.
    #[test]
    fn any_order_and_repetition_of_events_gives_the_same_rows(
        entries in entries(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..120),
        split in 1_usize..20,
    ) {
        runtime().block_on(async {
            let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
            let world = World::start(directory.path(), &fake).await;
            // Everything once, in the order drawn, with repeats in between; recorded just before it is first told of.
            let drawn = order.iter().map(|index| index.get(&entries));
            let all: Vec<&Transaction> = drawn.chain(&entries).collect();
            for chunk in all.chunks(split) {
                let mut records = vec![changed("2"), changed("1")];
                for entry in chunk {
                    fake.record(TENANT, (*entry).clone());
                    records.push(recorded(owner(&entry.account_id), entry));
                }
                world.publish(records).await;
            }
            world.caught_up().await;
            assert_all(&world, &["1", "2"]).await;
            world.stop().await;
        });
    }
}

#[tokio::test]
async fn a_score_moves_within_a_second_of_the_transaction_that_moves_it() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    let topic = kinds::RISK_SCORE_CHANGED.topic;

    // A busy machine may be late; it is not late every time.
    let mut took = Vec::new();
    for id in ["1", "2", "3", "4", "5"] {
        let account = account(&format!("{id:0>10}"), id);
        fake.put_account(TENANT, account.clone());
        world.put_client(id, "IE").await;
        world.caught_up().await;
        let before = world.risk(id).await.risk.unwrap();
        let partition = bus::partition::of(format!("{TENANT}/{id}").as_bytes(), topic.partitions);
        let next = world.bus.bounds(topic.name, partition).await.unwrap().high;
        let cash = [0, 1, 2].map(|at| Transaction {
            amount: "9500.00".into(),
            r#type: TransactionType::Cash.into(),
            ..entry(&format!("t-{id}-{at}"), &account.account_id, Timestamp(NOW.0 + at))
        });

        let began = Instant::now();
        world.record(id, &cash).await;
        let fetch = Fetch::new(topic.name, partition, next).wait(Duration::from_secs(30));
        let told = world.bus.fetch(fetch).await.unwrap();
        let after = world.risk(id).await.risk.unwrap();
        took.push(began.elapsed());

        assert!(told.records.first().is_some_and(|stored| kinds::RISK_SCORE_CHANGED.is(&stored.record)));
        assert_ne!(after, before);
        world.caught_up().await;
        let reasons = world.risk(id).await.risk.unwrap().reasons;
        let structuring = reasons.iter().find(|reason| reason.code == "STRUCTURING").unwrap();
        assert_eq!(structuring.transaction_ids, [0, 1, 2].map(|at| format!("t-{id}-{at}")));
        if took.iter().any(|took| *took < Duration::from_secs(1)) {
            return world.stop().await;
        }
    }
    panic!("it took {took:?}");
}

#[tokio::test]
async fn an_entry_that_comes_after_every_window_has_passed_it_still_counts() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    world.record("1", &[entry("new", "0000000011", Timestamp(NOW.0 - HOUR))]).await;
    world.record("2", &[entry("other", "0000000021", Timestamp(NOW.0 - HOUR))]).await;
    world.caught_up().await;
    let before = world.risk("1").await;

    world.record("1", &[entry("late", "0000000011", Timestamp(NOW.0 - 400 * DAY))]).await;
    world.caught_up().await;
    let after = world.risk("1").await;
    assert_eq!(after.as_of, before.as_of, "the newest entry is the same");
    assert_ne!(after.state_hash, before.state_hash);
    assert!(
        after.risk.as_ref().unwrap().confidence > before.risk.unwrap().confidence,
        "the client is observed for longer"
    );
    assert_all(&world, &["1", "2"]).await;
    world.stop().await;
}

#[tokio::test]
async fn a_client_without_transactions_is_scored_as_of_its_last_change() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    world.put_client("7", "IE").await;
    world.caught_up().await;
    let risk = world.risk("7").await;
    assert_eq!(api::time::from_proto(risk.as_of.as_ref().unwrap()), Timestamp(NOW.0 + HOUR));
    assert_is(&risk, &assess(&fake, "7"));
    world.stop().await;
}

#[tokio::test]
async fn a_deleted_client_leaves_the_list_and_comes_back_in_its_place() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    world.publish(vec![changed("1"), changed("2")]).await;
    world.caught_up().await;
    assert_eq!(world.risks().await.len(), 2);

    let deleted = fake.client(TENANT, "1").unwrap();
    fake.delete_client(TENANT, "1");
    world.publish(vec![changed("1"), changed("1")]).await;
    world.caught_up().await;
    let left: Vec<_> = world.risks().await.into_iter().map(|risk| risk.client_id).collect();
    assert_eq!(left, ["2"]);
    assert_eq!(world.v2("1").await.unwrap_err().code(), tonic::Code::NotFound);

    fake.put_client(TENANT, deleted);
    world.publish(vec![changed("1")]).await;
    world.caught_up().await;
    assert_all(&world, &["1", "2"]).await;
    world.stop().await;
}

#[tokio::test]
async fn reaching_high_is_told_once_and_again_only_after_a_clear_fall() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    for (country, alerts) in [("IE", 0), ("KP", 1), ("IR", 1), ("KP", 1), ("IE", 1), ("KP", 2)] {
        world.put_client("7", country).await;
        world.caught_up().await;
        world.publish(vec![changed("7")]).await;
        world.caught_up().await;
        assert_eq!(world.published(&kinds::HIGH_RISK_ALERT).await.len(), alerts, "after {country}");
    }
    let changes = world.published(&kinds::RISK_SCORE_CHANGED).await;
    let scores: Vec<_> = changes.iter().map(|event| (event.data.previous_score, event.data.score)).collect();
    let low = scores[0].1;
    assert_eq!(
        scores,
        [(None, low), (Some(low), 85), (Some(85), low), (Some(low), 85)],
        "IR and KP weigh the same"
    );
    world.stop().await;
}

#[tokio::test]
async fn what_moves_without_the_risk_moving_is_no_news_but_a_new_version() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    world.record("1", &[entry("t-1", "0000000011", Timestamp(NOW.0 - 5 * HOUR))]).await;
    world.caught_up().await;
    let (before, events) = (world.risk("1").await, world.published(&kinds::RISK_SCORE_CHANGED).await);

    world.clock.advance(Duration::from_mins(1));
    world.record("1", &[entry("t-2", "0000000011", Timestamp(NOW.0 - 4 * HOUR))]).await;
    world.caught_up().await;
    let after = world.risk("1").await;
    assert_ne!(after.state_hash, before.state_hash);
    assert_eq!(after.last_updated, before.last_updated);
    assert_eq!(world.published(&kinds::RISK_SCORE_CHANGED).await, events);
    let etag = world.v2("1").await.unwrap().metadata().get("etag").cloned().unwrap();
    assert_eq!(etag, "\"v2\"");
    world.stop().await;
}

#[tokio::test]
async fn a_batch_scores_each_client_once_and_reads_its_hours_in_one_go() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    world.caught_up().await;
    let entries: Vec<_> = (0..500)
        .map(|at| entry(&format!("t-{at}"), "0000000011", Timestamp(NOW.0 - at * HOUR / 10)))
        .collect();
    let delivered = |(topic, record): (&str, Record)| Delivered {
        topic: topic.into(),
        partition: 0,
        offset: 0,
        at: NOW,
        record,
    };
    let mut batch = Vec::new();
    for entry in &entries {
        fake.record(TENANT, entry.clone());
        batch.push(delivered(recorded("1", entry)));
        batch.push(delivered(changed("1")));
    }
    world.consume().handle(&batch).await.unwrap();
    assert_eq!(fake.client_reads.load(SeqCst), 1);
    assert_eq!(fake.scans.load(SeqCst), 2, "one for the hours, one for the order-dependent rules");
    assert_is(&world.risk("1").await, &assess(&fake, "1"));
    world.stop().await;
}

#[tokio::test]
async fn an_older_recompute_never_stands_over_a_newer_one() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    let refresh = Refresh { hours: Hours::new(world.store.clone()), upstream: Upstream::new(fake.channel()) };
    let (tenant, account) = (tenant(), AccountId::new("0000000011").unwrap());
    let hour = BTreeSet::from([NOW.hour()]);

    fake.record(TENANT, entry("t-1", "0000000011", NOW));
    let gate = fake.hold_next_scan();
    let slow = {
        let (refresh, tenant, account, hour) =
            (refresh.clone(), tenant.clone(), account.clone(), hour.clone());
        tokio::spawn(async move { refresh.account(&tenant, &account, &hour).await })
    };
    gate.reached.notified().await;
    fake.record(TENANT, entry("t-2", "0000000011", Timestamp(NOW.0 + 1)));
    refresh.account(&tenant, &account, &hour).await.unwrap();
    gate.open.notify_one();
    slow.await.unwrap().unwrap();

    let hours = refresh.hours.since(&tenant, &account, risk::Hour::of(NOW.0)).await.unwrap();
    assert_eq!(hours[0].state.count(), 2);
    world.stop().await;
}

#[tokio::test]
async fn an_older_score_never_stands_over_a_newer_one() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    world.record("1", &[entry("t-1", "0000000011", NOW)]).await;
    world.caught_up().await;

    // Held back after it has read a client that lives in North Korea, which by then it does not any more.
    let scorer = world.consume().scorer.clone();
    fake.put_client(TENANT, client("1", "KP", NOW));
    let gate = fake.hold_next_scan();
    let slow = {
        let scorer = scorer.clone();
        tokio::spawn(async move { scorer.score(&tenant(), &id("1")).await })
    };
    gate.reached.notified().await;
    fake.put_client(TENANT, client("1", "IE", NOW));
    scorer.score(&tenant(), &id("1")).await.unwrap();
    gate.open.notify_one();
    slow.await.unwrap().unwrap();
    assert_is(&world.risk("1").await, &assess(&fake, "1"));
    world.stop().await;
}

#[tokio::test]
async fn events_wait_for_a_service_that_is_down_and_none_is_lost() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), two_clients());
    let world = World::start(directory.path(), &fake).await;
    fake.down.store(true, SeqCst);
    world.record("1", &[entry("t-1", "0000000011", NOW)]).await;
    world.record("2", &[entry("t-2", "0000000021", NOW)]).await;
    let asked = || fake.client_reads.load(SeqCst) + fake.scans.load(SeqCst);
    eventually("the service has tried", async || asked() >= 2).await;
    assert!(!world.handle.caught_up().await.unwrap());
    fake.down.store(false, SeqCst);
    world.caught_up().await;
    assert_all(&world, &["1", "2"]).await;
    world.stop().await;
}

#[tokio::test]
async fn pending_news_of_another_process_are_told_before_they_are_replaced() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    world.put_client("7", "IE").await;
    world.caught_up().await;
    // Another process has written an alert and died before it told of it.
    let scores = Scores::new(world.store.clone());
    let before = scores.latest(&tenant(), &id("7")).await.unwrap().unwrap();
    let model = risk::Model::builtin().unwrap();
    let high = crate::domain::assessment::tests::score(90);
    let died: Standing = before.next(&high, &model, NOW);
    assert!(scores.replace(&tenant(), Some(&before), &died).await.unwrap());

    world.publish(vec![changed("7")]).await;
    world.caught_up().await;
    let alerts = world.published(&kinds::HIGH_RISK_ALERT).await;
    assert_eq!(alerts.iter().map(|event| event.data.score).collect::<Vec<_>>(), [90]);
    assert_is(&world.risk("7").await, &assess(&fake, "7"));
    world.stop().await;
}
