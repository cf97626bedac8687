//! Bounds on what a caller sends, how often, and how long it may take.

use crate::services::SLOW;
use crate::world::{World, empty, full};
use authn::Role;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use std::convert::Infallible;
use std::time::Duration;
use transcode::Coding;

async fn statuses(world: &World, client: &str, count: usize) -> Vec<u16> {
    let token = world.token(Role::Admin, client);
    let mut statuses = Vec::new();
    for _ in 0..count {
        let request = Request::get("/v1/clients/424242").header("authorization", format!("Bearer {token}"));
        statuses.push(world.send(request.body(empty()).unwrap()).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn a_hundred_a_minute_and_no_more_wherever_the_minute_begins() {
    let world = World::with(|config| config.rate_limit_per_minute = 100);
    world.clock.advance(Duration::from_secs(50));
    assert_eq!(statuses(&world, "a", 100).await, [200; 100]);
    assert_eq!(statuses(&world, "a", 5).await, [429; 5]);
    assert_eq!(statuses(&world, "b", 1).await, [200], "another client has its own quota");
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!(statuses(&world, "a", 1).await, [429]);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(statuses(&world, "a", 101).await[..], [[200; 100].as_slice(), &[429]].concat());
}

#[tokio::test]
async fn quota_is_told_on_every_answer_and_how_long_to_wait_on_a_refusal() {
    let world = World::with(|config| config.rate_limit_per_minute = 2);
    let first = world.get("/v1/clients").await;
    assert_eq!(first.header("ratelimit-policy"), "\"default\";q=2;w=60");
    assert_eq!(first.header("ratelimit"), "\"default\";r=1;t=60");
    world.clock.advance(Duration::from_millis(10_500));
    assert_eq!(
        world.get("/v1/clients?limit=0").await.header("ratelimit"),
        "\"default\";r=0;t=50",
        "errors too"
    );
    let refused = world.get("/v1/clients").await;
    let error = refused.fails(429, "RATE_LIMITED");
    assert_eq!(error["hint"], "Wait as long as Retry-After says.");
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("50", "\"default\";r=0;t=50"));
    world.clock.advance(Duration::from_secs(50));
    assert_eq!(world.get("/v1/clients").await.status, 200);
}

#[tokio::test]
async fn requests_without_a_valid_token_use_up_nobodys_quota() {
    let world = World::with(|config| config.rate_limit_per_minute = 1);
    for _ in 0..5 {
        let forged = Request::get("/v1/clients").header("authorization", "Bearer x").body(empty()).unwrap();
        let answer = world.send(forged).await;
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit")), (401, ""));
    }
    assert_eq!(world.get("/v1/clients").await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_the_limit_and_a_batch_may_be_longer() {
    let world = World::with(|config| {
        config.body_bytes = 2048;
        config.batch_body_bytes = 8192;
    });
    let padded = |length: usize| format!("{{\"clientId\":\"1\",\"name\":\"Ada\"{}}}", " ".repeat(length));
    assert_eq!(world.json(Method::POST, "/v1/clients", &padded(1900)).await.status, 201);
    let error = world.json(Method::POST, "/v1/clients", &padded(2100)).await.fails(413, "PAYLOAD_TOO_LARGE");
    assert!(error["message"].as_str().unwrap().contains("2048"), "{error}");
    let batch = |length: usize| format!("{{\"transactions\":[]{}}}", " ".repeat(length));
    let path = "/v1/transactions:batchCreate";
    world.json(Method::POST, path, &batch(8000)).await.fails(400, "INVALID_INPUT");
    world.json(Method::POST, path, &batch(9000)).await.fails(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_counted_as_it_comes() {
    let world = World::with(|config| config.body_bytes = 2048);
    let chunk = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b' '; 1000])));
    let endless = StreamBody::new(futures::stream::repeat_with(chunk));
    let request = world.request(Method::POST, "/v1/clients").header("content-type", "application/json");
    world.send(request.body(endless).unwrap()).await.fails(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_body_that_stalls_is_a_request_timeout() {
    let world = World::with(|config| config.body_timeout = Duration::from_millis(20));
    let begun =
        futures::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{\"clientId\":")))]);
    let stalled = StreamBody::new(begun.chain(futures::stream::pending()));
    let request = world.request(Method::POST, "/v1/clients").header("content-type", "application/json");
    world.send(request.body(stalled).unwrap()).await.fails(408, "REQUEST_TIMEOUT");
}

#[tokio::test]
async fn a_body_is_not_read_before_its_sender_is_known() {
    let world = World::new();
    let never = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request =
        Request::post("/v1/clients").header("content-type", "application/json").body(never).unwrap();
    world.send(request).await.fails(401, "AUTH_TOKEN_MISSING");
}

#[tokio::test]
async fn large_heads_are_refused() {
    let world = World::new();
    let large = world.request(Method::GET, "/v1/clients").header("x-padding", "x".repeat(40_000));
    world.send(large.body(empty()).unwrap()).await.fails(431, "HEADERS_TOO_LARGE");
    let mut many = world.request(Method::GET, "/v1/clients");
    for index in 0..200 {
        many = many.header(format!("x-{index}"), "1");
    }
    world.send(many.body(empty()).unwrap()).await.fails(431, "HEADERS_TOO_LARGE");
}

#[tokio::test]
async fn a_target_over_the_limit_is_refused_as_one_and_its_length_takes_nothing_from_headers() {
    let world = World::with(|config| config.uri_bytes = 16 << 10);
    let target = |length: usize| {
        let path = "/v1/clients?cursor=";
        format!("{path}{}", "x".repeat(length - path.len()))
    };
    let error = world.get(&target((16 << 10) + 1)).await.fails(414, "URI_TOO_LONG");
    assert_eq!(error["hint"], "Send a shorter path and query.");
    let padded = world.request(Method::GET, &target(16 << 10)).header("x-padding", "x".repeat(31_000));
    world.send(padded.body(empty()).unwrap()).await.fails(400, "INVALID_INPUT");
}

#[tokio::test]
async fn a_body_in_a_content_coding_is_decoded_and_one_in_another_is_refused_with_ours() {
    let world = World::new();
    let send = async |method: Method, path: &str, coding: &str, body: Bytes| {
        let request = world.request(method, path).header("content-encoding", coding);
        let request = request.header("content-type", "application/json");
        world.send(request.body(Full::new(body)).unwrap()).await
    };
    let client = r#"{"clientId":"1","name":"Ada"}"#;
    for coding in Coding::ALL {
        let coded = transcode::coding::encode(coding, client.as_bytes()).unwrap();
        let answer = send(Method::POST, "/v1/clients", coding.name(), coded.into()).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (201, "/v1/clients/1"), "{coding:?}");
    }
    for coding in ["compress", "deflate", "gzip, br"] {
        let answer = send(Method::POST, "/v1/clients", coding, client.into()).await;
        let error = answer.fails(415, "UNSUPPORTED_MEDIA_TYPE");
        assert_eq!(error["message"], "The body's content coding is not understood");
        assert_eq!(answer.header("accept-encoding"), "zstd, br, gzip", "{coding}");
    }
    let answer = send(Method::POST, "/v1/clients", "gzip", client.into()).await;
    let error = answer.fails(400, "INVALID_INPUT");
    assert_eq!(error["message"], "The body does not decode: the bytes are not gzip");
    for coding in ["identity", "Identity", ""] {
        assert_eq!(send(Method::POST, "/v1/clients", coding, client.into()).await.status, 201, "{coding}");
    }
    let answer = send(Method::GET, "/v1/clients/424242", "gzip", Bytes::new()).await;
    assert_eq!(answer.status, 200, "there is no body");
    let answer = world.json(Method::POST, "/v1/clients", "").await;
    assert_eq!(answer.header("accept-encoding"), "");
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_at_the_methods_limit() {
    let world = World::with(|config| config.body_bytes = 64 << 10);
    for coding in Coding::ALL {
        let bomb = transcode::coding::encode(coding, &vec![b' '; 32 << 20]).unwrap();
        let request = world.request(Method::POST, "/v1/clients").header("content-encoding", coding.name());
        let request =
            request.header("content-type", "application/json").body(Full::new(bomb.into())).unwrap();
        let error = world.send(request).await.fails(413, "PAYLOAD_TOO_LARGE");
        assert_eq!(error["message"], "The request body is larger than 65536 bytes");
    }
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_take_it() {
    let world = World::new();
    let get = async |coding: &str, method: Method| {
        let request = world.request(method, "/v1/clients?limit=100").header("accept-encoding", coding);
        world.send(request.body(empty()).unwrap()).await
    };
    let plain = get("identity", Method::GET).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    for coding in Coding::ALL {
        let answer = get(coding.name(), Method::GET).await;
        assert_eq!(answer.header("content-encoding"), coding.name());
        assert_eq!(answer.header("etag"), plain.header("etag"), "the tag names the text");
        assert!(answer.body.len() < plain.body.len() / 5);
        let text = transcode::coding::decode(coding, answer.body.clone(), 1 << 20).unwrap();
        assert_eq!(text, plain.body);
        let head = get(coding.name(), Method::HEAD).await;
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
    }
    let short = world.request(Method::GET, "/v1/clients").header("accept-encoding", "gzip");
    assert_eq!(world.send(short.body(empty()).unwrap()).await.header("content-encoding"), "");
}

#[tokio::test]
async fn a_method_that_takes_too_long_is_cut() {
    let world = World::with(|config| config.request_timeout = Duration::from_millis(20));
    world.get(&format!("/v1/clients/{SLOW}")).await.fails(504, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn a_caller_may_ask_for_less_time() {
    let world = World::new();
    for (name, value) in [
        ("x-request-timeout", "20ms"),
        ("x-request-timeout", "0.02"),
        ("grpc-timeout", "20m"),
        ("grpc-timeout", "0m"),
    ] {
        let request = world.request(Method::GET, &format!("/v1/clients/{SLOW}")).header(name, value);
        world.send(request.body(empty()).unwrap()).await.fails(504, "DEADLINE_EXCEEDED");
    }
    for value in ["soon", "0"] {
        let request = world.request(Method::GET, "/v1/clients").header("x-request-timeout", value);
        let error = world.send(request.body(full("")).unwrap()).await.fails(400, "INVALID_INPUT");
        assert_eq!(error["details"][0]["field"], "x-request-timeout", "{value}");
    }
}
