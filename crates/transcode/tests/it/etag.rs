//! The feature table's row "ETag and 304".

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use riskmesh_transcode::{Builder, MethodPolicy, weak_tag};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::rest::{GrpcResponse, Log, answer, builder, collect, ok, request, service};

const PATH: &str = "/v1/shelves/s/books/b";

async fn send(
    builder: Builder,
    reply: impl Fn(&str) -> GrpcResponse + Clone + Send + Sync + 'static,
    request: Request<Full<Bytes>>,
) -> Response<Bytes> {
    let transcoder = builder.build(service(Log::default(), reply)).unwrap();
    collect(transcoder.oneshot(request).await.unwrap()).await
}

fn asking(method: &str, uri: &str, known: &str) -> Request<Full<Bytes>> {
    let mut request = request(method, uri, "");
    request.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_str(known).unwrap());
    request
}

fn book(_: &str) -> GrpcResponse {
    ok("Book", &json!({"id": "b"}))
}

fn with(mut response: GrpcResponse, name: &'static str, value: &'static str) -> GrpcResponse {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

fn tag(headers: &HeaderMap) -> &str {
    headers.get(header::ETAG).map_or("", |tag| tag.to_str().unwrap())
}

#[tokio::test]
async fn etag_of_an_answer_whose_service_gives_none_is_a_weak_one_of_its_body() {
    let first = send(builder(), book, request("GET", PATH, "")).await;
    assert_eq!(first.headers()[header::ETAG], weak_tag(br#"{"id":"b"}"#));
    assert!(tag(first.headers()).starts_with("W/\""));
    let head = send(builder(), book, request("HEAD", PATH, "")).await;
    assert_eq!(tag(head.headers()), tag(first.headers()));
    let other = send(builder(), |_| ok("Book", &json!({"id": "c"})), request("GET", PATH, "")).await;
    assert_ne!(tag(other.headers()), tag(first.headers()));
    for (method, uri) in [("POST", "/v1/books/7:lend"), ("GET", "/v1/shelves/s/books:watch")] {
        let response = send(builder(), book, request(method, uri, "")).await;
        assert_eq!((response.status(), tag(response.headers())), (StatusCode::OK, ""), "{uri}");
    }
}

#[tokio::test]
async fn etag_that_the_client_has_is_answered_with_304_without_a_body() {
    let mine = weak_tag(br#"{"id":"b"}"#);
    let mine = mine.to_str().unwrap();
    let strong = mine.trim_start_matches("W/");
    for method in ["GET", "HEAD"] {
        for known in [mine, strong, "*", &format!("\"x,y\", W/\"z\", {mine}")] {
            let response = send(builder(), book, asking(method, PATH, known)).await;
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(tag(response.headers()), mine);
            assert!(response.body().is_empty());
            for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
                assert!(!response.headers().contains_key(&name), "{name}");
            }
        }
    }
    for known in ["\"x\"", "x", "", strong.trim_matches('"')] {
        let response = send(builder(), book, asking("GET", PATH, known)).await;
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, &br#"{"id":"b"}"#[..]));
    }
}

#[tokio::test]
async fn the_services_own_tag_counts_also_where_none_are_made() {
    let tagged = |path: &str| with(book(path), "etag", "\"7\"");
    let none = || builder().policy(|_| MethodPolicy { etag: false, ..MethodPolicy::default() });
    for builder in [builder, none] {
        let response = send(builder(), tagged, request("GET", PATH, "")).await;
        assert_eq!(tag(response.headers()), "\"7\"");
        assert_eq!(send(builder(), tagged, asking("GET", PATH, "W/\"7\"")).await.status(), 304);
        assert_eq!(send(builder(), tagged, asking("GET", PATH, "\"8\"")).await.status(), 200);
    }
    let response = send(none(), book, asking("GET", PATH, "*")).await;
    assert_eq!((response.status().as_u16(), tag(response.headers())), (200, ""));
}

#[tokio::test]
async fn only_answers_of_200_have_tags() {
    let moved = |path: &str| with(book(path), "x-status", "203");
    let response = send(builder(), moved, asking("GET", PATH, "*")).await;
    assert_eq!((response.status().as_u16(), tag(response.headers())), (203, ""));
    let missing = |_: &str| answer(vec![], Status::new(Code::NotFound, "no book"));
    let response = send(builder(), missing, asking("GET", PATH, "*")).await;
    assert_eq!((response.status().as_u16(), tag(response.headers())), (404, ""));
}

#[tokio::test]
async fn a_304_keeps_what_caches_need() {
    let long = "x".repeat(2000);
    let value: Value = json!({"id": long});
    let reply = move |_: &str| ok("Book", &value);
    let kept = || {
        let cache_control = Some(HeaderValue::from_static("private, no-cache"));
        builder()
            .policy(move |_| MethodPolicy { cache_control: cache_control.clone(), ..MethodPolicy::default() })
    };
    let mut asked = request("GET", PATH, "");
    asked.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let plain = send(kept(), reply.clone(), request("GET", PATH, "")).await;
    let coded = send(kept(), reply.clone(), asked).await;
    assert_eq!(coded.headers()[header::CONTENT_ENCODING], "gzip");
    // The tag names the text, whatever it is coded in.
    assert_eq!(tag(plain.headers()), tag(coded.headers()));
    let mut again = asking("GET", PATH, tag(coded.headers()));
    again.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let known = send(kept(), reply, again).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
        assert_eq!(known.headers().get(&name), coded.headers().get(&name), "{name}");
        assert!(known.headers().contains_key(&name), "{name}");
    }
    assert!(!known.headers().contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn what_must_not_be_stored_needs_no_tag() {
    let builder = builder().policy(|_| MethodPolicy {
        cache_control: Some(HeaderValue::from_static("private, No-Store")),
        ..MethodPolicy::default()
    });
    let response = send(builder, book, request("GET", PATH, "")).await;
    assert_eq!(
        (tag(response.headers()), &response.headers()[header::CACHE_CONTROL]),
        ("", &HeaderValue::from_static("private, No-Store"))
    );
}

#[tokio::test]
async fn http_bodies_have_tags_of_their_bytes() {
    let reply = |_: &str| {
        let message = [&[0x0a, 10][..], b"text/plain", &[0x12, 2], b"hi"].concat();
        let data = [&[0, 0, 0, 0, message.len() as u8], &message[..]].concat();
        answer(vec![data.into()], Status::new(Code::Ok, ""))
    };
    let response = send(builder(), reply, request("GET", "/v1/books/7:download", "")).await;
    assert_eq!((&response.body()[..], &response.headers()[header::ETAG]), (&b"hi"[..], &weak_tag(b"hi")));
}

#[tokio::test]
async fn connect_get_has_tags_and_304_too() {
    let uri = "/test.Library/GetBook?connect=v1&encoding=json&message=%7B%7D";
    let first = send(builder(), book, request("GET", uri, "")).await;
    assert_eq!((first.status().as_u16(), &first.headers()[header::ETAG]), (200, &weak_tag(br#"{"id":"b"}"#)));
    let again = send(builder(), book, asking("GET", uri, tag(first.headers()))).await;
    assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
    let post = send(builder(), book, request("POST", "/test.Library/GetBook", "{}")).await;
    assert_eq!((post.status().as_u16(), tag(post.headers())), (200, ""));
}
