//! The history of a client's score.

use super::fake::{Fake, client};
use super::world::{NOW, TENANT, World, changed};
use crate::domain::assessment::Assessment;
use crate::domain::assessment::tests::score;
use crate::domain::change::Change;
use crate::repo::history::History;
use crate::tables::HISTORY_BUCKET;
use api::analytics::v2::{AnalyticsChange, ListAnalyticsHistoryRequest, ListAnalyticsHistoryResponse};
use riskmesh_core::{ClientId, Error, ErrorCode, TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Asks for a page of client 7's history.
fn ask(limit: i32) -> ListAnalyticsHistoryRequest {
    ListAnalyticsHistoryRequest { client_id: "7".into(), limit: Some(limit), ..Default::default() }
}

/// Client 7 lives in these countries, one after the other; a minute passes before each but the first.
pub(super) async fn lives_in(world: &World, countries: &[&str]) {
    for (at, country) in countries.iter().enumerate() {
        if at > 0 {
            world.clock.advance(Duration::from_mins(1));
        }
        world.put_client("7", country).await;
        world.caught_up().await;
    }
}

fn scores(page: &[AnalyticsChange]) -> Vec<i32> {
    page.iter().map(|change| change.analytics.as_ref().unwrap().risk.as_ref().unwrap().score).collect()
}

fn ids(page: &ListAnalyticsHistoryResponse) -> Vec<&str> {
    page.history.iter().map(|change| change.event_id.as_str()).collect()
}

fn total(page: &ListAnalyticsHistoryResponse) -> i64 {
    page.page.as_ref().unwrap().total
}

#[tokio::test]
async fn each_change_of_the_risk_is_listed_once_the_newest_first() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    // The second IE changes nothing, nor does the third KP.
    lives_in(&world, &["IE", "IE", "KP", "KP", "IE"]).await;
    let page = world.history(ask(10)).await.unwrap();
    let low = world.risk("7").await;
    let score = low.risk.as_ref().unwrap().score;
    assert_eq!((ids(&page), scores(&page.history)), (vec!["3", "2", "1"], vec![score, 85, score]));
    let before: Vec<_> = page.history.iter().map(|change| change.previous_score).collect();
    assert_eq!(before, [Some(85), Some(score), None]);
    let at = page.history.iter().map(|change| change.analytics.as_ref().unwrap().last_updated.unwrap());
    let at: Vec<_> = at.map(|at| (api::time::from_proto(&at).0 - NOW.0) / 60_000).collect();
    assert_eq!(at, [4, 2, 0]);
    assert_eq!(page.history[0].analytics.as_ref().unwrap(), &low);
    let high = page.history[1].analytics.as_ref().unwrap().risk.as_ref().unwrap();
    assert_eq!(high.reasons[0].code, "FLOOR_CALL_FOR_ACTION", "with the reasons of then");
    assert_eq!(total(&page), 3);
    world.stop().await;
}

#[tokio::test]
async fn a_history_is_paged_by_offset_and_by_cursor_across_partitions() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    lives_in(&world, &["IE"]).await;
    // As if the risk had changed so often: the first partition is full, the second one half.
    let total = HISTORY_BUCKET + HISTORY_BUCKET / 2;
    let scores = crate::repo::scores::Scores::new(world.store.clone());
    let history = History::new(world.store.clone());
    let (tenant, id) = (TenantId::new(TENANT).unwrap(), ClientId::new("7").unwrap());
    let before = scores.latest(&tenant, &id).await.unwrap().unwrap();
    for number in 2..=total {
        let assessment = Assessment::of(&score((number % 100) as u8));
        let at = Timestamp(NOW.0 + number);
        let change = Change { client: id.clone(), number, assessment, previous_score: None, at };
        history.keep(&tenant, &change).await.unwrap();
    }
    let after =
        crate::domain::standing::Standing { change: total, revision: before.revision + 1, ..before.clone() };
    assert!(scores.replace(&tenant, Some(&before), &after).await.unwrap());

    let newest_first: Vec<String> = (1..=total).rev().map(|number| number.to_string()).collect();
    for skip in [0, 1, HISTORY_BUCKET / 2 - 3, HISTORY_BUCKET / 2, total - 2, total, total + 5, i64::MAX] {
        let page = world.history(ListAnalyticsHistoryRequest { offset: Some(skip), ..ask(7) }).await.unwrap();
        let expected: Vec<_> = newest_first.iter().skip(skip as usize).take(7).collect();
        assert_eq!(ids(&page), expected, "after {skip}");
        let place = page.page.unwrap();
        let more = skip < total - 7;
        assert_eq!((place.total, place.next_offset), (total, more.then(|| skip + 7)), "after {skip}");
    }

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.history(ListAnalyticsHistoryRequest { cursor, ..ask(500) }).await.unwrap();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page.page.unwrap().next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(seen, newest_first);

    let first = world.history(ask(5)).await.unwrap().page.unwrap().next_cursor.unwrap();
    fake.put_client(TENANT, client("8", "IE", NOW));
    let other = ListAnalyticsHistoryRequest { client_id: "8".into(), cursor: first, ..ask(5) };
    let refused = Error::from_status(&world.history(other).await.unwrap_err());
    assert_eq!((refused.code, &*refused.details[0].field), (ErrorCode::InvalidInput, "cursor"));
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_comes_back_has_a_history_of_its_own() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    lives_in(&world, &["IE", "KP", "IE"]).await;
    let cursor = world.history(ask(2)).await.unwrap().page.unwrap().next_cursor.unwrap();

    fake.delete_client(TENANT, "7");
    world.publish(vec![changed("7")]).await;
    world.caught_up().await;
    let gone = world.history(ask(10)).await.unwrap_err();
    assert_eq!(Error::from_status(&gone).code, ErrorCode::ClientNotFound);

    lives_in(&world, &["KP", "IE"]).await;
    let page = world.history(ask(10)).await.unwrap();
    assert_eq!((ids(&page), total(&page)), (vec!["5", "4"], 2));
    assert_eq!(page.history[1].previous_score, None, "the score before was another client's");
    let stale = world.history(ListAnalyticsHistoryRequest { cursor, ..ask(10) }).await.unwrap();
    assert!(stale.history.is_empty(), "what a cursor of the former client leads to is not shown");
    world.stop().await;
}

#[tokio::test]
async fn a_change_that_is_not_told_of_yet_is_listed() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    lives_in(&world, &["IE"]).await;
    // Written, and nothing else done yet.
    let scores = crate::repo::scores::Scores::new(world.store.clone());
    let (tenant, id) = (TenantId::new(TENANT).unwrap(), ClientId::new("7").unwrap());
    let before = scores.latest(&tenant, &id).await.unwrap().unwrap();
    let after = before.next(&score(90), &risk::Model::builtin().unwrap(), NOW);
    assert!(scores.replace(&tenant, Some(&before), &after).await.unwrap());
    let page = world.history(ask(1)).await.unwrap();
    assert_eq!((ids(&page), self::scores(&page.history), total(&page)), (vec!["2"], vec![90], 2));
    world.stop().await;
}

#[tokio::test]
async fn a_score_from_before_there_was_a_history_begins_one_with_its_next_change() {
    let (directory, fake) = (tempfile::tempdir().unwrap(), Arc::new(Fake::default()));
    let world = World::start(directory.path(), &fake).await;
    lives_in(&world, &["IE"]).await;
    // As migration 2 leaves a row: without numbers.
    let unnumbered = store::upsert(()).set("change", None::<i64>).set("born", None::<i64>);
    let cas = store::Cas::new(&crate::tables::SCORES, (TENANT, "7")).if_exists(()).with(unnumbered);
    assert_eq!(world.store.cas(cas).await.unwrap(), store::Outcome::Applied);
    let page = world.history(ask(10)).await.unwrap();
    assert_eq!((page.history.len(), total(&page)), (0, 0));
    lives_in(&world, &["KP"]).await;
    let page = world.history(ask(10)).await.unwrap();
    assert_eq!((ids(&page), total(&page)), (vec!["1"], 1));
    world.stop().await;
}
