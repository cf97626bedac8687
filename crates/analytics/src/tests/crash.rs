//! Killed at any write, and started again.

use super::fake::{Fake, account, client, entry};
use super::faults::{Death, Mortal};
use super::oracle::assert_all;
use super::world::{NOW, TENANT, World, changed, eventually, open, recorded};
use crate::Config;
use api::transactions::v1::{Transaction, TransactionType};
use bus::kinds;
use riskmesh_core::Timestamp;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::TokenScan;

/// Two clients, one of whom will raise an alert, and their entries.
fn fake() -> (Arc<Fake>, Vec<(&'static str, Transaction)>) {
    let fake = Arc::new(Fake::default());
    fake.put_client(TENANT, client("1", "IE", NOW));
    fake.put_client(TENANT, client("2", "KP", NOW));
    fake.put_account(TENANT, account("0000000011", "1"));
    fake.put_account(TENANT, account("0000000021", "2"));
    let cash = |id: &str, account: &str, at: i64| Transaction {
        amount: "9500.00".into(),
        r#type: TransactionType::Cash.into(),
        ..entry(id, account, Timestamp(NOW.0 - at * 3_600_000))
    };
    let entries = vec![
        ("1", cash("t-1", "0000000011", 1)),
        ("2", cash("t-2", "0000000021", 2)),
        ("1", cash("t-3", "0000000011", 50)),
        ("1", cash("t-4", "0000000011", 2)),
    ];
    (fake, entries)
}

/// One life of the process: ends by death, or when everything is applied. Says whether it died.
fn live(
    directory: &Path,
    fake: &Arc<Fake>,
    entries: &[(&'static str, Transaction)],
    writes: i64,
    last_happens: bool,
) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let death = Death::unarmed();
    runtime.block_on(async {
        let store = Arc::new(Mortal { inner: Arc::new(open(directory)), death: death.clone() });
        let world = World::start_on(store, fake, &Config::default()).await;
        world.caught_up().await;
        let mut records = vec![changed("1"), changed("2")];
        for (client, entry) in entries {
            fake.record(TENANT, entry.clone());
            records.push(recorded(client, entry));
        }
        death.arm(writes, last_happens);
        tokio::select! {
            () = death.died.notified() => {}
            () = async { world.publish(records).await; world.caught_up().await; } => {}
        }
    });
    // Kills every task where it stands.
    runtime.shutdown_timeout(Duration::from_secs(10));
    death.is_dead()
}

#[test]
fn killed_at_any_write_and_started_again_everything_is_as_if_nothing_had_happened() {
    for last_happens in [false, true] {
        let mut writes = 0;
        loop {
            let (fake, entries) = fake();
            let directory = tempfile::tempdir().unwrap();
            let died = live(directory.path(), &fake, &entries, writes, last_happens);
            again(directory.path(), &fake, &entries, writes);
            if !died {
                break;
            }
            writes += 1;
        }
        assert!(writes > 20, "there are more writes than {writes}");
    }
}

/// The next life: the publisher repeats what it does not know to be published, as its own outbox would.
fn again(directory: &Path, fake: &Arc<Fake>, entries: &[(&'static str, Transaction)], writes: i64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start(directory, fake).await;
        let mut records = vec![changed("1"), changed("2")];
        records.extend(entries.iter().map(|(client, entry)| recorded(client, entry)));
        world.publish(records).await;
        world.caught_up().await;
        assert_all(&world, &["1", "2"]).await;

        // Every change was told of, under one id however often.
        let alerts: BTreeSet<_> =
            world.published(&kinds::HIGH_RISK_ALERT).await.into_iter().map(|event| event.id).collect();
        assert_eq!(alerts.len(), 1, "killed at write {writes}");
        for client in ["1", "2"] {
            let risk = world.risk(client).await;
            let changes = world.published(&kinds::RISK_SCORE_CHANGED).await;
            let last = changes
                .iter()
                .filter(|event| event.data.client_id == client)
                .max_by_key(|event| event.data.version);
            assert_eq!(last.unwrap().data.score, risk.risk.unwrap().score, "killed at write {writes}");
        }
        eventually("no pointer is left", async || {
            let page = world.store.token_scan(TokenScan::new(&bus::outbox::OUTBOX, 10)).await.unwrap();
            page.rows.is_empty()
        })
        .await;
        world.stop().await;
    });
}
