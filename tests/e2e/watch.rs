//! Streams of a client's changes, over REST.

use crate::support::{Server, shared};
use authn::Role;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const EVENTS: &str = "text/event-stream";

/// An answer that is read as it comes.
struct Stream {
    response: Response<Incoming>,
    text: String,
}

impl Stream {
    async fn open(server: &Server, tenant: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let stream = TcpStream::connect(server.edge).await.unwrap();
        let (mut send, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().uri(path).header("host", server.edge.to_string());
        let token = server.token(Role::Analyst, tenant);
        request = request.header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = send.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        Self { response, text: String::new() }
    }

    /// The text up to this mark, which must come soon; none if the answer ends before.
    async fn until(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some(at) = self.text.find(mark) {
                let rest = self.text.split_off(at + mark.len());
                return Some(std::mem::replace(&mut self.text, rest));
            }
            let frame = tokio::time::timeout(Duration::from_secs(30), self.response.frame());
            let bytes = frame.await.expect("something within 30 s")?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next event: its fields in order, the data as JSON.
    async fn event(&mut self) -> (Vec<String>, Value) {
        let event = self.until("\n\n").await.expect("an event");
        let (data, others): (Vec<&str>, Vec<&str>) =
            event.trim_end().lines().partition(|line| line.starts_with("data: "));
        let data = serde_json::from_str(data[0].strip_prefix("data: ").unwrap()).unwrap();
        (others.into_iter().map(str::to_owned).collect(), data)
    }
}

/// Makes a client, or lets it move to a country.
async fn lives_in(server: &Server, tenant: &str, country: &str) {
    let mut admin = server.as_role(Role::Admin, tenant).await;
    let client = json!({"clientId": "7", "name": "Ada", "residenceCountry": country});
    let made = admin.call(Method::POST, "/v1/clients", &[], Some(client)).await.unwrap();
    if made.status == 409 {
        let change = Some(json!({"residenceCountry": country}));
        let changed = admin.call(Method::PATCH, "/v1/clients/7", &[], change).await.unwrap();
        assert_eq!(changed.status, 200, "{:#}", changed.body);
    }
}

#[tokio::test]
async fn server_sent_events_go_on_after_the_last_one() {
    let (server, tenant) = (shared(), "watched");
    lives_in(server, tenant, "IE").await;
    let mut events = Stream::open(server, tenant, "/v2/analytics/7:watch", &[("accept", EVENTS)]).await;
    assert_eq!(events.response.status(), 200);
    assert_eq!(events.response.headers()["content-type"], EVENTS);
    assert_eq!(events.response.headers()["cache-control"], "no-store");
    let (fields, first) = events.event().await;
    assert_eq!((fields, &first["eventId"]), (vec!["id: 1".to_owned()], &json!("1")));
    assert_eq!(first["analytics"]["clientId"], "7");

    lives_in(server, tenant, "KP").await;
    let (fields, second) = events.event().await;
    assert_eq!((fields, &second["analytics"]["risk"]["score"]), (vec!["id: 2".to_owned()], &json!(85)));
    assert_eq!(second["previousScore"], first["analytics"]["risk"]["score"]);
    drop(events);

    lives_in(server, tenant, "IE").await;
    let resume = [("accept", EVENTS), ("last-event-id", "2")];
    let mut events = Stream::open(server, tenant, "/v1/clients/7/analytics:watch", &resume).await;
    assert!(events.response.headers().contains_key("deprecation"));
    let (fields, third) = events.event().await;
    assert_eq!(fields, ["id: 3"]);
    let score = &first["analytics"]["risk"]["score"];
    assert_eq!(third["analytics"], json!({"clientId": "7", "riskScore": score}));

    let mut analyst = server.as_role(Role::Analyst, tenant).await;
    let history =
        analyst.call(Method::GET, "/v1/clients/7/analytics/history?limit=2", &[], None).await.unwrap();
    let listed = history.body["history"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0], &listed[1]["eventId"]), (2, &third, &json!("2")));
    assert_eq!((&history.body["page"]["total"], &history.body["page"]["nextOffset"]), (&json!(3), &json!(2)));

    // The stream is still open; its client goes away.
    let mut admin = server.as_role(Role::Admin, tenant).await;
    assert_eq!(admin.call(Method::DELETE, "/v1/clients/7", &[], None).await.unwrap().status, 204);
    let (fields, error) = events.event().await;
    assert_eq!(
        (fields, &error["error"]["errorCode"]),
        (vec!["event: error".to_owned()], &json!("CLIENT_NOT_FOUND"))
    );
    assert_eq!(events.until("\n\n").await, None, "and that is the end");
}

#[tokio::test]
async fn a_stream_is_lines_or_an_array_and_ends_after_its_time() {
    let (server, tenant) = (shared(), "timed");
    lives_in(server, tenant, "IE").await;
    let path = "/v2/analytics/7:watch?timeout=1";
    let mut lines = Stream::open(server, tenant, path, &[("accept", "application/x-ndjson")]).await;
    let line: Value = serde_json::from_str(&lines.until("\n").await.unwrap()).unwrap();
    assert_eq!(line["eventId"], "1");
    assert_eq!(lines.until("\n").await, None);

    let mut analyst = server.as_role(Role::Analyst, tenant).await;
    let array = analyst.call(Method::GET, path, &[], None).await.unwrap();
    assert_eq!(array.body, json!([line]));
    let long = analyst.call(Method::GET, "/v2/analytics/7:watch?timeout=901", &[], None).await.unwrap();
    assert_eq!((long.status, &long.body["details"][0]["field"]), (400, &json!("timeout")));
    let missing = analyst.call(Method::GET, "/v2/analytics/404:watch", &[], None).await.unwrap();
    assert_eq!((missing.status, &missing.body["errorCode"]), (404, &json!("CLIENT_NOT_FOUND")));
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_and_does_not_wait_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-sandbox"]);
    lives_in(&server, "stopped", "IE").await;
    let mut events = Stream::open(&server, "stopped", "/v2/analytics/7:watch", &[("accept", EVENTS)]).await;
    events.event().await;
    let began = Instant::now();
    let stopped = tokio::task::spawn_blocking(move || server.process.terminate().unwrap());
    let (fields, error) = events.event().await;
    assert_eq!(
        (fields, &error["error"]["errorCode"]),
        (vec!["event: error".to_owned()], &json!("SERVICE_UNAVAILABLE"))
    );
    assert!(stopped.await.unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
