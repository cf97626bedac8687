//! `riskmesh events replay`, beside a running server and without one.

use crate::support::{Server, output, shared};
use api::operator::v1::events_service_client::EventsServiceClient;
use api::operator::v1::{PlanReplayRequest, Point};
use authn::{Grant, Issuer, Keys, Role};
use http::Method;
use riskmesh::http_client::Http;
use riskmesh_core::{SystemClock, TenantId};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Clients that are made: each is an event, and so is its first score.
const CLIENTS: usize = 20;
/// The lag is measured and shown once a second each: what is shown is younger than this.
const STALE: Duration = Duration::from_millis(2500);

async fn create_clients(server: &Server) {
    let mut admin = server.as_role(Role::Admin, "sandbox").await;
    for id in 1..=CLIENTS {
        let client = json!({"clientId": id.to_string(), "name": "Ada"});
        assert_eq!(admin.call(Method::POST, "/v1/clients", &[], Some(client)).await.unwrap().status, 201);
    }
}

/// The sum of the samples that begin so.
async fn sum(server: &Server, start: &str) -> u64 {
    let mut admin = Http::connect(server.admin, None).await.unwrap();
    let metrics = admin.call(Method::GET, "/metrics", &[], None).await.unwrap();
    let text = String::from_utf8_lossy(&metrics.bytes).into_owned();
    let samples = text.lines().filter(|line| line.starts_with(start));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// How often the consumer of events has asked other services for what is true: it does so for every event.
async fn asked(server: &Server) -> u64 {
    sum(server, "riskmesh_client_requests_total{role=\"analytics\"").await
}

/// Waits until the group has handled what is there of each client, and nothing more happens.
async fn handled(server: &Server, asked_before: u64) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < STALE {
        let (asked, lag) = (asked(server).await, sum(server, "riskmesh_bus_lag_records{").await);
        if asked != last || asked < asked_before + CLIENTS as u64 || lag > 0 {
            (last, since) = (asked, Instant::now());
        }
        assert!(Instant::now() < deadline, "asked {asked} after {asked_before}, {lag} left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs `events replay` on a topic.
fn replay(data: &Path, topic: &str, more: &[&str]) -> (bool, String, String) {
    let data = data.to_str().unwrap();
    output(&[&["events", "replay", "--data-dir", data, "--topic", topic], more].concat())
}

/// The lines `topic/partition from..to`.
fn ranges(out: &str) -> Vec<(i64, i64)> {
    let lines = out.lines().filter_map(|line| line.split_once('\t')?.1.split_once(".."));
    lines.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect()
}

/// Replays everything, and gives where each partition ended before.
fn replay_all(data: &Path) -> Vec<(i64, i64)> {
    let (ok, out, error) = replay(data, "risk.events", &["--from", "earliest"]);
    assert!(ok, "{error}");
    let ranges = ranges(&out);
    assert_eq!(ranges.len(), bus::topic::RISK_EVENTS.partitions as usize, "{out}");
    let records: i64 = ranges.iter().map(|(from, to)| to - from).sum();
    assert!(records >= CLIENTS as i64, "{out}");
    assert!(out.ends_with(&format!("{records} records published again\n")), "{out}");
    ranges
}

/// Where each partition ends now.
fn ends(data: &Path) -> Vec<i64> {
    let (ok, out, error) = replay(data, "risk.events", &["--from", "earliest", "--dry-run"]);
    assert!(ok, "{error}");
    ranges(&out).iter().map(|(_, to)| *to).collect()
}

fn rewind_all(data: &Path) -> String {
    let (ok, out, error) = replay(data, "risk.events", &["--from", "earliest", "--group", "analytics"]);
    assert!(ok, "{error}");
    assert_eq!(out.matches("analytics goes on at 0, was at").count(), 8, "{out}");
    out
}

#[tokio::test]
async fn consumers_get_events_again_beside_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let server = Server::start(data, &["--no-sandbox"]);
    create_clients(&server).await;
    handled(&server, 0).await;

    let before = asked(&server).await;
    let replayed = replay_all(data);
    handled(&server, before).await;
    let doubled = |(from, to): &(i64, i64)| to + (to - from);
    let now = ends(data);
    assert_eq!(now, replayed.iter().map(doubled).collect::<Vec<_>>());

    let before = asked(&server).await;
    rewind_all(data);
    handled(&server, before).await;
    assert_eq!(ends(data), now, "nothing was published");

    assert!(server.process.terminate().unwrap().success());
    let replayed = replay_all(data);
    assert_eq!(replayed.iter().map(|(_, to)| *to).collect::<Vec<_>>(), now);
    assert_eq!(ends(data), replayed.iter().map(doubled).collect::<Vec<_>>());
    let out = rewind_all(data);
    assert!(now.iter().all(|end| out.contains(&format!("was at {end}\n"))), "{out} {now:?}");

    // Whoever serves next has them to handle, and is ready when it has.
    let server = Server::start(data, &["--no-sandbox"]);
    handled(&server, 0).await;
    let mut admin = server.as_role(Role::Admin, "sandbox").await;
    let scores = admin.call(Method::GET, "/v1/analytics?limit=1", &[], None).await.unwrap();
    assert_eq!(scores.body["page"]["total"], CLIENTS);
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let data = &shared().data;
    for (topic, args, said) in [
        ("nothing", &["--from", "earliest"][..], "topic nothing is not declared"),
        ("transactions", &["--from", "earliest", "--partition", "8"], "has no partition 8"),
        ("transactions", &["--from", "0"], "an offset counts within one partition, and transactions has 8"),
        ("transactions", &["--from", "999999999", "--partition", "0"], "offset 999999999 is outside of 0 to"),
        ("transactions", &["--from", "2026-01-02", "--to", "2026-01-01"], "ends before it begins"),
        ("transactions", &["--from", "earliest", "--group", "nobody"], "group nobody has never consumed"),
        ("transactions", &["--from", "yesterday"], "give an offset, a time such as"),
        ("transactions", &["--from", "earliest", "--to", "2026-01-01", "--group", "analytics"], "--group"),
    ] {
        let (ok, out, error) = replay(data, topic, args);
        assert!(!ok && out.is_empty() && error.contains(said), "{args:?}: {out}{error}");
    }
    // Nothing is there, and that is no error.
    let (ok, out, error) = replay(data, "transactions.quarantine", &["--from", "0"]);
    assert!(ok, "{error}");
    assert_eq!(out, "transactions.quarantine/0\t0..0\n0 records published again\n");
    let (ok, out, error) = replay(data, "transactions", &["--from", "9999-12-31", "--dry-run"]);
    assert!(ok && ranges(&out).iter().all(|(from, to)| from == to), "{out}{error}");
}

/// Tenants' own administrators may not, and nobody may over the network.
#[tokio::test]
async fn a_replay_is_the_operator_s_and_on_the_admin_socket_alone() {
    let server = shared();
    let keys = Arc::new(Keys::load_or_create(&server.data.join("keys")).unwrap());
    let issuer = Issuer::new(keys, "riskmesh", "riskmesh-api", Arc::new(SystemClock));
    let operator = Grant {
        sub: "service:operator".into(),
        user_id: None,
        role: Role::Service,
        tenant: TenantId::new("operator").unwrap(),
        scope: Vec::new(),
        client_id: None,
        ttl: Duration::from_mins(5),
    };
    let tokens = [
        (server.token(Role::Admin, "sandbox"), Code::PermissionDenied),
        (issuer.issue(&operator).unwrap(), Code::Unimplemented),
    ];
    let channel = Channel::from_shared(format!("http://{}", server.edge)).unwrap().connect().await.unwrap();
    let mut client = EventsServiceClient::new(channel);
    for (token, code) in tokens {
        let from = Some(Point { offset: Some(0), time: None });
        let plan =
            PlanReplayRequest { topic: "transactions.quarantine".into(), partition: None, from, to: None };
        let mut request = Request::new(plan);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        assert_eq!(client.plan_replay(request).await.unwrap_err().code(), code);
    }
}
