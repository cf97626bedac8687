//! Compressed bodies and messages, both ways.

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use riskmesh_transcode::coding::{self, Coding};
use riskmesh_transcode::{BodyLimit, Compression, Limits};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::rest::{GrpcResponse, Log, answer, builder, collect, frame, ok, send_with, service};

fn create(coding: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let request = Request::post("/v1/shelves/s/books").header(header::CONTENT_TYPE, "application/json");
    request.header(header::CONTENT_ENCODING, coding).body(Full::new(body.into())).unwrap()
}

fn get(uri: &str, accept_encoding: &str) -> Request<Full<Bytes>> {
    Request::get(uri).header(header::ACCEPT_ENCODING, accept_encoding).body(Full::default()).unwrap()
}

/// A frame whose message is coded.
fn coded_frame(coding: Coding, name: &str, json: &Value) -> Bytes {
    let message = coding::encode(coding, &frame(name, json)[5..]).unwrap();
    [&[1], &(message.len() as u32).to_be_bytes()[..], &message].concat().into()
}

fn long_book() -> Value {
    json!({"id": "b", "title": "title ".repeat(1000)})
}

#[tokio::test]
async fn compressed_bodies_come_in_any_coding() {
    for coding in Coding::ALL {
        let body = coding::encode(coding, br#"{"title":"t"}"#).unwrap();
        let (response, seen) = send_with(builder(), create(coding.name(), body)).await;
        let seen = seen.unwrap_or_else(|| panic!("{coding:?} {response:?}"));
        assert_eq!(seen.messages, [json!({"shelf": "s", "book": {"title": "t"}})]);
    }
    let (_, seen) = send_with(builder(), create("identity", br#"{"title":"t"}"#.to_vec())).await;
    assert!(seen.is_some());
}

#[tokio::test]
async fn other_codings_are_refused_and_ours_named() {
    for name in ["compress", "gzip, br", "x"] {
        let (response, seen) = send_with(builder(), create(name, b"{}".to_vec())).await;
        assert_eq!((response.status().as_u16(), seen.is_none()), (415, true), "{name}");
        assert_eq!(response.headers()[header::ACCEPT_ENCODING], "zstd, br, gzip");
    }
    for coding in Coding::ALL {
        let (response, seen) = send_with(builder(), create(coding.name(), b"{}".to_vec())).await;
        assert_eq!((response.status().as_u16(), seen.is_none()), (400, true));
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(text.contains(&format!("the bytes are not {}", coding.name())), "{text}");
    }
}

#[tokio::test]
async fn decompression_bombs_are_refused() {
    for coding in Coding::ALL {
        let bomb = coding::encode(coding, &vec![b' '; 64 << 20]).unwrap();
        let (response, seen) = send_with(builder(), create(coding.name(), bomb.clone())).await;
        assert_eq!((response.status().as_u16(), seen.is_none()), (413, true), "{coding:?}");
        // The same in a stream of messages.
        let lines = Request::post("/v1/books:import").header(header::CONTENT_TYPE, "application/x-ndjson");
        let lines =
            lines.header(header::CONTENT_ENCODING, coding.name()).body(Full::new(bomb.into())).unwrap();
        let (response, seen) = send_with(builder(), lines).await;
        assert_eq!((response.status().as_u16(), seen.is_none()), (413, true), "{coding:?}");
    }
}

#[tokio::test]
async fn the_limit_of_one_request_counts_decoded_bytes() {
    let body = serde_json::to_vec(&json!({"title": "t".repeat(5000)})).unwrap();
    for (limit, status) in [(6000, 201), (4000, 413)] {
        let mut request = create("gzip", coding::encode(Coding::Gzip, &body).unwrap());
        request.extensions_mut().insert(BodyLimit(limit));
        let (response, _) = send_with(builder(), request).await;
        assert_eq!(response.status().as_u16(), status);
        // Of each message, where there are many.
        let lines = Request::post("/v1/books:import").header(header::CONTENT_TYPE, "application/x-ndjson");
        let mut request = lines.body(Full::new([&body[..], b"\n", &body].concat().into())).unwrap();
        request.extensions_mut().insert(BodyLimit(limit));
        let (response, seen) = send_with(builder(), request).await;
        assert_eq!((response.status().as_u16() == 413, seen.is_none()), (status == 413, status == 413));
    }
}

#[tokio::test]
async fn compressed_answers_go_in_the_coding_that_the_client_likes() {
    let answered = |accept: &'static str, book: Value, tag: Option<&'static str>| async move {
        let upstream = service(Log::default(), move |_| {
            let mut response = ok("Book", &book);
            if let Some(tag) = tag {
                response.headers_mut().insert(header::ETAG, http::HeaderValue::from_static(tag));
            }
            response
        });
        let request = get("/v1/shelves/s/books/b", accept);
        collect(builder().build(upstream).unwrap().oneshot(request).await.unwrap()).await
    };
    let plain = answered("identity", long_book(), None).await;
    assert_eq!(plain.headers()[header::VARY], "accept-encoding");
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    for coding in Coding::ALL {
        let response = answered(coding.name(), long_book(), None).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], coding.name());
        assert!(response.body().len() < 500);
        let decoded = coding::decode(coding, response.body().clone(), 10_000).unwrap();
        assert_eq!(&decoded, plain.body());
    }
    // Small answers, and those whose bytes have a name, go as they are.
    let small = answered("gzip", json!({"id": "b"}), None).await;
    let tagged = answered("gzip", long_book(), Some("\"1\"")).await;
    let weak = answered("gzip", long_book(), Some("W/\"1\"")).await;
    let is_coded = |response: &Response<Bytes>| response.headers().contains_key(header::CONTENT_ENCODING);
    assert_eq!([&small, &tagged, &weak].map(is_coded), [false, false, true]);
}

#[tokio::test]
async fn a_coded_stream_can_be_decoded_as_far_as_it_has_come() {
    for coding in Coding::ALL {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let receiver = std::sync::Arc::new(std::sync::Mutex::new(Some(receiver)));
        let upstream = crate::rest::upstream(move |_: Request<tonic::body::Body>| {
            let receiver = receiver.lock().unwrap().take().unwrap();
            let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
            let frames =
                tokio_stream::StreamExt::map(frames, |data| Ok::<_, Status>(http_body::Frame::data(data)));
            let mut response = Response::new(tonic::body::Body::new(http_body_util::StreamBody::new(frames)));
            let grpc = http::HeaderValue::from_static("application/grpc");
            response.headers_mut().insert(header::CONTENT_TYPE, grpc);
            async { Ok::<_, Status>(response) }
        });
        let mut request = get("/v1/shelves/s/books:watch", coding.name());
        request.headers_mut().insert(header::ACCEPT, http::HeaderValue::from_static("application/x-ndjson"));
        let mut body = builder().build(upstream).unwrap().oneshot(request).await.unwrap().into_body();
        let mut coded = Vec::new();
        for id in 1..4 {
            sender.send(frame("Book", &json!({"id": id.to_string()}))).await.unwrap();
            coded.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
            // Cut here it is not whole, but nothing of what has come is missing.
            assert!(coding::decode(coding, coded.clone().into(), 1000).is_err());
        }
        drop(sender);
        coded.extend(body.collect().await.unwrap().to_bytes());
        let text = String::from_utf8(coding::decode(coding, coded.into(), 1000).unwrap()).unwrap();
        assert!(text.starts_with("{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n{\"error\":"), "{text}");
    }
}

#[tokio::test]
async fn compressed_frames_go_both_ways() {
    for coding in Coding::ALL {
        let upstream = crate::rest::upstream(move |request: Request<tonic::body::Body>| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            assert_eq!(head.headers["grpc-encoding"], coding.name());
            assert_eq!(head.headers["grpc-accept-encoding"], "identity,zstd,br,gzip");
            // Large ones are coded, small ones are not.
            let sent = head.headers["x-request-id"].to_str().unwrap() == "large";
            assert_eq!(body[0], u8::from(sent));
            let mut response =
                answer(vec![coded_frame(coding, "Book", &json!({"id": "b"}))], Status::new(Code::Ok, ""));
            response.headers_mut().insert("grpc-encoding", coding.name().parse().unwrap());
            Ok::<_, Status>(response)
        });
        let compression = Compression { messages: Some(coding), ..Compression::default() };
        let transcoder = builder().compression(compression).build(upstream).unwrap();
        for (size, title) in [("large", "t".repeat(5000)), ("small", "t".to_owned())] {
            let mut request = create("identity", serde_json::to_vec(&json!({ "title": title })).unwrap());
            request.headers_mut().insert("x-request-id", size.parse().unwrap());
            let response = collect(transcoder.clone().oneshot(request).await.unwrap()).await;
            assert_eq!(response.body(), &r#"{"id":"b"}"#);
        }
    }
}

#[tokio::test]
async fn messages_that_do_not_decode_are_the_services_fault() {
    let with = |name: Option<&'static str>, frame: Bytes| -> GrpcResponse {
        let mut response = answer(vec![frame], Status::new(Code::Ok, ""));
        if let Some(name) = name {
            response.headers_mut().insert("grpc-encoding", name.parse().unwrap());
        }
        response
    };
    let good = coded_frame(Coding::Gzip, "Book", &long_book());
    let limits = Limits { response_bytes: 1000, ..Limits::default() };
    for (name, frame) in [
        (None, good.clone()),
        (Some("snappy"), good.clone()),
        (Some("zstd"), good.clone()),
        // More than the limit when it is decoded.
        (Some("gzip"), good.clone()),
        (Some("gzip"), Bytes::from_static(&[2, 0, 0, 0, 0])),
    ] {
        let upstream = service(Log::default(), move |_| with(name, frame.clone()));
        let transcoder = builder().limits(limits).build(upstream).unwrap();
        let response = transcoder.oneshot(get("/v1/shelves/s/books/b", "")).await.unwrap();
        assert_eq!(response.status().as_u16(), 500, "{name:?}");
    }
}
