//! A call has its time for the whole of its answer: a service that begins in time and goes on for ever is left.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::Status;
use tower::ServiceExt as _;

use crate::connect::post;
use crate::connect_streams::{envelope, envelopes};
use crate::rest::{Upstream, builder, frame, request, upstream};

/// A service that begins its answer, with this many messages, and never ends it. It holds `alive` for as long as anybody waits.
fn endless(messages: usize, alive: &Arc<()>) -> Upstream {
    let alive = alive.clone();
    upstream(move |request: Request<tonic::body::Body>| {
        let alive = alive.clone();
        async move {
            assert_eq!(request.headers()["grpc-timeout"], "50m");
            let begun = tokio_stream::iter(vec![frame("Book", &json!({"id": "1"})); messages]);
            let frames = begun.chain(tokio_stream::pending()).map(move |data| {
                let _ = &alive;
                Ok::<_, Status>(Frame::data(data))
            });
            let mut response = Response::new(tonic::body::Body::new(StreamBody::new(frames)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok(response)
        }
    })
}

/// What comes of a call that has 50 ms.
async fn called(messages: usize, mut request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
    let alive = Arc::new(());
    let name = if request.uri().path().starts_with("/v1/") { "grpc-timeout" } else { "connect-timeout-ms" };
    let time = if name == "grpc-timeout" { "50m" } else { "50" };
    request.headers_mut().insert(name, HeaderValue::from_static(time));
    let transcoder = builder().build(endless(messages, &alive)).unwrap();
    let answer = async {
        let (head, body) = transcoder.oneshot(request).await.unwrap().into_parts();
        (head.status, body.collect().await.unwrap().to_bytes())
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.expect("the time is kept to");
    assert_eq!(Arc::strong_count(&alive), 1, "the call behind is over");
    answer
}

#[tokio::test]
async fn deadlines_hold_for_unary_answers() {
    for messages in [0, 1] {
        let (status, body) = called(messages, request("GET", "/v1/shelves/s/books/b", "")).await;
        let error = &serde_json::from_slice::<Value>(&body).unwrap()["error"];
        assert_eq!((status, &error["status"]), (StatusCode::GATEWAY_TIMEOUT, &json!("DEADLINE_EXCEEDED")));
        let (status, body) = called(messages, post("GetBook", "application/json", "{}")).await;
        let error = serde_json::from_slice::<Value>(&body).unwrap();
        assert_eq!((status, &error["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("deadline_exceeded")));
    }
}

#[tokio::test]
async fn deadlines_hold_for_streams() {
    let (status, body) = called(2, request("GET", "/v1/shelves/s/books:watch", "")).await;
    let answer = serde_json::from_slice::<Vec<Value>>(&body).unwrap();
    assert_eq!((status, &answer[..2]), (StatusCode::OK, &[json!({"id": "1"}), json!({"id": "1"})][..]));
    assert_eq!((answer.len(), &answer[2]["error"]["status"]), (3, &json!("DEADLINE_EXCEEDED")));
    let (status, body) =
        called(2, post("WatchBooks", "application/connect+json", envelope(0, br#"{"shelf":"s"}"#))).await;
    let (messages, end) = envelopes(&body);
    assert_eq!((status, messages.len()), (StatusCode::OK, 2));
    assert_eq!(end["error"]["code"], "deadline_exceeded");
}

#[tokio::test]
async fn what_comes_in_time_is_not_cut() {
    let transcoder = builder().build(upstream(|_| async {
        let books = ["1", "2"].map(|id| frame("Book", &json!({ "id": id })));
        let slowly = tokio_stream::iter(books).throttle(Duration::from_millis(20)).map(Frame::data);
        let end = Frame::trailers(http::HeaderMap::from_iter([(
            "grpc-status".parse().unwrap(),
            "0".parse().unwrap(),
        )]));
        let frames = slowly.chain(tokio_stream::once(end)).map(Ok::<_, Status>);
        let mut response = Response::new(tonic::body::Body::new(StreamBody::new(frames)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(response)
    }));
    for time in ["30S", "x", "123456789m"] {
        let mut request = request("GET", "/v1/shelves/s/books:watch", "");
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(time));
        let response = transcoder.as_ref().unwrap().clone().oneshot(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), r#"[{"id":"1"},{"id":"2"}]"#);
    }
}
