//! The listener: real sockets, callers that misbehave, and the end of the server.

use crate::services::SLOW;
use crate::world::{Listening, World, eventually};
use authn::Role;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

/// Sends bytes, and reads what comes until the server closes.
async fn raw(listening: &Listening, text: &str) -> String {
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end as well.
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8(answer).unwrap()
}

async fn http1(world: &World, listening: &Listening, path: &str) -> hyper::Result<Response<Incoming>> {
    let stream = TcpStream::connect(listening.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request(world, listening, path)).await
}

async fn http2(world: &World, listening: &Listening, path: &str) -> hyper::Result<Response<Incoming>> {
    let stream = TcpStream::connect(listening.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    sender.send_request(request(world, listening, path)).await
}

fn request(world: &World, listening: &Listening, path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://{}{path}", listening.address))
        .header("host", listening.address.to_string())
        .header("authorization", format!("Bearer {}", world.token(Role::Admin, "console")))
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn http1_and_http2_are_served_on_one_port() {
    let world = World::new();
    let listening = world.listen().await;
    let first = http1(&world, &listening, "/v1/clients/424242").await.unwrap();
    let second = http2(&world, &listening, "/api/v1/clients/424242").await.unwrap();
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    let (first, second) =
        (first.collect().await.unwrap().to_bytes(), second.collect().await.unwrap().to_bytes());
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_refusal_reaches_a_caller_who_is_still_sending() {
    let world = World::new();
    let listening = world.listen().await;
    let length = 8 << 20;
    let head = format!(
        "POST /v1/clients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n",
        world.token(Role::Admin, "console")
    );
    for _ in 0..10 {
        let answer = raw(&listening, &format!("{head}{}", " ".repeat(length))).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("PAYLOAD_TOO_LARGE"), "{answer}");
    }
}

#[tokio::test]
async fn who_sends_his_body_after_he_is_refused_still_reads_why() {
    let world = World::new();
    let listening = world.listen().await;
    for _ in 0..10 {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        let head = "POST /v1/clients HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The answer is on its way, or here: what clients do that send all before they read.
        stream.readable().await.unwrap();
        stream.write_all(&vec![b' '; 2_000_000]).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.expect("the server closes").unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("AUTH_TOKEN_MISSING"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_small_body_that_nobody_wants_does_not_end_the_connection() {
    let world = World::new();
    let listening = world.listen().await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    for body in
        ["content-length: 5\r\n\r\n12345", "transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"]
    {
        let (head, body) = body.split_at(body.find("\r\n\r\n").unwrap() + 4);
        let head = format!("POST /v1/clients HTTP/1.1\r\nhost: x\r\n{head}");
        stream.write_all(head.as_bytes()).await.unwrap();
        // In a packet of its own.
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(body.as_bytes()).await.unwrap();
    }
    stream.write_all(b"GET /docs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    timeout(SOON, stream.read_to_string(&mut answers)).await.expect("the server closes").unwrap();
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["401", "401", "200"], "{answers}");
}

#[tokio::test]
async fn who_waits_to_be_told_to_send_is_answered_and_not_told() {
    let world = World::new();
    let listening = world.listen().await;
    let head = "POST /v1/clients HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let answer = raw(&listening, head).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_coded_on_its_way_is_refused() {
    let world = World::new();
    let listening = world.listen().await;
    for coding in
        ["gzip, chunked", "identity, chunked", "chunked, chunked", "gzip\r\ntransfer-encoding: chunked"]
    {
        let request =
            format!("POST /v1/clients HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {coding}\r\n\r\n0\r\n\r\n");
        let answer = raw(&listening, &request.replace("host: x", "host: x\r\nconnection: close")).await;
        assert!(
            answer.starts_with("HTTP/1.1 501 ") && answer.contains("NOT_IMPLEMENTED"),
            "{coding}: {answer}"
        );
    }
    let chunked = "POST /v1/clients HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n";
    assert!(raw(&listening, chunked).await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn a_length_that_no_body_has_is_too_large_up_to_where_hyper_counts() {
    let world = World::new();
    let listening = world.listen().await;
    let token = world.token(Role::Admin, "console");
    for (length, status) in [(u64::MAX - 2, "413"), (u64::MAX - 1, "431"), (u64::MAX, "431")] {
        let head = format!(
            "POST /v1/clients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
        );
        let answer = raw(&listening, &head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
        assert_eq!(answer.contains("PAYLOAD_TOO_LARGE"), status == "413", "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_it_has_begun_and_takes_no_more() {
    let world = World::new();
    let listening = world.listen().await;
    let path = format!("/v1/clients/{SLOW}");
    let (one, two) = (http1(&world, &listening, &path), http2(&world, &listening, &path));
    let stop = async {
        eventually(|| (world.fakes.waiting.load(Ordering::SeqCst) == 2).then_some(())).await;
        listening.shutdown.cancel();
        eventually(|| std::net::TcpStream::connect(listening.address).is_err().then_some(())).await;
        assert!(!listening.task.is_finished());
        world.fakes.release.notify_waiters();
    };
    let (one, two, ()) = tokio::join!(one, two, stop);
    for answer in [one.unwrap(), two.unwrap()] {
        assert_eq!(answer.status(), 200);
        assert!(!answer.collect().await.unwrap().to_bytes().is_empty());
    }
    timeout(SOON, listening.task).await.expect("the server ends").unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_cut_when_the_time_to_drain_is_over() {
    let world = World::with(|config| config.drain_timeout = Duration::from_millis(20));
    let listening = world.listen().await;
    let path = format!("/v1/clients/{SLOW}");
    let stop = async {
        eventually(|| (world.fakes.waiting.load(Ordering::SeqCst) == 1).then_some(())).await;
        listening.shutdown.cancel();
    };
    let (answer, ()) = tokio::join!(http1(&world, &listening, &path), stop);
    assert!(answer.is_err());
    timeout(SOON, listening.task).await.expect("the server ends").unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let world = World::with(|config| config.header_timeout = Duration::from_millis(50));
    let listening = world.listen().await;
    for begun in ["", "PRI * HT", "GET /v1/clients HTTP/1.1\r\nx-slow: "] {
        let answer = raw(&listening, begun).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{begun:?}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_that_has_nothing_more_to_ask_is_closed() {
    let world = World::with(|config| config.header_timeout = Duration::from_millis(50));
    let listening = world.listen().await;
    let answer = raw(&listening, "GET /docs HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_up_the_end() {
    let world = World::with(|config| {
        config.header_timeout = Duration::from_hours(1);
        config.drain_timeout = Duration::from_hours(1);
    });
    let listening = world.listen().await;
    let silent = TcpStream::connect(listening.address).await.unwrap();
    let mut begun = TcpStream::connect(listening.address).await.unwrap();
    begun.write_all(b"PRI * HT").await.unwrap();
    // Accepted in order: once this is answered, the two before it are connections.
    assert_eq!(http1(&world, &listening, "/v1/clients").await.unwrap().status(), 200);
    listening.shutdown.cancel();
    timeout(SOON, listening.task).await.expect("the server ends").unwrap().unwrap();
    drop((silent, begun));
}

#[tokio::test]
async fn a_slow_body_on_a_socket_is_a_request_timeout() {
    let world = World::with(|config| config.body_timeout = Duration::from_millis(30));
    let listening = world.listen().await;
    let token = world.token(Role::Admin, "console");
    let answer = raw(
        &listening,
        &format!(
            "POST /v1/clients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{\"clientId\""
        ),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("REQUEST_TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn a_flood_of_headers_is_refused_in_our_shape_below_hypers_limit_and_closed_above() {
    let world = World::new();
    let listening = world.listen().await;
    let flood = |count: usize| {
        let lines = vec!["x-flood: 1\r\n"; count].concat();
        format!("GET /v1/clients HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n")
    };
    let answer = raw(&listening, &flood(150)).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("HEADERS_TOO_LARGE"), "{answer}");
    let answer = raw(&listening, &flood(5000)).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_long_target_is_refused_in_our_shape_up_to_what_a_uri_can_have() {
    let world = World::new();
    let listening = world.listen().await;
    for length in [17_000, 33_000, 65_000, 65_534] {
        let path = "/v1/clients?cursor=";
        let target = format!("{path}{}", "x".repeat(length - path.len()));
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&listening, &request).await;
        assert!(answer.starts_with("HTTP/1.1 414 ") && answer.contains("URI_TOO_LONG"), "{length}: {answer}");
    }
    let path = format!("/v1/clients?cursor={}", "x".repeat(60_000));
    let answer = http2(&world, &listening, &path).await.unwrap();
    assert_eq!(answer.status(), 414);
    assert!(!answer.collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn http_1_1_asks_one_host_and_says_which() {
    let world = World::new();
    let listening = world.listen().await;
    let ask = async |version: &str, hosts: &str| {
        raw(&listening, &format!("GET /docs HTTP/{version}\r\n{hosts}connection: close\r\n\r\n")).await
    };
    for hosts in ["", "host: a\r\nhost: a\r\n", "host: a\r\nhost: b\r\n", "host: a/b\r\n", "host: me@a\r\n"] {
        let answer = ask("1.1", hosts).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("INVALID_INPUT"),
            "{hosts:?}: {answer}"
        );
        assert!(answer.contains("\"field\":\"Host\""), "{answer}");
    }
    for hosts in ["host: a\r\n", "host: [::1]:8080\r\n", "host:\r\n"] {
        let answer = ask("1.1", hosts).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{hosts:?}: {answer}");
    }
    assert!(ask("1.0", "").await.starts_with("HTTP/1.0 200 "), "HTTP/1.0 knows no hosts");
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let world = World::new();
    let listening = world.listen().await;
    let answer = raw(&listening, "\u{16}\u{3}\u{1}hello\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(http1(&world, &listening, "/v1/clients").await.unwrap().status(), 200);
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let world = World::with(|config| config.max_connections = 1);
    let listening = world.listen().await;
    let first = TcpStream::connect(listening.address).await.unwrap();
    let second = http1(&world, &listening, "/v1/clients");
    tokio::pin!(second);
    assert!(timeout(Duration::from_millis(50), &mut second).await.is_err());
    drop(first);
    assert_eq!(timeout(SOON, second).await.expect("its turn comes").unwrap().status(), 200);
}

#[tokio::test]
async fn a_caller_who_does_not_take_his_answers_loses_his_place() {
    let world = World::with(|config| {
        config.max_connections = 1;
        config.write_timeout = Duration::from_millis(50);
    });
    let listening = world.listen().await;
    let mut greedy = TcpStream::connect(listening.address).await.unwrap();
    let asks = tokio::spawn(async move {
        // Far more than all buffers between us hold; the server may close while we still ask.
        for _ in 0..1000 {
            if greedy.write_all(b"GET /openapi/v1.json HTTP/1.1\r\nhost: x\r\n\r\n").await.is_err() {
                break;
            }
        }
        greedy
    });
    let next =
        timeout(SOON, http1(&world, &listening, "/v1/clients")).await.expect("the place is free again");
    assert_eq!(next.unwrap().status(), 200);
    drop(asks.await.unwrap());
}

#[tokio::test]
async fn a_public_address_is_refused_without_tls() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error =
        world.edge.clone().serve(listener, tokio_util::sync::CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("plaintext-behind-proxy"), "{error}");
}

#[tokio::test]
async fn a_caller_who_goes_away_is_logged_as_one() {
    let world = World::new();
    let listening = world.listen().await;
    let path = format!("/v1/clients/{SLOW}");
    let mut asked = Box::pin(http1(&world, &listening, &path));
    let arrived = eventually(|| (world.fakes.waiting.load(Ordering::SeqCst) == 1).then_some(()));
    tokio::select! {
        _ = &mut asked => panic!("there is no answer"),
        () = arrived => {}
    }
    drop(asked);
    assert!(world.logged("Status=499").await.contains("Path=/v1/clients/{clientId}"));
}
