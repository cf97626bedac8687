//! Reference data that change while the service runs.

use super::fake::{Fake, account, client, entry};
use super::world::{NOW, TENANT, World, changed, eventually, open};
use crate::Config;
use crate::consume::Consume;
use api::analytics::v2::WatchAnalyticsRequest;
use api::transactions::v1::{Transaction, TransactionType};
use refdata::{Live, Reloaded};
use riskmesh_core::clock::DAY_MS;
use riskmesh_core::{ClientId, TenantId, Timestamp};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A service that follows the reference data of a directory.
struct Following {
    world: World,
    live: Arc<Live>,
    files: TempDir,
    _store: TempDir,
}

impl Following {
    /// With clients in Ireland ("1") and France ("2").
    async fn start(write: impl FnOnce(&Path), config: impl FnOnce(&Path) -> Config) -> Self {
        let (store, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(files.path());
        let live = Arc::new(Live::open(Some(files.path())).unwrap());
        let fake = Arc::new(Fake::default());
        fake.put_client(TENANT, client("1", "IE", NOW));
        fake.put_client(TENANT, client("2", "FR", NOW));
        fake.put_account(TENANT, account("0000000021", "2"));
        let (opened, config) = (Arc::new(open(store.path())), config(store.path()));
        let world = World::start_with(opened, &fake, &config, live.clone()).await;
        world.publish(vec![changed("1"), changed("2")]).await;
        world.caught_up().await;
        Self { world, live, files, _store: store }
    }

    /// Puts a file in force.
    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.files.path().join(name), text).unwrap();
        assert_eq!(self.live.reload().unwrap(), Reloaded::Changed);
    }

    async fn score(&self, client: &str) -> i32 {
        self.world.risk(client).await.risk.unwrap().score
    }

    async fn version(&self, client: &str) -> String {
        self.world.risk(client).await.refdata_version
    }
}

/// One country under a call for action.
fn list(version: &str, published: &str, country: &str) -> String {
    format!(
        "version = \"{version}\"\npublished = \"{published}\"\nsource = \"test\"\nincreased-monitoring = []\n\
         [[call-for-action]]\ncountry = \"{country}\"\nname = \"{country}\"\nmeasure = \"countermeasures\"\n"
    )
}

/// One rate of the dollar.
fn rates(version: &str, usd: &str) -> String {
    format!(
        "version = \"{version}\"\nbase = \"EUR\"\nnote = \"n\"\n[[day]]\ndate = \"2025-01-01\"\n\
         rates = {{ USD = \"{usd}\" }}\n"
    )
}

#[tokio::test]
async fn a_new_risk_list_computes_every_score_anew_and_tells_of_those_that_changed() {
    let following = Following::start(|_| {}, |_| Config::default()).await;
    let (ireland, france) = (following.world.risk("1").await, following.score("2").await);
    assert_eq!(ireland.refdata_version, "fatf-2026-02-13+fx-sample-1");
    let ask = WatchAnalyticsRequest { client_id: "2".into(), ..WatchAnalyticsRequest::default() };
    let mut events = following.world.watch(ask).await.unwrap();
    events.message().await.unwrap();

    following.put("country-risk-own.toml", &list("own", "2026-01-15", "FR"));
    eventually("France is listed", async || following.score("2").await == 85).await;
    let event = events.message().await.unwrap().unwrap();
    assert_eq!((event.event_id.as_str(), event.previous_score), ("2", Some(france)));
    eventually("the other score is of the new list", async || {
        following.version("1").await.starts_with("own@")
    })
    .await;
    assert_eq!(following.world.risk("1").await.risk, ireland.risk, "Ireland is as listed as it was");

    // Another content under the same version counts, too.
    following.put("country-risk-own.toml", &list("own", "2026-01-15", "IE"));
    eventually("Ireland is listed", async || following.score("1").await == 85).await;
    eventually("France is not any more", async || following.score("2").await == france).await;
    following.world.caught_up().await;
    following.world.stop().await;
}

#[tokio::test]
async fn a_list_comes_into_force_on_its_day_without_anybody_doing_anything() {
    let write = |files: &Path| {
        std::fs::write(files.join("country-risk-old.toml"), list("old", "2026-01-01", "KP")).unwrap();
        std::fs::write(files.join("country-risk-new.toml"), list("new", "2026-02-02", "FR")).unwrap();
    };
    let following = Following::start(write, |_| Config::default()).await;
    assert!(following.score("2").await < 85, "it is the day before");
    following.world.clock.advance(Duration::from_hours(24));
    eventually("the day has come", async || following.score("2").await == 85).await;
    following.world.stop().await;
}

#[tokio::test]
async fn new_rates_compute_scores_anew() {
    let write = |files: &Path| std::fs::write(files.join("fx-own.toml"), rates("dear", "1.1")).unwrap();
    let following = Following::start(write, |_| Config::default()).await;
    // Cash in dollars beside a transfer in euros: the share of cash moves with the rate.
    let entry = |id: &str, currency: &str, kind: TransactionType| Transaction {
        amount: "10000.00".into(),
        currency: currency.into(),
        r#type: kind.into(),
        ..entry(id, "0000000021", Timestamp(NOW.0 - DAY_MS))
    };
    let entries =
        [entry("t-1", "USD", TransactionType::Cash), entry("t-2", "EUR", TransactionType::Transfer)];
    following.world.record("2", &entries).await;
    following.world.caught_up().await;
    let before = following.world.risk("2").await;

    following.put("fx-own.toml", &rates("cheap", "9000"));
    eventually("the score is of the new rates", async || following.version("2").await.contains("+cheap@"))
        .await;
    let after = following.world.risk("2").await;
    assert_eq!(after.state_hash, before.state_hash, "nothing else has changed");
    assert_ne!(after.risk, before.risk, "there is hardly any cash now");
    following.world.stop().await;
}

#[tokio::test]
async fn what_the_settings_name_does_not_follow_the_directory() {
    let pinned = |dir: &Path| {
        let file = dir.join("pinned.toml");
        std::fs::write(&file, list("pinned", "2026-01-01", "KP")).unwrap();
        Config { country_risk: Some(file), ..Config::default() }
    };
    let following = Following::start(|_| {}, pinned).await;
    following.put("country-risk-own.toml", &list("own", "2026-01-15", "FR"));
    following.put("fx-own.toml", &rates("own", "2"));
    eventually("the rates follow", async || following.version("2").await.contains("+own@")).await;
    assert!(following.version("2").await.starts_with("pinned+"));
    assert!(following.score("2").await < 85);
    following.world.stop().await;
}

#[tokio::test]
async fn a_client_whose_first_score_is_made_while_the_lists_change_ends_with_the_new_ones() {
    let following = Following::start(|_| {}, |_| Config::default()).await;
    let (world, fake) = (&following.world, &following.world.fake);
    let (tenant, client): (TenantId, ClientId) = (TENANT.parse().unwrap(), "3".parse().unwrap());
    fake.put_client(TENANT, super::fake::client("3", "FR", NOW));
    fake.put_account(TENANT, account("0000000031", "3"));
    fake.record(TENANT, entry("t-1", "0000000031", NOW));
    let Consume { refresh, scorer, .. } = world.consume();
    let hours = BTreeSet::from([NOW.hour()]);
    refresh.account(&tenant, &"0000000031".parse().unwrap(), &hours).await.unwrap();

    // Held back with the old lists in hand until the sweep with the new ones is over, which finds no row to bring up to them.
    let gate = fake.hold_next_scan();
    let slow = {
        let scorer = scorer.clone();
        tokio::spawn(async move { scorer.score(&tenant, &client).await })
    };
    gate.reached.notified().await;
    following.put("country-risk-own.toml", &list("own", "2026-01-15", "FR"));
    eventually("the sweep is over", async || {
        following.score("2").await == 85 && world.handle.caught_up().await.unwrap()
    })
    .await;
    gate.open.notify_one();
    let standing = slow.await.unwrap().unwrap().unwrap();
    assert_eq!(standing.assessment.score, 85);
    assert_eq!(following.score("3").await, 85);
    assert!(following.version("3").await.starts_with("own@"));
    following.world.stop().await;
}
