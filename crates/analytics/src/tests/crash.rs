//! Killed at any write, and started again.

use super::fake::{Fake, account, client, entry};
use super::faults::{Death, Mortal};
use super::oracle::assert_all;
use super::world::{NOW, TENANT, World, changed, eventually, open, recorded};
use crate::Config;
use crate::repo::scores::Scores;
use api::analytics::v2::ListAnalyticsHistoryRequest;
use api::events::v1::RiskScoreChanged;
use api::transactions::v1::{Direction, Transaction, TransactionType};
use bus::kinds;
use riskmesh_core::{ClientId, TenantId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::TokenScan;
use tokio::runtime::{Builder, Runtime};

/// Two clients, one of whom will raise an alert.
fn fake() -> Arc<Fake> {
    let fake = Arc::new(Fake::default());
    fake.put_client(TENANT, client("1", "IE", NOW));
    fake.put_client(TENANT, client("2", "KP", NOW));
    fake.put_account(TENANT, account("0000000011", "1"));
    fake.put_account(TENANT, account("0000000021", "2"));
    fake
}

/// Their entries.
fn entries() -> [(&'static str, Transaction); 7] {
    let cash = |id: &str, account: &str, hours_ago: i64| Transaction {
        amount: "9500.00".into(),
        r#type: TransactionType::Cash.into(),
        ..entry(id, account, Timestamp(NOW.0 - hours_ago * 3_600_000))
    };
    // Told of by the payer alone: what the receiver's score then depends on is another client's entry.
    let paid = |id: &str, account: &str, to: &str, hours_ago: i64| Transaction {
        amount: "5000.00".into(),
        counterparty_account: to.into(),
        ..entry(id, account, Timestamp(NOW.0 - hours_ago * 3_600_000))
    };
    let back = Transaction {
        direction: Direction::Credit.into(),
        ..paid("t-7", "0000000011", "DE00123456781234567890", 3)
    };
    [
        ("1", paid("t-5", "0000000011", "0000000021", 5)),
        ("1", back),
        ("2", paid("t-6", "0000000021", "DE00123456781234567890", 4)),
        ("1", cash("t-1", "0000000011", 1)),
        ("2", cash("t-2", "0000000021", 2)),
        ("1", cash("t-3", "0000000011", 50)),
        ("1", cash("t-4", "0000000011", 2)),
    ]
}

/// One life of the process, in which it does something: ends by death, or when that is done. Says whether it died.
fn live(directory: &Path, fake: &Arc<Fake>, kill: (i64, bool), act: &impl AsyncFn(&World)) -> bool {
    let runtime = runtime();
    let death = Death::unarmed();
    runtime.block_on(async {
        let store = Arc::new(Mortal { inner: Arc::new(open(directory)), death: death.clone() });
        let world = World::start_on(store, fake, &Config::default()).await;
        world.caught_up().await;
        death.arm(kill.0, kill.1);
        tokio::select! {
            () = death.died.notified() => {}
            () = act(&world) => {}
        }
    });
    // Kills every task where it stands.
    runtime.shutdown_timeout(Duration::from_secs(10));
    death.is_dead()
}

/// Lives twice for each write that there is: once until that write, which happens or not, and once more to the end.
fn kill_at_every_write(first: &impl AsyncFn(&World), second: &impl AsyncFn(&World)) {
    let empty = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let world = World::start(empty.path(), &Arc::default()).await;
        world.caught_up().await;
        world.stop().await;
    });
    for last_happens in [false, true] {
        let mut writes = 0;
        loop {
            let (directory, fake) = (tempfile::tempdir().unwrap(), fake());
            copy(empty.path(), directory.path());
            let died = live(directory.path(), &fake, (writes, last_happens), first);
            runtime().block_on(async {
                let world = World::start(directory.path(), &fake).await;
                second(&world).await;
                assert_no_pointer_is_left(&world).await;
                world.stop().await;
            });
            if !died {
                break;
            }
            writes += 1;
        }
        assert!(writes > 5, "there are more writes than {writes}");
    }
}

async fn assert_no_pointer_is_left(world: &World) {
    eventually("no pointer is left", async || {
        world.store.token_scan(TokenScan::new(&bus::outbox::OUTBOX, 10)).await.unwrap().rows.is_empty()
    })
    .await;
}

/// The history has each change that was told of, once, and no other.
async fn assert_history(world: &World, client: &str, told: impl Iterator<Item = &RiskScoreChanged>) {
    let told: BTreeMap<i64, (i32, Option<i32>)> =
        told.map(|change| (change.version, (change.score, change.previous_score))).collect();
    let ask = ListAnalyticsHistoryRequest { client_id: client.into(), ..Default::default() };
    let kept = world.history(ask).await.unwrap().history.into_iter().rev();
    let kept: Vec<_> =
        kept.map(|change| (change.analytics.unwrap().risk.unwrap().score, change.previous_score)).collect();
    assert_eq!(kept, told.into_values().collect::<Vec<_>>(), "client {client}");
}

/// The ids of the alerts that were published: a repeat has the same.
async fn alerts(world: &World) -> BTreeSet<String> {
    let alerts = world.published(&kinds::HIGH_RISK_ALERT).await;
    alerts.into_iter().map(|event| event.id.into_owned()).collect()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Copies a directory: opening a copy is faster than making a new store.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn killed_at_any_write_and_started_again_everything_is_as_if_nothing_had_happened() {
    // The publisher repeats what it does not know to be published, as its own outbox would.
    let publish = async |world: &World| {
        let mut records = vec![changed("1"), changed("2")];
        for (client, entry) in entries() {
            world.fake.record(TENANT, entry.clone());
            records.push(recorded(client, &entry));
        }
        world.publish(records).await;
        world.caught_up().await;
    };
    kill_at_every_write(&publish, &async |world: &World| {
        publish(world).await;
        assert_all(world, &["1", "2"]).await;
        let reasons = world.risk("1").await.risk.unwrap().reasons;
        assert!(reasons.iter().any(|reason| reason.code == "ROUND_TRIPPING"));
        assert_eq!(alerts(world).await.len(), 1);
        let changes = world.published(&kinds::RISK_SCORE_CHANGED).await;
        for risk in world.risks().await {
            let mine = changes.iter().filter(|event| event.data.client_id == risk.client_id);
            let last = mine.clone().max_by_key(|event| event.data.version).unwrap();
            assert_eq!(last.data.score, risk.risk.unwrap().score);
            assert_history(world, &risk.client_id, mine.map(|event| &event.data)).await;
        }
    });
}

#[test]
fn a_score_that_no_event_will_come_for_is_listed_and_told_of_all_the_same() {
    // Scored because somebody asked; then the process dies, and nothing happens to the client ever after.
    let ask = async |world: &World| drop(world.v2("2").await);
    kill_at_every_write(&ask, &async |world: &World| {
        assert_no_pointer_is_left(world).await;
        let scores = Scores::new(world.store.clone());
        let row = scores.latest(&TenantId::new(TENANT).unwrap(), &ClientId::new("2").unwrap()).await.unwrap();
        let there = usize::from(row.is_some());
        assert_eq!((world.risks().await.len(), alerts(world).await.len()), (there, there));
        assert!(row.is_none_or(|row| row.pending.is_none()));
    });
}
