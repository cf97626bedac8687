//! What callers get.

use super::fake::{Fake, client};
use super::oracle::{assert_is, assess};
use super::world::{NOW, TENANT, World, changed, eventually, open};
use crate::Config;
use api::analytics::{v1, v2};
use risk::Model;
use riskmesh_core::{ClientId, Error, ErrorCode, TenantId};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use store::faulty::{Faults, Faulty};
use testkit::service::code;

/// A world with clients "1" to "n".
async fn with_clients(directory: &std::path::Path, n: usize) -> World {
    let fake = Arc::new(Fake::default());
    for id in 1..=n {
        fake.put_client(TENANT, client(&id.to_string(), if id % 2 == 0 { "IE" } else { "KP" }, NOW));
    }
    let world = World::start(directory, &fake).await;
    world.publish((1..=n).map(|id| changed(&id.to_string())).collect()).await;
    world.caught_up().await;
    world
}

#[tokio::test]
async fn both_versions_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 5).await;
    for id in 1..=5 {
        let id = id.to_string();
        let (one, two) = (world.v1(&id).await.unwrap(), world.v2(&id).await.unwrap());
        assert_eq!(one.metadata().get("etag"), two.metadata().get("etag"));
        assert_eq!(one.metadata().get("etag").unwrap(), "\"v1\"");
        let (one, two) = (one.into_inner().analytics.unwrap(), two.into_inner().analytics.unwrap());
        assert_eq!((one.client_id, one.risk_score), (two.client_id, two.risk.unwrap().score));
    }
    let one = world.list_v1(v1::ListAnalyticsRequest::default()).await.unwrap();
    let two = world.list(TENANT, v2::ListAnalyticsRequest::default()).await.unwrap();
    let ones: Vec<_> = one.analytics.into_iter().map(|one| (one.client_id, one.risk_score)).collect();
    let twos: Vec<_> =
        two.analytics.into_iter().map(|two| (two.client_id, two.risk.unwrap().score)).collect();
    assert_eq!((ones, one.page), (twos, two.page));
    world.stop().await;
}

#[tokio::test]
async fn a_risk_shows_its_category_and_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 2).await;
    let risk = world.risk("1").await;
    assert_eq!(risk.model_version, "scorecard-2");
    assert!(risk.refdata_version.contains("fatf-2026-02-13"), "{}", risk.refdata_version);
    assert_eq!(api::time::from_proto(&risk.last_updated.unwrap()), NOW);
    let risk = risk.risk.unwrap();
    assert_eq!((risk.score, risk.category()), (85, v2::RiskCategory::High));
    assert!(risk.confidence > 0.0 && risk.confidence <= 1.0);
    let floor = &risk.reasons[0];
    assert_eq!(
        (floor.code.as_str(), floor.pillar.as_str(), floor.floor),
        ("FLOOR_CALL_FOR_ACTION", "geography", true)
    );
    assert!(risk.reasons.iter().any(|reason| reason.code == "DATA_MISSING_SCREENING"));
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_has_no_score_yet_gets_one_when_it_is_asked_for() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    fake.put_client(TENANT, client("7", "IE", NOW));
    assert_is(&world.risk("7").await, &assess(&fake, "7"));
    assert_eq!(world.risks().await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_exist_is_not_found_in_any_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 1).await;
    let status = world.v2("404").await.unwrap_err();
    assert_eq!(code(&status), ErrorCode::ClientNotFound);
    assert!(Error::from_status(&status).details.iter().any(|detail| detail.issue.contains("404")));
    assert_eq!(code(&world.v1("404").await.unwrap_err()), ErrorCode::ClientNotFound);
    assert_eq!(code(&world.v2_of("other", "1").await.unwrap_err()), ErrorCode::ClientNotFound);
    let others = world.list("other", v2::ListAnalyticsRequest::default()).await.unwrap();
    assert_eq!((others.analytics.len(), others.page.unwrap().total), (0, 0));
    world.stop().await;
}

#[tokio::test]
async fn pages_by_offset_and_by_cursor_show_every_client_once() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 25).await;
    let page = async |offset, cursor: &str| {
        let request = v2::ListAnalyticsRequest { limit: Some(10), offset, cursor: cursor.into() };
        let answer = world.list(TENANT, request).await.unwrap();
        let ids: Vec<String> = answer.analytics.into_iter().map(|risk| risk.client_id).collect();
        (ids, answer.page.unwrap())
    };
    let (first, page_1) = page(None, "").await;
    assert_eq!((first.len(), page_1.limit, page_1.total, page_1.next_offset), (10, 10, 25, Some(10)));
    let (by_offset, page_2) = page(Some(10), "").await;
    assert_eq!(page_2.next_offset, Some(20));
    let (by_cursor, page_2) = page(None, page_1.next_cursor.as_deref().unwrap()).await;
    assert_eq!(by_cursor, by_offset);
    assert_eq!(page_2.next_offset, None);
    let (last, page_3) = page(None, page_2.next_cursor.as_deref().unwrap()).await;
    assert_eq!((last.len(), page_3.next_cursor, page_3.next_offset), (5, None, None));
    let mut all: Vec<u32> = [first, by_cursor, last].concat().iter().map(|id| id.parse().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=25).collect::<Vec<_>>());
    assert!(page(Some(25), "").await.0.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 3).await;
    let list = async |limit, offset, cursor: &str| {
        let request = v2::ListAnalyticsRequest { limit, offset, cursor: cursor.into() };
        world.list(TENANT, request).await
    };
    let cursor = list(Some(1), None, "").await.unwrap().page.unwrap().next_cursor.unwrap();
    for (limit, offset, cursor) in [
        (Some(0), None, ""),
        (Some(1001), None, ""),
        (None, Some(-1), ""),
        (None, None, "forged"),
        (None, Some(1), &*cursor),
    ] {
        let status = list(limit, offset, cursor).await.unwrap_err();
        assert_eq!(code(&status), ErrorCode::InvalidInput, "{limit:?} {offset:?} {cursor}");
    }
    let other = v2::ListAnalyticsRequest { cursor, ..v2::ListAnalyticsRequest::default() };
    let status = world.list("other", other).await.unwrap_err();
    assert_eq!(code(&status), ErrorCode::InvalidInput, "a cursor is good in its tenant only");
    assert_eq!(code(&world.v2("12a").await.unwrap_err()), ErrorCode::InvalidInput);
    world.stop().await;
}

#[tokio::test]
async fn scores_are_answered_while_the_role_clients_is_down() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 2).await;
    world.fake.down.store(true, SeqCst);
    assert_eq!(world.risk("1").await.risk.unwrap().score, 85);
    let status = world.v2("3").await.unwrap_err();
    assert_eq!(code(&status), ErrorCode::ServiceUnavailable, "whether there is a client 3 nobody knows now");
    world.stop().await;
}

#[tokio::test]
async fn another_model_scores_everybody_anew() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 4).await;
    let fake = world.fake.clone();
    world.stop().await;

    let file = directory.path().join("model.toml");
    let other = Model::BUILTIN.replace("version = \"scorecard-2\"", "version = \"draft-2\"");
    std::fs::write(&file, other.replace("call-for-action = 85", "call-for-action = 91")).unwrap();
    let config = Config { model: Some(file), ..Config::default() };
    let reopened = async || World::start_on(Arc::new(open(directory.path())), &fake, &config).await;
    let world = reopened().await;
    eventually("all scores are of the other model", async || {
        world.risks().await.iter().all(|risk| risk.model_version == "draft-2")
    })
    .await;
    world.caught_up().await;
    assert_eq!(world.risk("1").await.risk.unwrap().score, 91);
    assert_eq!(world.v2("1").await.unwrap().metadata().get("etag").unwrap(), "\"v2\"");
    world.stop().await;
}

#[tokio::test]
async fn a_simulation_scores_by_another_model_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let world = with_clients(directory.path(), 2).await;
    let before = world.risk("2").await;
    let ask = |version: &str, model: &str| v1::SimulateAnalyticsRequest {
        client_id: "2".into(),
        model_version: version.into(),
        model: model.into(),
    };
    let same = world.simulate(ask("", "")).await.unwrap();
    assert_eq!(same.current, same.simulated);
    let current = same.current.unwrap();
    assert_eq!(current.risk_score, before.risk.as_ref().unwrap().score);
    assert_eq!(current.state_hash, before.state_hash);
    let pillars: i32 = current.pillars.iter().map(|pillar| pillar.contribution).sum();
    assert_eq!((current.pillars.len(), pillars), (6, current.additive_score));

    let earlier = world.simulate(ask("scorecard-1", "")).await.unwrap().simulated.unwrap();
    assert_eq!(earlier.model_version, "scorecard-1");
    // What nobody knows counts 50; in this draft, everything.
    let draft = Model::BUILTIN
        .replace("scorecard-2", "draft-3")
        .replace("[unknown]\npoints = 50", "[unknown]\npoints = 100");
    let stricter = world.simulate(ask("", &draft)).await.unwrap().simulated.unwrap();
    assert_eq!(stricter.model_version, "draft-3");
    assert!(stricter.risk_score > current.risk_score, "{} {}", stricter.risk_score, current.risk_score);
    assert_eq!(world.risk("2").await, before, "nothing was kept");

    let refused = async |version: &str, model: &str| {
        let error = Error::from_status(&world.simulate(ask(version, model)).await.unwrap_err());
        (error.code, error.details[0].field.to_string())
    };
    assert_eq!(refused("none", "").await, (ErrorCode::InvalidInput, "modelVersion".into()));
    assert_eq!(refused("", "version = 1").await, (ErrorCode::InvalidInput, "model".into()));
    assert_eq!(refused("", &"#".repeat(65_537)).await, (ErrorCode::InvalidInput, "model".into()));
    assert_eq!(refused("scorecard-1", &draft).await, (ErrorCode::InvalidInput, "model".into()));
    let missing =
        v1::SimulateAnalyticsRequest { client_id: "9".into(), ..v1::SimulateAnalyticsRequest::default() };
    assert_eq!(code(&world.simulate(missing).await.unwrap_err()), ErrorCode::ClientNotFound);
    world.stop().await;
}

#[tokio::test]
async fn when_a_replica_dies_with_its_write_the_score_from_before_is_not_shown() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let faulty = Arc::new(Faulty::new(Arc::new(open(directory.path())), Faults::default(), 1));
    let world = World::start_on(faulty.clone(), &fake, &Config::default()).await;
    world.put_client("7", "IE").await;
    world.caught_up().await;
    let low = world.risk("7").await.risk.unwrap().score;
    assert!(low < 85);
    // It is scored again by whom the answer never reaches; the cache goes on.
    fake.put_client(TENANT, client("7", "KP", NOW));
    faulty.silence(Some(crate::tables::SCORES.name));
    let (tenant, id) = (TenantId::new(TENANT).unwrap(), ClientId::new("7").unwrap());
    let scoring = world.consume().scorer.score(&tenant, &id);
    assert!(tokio::time::timeout(Duration::from_millis(500), scoring).await.is_err());
    faulty.silence(None);
    assert_eq!(world.risk("7").await.risk.unwrap().score, 85);
    world.stop().await;
}
