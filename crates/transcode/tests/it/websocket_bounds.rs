//! WebSocket: what clients that do not play along may cost, and what a call has in common with others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::SinkExt as _;
use http::{HeaderValue, Response};
use riskmesh_transcode::{Builder, IdempotencyKey, MethodPolicy, WebSocket};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;
use tonic::{Code, Status};

use crate::rest::{Log, answer, builder as rest_builder, frame, service};
use crate::websocket::{
    Shown, builder, closed, handshake, json_of, next, open, send, start_with, try_open, until,
};

/// Soon after so much silence a client is left.
fn impatient() -> Builder {
    builder().websocket(WebSocket { keep_alive: Some(Duration::from_millis(300)), ..WebSocket::default() })
}

#[tokio::test]
async fn websocket_keeps_no_pongs_for_a_client_that_only_pings() {
    const MOST: usize = 256 << 20;
    let shown = Arc::new(Shown::default());
    let client = open(start_with(builder(), &shown).await, "/v1/books:chat").await;
    // The largest pings, masked with zeros, many at once.
    let ping = [&[0x89, 0x80 | 0x7d, 0, 0, 0, 0][..], &[b'p'; 125]].concat();
    let pings = ping.repeat(1000);
    let mut stream: TcpStream = client.into_inner();
    let mut taken = 0;
    while taken < MOST {
        // Sockets have room for some; then it stands still.
        let Ok(sent) = tokio::time::timeout(Duration::from_secs(3), stream.write_all(&pings)).await else {
            return;
        };
        sent.unwrap();
        taken += pings.len();
    }
    panic!("{taken} bytes of pings were taken from a client that reads no pong");
}

#[tokio::test]
async fn websocket_leaves_a_client_that_takes_nothing_of_a_stream() {
    let shown = Arc::new(Shown::default());
    let address = start_with(impatient(), &shown).await;
    let deaf = open(address, "/v1/shelves/s/books:watch?limit=1000000").await;
    until("the call ends", || shown.ended.load(Ordering::SeqCst) > 0).await;
    // It finds so when it reads at last.
    let mut deaf: TcpStream = deaf.into_inner();
    let end = tokio::time::timeout(Duration::from_secs(20), async {
        while deaf.read(&mut [0; 1 << 10]).await.is_ok_and(|count| count > 0) {}
    });
    end.await.expect("the connection ends");
}

#[tokio::test]
async fn websocket_finds_a_client_gone_while_the_service_takes_nothing() {
    let patient = || builder().websocket(WebSocket { keep_alive: None, ..WebSocket::default() });
    // What is read ahead of the service; and more than that, where only the connection tells.
    for (transcoder, size, pings) in [(patient(), 10, 0), (impatient(), 10_000, 3)] {
        let shown = Arc::new(Shown { permits: Some(Semaphore::new(0)), ..Shown::default() });
        let mut client = open(start_with(transcoder, &shown).await, "/v1/books:chat").await;
        for _ in 0..10 {
            send(&mut client, &json!({"title": "x".repeat(size)}).to_string()).await;
        }
        // It is still there, whether anybody listens to it or not.
        for _ in 0..pings {
            assert!(next(&mut client).await.is_ping());
        }
        assert_eq!(shown.ended.load(Ordering::SeqCst), 0);
        drop(client);
        until("the call ends", || shown.ended.load(Ordering::SeqCst) > 0).await;
        assert_eq!(shown.taken.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn websocket_answers_a_ping_and_a_close_while_the_service_takes_nothing() {
    let shown = Arc::new(Shown { permits: Some(Semaphore::new(0)), ..Shown::default() });
    let patient = builder().websocket(WebSocket { keep_alive: None, ..WebSocket::default() });
    let mut client = open(start_with(patient, &shown).await, "/v1/books:chat").await;
    for n in 0..10u8 {
        send(&mut client, r#"{"title":"nobody takes it"}"#).await;
        client.send(Message::Ping(vec![n].into())).await.unwrap();
        assert_eq!(next(&mut client).await, Message::Pong(vec![n].into()));
    }
    assert_eq!(shown.ended.load(Ordering::SeqCst), 0);
    client.close(None).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Close(None));
    until("the call ends", || shown.ended.load(Ordering::SeqCst) > 0).await;
    assert_eq!(shown.taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn websocket_takes_each_byte_of_a_slow_message_as_a_sign_of_life() {
    let shown = Arc::new(Shown::default());
    let client = open(start_with(impatient(), &shown).await, "/v1/books:chat").await;
    let mut stream: TcpStream = client.into_inner();
    // Masked with zeros.
    let message = br#"{"id":"slow"}"#;
    let header = [0x81, 0x80 | message.len() as u8, 0, 0, 0, 0];
    let (start, drops) = message.split_at(message.len() - 6);
    stream.write_all(&[&header[..], start].concat()).await.unwrap();
    for drop in drops {
        // In the middle of a frame there is no place for a pong: the next byte is the answer.
        let mut ping = [0; 2];
        let asked = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut ping));
        asked.await.expect("a ping in time").unwrap();
        assert_eq!(ping, [0x89, 0]);
        stream.write_all(&[*drop]).await.unwrap();
    }
    let mut echo = [0; 15];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo[2..], message);
    // Who stops in the middle is left.
    stream.write_all(&header).await.unwrap();
    until("the call ends", || shown.ended.load(Ordering::SeqCst) > 0).await;
}

/// A transcoder before a service that answers every call alike, and what that service saw.
async fn start_before(
    builder: Builder,
    reply: impl Fn(&str) -> Response<tonic::body::Body> + Clone + Send + Sync + 'static,
) -> (SocketAddr, Log) {
    let log = Log::default();
    let transcoder = builder.build(service(log.clone(), reply)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Between the route and the call there is a layer that knows the method.
    let app = move |request: axum::extract::Request| {
        let transcoder = transcoder.clone();
        async move {
            let found = transcoder.route_head(request.method(), request.uri(), request.headers()).unwrap();
            if !request.headers().contains_key("authorization") {
                assert_eq!(found.rpc().name(), "Chat");
                return axum::response::IntoResponse::into_response(http::StatusCode::UNAUTHORIZED);
            }
            transcoder.call_matched(found, request).await.map(axum::body::Body::new)
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(app)).await });
    (address, log)
}

#[tokio::test]
async fn websocket_gives_the_service_the_metadata_and_the_layers_their_say() {
    let reply = |_: &str| answer(vec![frame("Book", &json!({"id": "b"}))], Status::new(Code::Ok, ""));
    let (address, log) = start_before(rest_builder(), reply).await;
    let mut request = handshake(address, "/v1/books:chat");
    let refused = try_open(address, request.clone()).await.unwrap_err();
    assert_eq!(refused.status(), 401);
    for (name, value) in [("authorization", "Bearer t"), ("grpc-timeout", "5S"), ("x-secret", "s")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let mut client = try_open(address, request).await.unwrap();
    send(&mut client, r#"{"title":"one"}"#).await;
    send(&mut client, "").await;
    assert_eq!(json_of(&mut client).await, json!({"id": "b"}));
    assert_eq!(closed(&mut client).await, (1000, String::new()));
    let seen = log.lock().unwrap().pop().unwrap();
    assert_eq!(seen.path, "/test.Library/Chat");
    assert_eq!(seen.messages, [json!({"title": "one"})]);
    assert_eq!(seen.headers["authorization"], "Bearer t");
    assert_eq!(seen.headers["grpc-timeout"], "5S");
    assert!(seen.headers.keys().all(|name| name != "x-secret" && !name.as_str().starts_with("sec-")));
}

#[tokio::test]
async fn websocket_tells_over_the_socket_what_the_service_refuses_at_once() {
    let reply = |_: &str| {
        let mut refusal = Status::new(Code::ResourceExhausted, "not today").into_http::<tonic::body::Body>();
        refusal.headers_mut().insert("x-why", HeaderValue::from_static("tired"));
        refusal
    };
    let (address, _) = start_before(rest_builder(), reply).await;
    let mut request = handshake(address, "/v1/books:chat");
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer t"));
    let mut client = try_open(address, request).await.unwrap();
    client.send(Message::text("")).await.unwrap();
    assert_eq!(json_of(&mut client).await["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(closed(&mut client).await, (4008, "not today".to_owned()));
}

#[tokio::test]
async fn websocket_asks_for_the_key_of_a_method_that_is_called_by_post() {
    let asking = || {
        let key = IdempotencyKey { required: true, ..IdempotencyKey::default() };
        let policy = move |_: &_| MethodPolicy { idempotency_key: Some(key), ..MethodPolicy::default() };
        rest_builder().forward_headers(|name| name == "idempotency-key").policy(policy)
    };
    let reply = |_: &str| answer(vec![frame("Book", &json!({"id": "b"}))], Status::new(Code::Ok, ""));
    let (address, log) = start_before(asking(), reply).await;
    let with_key = |path: &str, key: Option<&'static str>| {
        let mut request = handshake(address, path);
        request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer t"));
        if let Some(key) = key {
            request.headers_mut().insert("idempotency-key", HeaderValue::from_static(key));
        }
        try_open(address, request)
    };
    for (key, problem) in [(None, "is missing"), (Some("a b"), "is malformed"), (Some("\""), "is malformed")]
    {
        let refused = with_key("/v1/books:chat", key).await.unwrap_err();
        assert_eq!(refused.status(), 400, "{key:?}");
        assert!(refused.body().contains(&format!("the header Idempotency-Key {problem}")), "{refused:?}");
    }
    assert!(log.lock().unwrap().is_empty());
    // Of what is called by GET no key is asked, and none goes on.
    for (path, key, got) in [
        ("/v1/books:chat", Some("\"k\""), Some("k")),
        ("/v1/shelves/s/books:watch", None, None),
        ("/v1/shelves/s/books:watch", Some("\"k\""), None),
        ("/v1/shelves/s/books:watch", Some("a b"), None),
    ] {
        let mut client = with_key(path, key).await.unwrap();
        if path.ends_with("chat") {
            send(&mut client, "").await;
        }
        assert_eq!(json_of(&mut client).await, json!({"id": "b"}));
        let seen = log.lock().unwrap().pop().unwrap();
        assert_eq!(
            seen.headers.get("idempotency-key").map(|key| key.to_str().unwrap()),
            got,
            "{path} {key:?}"
        );
    }
}
