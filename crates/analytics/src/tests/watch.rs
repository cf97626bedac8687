//! Streams of a client's changes.

use super::fake::Fake;
use super::history::lives_in;
use super::world::{TENANT, World, changed, eventually, open};
use crate::Config;
use api::analytics::v2::{WatchAnalyticsRequest, WatchAnalyticsResponse};
use bus::kinds;
use riskmesh_core::{Error, ErrorCode};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::{Status, Streaming};

type Events = Streaming<WatchAnalyticsResponse>;

/// Watches client 7.
fn ask() -> WatchAnalyticsRequest {
    WatchAnalyticsRequest { client_id: "7".into(), ..WatchAnalyticsRequest::default() }
}

fn after(id: &str) -> WatchAnalyticsRequest {
    WatchAnalyticsRequest { after: id.into(), ..ask() }
}

/// The id and the score of the next event; it must come soon.
async fn next(events: &mut Events) -> (String, i32) {
    let event = soon(events).await.unwrap().expect("an event");
    (event.event_id, event.analytics.unwrap().risk.unwrap().score)
}

async fn soon(events: &mut Events) -> Result<Option<WatchAnalyticsResponse>, Status> {
    tokio::time::timeout(Duration::from_secs(30), events.message()).await.expect("something within 30 s")
}

/// Why a stream, from which nothing more may come, ended.
async fn ended(events: &mut Events) -> ErrorCode {
    Error::from_status(&soon(events).await.expect_err("the end")).code
}

async fn world(directory: &Path, countries: &[&str]) -> World {
    let world = World::start(directory, &Arc::new(Fake::default())).await;
    lives_in(&world, countries).await;
    world
}

#[tokio::test]
async fn a_stream_tells_what_stands_and_then_each_change() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE"]).await;
    let mut events = world.watch(ask()).await.unwrap();
    let (_, low) = next(&mut events).await;
    lives_in(&world, &["IE", "KP", "IE"]).await;
    assert_eq!(next(&mut events).await, ("2".into(), 85));
    assert_eq!(next(&mut events).await, ("3".into(), low));
    let mut second = world.watch(ask()).await.unwrap();
    assert_eq!(next(&mut second).await, ("3".into(), low), "what stands, not what was");
    lives_in(&world, &["KP"]).await;
    assert_eq!(next(&mut events).await, ("4".into(), 85));
    assert_eq!(next(&mut second).await, ("4".into(), 85));
    world.stop().await;
}

#[tokio::test]
async fn a_stream_that_broke_off_goes_on_after_the_last_event() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE", "KP", "IE", "KP"]).await;
    let mut events = world.watch(after("2")).await.unwrap();
    let missed = [next(&mut events).await, next(&mut events).await].map(|(id, _)| id);
    assert_eq!(missed, ["3", "4"]);
    let mut current = world.watch(after("4")).await.unwrap();
    lives_in(&world, &["IE"]).await;
    assert_eq!(next(&mut events).await.0, "5");
    assert_eq!(next(&mut current).await.0, "5", "nothing was missed, so nothing is told before");
    let beyond = Error::from_status(&world.watch(after("6")).await.unwrap_err());
    assert_eq!((beyond.code, &*beyond.details[0].field), (ErrorCode::InvalidInput, "after"));
    world.stop().await;
}

#[tokio::test]
async fn more_changes_than_a_stream_reads_at_a_time_all_come_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE"]).await;
    let mut events = world.watch(ask()).await.unwrap();
    assert_eq!(next(&mut events).await.0, "1");
    // Nobody reads meanwhile.
    for _ in 0..20 {
        lives_in(&world, &["KP", "IE"]).await;
    }
    for number in 2..=41 {
        assert_eq!(next(&mut events).await.0, number.to_string());
    }
    world.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_client_is_deleted_even_if_it_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE"]).await;
    let mut events = world.watch(ask()).await.unwrap();
    next(&mut events).await;
    world.fake.delete_client(TENANT, "7");
    world.publish(vec![changed("7")]).await;
    assert_eq!(ended(&mut events).await, ErrorCode::ClientNotFound);
    world.caught_up().await;
    assert_eq!(code(world.watch(ask()).await), ErrorCode::ClientNotFound);

    lives_in(&world, &["KP"]).await;
    let mut events = world.watch(after("1")).await.unwrap();
    assert_eq!(next(&mut events).await, ("2".into(), 85), "of the new client everything was missed");
    // Deleted and created again before the stream looks: it is another client all the same.
    world.fake.delete_client(TENANT, "7");
    world.consume().scorer.score(&tenant(), &id()).await.unwrap();
    lives_in(&world, &["IE"]).await;
    assert_eq!(ended(&mut events).await, ErrorCode::ClientNotFound);
    world.stop().await;
}

#[tokio::test]
async fn a_stream_ends_after_its_time_and_when_the_process_stops() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE"]).await;
    let began = Instant::now();
    let mut short = world.watch(WatchAnalyticsRequest { timeout: Some(1), ..ask() }).await.unwrap();
    let mut long = world.watch(ask()).await.unwrap();
    next(&mut short).await;
    next(&mut long).await;
    assert_eq!(soon(&mut short).await.unwrap(), None, "an end, and no error");
    assert!(began.elapsed() >= Duration::from_secs(1));
    world.stopping.cancel();
    assert_eq!(ended(&mut long).await, ErrorCode::ServiceUnavailable);
    world.stop().await;
}

#[tokio::test]
async fn a_tenant_has_so_many_streams_and_one_that_ends_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { watchers: 2, ..Config::default() };
    let world = World::start_on(Arc::new(open(directory.path())), &Arc::default(), &config).await;
    lives_in(&world, &["IE"]).await;
    let first = world.watch(ask()).await.unwrap();
    let _second = world.watch(ask()).await.unwrap();
    let refused = Error::from_status(&world.watch(ask()).await.unwrap_err());
    assert_eq!((refused.code, refused.retry_after.is_some()), (ErrorCode::RateLimited, true));
    // A client that is not there takes no place for long.
    let other = WatchAnalyticsRequest { client_id: "404".into(), ..ask() };
    drop(first);
    eventually("there is room", async || world.watch(ask()).await.is_ok()).await;
    assert_eq!(code(world.watch(other).await), ErrorCode::ClientNotFound);
    world.stop().await;
}

#[tokio::test]
async fn nobody_watches_a_client_of_another_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE"]).await;
    let mut events = world.watch(ask()).await.unwrap();
    next(&mut events).await;
    let status = world.watch_of("other", ask()).await;
    assert_eq!(code(status), ErrorCode::ClientNotFound);
    // The client of the same id over there is told of to nobody here.
    world.fake.put_client("other", super::fake::client("7", "KP", super::world::NOW));
    let other = riskmesh_core::TenantId::new("other").unwrap();
    world.consume().scorer.score(&other, &id()).await.unwrap();
    lives_in(&world, &["KP"]).await;
    assert_eq!(next(&mut events).await, ("2".into(), 85));
    world.stop().await;
}

#[tokio::test]
async fn a_change_reaches_a_watcher_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let world = world(directory.path(), &["IE"]).await;
    let mut events = world.watch(ask()).await.unwrap();
    next(&mut events).await;
    // A busy machine may be late; it is not late every time.
    let mut took = Vec::new();
    for country in ["KP", "IE", "KP", "IE", "KP"] {
        let began = Instant::now();
        world.put_client("7", country).await;
        next(&mut events).await;
        took.push(began.elapsed());
    }
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
    let told = world.published(&kinds::RISK_SCORE_CHANGED).await.len();
    assert_eq!(told, 6);
    world.stop().await;
}

fn code(answer: Result<Events, Status>) -> ErrorCode {
    Error::from_status(&answer.expect_err("an error")).code
}

fn tenant() -> riskmesh_core::TenantId {
    riskmesh_core::TenantId::new(TENANT).unwrap()
}

fn id() -> riskmesh_core::ClientId {
    riskmesh_core::ClientId::new("7").unwrap()
}
