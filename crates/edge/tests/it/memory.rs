//! What all requests together may take, and callers who send and take nothing.

use crate::services::SLOW;
use crate::world::{Listening, World, empty, enveloped, eventually};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpStream;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// The memory that is taken, as metrics tell it.
fn taken(world: &World) -> usize {
    let text = world.metrics.encode();
    let line = text.lines().find_map(|line| line.strip_prefix("riskmesh_edge_in_flight_bytes{} "));
    line.map_or(0, |bytes| bytes.parse().unwrap())
}

/// A connection whose streams have room for so many bytes of an answer.
async fn connect(listening: &Listening, window: u32) -> SendRequest<Body> {
    let stream = TcpStream::connect(listening.address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// A body of which this much comes, and no more.
fn stalled(bytes: usize) -> Body {
    let begun = futures::stream::iter([Ok(Frame::data(Bytes::from(vec![b' '; bytes])))]);
    StreamBody::new(begun.chain(futures::stream::pending())).boxed_unsync()
}

fn post<B>(world: &World, body: B) -> Request<B> {
    world.request(Method::POST, "/v1/clients").header("content-type", "application/json").body(body).unwrap()
}

#[tokio::test]
async fn bodies_that_stall_take_no_more_memory_than_there_is_and_give_it_back() {
    let world = World::with(|config| {
        (config.body_bytes, config.batch_body_bytes) = (128 << 10, 128 << 10);
        config.in_flight_bytes = 1 << 20;
    });
    let listening = world.listen().await;
    let mut sender = connect(&listening, 1 << 20).await;
    // Each takes its own share besides: seven fit, and not an eighth.
    let asked: Vec<_> = (0..7)
        .map(|_| tokio::spawn(sender.send_request(listening.at(post(&world, stalled(100 << 10))))))
        .collect();
    eventually(|| (taken(&world) == 7 * (140 << 10)).then_some(())).await;
    let refused = listening.ask(post(&world, stalled(100 << 10))).await;
    let error = refused.fails(503, "SERVICE_UNAVAILABLE");
    assert_eq!(refused.header("retry-after"), "1", "{error}");
    let grpc = world.request(Method::POST, "/riskmesh.clients.v1.ClientsService/GetClient");
    let large = enveloped(&[(0, &vec![0; 100 << 10])]);
    let grpc = grpc.header("content-type", "application/grpc").body(Full::new(large)).unwrap();
    assert_eq!(listening.ask(grpc).await.grpc().code(), tonic::Code::Unavailable);
    // One that takes little is served while there is little left.
    let small = world.request(Method::GET, "/v1/clients/424242").body(empty()).unwrap();
    assert_eq!(listening.ask(small).await.status, 200);
    assert!(world.metrics.encode().contains("riskmesh_edge_over_budget_total{} 2\n"));
    for asked in asked {
        asked.abort();
    }
    drop(sender);
    eventually(|| (taken(&world) == 0).then_some(())).await;
}

#[tokio::test]
async fn when_there_is_no_memory_at_all_everybody_is_told_to_come_again() {
    let world = World::with(|config| {
        (config.body_bytes, config.batch_body_bytes) = (64 << 10, 64 << 10);
        config.in_flight_bytes = 1 << 20;
    });
    let listening = world.listen().await;
    let mut sender = connect(&listening, 1 << 20).await;
    let ingest = "/riskmesh.transactions.v1.TransactionsService/IngestTransactions";
    let asked: Vec<_> = (0..64)
        .map(|_| {
            let request = world.request(Method::POST, ingest).header("content-type", "application/grpc");
            tokio::spawn(sender.send_request(listening.at(request.body(stalled(0)).unwrap())))
        })
        .collect();
    eventually(|| (taken(&world) == 25 * (40 << 10)).then_some(())).await;
    let known = world.request(Method::GET, "/v1/clients/424242").body(empty()).unwrap();
    let known = listening.ask(known).await;
    known.fails(503, "SERVICE_UNAVAILABLE");
    let stranger = listening.ask(Request::get("/v1/clients").body(empty()).unwrap()).await;
    assert_eq!(
        (stranger.status.as_u16(), stranger.body.len()),
        (503, 0),
        "not even told that he needs a token"
    );
    for answer in [known, stranger] {
        assert_eq!(answer.header("retry-after"), "1");
    }
    drop((asked, sender));
}

#[tokio::test]
async fn who_does_not_say_who_he_is_cannot_use_up_the_memory_of_those_who_do() {
    let world = World::with(|config| {
        (config.body_bytes, config.batch_body_bytes) = (64 << 10, 64 << 10);
        config.in_flight_bytes = 1 << 20;
    });
    let listening = world.listen().await;
    // No window: not even a page is taken.
    let mut sender = connect(&listening, 0).await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        let page = Request::get("/openapi/v2.json").body(empty().boxed_unsync()).unwrap();
        answers.push(sender.send_request(listening.at(page)).await.unwrap());
    }
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses, [[200; 12].as_slice(), &[503; 8]].concat());
    let known = world.request(Method::GET, "/v1/clients/424242").body(empty()).unwrap();
    assert_eq!(listening.ask(known).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_counts_until_its_stream_is_reset() {
    let world = World::with(|config| config.write_timeout = Duration::from_millis(300));
    let listening = world.listen().await;
    let mut sender = connect(&listening, 1000).await;
    let mut get = async |path: &str| {
        let request = world.request(Method::GET, path).body(empty().boxed_unsync()).unwrap();
        sender.send_request(listening.at(request)).await.unwrap()
    };
    let large = get("/v1/clients?limit=1000").await;
    let length: usize = large.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert!(taken(&world) + (64 << 10) > length, "{} of {length}", taken(&world));
    assert!(world.logged("Status=499").await.contains("Path=/v1/clients"));
    assert!(large.collect().await.is_err(), "the stream was reset");
    assert_eq!(taken(&world), 0);
    // The others of the connection live.
    let small = get("/v1/clients/424242").await;
    assert_eq!(small.status(), 200);
    assert!(!small.collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_connection_that_nothing_goes_over_is_closed_and_one_with_a_request_is_not() {
    let world = World::with(|config| config.http2.idle_timeout = Duration::from_millis(100));
    let listening = world.listen().await;
    let get =
        |path: &str| listening.at(world.request(Method::GET, path).body(empty().boxed_unsync()).unwrap());
    let (mut idle, mut busy) = (connect(&listening, 1 << 20).await, connect(&listening, 1 << 20).await);
    assert_eq!(idle.send_request(get("/v1/clients/424242")).await.unwrap().status(), 200);
    let answer = tokio::spawn(busy.send_request(get(&format!("/v1/clients/{SLOW}"))));
    eventually(|| idle.is_closed().then_some(())).await;
    assert!(!answer.is_finished() && !busy.is_closed());
    world.fakes.release.notify_waiters();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    eventually(|| busy.is_closed().then_some(())).await;
}
