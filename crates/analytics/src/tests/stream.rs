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
use store::TokenScan;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Two clients with three accounts among them.
fn two_clients() -> Arc<Fake> {
    let fake = Arc::new(Fake::default());
    fake.put_client(TENANT, client("1", "IE", NOW));
    fake.put_client(TENANT, client("2", "DE", NOW));
    for id in ["0000000011", "0000000012", "0000000021"] {
        fake.put_account(TENANT, account(id, owner(id)));
    }
    fake
}

/// Four clients with five accounts among them.
fn four_clients() -> Arc<Fake> {
    let fake = two_clients();
    for (id, account_id) in [("3", "0000000031"), ("4", "0000000041")] {
        fake.put_client(TENANT, client(id, "IE", NOW));
        fake.put_account(TENANT, account(account_id, id));
    }
    fake
}

/// The client of one of these accounts.
fn owner(account: &str) -> &str {
    &account[8..9]
}

/// A transfer from an account to another one, each with its own entry.
fn transfer(id: &str, from: &str, to: &str, amount: &str, at: Timestamp) -> [Transaction; 2] {
    let side = |own: &str, other: &str, direction: Direction| Transaction {
        transfer_id: id.into(),
        direction: direction.into(),
        amount: amount.into(),
        counterparty_account: other.into(),
        counterparty_country: "IE".into(),
        ..entry(&format!("{id}-{own}"), own, at)
    };
    [side(from, to, Direction::Debit), side(to, from, Direction::Credit)]
}

/// The transactions that a client's reason of this code names.
async fn named(world: &World, client: &str, code: &str) -> Option<Vec<String>> {
    let reasons = world.risk(client).await.risk.unwrap().reasons;
    reasons.into_iter().find(|reason| reason.code == code).map(|reason| reason.transaction_ids)
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
        prop::sample::select(&["0000000011", "0000000012", "0000000021", "0000000031", "0000000041"][..]),
        prop_oneof![0..150 * 24_i64, 0..30_i64],
        0..HOUR,
        prop::sample::select(&["9500.00", "120.50", "8200.00", "30000.00"][..]),
        prop::sample::select(&[TransactionType::Cash, TransactionType::Transfer][..]),
        prop::bool::ANY,
        0..14_u8,
    );
    let one = one.prop_map(|(account, hours_ago, within, amount, kind, debit, party)| Transaction {
        direction: if debit { Direction::Debit } else { Direction::Credit }.into(),
        amount: amount.into(),
        r#type: kind.into(),
        channel: Channel::Branch.into(),
        counterparty_account: match party {
            9.. => ["0000000011", "0000000012", "0000000021", "0000000031", "0000000041"]
                [usize::from(party - 9)]
            .into(),
            _ => format!("party-{party}"),
        },
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
            let (directory, fake) = (tempfile::tempdir().unwrap(), four_clients());
            let world = World::start(directory.path(), &fake).await;
            // Everything once, in the order drawn, with repeats in between; recorded just before it is first told of.
            let drawn = order.iter().map(|index| index.get(&entries));
            let all: Vec<&Transaction> = drawn.chain(&entries).collect();
            for chunk in all.chunks(split) {
                let mut records = Vec::from(["4", "2", "1", "3"].map(changed));
                for entry in chunk {
                    fake.record(TENANT, (*entry).clone());
                    records.push(recorded(owner(&entry.account_id), entry));
                }
                world.publish(records).await;
            }
            world.caught_up().await;
            assert_all(&world, &["1", "2", "3", "4"]).await;
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

/// A round through three clients, whose six entries come in each order that there is of the three transfers and of their sides: whichever
/// comes last, the scores of all three are computed anew, though only one of them has anything new.
#[tokio::test]
async fn a_late_entry_of_one_account_makes_the_scores_of_all_on_the_round_new() {
    let round = [
        transfer("a", "0000000021", "0000000031", "5000.00", Timestamp(NOW.0 - 9 * DAY)),
        transfer("b", "0000000031", "0000000041", "4900.00", Timestamp(NOW.0 - 8 * DAY)),
        transfer("c", "0000000041", "0000000021", "4800.00", Timestamp(NOW.0 - 7 * DAY)),
    ]
    .concat();
    for last in 0..round.len() {
        let (directory, fake) = (tempfile::tempdir().unwrap(), four_clients());
        let world = World::start(directory.path(), &fake).await;
        world.publish(["1", "2", "3", "4"].map(changed).into()).await;
        for at in (last + 1..=last + round.len()).map(|at| at % round.len()) {
            let entry = &round[at];
            world.record(owner(&entry.account_id), std::slice::from_ref(entry)).await;
            world.caught_up().await;
        }
        for client in ["2", "3", "4"] {
            assert!(named(&world, client, "ROUND_TRIPPING").await.is_some(), "client {client}, {last} last");
        }
        assert_all(&world, &["1", "2", "3", "4"]).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn an_entry_is_news_for_those_who_looked_at_its_account_and_for_nobody_else() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), four_clients());
    let world = World::start(directory.path(), &fake).await;
    // Client 2 passes on what it got, so it is looked at where that came from and where it went; 4 has small amounts only.
    let both = transfer("a", "0000000031", "0000000021", "5000.00", Timestamp(NOW.0 - 9 * DAY));
    let on = transfer("b", "0000000021", "0000000011", "5000.00", Timestamp(NOW.0 - 8 * DAY));
    let small = transfer("c", "0000000041", "0000000021", "50.00", Timestamp(NOW.0 - 8 * DAY));
    for entry in [both, on, small].concat() {
        world.record(owner(&entry.account_id), std::slice::from_ref(&entry)).await;
    }
    world.caught_up().await;
    let scored = async || -> Vec<i64> {
        let scores = Scores::new(world.store.clone());
        let mut revisions = Vec::new();
        for client in ["1", "2", "3", "4"] {
            revisions.push(scores.latest(&tenant(), &id(client)).await.unwrap().unwrap().revision);
        }
        revisions
    };
    let before = scored().await;
    world.record("3", &[entry("d", "0000000031", Timestamp(NOW.0 - 20 * DAY))]).await;
    world.caught_up().await;
    let after = scored().await;
    let new: Vec<i64> = std::iter::zip(before, after).map(|(before, after)| after - before).collect();
    assert_eq!(new, [0, 1, 1, 0]);
    assert_all(&world, &["1", "2", "3", "4"]).await;
    world.stop().await;
}

#[tokio::test]
async fn an_account_that_everybody_deals_with_is_not_followed_and_its_entries_are_news_for_nobody() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), four_clients());
    let world = World::start(directory.path(), &fake).await;
    let busy: Vec<_> = (0..1_001)
        .map(|n| entry(&format!("x{n}"), "0000000041", Timestamp(NOW.0 - DAY - n * HOUR / 2)))
        .collect();
    world.record("4", &busy).await;
    let there = transfer("a", "0000000021", "0000000041", "5000.00", Timestamp(NOW.0 - 9 * DAY));
    let back = transfer("b", "0000000041", "0000000021", "5000.00", Timestamp(NOW.0 - 8 * DAY));
    for entry in [there, back].concat() {
        world.record(owner(&entry.account_id), std::slice::from_ref(&entry)).await;
    }
    world.caught_up().await;
    assert_eq!(named(&world, "2", "NETWORK_CUT").await, Some(Vec::new()));
    let page = world.store.token_scan(TokenScan::new(&crate::tables::ONLOOKERS, 10)).await.unwrap();
    let watched: BTreeSet<&str> = page.rows.iter().map(|row| row.text("account_id").unwrap()).collect();
    assert_eq!(watched, BTreeSet::from(["0000000021"]), "the busy one looks at the other, not the other way");
    world.publish(vec![changed("1"), changed("3")]).await;
    world.caught_up().await;
    assert_all(&world, &["1", "2", "3", "4"]).await;
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
    assert_eq!(hours[0].count(), 2);
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
