//! Calls over HTTP, before a gRPC service that the test scripts.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use prost_reflect::{DynamicMessage, SerializeOptions};
use riskmesh_transcode::{
    Aip193, Body, Builder, Error, ErrorContext, ErrorRenderer, Kind, Limits, Protocols, Transcoder,
    UnknownFields,
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt as _, service_fn};

use crate::pool::{POOL, parse};

/// What the service saw of a call.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    /// The messages, as the oracle prints them.
    pub(crate) messages: Vec<Value>,
}

pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;
pub(crate) type GrpcResponse = Response<tonic::body::Body>;

/// A frame around a message of the test protos.
pub(crate) fn frame(name: &str, json: &Value) -> Bytes {
    let message = parse(name, &json.to_string()).unwrap();
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame.into()
}

/// An answer with these data frames and this status in the trailers.
#[allow(clippy::needless_pass_by_value, reason = "called with values made on the spot")]
pub(crate) fn answer(frames: Vec<Bytes>, status: Status) -> GrpcResponse {
    let mut trailers = http::HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let frames = frames.into_iter().map(|data| Ok::<_, Status>(http_body::Frame::data(data)));
    let frames = frames.chain([Ok(http_body::Frame::trailers(trailers))]);
    let body = http_body_util::StreamBody::new(tokio_stream::iter(frames.collect::<Vec<_>>()));
    let mut response = Response::new(tonic::body::Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

pub(crate) fn ok(name: &str, json: &Value) -> GrpcResponse {
    answer(vec![frame(name, json)], Status::new(Code::Ok, ""))
}

/// A service of any making: one type, so that the transcoder before it is compiled once.
pub(crate) type Upstream = BoxCloneSyncService<Request<tonic::body::Body>, GrpcResponse, Status>;

pub(crate) fn upstream<F>(
    serve: impl Fn(Request<tonic::body::Body>) -> F + Clone + Send + Sync + 'static,
) -> Upstream
where
    F: Future<Output = Result<GrpcResponse, Status>> + Send + 'static,
{
    BoxCloneSyncService::new(service_fn(serve))
}

/// The service: notes what it sees, answers what `reply` says.
pub(crate) fn service(
    log: Log,
    reply: impl Fn(&str) -> GrpcResponse + Clone + Send + Sync + 'static,
) -> Upstream {
    upstream(move |request: Request<tonic::body::Body>| {
        let (log, reply) = (log.clone(), reply.clone());
        async move {
            let (parts, body) = request.into_parts();
            let mut bytes = body.collect().await?.to_bytes();
            let path = parts.uri.path().to_owned();
            let (service, method) = path[1..].split_once('/').unwrap();
            let service = POOL.get_service_by_name(service).unwrap();
            let rpc = service.methods().find(|rpc| rpc.name() == method).unwrap();
            let mut messages = Vec::new();
            while bytes.len() >= 5 {
                let header = bytes.split_to(5);
                let length = u32::from_be_bytes(header[1..].try_into().unwrap());
                let message = DynamicMessage::decode(rpc.input(), bytes.split_to(length as usize)).unwrap();
                let options = SerializeOptions::new();
                messages
                    .push(message.serialize_with_options(serde_json::value::Serializer, &options).unwrap());
            }
            log.lock().unwrap().push(Seen { path: path.clone(), headers: parts.headers, messages });
            Ok(reply(&path))
        }
    })
}

pub(crate) fn builder() -> Builder {
    Builder::new(POOL.clone())
        .success_status(|rpc| match rpc.name() {
            "CreateBook" => StatusCode::CREATED,
            "DeleteBook" => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        })
        .status_metadata(HeaderName::from_static("x-status"))
}

/// Sends a request to a transcoder before a service that answers with an empty message, and returns what came of it.
pub(crate) async fn send_with(
    builder: Builder,
    request: Request<Full<Bytes>>,
) -> (Response<Bytes>, Option<Seen>) {
    let log = Log::default();
    let upstream = service(log.clone(), |_| ok("Book", &json!({"id": "b"})));
    let response = builder.build(upstream).unwrap().oneshot(request).await.unwrap();
    let seen = log.lock().unwrap().pop();
    (collect(response).await, seen)
}

pub(crate) async fn collect(response: Response<Body>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

pub(crate) fn request(method: &str, uri: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(uri);
    let request =
        if body.is_empty() { request } else { request.header(header::CONTENT_TYPE, "application/json") };
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

/// The message that the service gets.
#[track_caller]
fn gets(method: &str, uri: &str, body: &str, rpc: &str, message: Value) -> impl Future<Output = ()> {
    let request = request(method, uri, body);
    let (uri, rpc) = (uri.to_owned(), rpc.to_owned());
    async move {
        let (response, seen) = send_with(builder(), request).await;
        let seen = seen.unwrap_or_else(|| panic!("{uri}: {response:?}"));
        assert_eq!((seen.path, seen.messages), (format!("/test.Library/{rpc}"), vec![message]), "{uri}");
    }
}

/// The status and the message of a request refused before any call.
async fn refused(method: &str, uri: &str, body: &str, status: u16, message: &str) {
    let (response, seen) = send_with(builder(), request(method, uri, body)).await;
    assert!(seen.is_none(), "{uri}: {seen:?}");
    let found: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        (response.status().as_u16(), found["error"]["message"].as_str().unwrap()),
        (status, message),
        "{uri}"
    );
}

#[tokio::test]
async fn path_query_and_body_become_one_message() {
    gets("GET", "/v1/shelves/s%2F1/books/b+1", "", "GetBook", json!({"shelf": "s/1", "id": "b+1"})).await;
    gets("GET", "/v1/books/a/b%2Fc", "", "GetBook", json!({"name": "books/a/b%2Fc"})).await;
    gets(
        "GET",
        "/v1/shelves/s/books/b?name=n+m",
        "",
        "GetBook",
        json!({"shelf": "s", "id": "b", "name": "n m"}),
    )
    .await;
    gets(
        "POST",
        "/v1/shelves/s/books",
        r#"{"title":"t"}"#,
        "CreateBook",
        json!({"shelf": "s", "book": {"title": "t"}}),
    )
    .await;
    gets(
        "POST",
        "/v1/shelves/s/books?dryRun=true",
        r"{}",
        "CreateBook",
        json!({"shelf": "s", "book": {}, "dryRun": true}),
    )
    .await;
    gets("POST", "/v1/shelves/s/books", "", "CreateBook", json!({"shelf": "s"})).await;
    gets(
        "PUT",
        "/v1/books/7",
        r#"{"book":{"pages":3}}"#,
        "ReplaceBook",
        json!({"book": {"pages": 3, "id": "7"}}),
    )
    .await;
    gets("POST", "/v1/books/7:lend", "", "LendBook", json!({"id": "7"})).await;
    gets("POST", "/v1/books/7:lend", " {} ", "LendBook", json!({"id": "7"})).await;
    gets("PURGE", "/v1/books", "", "PurgeBooks", json!({})).await;
    gets("HEAD", "/v1/shelves/s/books/b", "", "GetBook", json!({"shelf": "s", "id": "b"})).await;
}

#[tokio::test]
async fn query_parameters_reach_every_kind_of_field() {
    for (query, message) in [
        ("limit=5&exact=true&ratio=0.5", json!({"limit": 5, "exact": true, "ratio": 0.5})),
        ("tags=a&tags=b%2C&tags=", json!({"tags": ["a", "b,", ""]})),
        ("author.givenName=A&author.family_name=B", json!({"author": {"givenName": "A", "familyName": "B"}})),
        (
            "color=COLOR_RED&colors=2&colors=COLOR_RED",
            json!({"color": "COLOR_RED", "colors": ["COLOR_BLUE", "COLOR_RED"]}),
        ),
        (
            "since=2025-01-02T03:04:05Z&within=1.5s",
            json!({"since": "2025-01-02T03:04:05Z", "within": "1.500s"}),
        ),
        ("fields=a.bC,d_e", json!({"fields": "a.bC,dE"})),
        ("atLeast=0", json!({"atLeast": "0"})),
        ("counts[a]=1&counts[b%5D]=2", json!({"counts": {"a": 1, "b]": 2}})),
        ("extra={\"a\":[1]}&anything=5", json!({"extra": {"a": [1.0]}, "anything": 5.0})),
        ("anything=plain%20text", json!({"anything": "plain text"})),
        ("byNumber=0", json!({"byNumber": "0"})),
        ("token=AQI", json!({"token": "AQI="})),
        ("&&limit=5&", json!({"limit": 5})),
    ] {
        let mut message = message;
        message["shelf"] = json!("s");
        let uri = format!(
            "/v1/shelves/s/books?{}",
            query.replace('{', "%7B").replace('}', "%7D").replace('"', "%22")
        );
        gets("GET", &uri, "", "ListBooks", message).await;
    }
}

#[tokio::test]
async fn bad_parameters_are_refused() {
    let twice = "given twice, or set by the path, the body or another member of its oneof";
    for (query, problem) in [
        ("nope=1", "nope: unknown"),
        ("limit=1&limit=2", &*format!("limit: {twice}")),
        ("shelf=x", &*format!("shelf: {twice}")),
        ("byTitle=a&byNumber=1", &*format!("byNumber: {twice}")),
        ("limit=x", "limit: not an integer"),
        ("limit=", "limit: not an integer"),
        ("exact=yes", "exact: not a boolean"),
        ("author=x", "author: a message, which no single text can hold"),
        ("author.x=1", "author.x: unknown"),
        ("tags.x=1", "tags.x: unknown"),
        ("since.seconds=1", "since.seconds: unknown"),
        ("counts=1", "counts: a map"),
        ("counts[a]=1&counts[a]=2", "counts[a]: given twice"),
        ("limit[a]=1", "limit[a]: unknown"),
        ("color=PINK", "color: not a value of the enum"),
    ] {
        let uri = format!("/v1/shelves/s/books?{query}");
        refused("GET", &uri, "", 400, &format!("query parameter {problem}")).await;
    }
    refused("GET", "/v1/shelves/s/books?limit=%zz", "", 400, "a bad escape in the query").await;
    refused(
        "POST",
        "/v1/shelves/s/books?book.title=x",
        "{}",
        400,
        "query parameter book.title: belongs into the body",
    )
    .await;
    refused("POST", "/v1/books/7:lend?shelf=x", "{}", 400, "query parameter shelf: belongs into the body")
        .await;
    let parse =
        riskmesh_transcode::ParseOptions { unknown_fields: UnknownFields::Ignore, ..Default::default() };
    let lenient = builder().parse_options(parse);
    let (_, seen) = send_with(lenient, request("GET", "/v1/shelves/s/books?nope=1", "")).await;
    assert_eq!(seen.unwrap().messages, [json!({"shelf": "s"})]);
}

#[tokio::test]
async fn a_body_that_sets_what_the_path_sets_is_refused() {
    let already = "already set by the path or the query";
    refused("PATCH", "/v1/books/7", r#"{"id":"8"}"#, 400, &format!("line 1, column 7, id: {already}")).await;
    refused(
        "PUT",
        "/v1/books/7",
        r#"{"book":{"id":"7"}}"#,
        400,
        &format!("line 1, column 15, book.id: {already}"),
    )
    .await;
    refused("POST", "/v1/books/7:lend", r#"{"id":"7"}"#, 400, &format!("line 1, column 7, id: {already}"))
        .await;
    refused("DELETE", "/v1/books/7", "{}", 400, "this method takes no body").await;
}

#[tokio::test]
async fn a_patch_without_a_mask_gets_the_keys_of_its_body() {
    let body = r#"{"title":"t","author":{"givenName":"A"},"labels":{"k":"v"},"tags":null}"#;
    let book = json!({"id": "7", "title": "t", "author": {"givenName": "A"}, "labels": {"k": "v"}});
    let mask = json!("title,author.givenName,labels,tags");
    gets("PATCH", "/v1/books/7", body, "UpdateBook", json!({"book": book, "updateMask": mask})).await;
    let given = "/v1/books/7?updateMask=title";
    gets("PATCH", given, body, "UpdateBook", json!({"book": book, "updateMask": "title"})).await;
    gets("PATCH", "/v1/books/7", "{}", "UpdateBook", json!({"book": {"id": "7"}})).await;
}

#[tokio::test]
async fn answers_are_json_with_the_status_of_the_method() {
    let (response, _) = send_with(builder(), request("POST", "/v1/shelves/s/books", "{}")).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.body(), &r#"{"id":"b"}"#);
    let (response, _) = send_with(builder(), request("DELETE", "/v1/books/7", "")).await;
    assert_eq!((response.status(), response.body().len()), (StatusCode::NO_CONTENT, 0));
    let (response, _) = send_with(builder(), request("HEAD", "/v1/shelves/s/books/b", "")).await;
    assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "10");
}

#[tokio::test]
async fn a_response_body_rule_picks_the_field() {
    for (message, body) in
        [(json!({"books": [{"id": "1"}], "total": 1}), r#"[{"id":"1"}]"#), (json!({}), "[]")]
    {
        let upstream = service(Log::default(), move |_| ok("ListBooksResponse", &message));
        let transcoder = builder().build(upstream).unwrap();
        let response = transcoder.oneshot(request("GET", "/v1/shelves/s/titles", "")).await.unwrap();
        assert_eq!(collect(response).await.body(), body);
    }
}

#[tokio::test]
async fn paths_methods_and_types_are_told_apart() {
    refused("GET", "/v2/nothing", "", 404, "no such path").await;
    refused("GET", "/v1/shelves/s/books/", "", 404, "no such path").await;
    refused("GET", "/v1/shelves/%zz/books", "", 400, "a bad escape in the path").await;
    let (response, _) = send_with(builder(), request("PUT", "/v1/shelves/s/books", "")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "GET, HEAD, POST, OPTIONS");
    let (response, _) = send_with(builder(), request("OPTIONS", "/v1/shelves/s/books", "")).await;
    assert_eq!(
        (response.status(), &response.headers()[header::ALLOW]),
        (StatusCode::NO_CONTENT, &HeaderValue::from_static("GET, HEAD, POST, OPTIONS"))
    );
    let (response, _) = send_with(builder(), request("OPTIONS", "/nothing", "")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let mut text = request("POST", "/v1/shelves/s/books", "{}");
    for content_type in [Some("text/plain"), Some("application/json; charset=latin1"), None] {
        text.headers_mut().remove(header::CONTENT_TYPE);
        if let Some(content_type) = content_type {
            text.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let (response, seen) = send_with(builder(), text.clone()).await;
        assert_eq!((response.status(), seen.is_none()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, true));
    }
    let mut html = request("GET", "/v1/shelves/s/books", "");
    html.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/html"));
    let (response, _) = send_with(builder(), html).await;
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn separate_limits_bound_requests_and_responses() {
    let limits = Limits { request_bytes: 16, response_bytes: 4, ..Limits::default() };
    let big = request("POST", "/v1/shelves/s/books", r#"{"title":"a long one"}"#);
    let (response, seen) = send_with(builder().limits(limits), big).await;
    assert_eq!((response.status(), seen.is_none()), (StatusCode::PAYLOAD_TOO_LARGE, true));
    let upstream = service(Log::default(), |_| ok("Book", &json!({"id": "too long"})));
    let transcoder = builder().limits(limits).build(upstream).unwrap();
    let response = transcoder.oneshot(request("GET", "/v1/shelves/s/books/b", "")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let many = format!("/v1/shelves/s/books?{}", "tags=a&".repeat(3));
    let few = Limits { query_parameters: 2, ..Limits::default() };
    let (response, _) = send_with(builder().limits(few), request("GET", &many, "")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn headers_of_the_connection_go_no_further() {
    let get = request("GET", "/v1/shelves/s/books/b", "");
    let unary = crate::connect::post("GetBook", "application/json", "{}");
    let web = crate::connect::post("GetBook", "application/grpc-web", frame("GetBookRequest", &json!({})));
    for mut request in [get, unary, web] {
        let uri = request.uri().clone();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("connection", "x-other"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("x-y", "1"),
        ] {
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let chosen = builder().forward_headers(|name| name.as_str().starts_with("x-"));
        let headers = send_with(chosen, request).await.1.unwrap().headers;
        let names = ["connection", "x-mine", "x-other", "x-y"].map(|name| headers.contains_key(name));
        assert_eq!(names, [false, false, false, true], "{uri}");
    }
}

#[tokio::test]
async fn metadata_at_the_end_takes_the_place_of_what_was_at_the_start() {
    let upstream = service(Log::default(), |_| {
        let metadata = [("etag", "\"end\""), ("x-y", "3"), ("x-y", "4")];
        let metadata = metadata.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let metadata = tonic::metadata::MetadataMap::from_headers(metadata.into_iter().collect());
        let mut response =
            answer(vec![frame("Book", &json!({}))], Status::with_metadata(Code::Ok, "", metadata));
        for (name, value) in [("etag", "\"start\""), ("x-y", "1"), ("x-y", "2"), ("x-z", "1")] {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        response
    });
    let transcoder = builder()
        .expose_metadata(|name| *name == header::ETAG || name.as_str().starts_with("x-"))
        .build(upstream)
        .unwrap();
    let response = transcoder.oneshot(request("GET", "/v1/shelves/s/books/b", "")).await.unwrap();
    let all = |name| response.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!((all("etag"), all("x-y"), all("x-z")), (vec!["\"end\""], vec!["3", "4"], vec!["1"]));
}

#[tokio::test]
async fn chosen_headers_go_both_ways() {
    let log = Log::default();
    let upstream = service(log.clone(), |_| {
        let mut response = ok("Book", &json!({}));
        for (name, value) in [("etag", "\"1\""), ("x-status", "203"), ("x-secret", "s"), ("x-y", "1")] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    });
    let transcoder = builder()
        .forward_headers(|name| name.as_str().starts_with("x-") || *name == header::HOST)
        .expose_metadata(|name| *name == header::ETAG || name == "x-y")
        .build(upstream)
        .unwrap();
    let mut request = request("GET", "/v1/shelves/s/books/b", "");
    for (name, value) in [("x-a", "1"), ("authorization", "Bearer t"), ("host", "h"), ("te", "gzip")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let response = transcoder.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NON_AUTHORITATIVE_INFORMATION);
    assert_eq!(
        (&response.headers()["etag"], &response.headers()["x-y"]),
        (&HeaderValue::from_static("\"1\""), &HeaderValue::from_static("1"))
    );
    assert!(!response.headers().contains_key("x-secret") && !response.headers().contains_key("x-status"));
    let headers = log.lock().unwrap().pop().unwrap().headers;
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        (names, headers["te"].to_str().unwrap()),
        (vec!["content-type", "grpc-accept-encoding", "te", "x-a"], "trailers")
    );
}

/// Shows everything that a renderer gets.
struct Shown;

impl ErrorRenderer for Shown {
    fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Bytes> {
        let body = json!({
            "kind": format!("{:?}", error.kind), "code": error.code as i32, "message": error.message,
            "template": context.template, "rpc": context.rpc.map(prost_reflect::MethodDescriptor::full_name),
            "details": error.details.to_vec(), "retry": error.metadata.get("retry-after").map(|v| v.to_str().unwrap()),
            "violations": error.violations.iter().map(|v| json!([v.field, v.description, v.expected])).collect::<Vec<_>>(),
            "line": error.location.map(|l| l.line),
        });
        let mut response = Response::new(body.to_string().into());
        *response.status_mut() = error.status;
        response
    }
}

async fn shown(reply: impl Fn() -> GrpcResponse + Clone + Send + Sync + 'static) -> (StatusCode, Value) {
    let upstream = service(Log::default(), move |_| reply());
    let transcoder = builder().error_renderer(Shown).build(upstream).unwrap();
    let response = transcoder.oneshot(request("GET", "/v1/shelves/s/books/b", "")).await.unwrap();
    let response = collect(response).await;
    (response.status(), serde_json::from_slice(response.body()).unwrap())
}

#[tokio::test]
async fn errors_trailers_only_and_others_reach_the_renderer_whole() {
    let (status, error) = shown(|| {
        let mut status =
            Status::with_details(Code::NotFound, "Client not found", Bytes::from_static(&[8, 5]));
        status.metadata_mut().insert("retry-after", "3".parse().unwrap());
        answer(vec![], status)
    })
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        error,
        json!({
            "kind": "Upstream", "code": 5, "message": "Client not found", "template": "/v1/shelves/{shelf}/books/{id}",
            "rpc": "test.Library.GetBook", "details": [8, 5], "retry": "3", "violations": [], "line": null,
        })
    );
    let (status, error) = shown(|| Status::new(Code::PermissionDenied, "no: é").into_http()).await;
    assert_eq!((status, error["message"].as_str().unwrap()), (StatusCode::FORBIDDEN, "no: é"));
    let (status, _) =
        shown(|| answer(vec![frame("Book", &json!({}))], Status::new(Code::Aborted, "late"))).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn answers_that_are_not_grpc_are_internal_errors() {
    let book = || frame("Book", &json!({"id": "1"}));
    let status = || Status::new(Code::Ok, "");
    let kind =
        |(status, error): (StatusCode, Value)| (status.as_u16(), error["kind"].as_str().unwrap().to_owned());
    let bad = (500, "BadResponse".to_owned());
    assert_eq!(kind(shown(move || answer(vec![], status())).await), bad);
    assert_eq!(kind(shown(move || answer(vec![book(), book()], status())).await), bad);
    assert_eq!(kind(shown(move || answer(vec![book().slice(..6)], status())).await), bad);
    assert_eq!(kind(shown(move || answer(vec![Bytes::from_static(&[1, 0, 0, 0, 0])], status())).await), bad);
    assert_eq!(
        kind(shown(move || answer(vec![Bytes::from_static(&[0, 0, 0, 0, 1, 0xff])], status())).await),
        bad
    );
    assert_eq!(kind(shown(|| Response::new(tonic::body::Body::empty())).await), bad);
}

/// The statuses of who stands before the service, as gRPC has them (doc/http-grpc-status-mapping.md).
#[tokio::test]
async fn an_answer_of_a_proxy_has_the_code_of_its_http_status() {
    for (theirs, kind, ours, connect) in [
        (200, "BadResponse", 500, "unknown"),
        (400, "BadResponse", 500, "internal"),
        (401, "BadResponse", 401, "unauthenticated"),
        (403, "BadResponse", 403, "permission_denied"),
        (404, "BadResponse", 501, "unimplemented"),
        (429, "Transport", 503, "unavailable"),
        (500, "BadResponse", 500, "unknown"),
        (502, "Transport", 503, "unavailable"),
        (503, "Transport", 503, "unavailable"),
        (504, "Transport", 503, "unavailable"),
    ] {
        let answer = move || crate::grpc_web::raw(theirs, &[("content-type", "text/html")], b"<html>", None);
        let (status, error) = shown(answer).await;
        assert_eq!((status.as_u16(), error["kind"].as_str()), (ours, Some(kind)), "{theirs}");
        let request = request("POST", "/test.Library/GetBook", "{}");
        let response =
            builder().build(service(Log::default(), move |_| answer())).unwrap().oneshot(request).await;
        let error: Value = serde_json::from_slice(collect(response.unwrap()).await.body()).unwrap();
        assert_eq!(error["code"], connect, "{theirs}");
    }
}

#[tokio::test]
async fn a_message_in_many_pieces_is_put_together() {
    let whole = frame("Book", &json!({"id": "b", "title": "in pieces"}));
    let pieces: Vec<Bytes> = whole.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    let upstream = service(Log::default(), move |_| answer(pieces.clone(), Status::new(Code::Ok, "")));
    let transcoder = builder().build(upstream).unwrap();
    let response = transcoder.oneshot(request("GET", "/v1/shelves/s/books/b", "")).await.unwrap();
    assert_eq!(collect(response).await.body(), &r#"{"id":"b","title":"in pieces"}"#);
}

#[tokio::test]
async fn body_errors_carry_field_place_and_expectation() {
    let upstream = service(Log::default(), |_| ok("Book", &json!({})));
    let transcoder = builder().error_renderer(Shown).build(upstream).unwrap();
    for (body, violation) in [
        ("{\n\"tags\":[\"a\",1]}", json!(["tags[1]", "expected a string, found a number", "a string"])),
        ("{\n\"tags\":[\"a\",", json!(["tags[1]", "unexpected end of input", "JSON"])),
        ("{\n\"title\":\"\\ud800\"}", json!(["title", "lone surrogate in a string", "JSON"])),
        ("{\ntags", json!(["", "expected a key in double quotes", "JSON"])),
    ] {
        let bad = request("POST", "/v1/shelves/s/books", body);
        let response = collect(transcoder.clone().oneshot(bad).await.unwrap()).await;
        let error: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(error["violations"], json!([violation]), "{body}");
        assert_eq!((response.status(), error["line"].as_u64()), (StatusCode::BAD_REQUEST, Some(2)));
    }
}

#[tokio::test]
async fn http_body_in_and_out_goes_through_as_it_is() {
    let upstream = service(Log::default(), |_| {
        let mut message = vec![0x0a, 8];
        message.extend(b"text/csv");
        message.extend([0x12, 4]);
        message.extend(b"a,b\n");
        let frame = [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
        answer(vec![frame.into()], Status::new(Code::Ok, ""))
    });
    let transcoder = builder().build(upstream).unwrap();
    let mut download = request("GET", "/v1/books/7:download", "");
    download.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/csv"));
    let response = collect(transcoder.oneshot(download).await.unwrap()).await;
    assert_eq!(
        (&response.headers()[header::CONTENT_TYPE], response.body()),
        (&HeaderValue::from_static("text/csv"), &Bytes::from_static(b"a,b\n"))
    );
    let mut upload = request("POST", "/v1/books/7:upload", "x");
    upload.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let (_, seen) = send_with(builder(), upload).await;
    assert_eq!(
        seen.unwrap().messages,
        [json!({"id": "7", "file": {"contentType": "text/plain", "data": "eA=="}})]
    );
}

#[tokio::test]
async fn unannotated_methods_are_served_by_option_only() {
    let call = || request("POST", "/test.Library/Unannotated", r#"{"id":"1"}"#);
    // Connect, too, would serve it there.
    let rest = || builder().protocols(Protocols::NONE);
    let (response, _) = send_with(rest(), call()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let (_, seen) = send_with(rest().unannotated(true), call()).await;
    assert_eq!(seen.unwrap().messages, [json!({"id": "1"})]);
}

#[tokio::test]
async fn a_caller_may_stand_between_route_and_call() {
    let upstream = service(Log::default(), |_| ok("Book", &json!({"id": "x"})));
    let transcoder = builder().error_renderer(Aip193).build(upstream).unwrap();
    let matched = transcoder.route(&Method::GET, "/v1/shelves/s/books/b").unwrap();
    assert_eq!(matched.rpc().full_name(), "test.Library.GetBook");
    assert_eq!(matched.template(), "/v1/shelves/{shelf}/books/{id}");
    assert_eq!(matched.bindings().collect::<Vec<_>>(), [("shelf", "s"), ("id", "b")]);
    assert_eq!(matched.grpc_path(), "/test.Library/GetBook");
    let response = transcoder.call_matched(matched, request("GET", "/v1/shelves/s/books/b", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let error = transcoder.route(&Method::GET, "/nope").unwrap_err();
    assert_eq!((error.kind, error.status), (Kind::NotFound, StatusCode::NOT_FOUND));
    let routes = transcoder.routes();
    assert!(routes.iter().any(|(method, template, _)| (&**method, &**template) == ("PURGE", "/v1/books")));
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_unavailable() {
    let upstream = service_fn(|_: Request<tonic::body::Body>| async {
        Err::<GrpcResponse, _>(std::io::Error::other("db.internal refused"))
    });
    let response =
        builder().build(upstream).unwrap().oneshot(request("GET", "/v1/shelves/s/books/b", "")).await;
    let response = collect(response.unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!String::from_utf8_lossy(response.body()).contains("internal"));
}

#[test]
fn services_are_chosen_by_name() {
    assert!(Transcoder::builder(POOL.clone()).services(["test.Library"]).build(()).is_ok());
    let error = Transcoder::builder(POOL.clone()).services(["test.Nope"]).build(()).unwrap_err();
    assert_eq!(error.to_string(), "no service test.Nope in the descriptors");
}
