//! The feature table's row "Deprecation and Sunset, Idempotency-Key and RateLimit from options".

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use riskmesh_transcode::{
    Builder, Deprecation, IdempotencyKey, Kind, Link, MethodPolicy, Problem, RateLimit, Relation,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::connect::post;
use crate::pool::{POOL, SET};
use crate::rest::{
    GrpcResponse, Log, Seen, answer, builder, collect, frame, ok, request, send_with, service,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn deprecation() -> Deprecation {
    let link = |target: &str, relation| Link { target: target.to_owned(), relation };
    Deprecation {
        since: at(1_793_491_200),
        sunset: Some(at(1_825_027_200)),
        links: vec![
            link("/v2/books/{id}", Relation::Successor),
            link("https://example.com/gone?a=b", Relation::Deprecation),
            link("/why", Relation::Sunset),
        ],
    }
}

fn with(builder: Builder, policy: impl Fn(&MethodDescriptor) -> MethodPolicy + 'static) -> Builder {
    builder.policy(policy)
}

fn going_away() -> Builder {
    with(builder(), |_| MethodPolicy { deprecation: Some(deprecation()), ..MethodPolicy::default() })
}

fn texts<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn says_so(headers: &HeaderMap, successor: &[&str]) {
    assert_eq!(texts(headers, "deprecation"), ["@1793491200"]);
    assert_eq!(texts(headers, "sunset"), ["Mon, 01 Nov 2027 00:00:00 GMT"]);
    let links = ["<https://example.com/gone?a=b>; rel=\"deprecation\"", "</why>; rel=\"sunset\""];
    assert_eq!(texts(headers, "link"), [successor, &links].concat());
}

#[tokio::test]
async fn deprecation_and_sunset_are_on_every_answer_and_link_the_successor_with_the_callers_ids() {
    let successor = ["</v2/books/4%202%2F>; rel=\"successor-version\""];
    let (response, seen) = send_with(going_away(), request("GET", "/v1/shelves/s/books/4%202%2F", "")).await;
    assert!(response.status().is_success() && seen.is_some());
    says_so(response.headers(), &successor);
    let (response, seen) =
        send_with(going_away(), request("GET", "/v1/shelves/s/books/4%202%2F?no=1", "")).await;
    assert!(response.status() == 400 && seen.is_none());
    says_so(response.headers(), &successor);
    // A path without the id has no such successor.
    let (response, _) = send_with(going_away(), request("GET", "/v1/books/x", "")).await;
    says_so(response.headers(), &[]);
    let (response, _) = send_with(going_away(), post("GetBook", "application/json", "{}")).await;
    assert_eq!(response.body(), &r#"{"id":"b"}"#);
    says_so(response.headers(), &[]);
}

#[tokio::test]
async fn a_deprecated_method_says_so_over_grpc_and_grpc_web() {
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let (response, seen) = send_with(going_away(), post("GetBook", content_type, vec![0; 5])).await;
        assert!(seen.is_some());
        says_so(response.headers(), &[]);
    }
}

#[tokio::test]
async fn a_304_says_so_too() {
    let mut asked = request("GET", "/v1/shelves/s/books/b", "");
    asked.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
    let (response, _) = send_with(going_away(), asked).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    says_so(response.headers(), &["</v2/books/b>; rel=\"successor-version\""]);
}

#[tokio::test]
async fn an_answer_made_between_route_and_call_can_say_so() {
    let transcoder = going_away().build(()).unwrap();
    let matched = transcoder.route(&Method::GET, "/v1/shelves/s/books/b").unwrap();
    let mut headers = HeaderMap::new();
    matched.annotate(&mut headers);
    says_so(&headers, &["</v2/books/b>; rel=\"successor-version\""]);
}

#[test]
fn policies_that_make_no_header_are_refused_by_the_methods_name() {
    let deprecated = |change: fn(&mut Deprecation)| {
        let mut deprecation = deprecation();
        change(&mut deprecation);
        MethodPolicy { deprecation: Some(deprecation), ..MethodPolicy::default() }
    };
    let linked = |target: &str| {
        let links = vec![Link { target: target.to_owned(), relation: Relation::Successor }];
        MethodPolicy { deprecation: Some(Deprecation { links, ..deprecation() }), ..MethodPolicy::default() }
    };
    let limited = |name: &str, quota| {
        let limit = RateLimit { name: name.to_owned(), quota, window: None };
        MethodPolicy { rate_limit: Some(limit), ..MethodPolicy::default() }
    };
    for (policy, problem) in [
        (deprecated(|d| d.sunset = Some(at(0))), "its sunset is before its deprecation"),
        (deprecated(|d| d.sunset = Some(at(253_402_300_800))), "its sunset is past the year 9999"),
        (deprecated(|d| d.since = UNIX_EPOCH - Duration::from_secs(1)), "its policy has a date before 1970"),
        (linked("/a b"), "\"/a b\" is no target of a link"),
        (linked("/a>"), "\"/a>\" is no target of a link"),
        (linked("/{a"), "\"/{a\" is no target of a link"),
        (linked(""), "\"\" is no target of a link"),
        (limited("é", 1), "its policy makes no header"),
        (limited("a", u64::MAX), "its policy makes no header"),
    ] {
        let error = with(builder(), move |_| policy.clone()).build(()).unwrap_err().to_string();
        assert!(error.contains("test.") && error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn the_policy_is_asked_once_a_method_and_again_at_a_swap() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = |asked: &Arc<AtomicUsize>| {
        let asked = asked.clone();
        let builder = Builder::new(POOL.clone()).services(["test.Library"]);
        with(builder, move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            MethodPolicy::default()
        })
    };
    let methods = POOL.get_service_by_name("test.Library").unwrap().methods().len();
    let transcoder = counting(&asked).build(()).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), methods);
    transcoder.replace(counting(&asked)).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2 * methods);
    transcoder.replace(going_away()).unwrap();
    let mut headers = HeaderMap::new();
    transcoder.route(&Method::GET, "/v1/shelves/s/books/b").unwrap().annotate(&mut headers);
    says_so(&headers, &["</v2/books/b>; rel=\"successor-version\""]);
}

/// `LendBook` with this policy, called with these keys: the answer, and what the service saw.
async fn lend(policy: IdempotencyKey, keys: &[&str]) -> (Response<Bytes>, Option<Seen>) {
    let policy =
        with(builder(), move |_| MethodPolicy { idempotency_key: Some(policy), ..MethodPolicy::default() });
    send_with(policy, keyed(request("POST", "/v1/books/7:lend", "{}"), keys)).await
}

fn keyed(mut request: Request<Full<Bytes>>, keys: &[&str]) -> Request<Full<Bytes>> {
    for key in keys {
        request.headers_mut().append(IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap());
    }
    request
}

#[tokio::test]
async fn idempotency_key_reaches_the_service_without_its_quotes() {
    let uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324";
    for (sent, got) in [
        (format!("\"{uuid}\""), uuid),
        (uuid.to_owned(), uuid),
        (r#""a \"b\" \\c";v=1"#.to_owned(), r#"a "b" \c"#),
        ("7".to_owned(), "7"),
        ("k".repeat(255), &*"k".repeat(255)),
    ] {
        let (response, seen) = lend(IdempotencyKey::default(), &[&sent]).await;
        let seen = seen.unwrap_or_else(|| panic!("{sent}: {response:?}"));
        assert_eq!(texts(&seen.headers, "idempotency-key"), [got], "{sent}");
    }
    let (response, seen) = lend(IdempotencyKey::default(), &[]).await;
    assert!(response.status().is_success() && !seen.unwrap().headers.contains_key(IDEMPOTENCY_KEY));
    // Without a policy it is a header like any other.
    let (_, seen) = send_with(builder(), keyed(request("POST", "/v1/books/7:lend", "{}"), &["a b"])).await;
    assert!(!seen.unwrap().headers.contains_key(IDEMPOTENCY_KEY));
}

#[tokio::test]
async fn a_key_that_is_missing_or_malformed_is_refused() {
    let (required, quoted) = (
        IdempotencyKey { required: true, ..IdempotencyKey::default() },
        IdempotencyKey { bare: false, longest: 3, ..IdempotencyKey::default() },
    );
    let long = "k".repeat(256);
    for (policy, keys, problem) in [
        (required, &[][..], "is missing"),
        (required, &["\"a\"", "\"a\""], "is given twice"),
        (required, &["\"\""], "is malformed"),
        (required, &["\"a"], "is malformed"),
        (required, &["\" a\""], "is malformed"),
        (required, &["a b"], "is malformed"),
        (required, &["a,b"], "is malformed"),
        (required, &[&*long], "is too long"),
        (quoted, &["abc"], "is malformed"),
        (quoted, &["\"abcd\""], "is too long"),
    ] {
        let (response, seen) = lend(policy, keys).await;
        assert!(seen.is_none(), "{keys:?}");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let error: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(error["error"]["message"], format!("the header Idempotency-Key {problem}"), "{keys:?}");
        assert_eq!(error["error"]["details"][0]["fieldViolations"][0]["field"], "Idempotency-Key");
    }
    let (response, seen) = lend(quoted, &["\"abc\""]).await;
    assert!(response.status().is_success() && seen.is_some());
}

#[tokio::test]
async fn methods_that_may_be_called_again_anyway_ask_for_no_key() {
    let required = || {
        let key = IdempotencyKey { required: true, ..IdempotencyKey::default() };
        with(builder(), move |_| MethodPolicy { idempotency_key: Some(key), ..MethodPolicy::default() })
    };
    for (method, uri) in [("GET", "/v1/shelves/s/books"), ("HEAD", "/v1/shelves/s/books/b")] {
        let (response, seen) = send_with(required(), request(method, uri, "")).await;
        assert!(seen.is_some(), "{uri}: {response:?}");
    }
    // One that comes means nothing, and is not passed on unchecked.
    let forwarding = || required().forward_headers(|name| *name == IDEMPOTENCY_KEY);
    for key in ["\"k\"", "k", "a b", "\""] {
        for request in [
            request("GET", "/v1/shelves/s/books", ""),
            request("HEAD", "/v1/shelves/s/books/b", ""),
            post("GetBook", "application/json", "{}"),
            post("GetBook", "application/grpc", vec![0; 5]),
        ] {
            let (response, seen) = send_with(forwarding(), keyed(request, &[key])).await;
            let seen = seen.unwrap_or_else(|| panic!("{key}: {response:?}"));
            assert!(!seen.headers.contains_key(IDEMPOTENCY_KEY), "{key}");
        }
    }
    // `NO_SIDE_EFFECTS`, by POST; and one that is not.
    for (rpc, status) in [("GetBook", 200), ("LendBook", 400)] {
        let (response, _) = send_with(required(), post(rpc, "application/json", "{}")).await;
        assert_eq!(response.status().as_u16(), status, "{rpc}");
    }
}

#[tokio::test]
async fn keys_are_those_of_every_protocol() {
    let required = || {
        let key = IdempotencyKey { required: true, ..IdempotencyKey::default() };
        let builder = builder().forward_headers(|_| false);
        with(builder, move |_| MethodPolicy { idempotency_key: Some(key), ..MethodPolicy::default() })
    };
    for content_type in ["application/json", "application/grpc", "application/grpc-web+proto"] {
        let body = if content_type == "application/json" { &b"{}"[..] } else { &[0; 5] };
        let call = || post("LendBook", content_type, body);
        let (_, seen) = send_with(required(), keyed(call(), &["\"k\""])).await;
        assert_eq!(texts(&seen.unwrap().headers, "idempotency-key"), ["k"], "{content_type}");
        let (response, seen) = send_with(required(), call()).await;
        assert!(seen.is_none());
        match content_type {
            "application/json" => {
                let error: Value = serde_json::from_slice(response.body()).unwrap();
                assert_eq!((response.status().as_u16(), &error["code"]), (400, &json!("invalid_argument")));
            }
            _ => assert_eq!(texts(response.headers(), "grpc-status"), ["3"]),
        }
    }
    let transcoder = required().build(()).unwrap();
    let matched = transcoder.route(&Method::POST, "/v1/books/7:lend").unwrap();
    assert_eq!(matched.rpc().name(), "LendBook");
    assert_eq!(riskmesh_transcode::Error::new(Kind::Header, "").status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn rate_limit_from_options_is_told_on_every_answer_and_the_services_own_goes_first() {
    let limited = || {
        let limit =
            RateLimit { name: "per \"client\"".into(), quota: 100, window: Some(Duration::from_mins(1)) };
        with(builder(), move |_| MethodPolicy { rate_limit: Some(limit.clone()), ..MethodPolicy::default() })
    };
    for uri in ["/v1/shelves/s/books/b", "/v1/shelves/s/books/b?no=1"] {
        let (response, _) = send_with(limited(), request("GET", uri, "")).await;
        assert_eq!(texts(response.headers(), "ratelimit-policy"), [r#""per \"client\"";q=100;w=60"#]);
    }
    let upstream = service(Log::default(), |_| {
        let mut response = ok("Book", &json!({}));
        response.headers_mut().insert("ratelimit-policy", HeaderValue::from_static("\"own\";q=1"));
        response.headers_mut().insert("ratelimit", HeaderValue::from_static("\"own\";r=0;t=5"));
        response
    });
    let response =
        limited().build(upstream).unwrap().oneshot(request("GET", "/v1/books/x", "")).await.unwrap();
    assert_eq!(texts(response.headers(), "ratelimit-policy"), ["\"own\";q=1"]);
    assert_eq!(texts(response.headers(), "ratelimit"), ["\"own\";r=0;t=5"]);
}

/// The headers of the answer to a call that fails so.
async fn failing(builder: Builder, status: Status) -> HeaderMap {
    let reply = move |_: &str| -> GrpcResponse { answer(vec![], status.clone()) };
    let transcoder = builder.build(service(Log::default(), reply)).unwrap();
    collect(transcoder.oneshot(request("GET", "/v1/books/x", "")).await.unwrap()).await.headers().clone()
}

/// A status with a `google.rpc.RetryInfo` of these seconds and nanoseconds.
fn retry(seconds: i64, nanos: i32) -> Status {
    let delay = prost::Message::encode_to_vec(&prost_types::Duration { seconds, nanos });
    let value = [&[0x0a, delay.len() as u8], &delay[..]].concat();
    let any = prost_types::Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value };
    let mut details = Vec::new();
    prost::encoding::message::encode(3, &any, &mut details);
    Status::with_details(Code::ResourceExhausted, "slow down", details.into())
}

#[tokio::test]
async fn what_a_failing_service_says_of_limits_reaches_the_client() {
    for (seconds, nanos, expected) in
        [(2, 0, &["2"][..]), (1, 500_000_000, &["2"]), (0, 1, &["1"]), (0, 0, &["0"]), (-5, 0, &[])]
    {
        assert_eq!(texts(&failing(builder(), retry(seconds, nanos)).await, "retry-after"), expected);
        let problem = builder().error_renderer(Problem);
        assert_eq!(texts(&failing(problem, retry(seconds, nanos)).await, "retry-after"), expected);
    }
    let mut status = retry(2, 0);
    for (name, value) in [("retry-after", "9"), ("ratelimit", "\"own\";r=0;t=9"), ("x-other", "1")] {
        status.metadata_mut().insert(name, value.parse().unwrap());
    }
    let headers = failing(builder(), status).await;
    assert_eq!(texts(&headers, "retry-after"), ["9"]);
    assert_eq!(texts(&headers, "ratelimit"), ["\"own\";r=0;t=9"]);
    assert!(!headers.contains_key("x-other"));
    assert!(!failing(builder(), Status::not_found("no")).await.contains_key("retry-after"));
}

#[tokio::test]
async fn cache_control_is_that_of_successes_unless_the_service_has_its_own() {
    let kept = || {
        let cache_control = Some(HeaderValue::from_static("private, no-cache"));
        let builder = builder().expose_metadata(|name| *name == header::CACHE_CONTROL);
        with(builder, move |_| MethodPolicy {
            cache_control: cache_control.clone(),
            ..MethodPolicy::default()
        })
    };
    let (response, _) = send_with(kept(), request("GET", "/v1/books/x", "")).await;
    assert_eq!(texts(response.headers(), "cache-control"), ["private, no-cache"]);
    let (response, _) = send_with(kept(), request("GET", "/v1/books/x?no=1", "")).await;
    assert!(!response.headers().contains_key(header::CACHE_CONTROL));
    let upstream = service(Log::default(), |_| {
        let mut response = ok("Book", &json!({}));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        response
    });
    let response = kept().build(upstream).unwrap().oneshot(request("GET", "/v1/books/x", "")).await.unwrap();
    assert_eq!(texts(response.headers(), "cache-control"), ["max-age=1"]);
}

#[tokio::test]
async fn streams_are_for_no_cache_whatever_the_policy_and_the_service_say() {
    let kept = || {
        let cache_control = Some(HeaderValue::from_static("public, max-age=300"));
        let builder = builder().expose_metadata(|name| *name == header::CACHE_CONTROL);
        with(builder, move |_| MethodPolicy {
            cache_control: cache_control.clone(),
            ..MethodPolicy::default()
        })
    };
    let (watch, download) = ("/v1/shelves/s/books:watch", "/v1/books/7:downloadParts");
    for (method, uri, accept) in [
        ("GET", watch, "*/*"),
        ("HEAD", watch, "*/*"),
        ("GET", watch, "application/x-ndjson"),
        ("GET", watch, "text/event-stream"),
        ("GET", download, "*/*"),
    ] {
        for (own, fails) in [(None, false), (None, true), (Some("max-age=1"), false)] {
            let upstream = service(Log::default(), move |path| {
                let message = if path.ends_with("Parts") {
                    Bytes::from_static(&[0; 5])
                } else {
                    frame("Book", &json!({}))
                };
                let end = if fails { Status::data_loss("gone") } else { Status::new(Code::Ok, "") };
                let mut response = answer(vec![message], end);
                if let Some(own) = own {
                    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(own));
                }
                response
            });
            let mut asked = request(method, uri, "");
            asked.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(accept));
            asked.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
            let response = kept().build(upstream).unwrap().oneshot(asked).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{uri}");
            assert_eq!(texts(response.headers(), "cache-control"), ["no-store"], "{method} {uri} {accept}");
            assert!(!response.headers().contains_key(header::ETAG));
        }
    }
    // One message is one document, also if many went in.
    let upstream = service(Log::default(), |_| ok("ListBooksResponse", &json!({})));
    let imported = kept().build(upstream).unwrap().oneshot(request("POST", "/v1/books:import", "[]"));
    let response = imported.await.unwrap();
    assert_eq!(texts(response.headers(), "cache-control"), ["public, max-age=300"]);
}

#[tokio::test]
async fn deprecated_without_a_date_makes_no_header() {
    // The option of `LendBook`, set in the descriptors: `deprecated = true` has number 33.
    let pool = DescriptorPool::decode(&**SET).unwrap();
    let mut files: Vec<_> = pool.file_descriptor_protos().cloned().collect();
    for method in files.iter_mut().flat_map(|file| &mut file.service).flat_map(|service| &mut service.method)
    {
        method.options.get_or_insert_default().deprecated = Some(true);
    }
    let pool =
        DescriptorPool::from_file_descriptor_set(prost_types::FileDescriptorSet { file: files }).unwrap();
    let unannotated = Builder::new(pool).services(["test.Library"]).unannotated(true);
    let (response, seen) = send_with(unannotated, request("POST", "/test.Library/LendBook", "{}")).await;
    assert!(seen.is_some());
    assert!(!response.headers().contains_key("deprecation"));
}
