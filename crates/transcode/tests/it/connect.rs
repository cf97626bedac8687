//! Connect, unary calls: `POST` and `GET`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use riskmesh_transcode::coding::{self, Coding};
use riskmesh_transcode::{
    BodyLimit, Builder, Compression, Error, ErrorContext, Kind, Limits, ParseOptions, Protocol, Protocols,
    UnknownFields,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::pool::parse;
use crate::rest::{GrpcResponse, Log, Seen, answer, builder, collect, frame, ok, send_with, service};

pub(crate) fn post(rpc: &str, content_type: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post(format!("/test.Library/{rpc}")).header(header::CONTENT_TYPE, content_type);
    request.body(Full::new(body.into())).unwrap()
}

fn get(query: &str) -> Request<Full<Bytes>> {
    Request::get(format!("/test.Library/GetBook?{query}")).body(Full::default()).unwrap()
}

fn with(mut request: Request<Full<Bytes>>, headers: &[(&'static str, &'static str)]) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    request
}

/// What comes of a request before a service with this answer, and what the service saw.
pub(crate) async fn exchange(
    builder: Builder,
    request: Request<Full<Bytes>>,
    reply: impl Fn() -> GrpcResponse + Clone + Send + Sync + 'static,
) -> (Response<Bytes>, Option<Seen>) {
    let log = Log::default();
    let transcoder = builder.build(service(log.clone(), move |_| reply())).unwrap();
    let response = collect(transcoder.oneshot(request).await.unwrap()).await;
    let seen = log.lock().unwrap().pop();
    (response, seen)
}

fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or_else(|_| panic!("{response:?}"))
}

/// The status and the error of a request that no call was made for.
async fn refused(builder: Builder, request: Request<Full<Bytes>>) -> (u16, Value) {
    let shown = format!("{request:?}");
    let (response, seen) = send_with(builder, request).await;
    assert!(seen.is_none(), "{shown}");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json", "{shown}");
    (response.status().as_u16(), json_of(&response))
}

fn error(code: &str, message: &str) -> Value {
    json!({"code": code, "message": message})
}

#[tokio::test]
async fn a_unary_call_is_a_post_of_json() {
    let request = || post("GetBook", "application/json", r#"{"shelf":"s","id":"b"}"#);
    for request in [
        request(),
        with(request(), &[("connect-protocol-version", "1")]),
        post("GetBook", "Application/JSON; charset=utf-8", r#"{"shelf":"s","id":"b"}"#),
    ] {
        let (response, seen) = send_with(builder(), request).await;
        assert_eq!((response.status(), &**response.body()), (StatusCode::OK, &br#"{"id":"b"}"#[..]));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let seen = seen.unwrap();
        assert_eq!(seen.path, "/test.Library/GetBook");
        assert_eq!(seen.messages, [json!({"shelf": "s", "id": "b"})]);
    }
}

#[tokio::test]
async fn protobuf_goes_through_as_it_is() {
    // A field that nobody knows goes with it.
    let message = [&parse("GetBookRequest", r#"{"id":"b"}"#).unwrap()[..], &[0xf8, 0x3f, 1]].concat();
    let (response, seen) = send_with(builder(), post("GetBook", "application/proto", message)).await;
    assert_eq!((response.status(), &**response.body()), (StatusCode::OK, &b"\x0a\x01b"[..]));
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/proto");
    assert_eq!(seen.unwrap().messages, [json!({"id": "b"})]);
    let (_, seen) = send_with(builder(), post("GetBook", "application/proto", "")).await;
    assert_eq!(seen.unwrap().messages, [json!({})]);
}

#[tokio::test]
async fn every_method_is_served_whatever_its_rule() {
    let body = r#"{"shelf":"s","book":{"title":"t"},"dryRun":true}"#;
    let (response, seen) = send_with(builder(), post("CreateBook", "application/json", body)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(seen.unwrap().messages, [json!({"shelf": "s", "book": {"title": "t"}, "dryRun": true})]);
    let (_, seen) = send_with(builder(), post("Unannotated", "application/json", "{}")).await;
    assert_eq!(seen.unwrap().messages, [json!({})]);
    // HttpBody is a message like any other.
    let reply = || answer(vec![Bytes::from_static(b"\0\0\0\0\x05\x12\x03abc")], Status::new(Code::Ok, ""));
    let request = post("Download", "application/json", "{}");
    let (response, _) = exchange(builder(), request, reply).await;
    assert_eq!(json_of(&response), json!({"data": "YWJj"}));
}

#[tokio::test]
async fn metadata_goes_both_ways() {
    let reply = || {
        let mut status = Status::new(Code::Ok, "");
        status.metadata_mut().insert("x-cost", "237".parse().unwrap());
        status.metadata_mut().insert_bin("x-sum-bin", tonic::metadata::MetadataValue::from_bytes(&[1, 2]));
        let mut response = answer(vec![frame("Book", &json!({}))], status);
        response.headers_mut().append("x-shard", HeaderValue::from_static("4"));
        response.headers_mut().append("x-shard", HeaderValue::from_static("5"));
        response
    };
    let request = || {
        let headers = [
            ("x-mine", "1"),
            ("authorization", "Bearer t"),
            ("connect-protocol-version", "1"),
            ("accept-encoding", "gzip"),
            ("connection", "keep-alive"),
            ("te", "gzip"),
        ];
        with(post("GetBook", "application/json", "{}"), &headers)
    };
    let (response, seen) = exchange(builder(), request(), reply).await;
    let headers = response.headers();
    assert_eq!(headers.get_all("x-shard").iter().collect::<Vec<_>>(), ["4", "5"]);
    assert_eq!(
        (&headers["trailer-x-cost"], &headers["trailer-x-sum-bin"]),
        (&"237".parse().unwrap(), &"AQI".parse().unwrap())
    );
    assert!(headers.keys().all(|name| !name.as_str().contains("grpc")), "{headers:?}");
    let names = |seen: &Seen| {
        let mut names: Vec<_> = seen.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(names(&seen.unwrap()), "authorization content-type grpc-accept-encoding te x-mine");
    // Who chooses what is forwarded chooses it here too.
    let chosen = builder().forward_headers(|name| name == "authorization");
    let (_, seen) = exchange(chosen, request(), reply).await;
    assert_eq!(names(&seen.unwrap()), "authorization content-type grpc-accept-encoding te");
}

#[tokio::test]
async fn timeouts_become_those_of_grpc() {
    for (text, expected) in [
        ("0", "0m"),
        ("5000", "5000m"),
        ("99999999", "99999999m"),
        ("100000001", "100001S"),
        ("9999999999", "10000000S"),
    ] {
        let mut request = post("GetBook", "application/json", "{}");
        request.headers_mut().insert("connect-timeout-ms", HeaderValue::from_static(text));
        let (_, seen) = send_with(builder(), request.clone()).await;
        assert_eq!(seen.unwrap().headers["grpc-timeout"], expected);
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("1S"));
        let (_, seen) = send_with(builder(), request).await;
        assert_eq!(seen.unwrap().headers["grpc-timeout"], "1S");
    }
    for text in ["", "-1", "+1", "1.5", "10000000000", "x"] {
        let mut request = post("GetBook", "application/json", "{}");
        request.headers_mut().insert("connect-timeout-ms", HeaderValue::from_static(text));
        let message = "connect-timeout-ms must be a whole number of at most ten digits";
        assert_eq!(refused(builder(), request).await, (400, error("invalid_argument", message)), "{text}");
    }
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_deadline_exceeded_in_every_protocol() {
    // It takes connections, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", silent.local_addr().unwrap());
    let channel = tonic::transport::Endpoint::try_from(upstream).unwrap().connect_lazy();
    let transcoder = builder().build(channel).unwrap();
    for (mut request, timeout, status) in [
        (post("GetBook", "application/json", "{}"), ("connect-timeout-ms", "20"), 504),
        (crate::rest::request("GET", "/v1/books/x", ""), ("grpc-timeout", "20m"), 504),
        (post("GetBook", "application/grpc", vec![0; 5]), ("grpc-timeout", "20m"), 200),
    ] {
        request.headers_mut().insert(timeout.0, HeaderValue::from_static(timeout.1));
        let response = collect(transcoder.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(response.status().as_u16(), status);
        match status {
            200 => assert_eq!(response.headers()["grpc-status"], "4"),
            _ => {
                assert!(
                    String::from_utf8_lossy(response.body()).to_lowercase().contains("deadline_exceeded")
                );
            }
        }
    }
}

#[tokio::test]
async fn every_code_has_its_name_and_status() {
    for (code, name, status) in [
        (Code::Cancelled, "canceled", 499),
        (Code::Unknown, "unknown", 500),
        (Code::InvalidArgument, "invalid_argument", 400),
        (Code::DeadlineExceeded, "deadline_exceeded", 504),
        (Code::NotFound, "not_found", 404),
        (Code::AlreadyExists, "already_exists", 409),
        (Code::PermissionDenied, "permission_denied", 403),
        (Code::ResourceExhausted, "resource_exhausted", 429),
        (Code::FailedPrecondition, "failed_precondition", 400),
        (Code::Aborted, "aborted", 409),
        (Code::OutOfRange, "out_of_range", 400),
        (Code::Unimplemented, "unimplemented", 501),
        (Code::Internal, "internal", 500),
        (Code::Unavailable, "unavailable", 503),
        (Code::DataLoss, "data_loss", 500),
        (Code::Unauthenticated, "unauthenticated", 401),
    ] {
        for content_type in ["application/json", "application/proto"] {
            let request = post("GetBook", content_type, if content_type.ends_with('n') { "{}" } else { "" });
            let reply = move || Status::new(code, "what: é").into_http();
            let (response, _) = exchange(builder(), request, reply).await;
            assert_eq!((response.status().as_u16(), json_of(&response)), (status, error(name, "what: é")));
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        }
    }
    let (response, _) = exchange(builder(), post("GetBook", "application/proto", ""), || {
        Status::new(Code::Aborted, "").into_http()
    })
    .await;
    assert_eq!(json_of(&response), json!({"code": "aborted"}));
}

#[tokio::test]
async fn the_details_of_an_error_and_its_metadata_reach_the_client() {
    let any = |url: &str, value: &[u8]| prost_types(url, value);
    let details =
        [any("type.googleapis.com/google.rpc.RetryInfo", &[10, 2, 8, 60]), any("x.Y", &[])].concat();
    let reply = move || {
        let mut status = Status::with_details(Code::Unavailable, "later", details.clone().into());
        status.metadata_mut().insert("retry-after", "3".parse().unwrap());
        let mut response = answer(vec![], status);
        response.headers_mut().insert("x-shard", HeaderValue::from_static("4"));
        response
    };
    let (response, _) = exchange(builder(), post("GetBook", "application/json", "{}"), reply).await;
    assert_eq!(
        json_of(&response),
        json!({"code": "unavailable", "message": "later", "details": [
            {"type": "google.rpc.RetryInfo", "value": "CgIIPA"}, {"type": "x.Y", "value": ""},
        ]})
    );
    let headers = response.headers();
    assert_eq!(
        (&headers["x-shard"], &headers["trailer-retry-after"]),
        (&"4".parse().unwrap(), &"3".parse().unwrap())
    );
    let broken = || Status::with_details(Code::Aborted, "x", Bytes::from_static(&[0x1a, 200, 1])).into_http();
    let (response, _) = exchange(builder(), post("GetBook", "application/json", "{}"), broken).await;
    assert_eq!(json_of(&response), error("aborted", "x"));
}

/// The field of a `google.rpc.Status` that holds a detail.
fn prost_types(url: &str, value: &[u8]) -> Vec<u8> {
    let mut any = vec![10, url.len() as u8];
    any.extend(url.as_bytes());
    if !value.is_empty() {
        any.extend([18, value.len() as u8]);
        any.extend(value);
    }
    [&[26, any.len() as u8][..], &any].concat()
}

#[tokio::test]
async fn a_bad_message_is_told_with_its_fields() {
    let (status, found) = refused(builder(), post("GetBook", "application/json", r#"{"id":1}"#)).await;
    assert_eq!((status, &found["code"]), (400, &json!("invalid_argument")));
    assert_eq!(found["message"], "line 1, column 7, id: expected a string, found a number");
    assert_eq!(found["details"][0]["type"], "google.rpc.BadRequest");
    let detail = STANDARD_NO_PAD.decode(found["details"][0]["value"].as_str().unwrap()).unwrap();
    assert!(detail.windows(4).any(|bytes| bytes == b"\x0a\x02id"), "{detail:?}");
    for body in ["", " ", "[]", "null", "{} {}", "{\"nope\":1}", "\u{feff}{}"] {
        let (status, found) = refused(builder(), post("GetBook", "application/json", body)).await;
        assert_eq!((status, &found["code"]), (400, &json!("invalid_argument")), "{body}");
    }
    let lenient = ParseOptions { unknown_fields: UnknownFields::Ignore, ..ParseOptions::default() };
    let request = post("GetBook", "application/json", "{\"nope\":1}");
    let (response, _) = send_with(builder().parse_options(lenient), request).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn connect_get_calls_methods_without_side_effects() {
    let proto = parse("GetBookRequest", r#"{"id":"b?"}"#).unwrap();
    let json = br#"{"id":"b?"}"#;
    let gzip = coding::encode(Coding::Gzip, json).unwrap();
    for query in [
        "connect=v1&encoding=json&message=%7B%22id%22%3A%22b%3F%22%7D".to_owned(),
        "message=%7B%22id%22:%22b?%22%7D&x=1&encoding=json&x=2&base64=0".to_owned(),
        format!("encoding=json&base64=1&message={}", URL_SAFE_NO_PAD.encode(json)),
        format!("encoding=json&base64=1&message={}", URL_SAFE.encode(json).replace('=', "%3D")),
        format!("encoding=proto&base64=1&message={}", URL_SAFE_NO_PAD.encode(&proto)),
        "encoding=proto&message=%12%02b%3F&compression=identity".to_owned(),
        format!("connect=v1&encoding=json&base64=1&compression=gzip&message={}", URL_SAFE.encode(gzip)),
    ] {
        let (response, seen) = send_with(builder(), get(&query)).await;
        assert_eq!(response.status(), StatusCode::OK, "{query} {response:?}");
        let json = query.contains("json");
        let body = if json { &br#"{"id":"b"}"#[..] } else { b"\x0a\x01b" };
        assert_eq!(&**response.body(), body);
        let content_type = if json { "application/json" } else { "application/proto" };
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
        assert_eq!(seen.unwrap().messages, [json!({"id": "b?"})]);
    }
    let mut head = get("encoding=json&message=%7B%7D");
    *head.method_mut() = Method::HEAD;
    let (response, seen) = send_with(builder(), head).await;
    assert_eq!((response.status(), response.body().len(), seen.is_some()), (StatusCode::OK, 0, true));
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "10");
}

#[tokio::test]
async fn a_get_that_is_not_one_of_connect_is_refused() {
    for (query, status, code, message) in [
        ("", 400, "invalid_argument", "the query parameter encoding is missing"),
        ("encoding=json", 400, "invalid_argument", "the query parameter message is missing"),
        (
            "encoding=json&message=%7B%7D&message=1",
            400,
            "invalid_argument",
            "a query parameter of Connect's is given twice",
        ),
        (
            "encoding=json&message=%7B%7D&connect=v2",
            400,
            "invalid_argument",
            "the query parameter connect must be v1",
        ),
        ("encoding=json&message=%zz", 400, "invalid_argument", "a bad escape in the query"),
        ("encoding=proto&message=%ff", 400, "invalid_argument", "a bad escape in the query"),
        (
            "encoding=json&base64=1&message=%2B%2B",
            400,
            "invalid_argument",
            "the query parameter message is not base64",
        ),
        (
            "encoding=xml&message=x",
            415,
            "invalid_argument",
            "the query parameter encoding must be json or proto",
        ),
        (
            "encoding=json&message=x&compression=lz4",
            501,
            "unimplemented",
            "unknown compression: supported are zstd, br, gzip and identity",
        ),
        (
            "encoding=json&message=x&compression=gzip",
            400,
            "invalid_argument",
            "the message does not decode: the bytes are not gzip",
        ),
    ] {
        assert_eq!(refused(builder(), get(query)).await, (status, error(code, message)), "{query}");
    }
    let few = Limits { query_parameters: 2, request_bytes: 10, ..Limits::default() };
    let (status, _) = refused(builder().limits(few), get("a=1&b=1&encoding=json")).await;
    assert_eq!(status, 400);
    for query in ["message=%7B%22id%22%3A%22bbbb%22%7D&encoding=json".to_owned(), {
        let bomb = coding::encode(Coding::Zstd, &[b' '; 1000]).unwrap();
        format!("message={}&compression=zstd", URL_SAFE.encode(bomb))
    }] {
        let big = Limits { request_bytes: 10, ..Limits::default() };
        let query = if query.contains("zstd") { format!("{query}&encoding=json&base64=1") } else { query };
        let (status, found) = refused(builder().limits(big), get(&query)).await;
        assert_eq!((status, &found["code"]), (429, &json!("resource_exhausted")), "{query}");
    }
}

#[tokio::test]
async fn other_methods_and_types_are_told_apart() {
    for (method, rpc, allow) in [
        ("GET", "CreateBook", "POST"),
        ("GET", "WatchBooks", "POST"),
        ("PUT", "GetBook", "GET, HEAD, POST"),
        ("DELETE", "CreateBook", "POST"),
    ] {
        let mut request = post(rpc, "application/json", "{}");
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        let (response, seen) = send_with(builder(), request).await;
        assert_eq!(
            (response.status(), seen.is_none()),
            (StatusCode::METHOD_NOT_ALLOWED, true),
            "{method} {rpc}"
        );
        assert_eq!(response.headers()[header::ALLOW], allow);
    }
    let mut options = post("GetBook", "application/json", "");
    *options.method_mut() = Method::OPTIONS;
    let (response, _) = send_with(builder(), options).await;
    assert_eq!(
        (response.status(), &response.headers()[header::ALLOW]),
        (StatusCode::NO_CONTENT, &HeaderValue::from_static("GET, HEAD, POST"))
    );
    for (rpc, content_type, accepted) in [
        ("GetBook", "text/plain", "application/json, application/proto"),
        ("GetBook", "application/xml", "application/json, application/proto"),
        ("GetBook", "application/json; charset=latin1", "application/json, application/proto"),
        ("GetBook", "application/connect+json", "application/json, application/proto"),
        ("Chat", "application/json", "application/connect+json, application/connect+proto"),
        ("Chat", "application/connect+xml", "application/connect+json, application/connect+proto"),
    ] {
        let (response, seen) = send_with(builder(), post(rpc, content_type, "{}")).await;
        assert_eq!(
            (response.status(), seen.is_none()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, true),
            "{content_type}"
        );
        assert_eq!(response.headers()["accept-post"], accepted);
    }
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented() {
    let version = [("connect-protocol-version", "1")];
    let nothing = || {
        let mut request = post("GetBook", "application/json", "{}");
        *request.uri_mut() = "/test.Library/Nope".parse().unwrap();
        request
    };
    let expected = (404, error("unimplemented", "no such method"));
    assert_eq!(refused(builder(), with(nothing(), &version)).await, expected);
    // Without a sign of Connect it is REST's to answer.
    let (response, _) = send_with(builder(), nothing()).await;
    assert_eq!(
        (response.status(), &json_of(&response)["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!(404))
    );
    let request = with(post("GetBook", "application/json", "{}"), &[("connect-protocol-version", "2")]);
    let message = "connect-protocol-version must be 1";
    assert_eq!(refused(builder(), request).await, (400, error("invalid_argument", message)));
}

#[tokio::test]
async fn a_rest_route_of_the_same_path_wins_unless_the_request_says_connect() {
    let failing = || Status::new(Code::NotFound, "gone").into_http();
    for (headers, rest) in [(&[][..], true), (&[("connect-protocol-version", "1")], false)] {
        let request = with(post("Unannotated", "application/json", "{}"), headers);
        let (response, _) = exchange(builder().unannotated(true), request, failing).await;
        assert_eq!(json_of(&response).get("error").is_some(), rest);
    }
    // A REST path keeps its requests, also where they say Connect.
    let mut request = with(post("x", "application/json", "{}"), &[("connect-protocol-version", "1")]);
    *request.uri_mut() = "/v1/shelves/s/books".parse().unwrap();
    let (response, _) = send_with(builder(), request).await;
    assert_eq!(response.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_not_wanted_is_not_served() {
    let types = ["application/json", "application/connect+json", "application/grpc", "application/grpc-web"];
    for content_type in types {
        let (response, seen) =
            send_with(builder().protocols(Protocols::NONE), post("Chat", content_type, "{}")).await;
        assert_eq!((response.status(), seen.is_none()), (StatusCode::NOT_FOUND, true), "{content_type}");
        assert_eq!(json_of(&response)["error"]["message"], "no such path");
    }
    let other = builder().services(["test.Library"]);
    assert!(send_with(other, post("GetBook", "application/json", "{}")).await.1.is_some());
}

#[tokio::test]
async fn bodies_are_compressed_both_ways() {
    let long = || ok("Book", &json!({"title": "title ".repeat(1000)}));
    for coding in Coding::ALL {
        let body = coding::encode(coding, br#"{"id":"b"}"#).unwrap();
        let mut request = post("GetBook", "application/json", body);
        request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        // Who does not say what he accepts accepts what he sends.
        let (response, seen) = exchange(builder(), request.clone(), long).await;
        assert_eq!(seen.unwrap().messages, [json!({"id": "b"})]);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], coding.name());
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
        let plain = coding::decode(coding, response.body().clone(), 10_000).unwrap();
        assert!(plain.starts_with(br#"{"title":"title "#));
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let (response, _) = exchange(builder(), request.clone(), long).await;
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        let never = Compression { answers_from: None, ..Compression::default() };
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding.name()));
        let (response, _) = exchange(builder().compression(never), request.clone(), long).await;
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        // Nothing is never compressed.
        *request.body_mut() = Full::default();
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/proto"));
        let (response, _) = send_with(builder(), request).await;
        assert_eq!(
            (response.status(), response.headers().get(header::CONTENT_ENCODING)),
            (StatusCode::OK, None)
        );
    }
    // The client's order is the order.
    for (accept, expected) in
        [("gzip, br, zstd", "gzip"), ("x, br;q=0.5, zstd;q=0.5", "br"), ("gzip;q=0.1,br, identity", "br")]
    {
        let mut request = post("GetBook", "application/proto", "");
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
        let (response, _) = exchange(builder(), request, long).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], expected, "{accept}");
    }
    for accept in ["identity, gzip", "gzip;q=0.9, identity", "gzip;q=0", "identity"] {
        let request = with(post("GetBook", "application/proto", ""), &[("accept-encoding", accept)]);
        let (response, _) = exchange(builder(), request, long).await;
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING), "{accept}");
    }
}

#[tokio::test]
async fn an_unknown_compression_is_unimplemented_and_ours_named() {
    for name in ["lz4", "gzip, br", "snappy"] {
        let request = with(post("GetBook", "application/json", "{}"), &[("content-encoding", name)]);
        let (response, seen) = send_with(builder(), request).await;
        let message = "unknown compression: supported are zstd, br, gzip and identity";
        assert_eq!(json_of(&response), error("unimplemented", message));
        assert_eq!((response.status(), seen.is_none()), (StatusCode::NOT_IMPLEMENTED, true));
        assert_eq!(response.headers()[header::ACCEPT_ENCODING], "zstd, br, gzip");
    }
}

#[tokio::test]
async fn bodies_are_bounded_before_and_after_decoding() {
    let exhausted = json!("resource_exhausted");
    for coding in Coding::ALL {
        let bomb = coding::encode(coding, &vec![b' '; 64 << 20]).unwrap();
        let mut request = post("GetBook", "application/json", bomb);
        request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        let (status, found) = refused(builder(), request.clone()).await;
        assert_eq!((status, &found["code"]), (429, &exhausted));
        *request.body_mut() = Full::from("what is this");
        let (status, found) = refused(builder(), request).await;
        let message = format!("the body does not decode: the bytes are not {}", coding.name());
        assert_eq!((status, found), (400, error("invalid_argument", &message)));
    }
    let mut request = post("GetBook", "application/proto", vec![0; 20]);
    request.extensions_mut().insert(BodyLimit(19));
    let (status, found) = refused(builder(), request).await;
    assert_eq!((status, &found["code"]), (429, &exhausted));
}

#[tokio::test]
async fn answers_that_are_not_as_they_should_be_are_errors() {
    let ok = || Status::new(Code::Ok, "");
    let book = || frame("Book", &json!({"id": "1"}));
    let bad = |reply: fn() -> GrpcResponse| async move {
        let (response, _) = exchange(builder(), post("GetBook", "application/json", "{}"), reply).await;
        (response.status().as_u16(), json_of(&response)["code"].as_str().unwrap().to_owned())
    };
    let internal = (500, "internal".to_owned());
    assert_eq!(bad(|| answer(vec![], Status::new(Code::Ok, ""))).await, internal);
    assert_eq!(bad(|| Response::new(tonic::body::Body::empty())).await, (500, "unknown".to_owned()));
    let two = move || answer(vec![book(), book()], ok());
    let (response, _) = exchange(builder(), post("GetBook", "application/json", "{}"), two).await;
    assert_eq!(json_of(&response), error("internal", "the service did not answer with one message"));
    let malformed = || answer(vec![Bytes::from_static(&[0, 0, 0, 0, 1, 0xff])], Status::new(Code::Ok, ""));
    let (response, _) = exchange(builder(), post("GetBook", "application/json", "{}"), malformed).await;
    assert_eq!(json_of(&response), error("internal", "the service's answer is malformed"));
}

#[tokio::test]
async fn a_caller_may_stand_between_the_head_and_the_call() {
    let upstream = service(Log::default(), |_| ok("Book", &json!({"id": "x"})));
    let transcoder = builder().build(upstream).unwrap();
    for (content_type, protocol) in [
        ("application/json", Protocol::Connect),
        ("application/grpc+proto", Protocol::Grpc),
        ("application/grpc-web", Protocol::GrpcWeb),
    ] {
        let request = post("GetBook", content_type, "{}");
        let matched = transcoder.route_head(request.method(), request.uri(), request.headers()).unwrap();
        assert_eq!((matched.protocol(), matched.rpc().name()), (protocol, "GetBook"));
        assert_eq!((matched.template(), matched.bindings().count()), ("/test.Library/GetBook", 0));
        // What fails in between is told in the client's protocol.
        let (parts, _) = request.into_parts();
        let denied = Error { code: Code::PermissionDenied, ..Error::new(Kind::Upstream, "not you") };
        let response = collect(transcoder.render(&ErrorContext::of(&parts), &denied)).await;
        if protocol == Protocol::Connect {
            assert_eq!(json_of(&response), error("permission_denied", "not you"));
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
        } else {
            assert_eq!(
                (response.status(), &response.headers()["grpc-status"]),
                (StatusCode::OK, &"7".parse().unwrap())
            );
        }
    }
    let matched = transcoder.route(&Method::GET, "/v1/shelves/s/books/b").unwrap();
    assert_eq!(matched.protocol(), Protocol::Rest);
    let request = post("GetBook", "application/json", r#"{"id":"b"}"#);
    let matched = transcoder.route_head(request.method(), request.uri(), request.headers()).unwrap();
    let response = collect(transcoder.call_matched(matched, request).await).await;
    assert_eq!(response.body(), r#"{"id":"x"}"#);
}
