//! Any request before a service that answers anything: there is an answer, whole or broken off, and nothing panics.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use libfuzzer_sys::fuzz_target;
use prost_reflect::DescriptorPool;
use riskmesh_transcode::{Builder, Limits, Transcoder};
use tonic::Status;
use tower::{ServiceExt as _, service_fn};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input<'a> {
    method: u8,
    path: u8,
    rest: &'a str,
    query: &'a str,
    content_type: u8,
    content_encoding: u8,
    accept: u8,
    body: Vec<&'a [u8]>,
    answer: Vec<&'a [u8]>,
    answer_encoding: u8,
    status: Option<u8>,
    headers: Vec<(u8, &'a [u8])>,
    /// At the start of the answer, or at its end.
    metadata: Vec<(bool, u8, &'a [u8])>,
}

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];
const PATHS: [&str; 20] = [
    "/v1/shelves/s/books",
    "/v1/shelves/s/books/b",
    "/v1/books/",
    "/v1/books/7",
    "/v1/books/7:lend",
    "/v1/books:import",
    "/v1/books:chat",
    "/v1/shelves/s/books:watch",
    "/v1/books/7:uploadParts",
    "/v1/books/7:downloadParts",
    "/v1/forms/7",
    "/test.Library/",
    "/d/loans",
    "/d/loans/7",
    "/d/7/loans",
    "/v1/shelves/s/books/b?$fields=",
    "/d/loans:update",
    "/d/shelf",
    "/d/shelf:whole",
    "/d/shelves?shelf.left.left.label=x&",
];
const TYPES: [&str; 12] = [
    "",
    "application/json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=X",
    "application/grpc",
    "application/grpc-web",
    "application/grpc-web-text",
    "application/proto",
    "application/connect+json",
    "application/connect+proto",
    "text/plain",
];
const ACCEPTS: [&str; 5] = ["", "application/json", "application/x-ndjson", "text/event-stream", "text/html"];
const CODINGS: [&str; 5] = ["", "gzip", "br", "zstd", "x"];
const HEADERS: [&str; 10] = [
    "accept",
    "accept-encoding",
    "connect-content-encoding",
    "connect-protocol-version",
    "connect-timeout-ms",
    "content-encoding",
    "content-type",
    "grpc-timeout",
    "if-none-match",
    "last-event-id",
];
const METADATA: [&str; 10] = [
    "content-encoding",
    "content-length",
    "content-type",
    "etag",
    "grpc-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "location",
    "x-status",
];

/// A header of any value, where it is one.
fn any(from: &[&'static str], name: u8, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static(pick(from, name)), HeaderValue::from_bytes(value).ok()?))
}

fn pick(from: &[&'static str], at: u8) -> &'static str {
    from[usize::from(at) % from.len()]
}

static TRANSCODER: LazyLock<Transcoder<()>> = LazyLock::new(|| {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_imports(true).open_files(["test/library.proto", "test/behavior.proto"]).unwrap();
    let pool = DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap();
    let limits = Limits { request_bytes: 64 << 10, response_bytes: 64 << 10, ..Limits::default() };
    let builder = Builder::new(pool).limits(limits).status_metadata(HeaderName::from_static("x-status"));
    builder.build(()).unwrap()
});

fuzz_target!(|input: Input<'_>| {
    let target = format!("{}{}?{}", pick(&PATHS, input.path), input.rest, input.query);
    let Ok(uri) = target.parse::<Uri>() else { return };
    let pieces =
        input.body.iter().map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece))));
    let body = StreamBody::new(tokio_stream::iter(pieces.collect::<Vec<_>>()));
    let mut request = Request::new(body);
    *request.method_mut() = Method::from_bytes(pick(&METHODS, input.method).as_bytes()).unwrap();
    *request.uri_mut() = uri;
    for (name, value) in [
        ("content-type", pick(&TYPES, input.content_type)),
        ("content-encoding", pick(&CODINGS, input.content_encoding)),
        ("accept", pick(&ACCEPTS, input.accept)),
        ("accept-encoding", pick(&CODINGS, input.content_encoding >> 4)),
    ] {
        if !value.is_empty() {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    let headers = input.headers.iter().filter_map(|(name, value)| any(&HEADERS, *name, value));
    request.headers_mut().extend(headers);

    let metadata = |at_the_end: bool| {
        let here = input.metadata.iter().filter(|(place, ..)| *place == at_the_end);
        here.filter_map(|(_, name, value)| any(&METADATA, *name, value)).collect::<http::HeaderMap>()
    };
    let (head, end) = (metadata(false), metadata(true));
    let mut frames: Vec<_> =
        input.answer.iter().map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    if let Some(code) = input.status {
        let mut trailers = http::HeaderMap::new();
        let status = Status::new(tonic::Code::from(i32::from(code % 17)), "m");
        status.add_header(&mut trailers).unwrap();
        trailers.extend(end);
        frames.push(Ok::<_, Status>(Frame::trailers(trailers)));
    }
    let answer = std::sync::Arc::new(std::sync::Mutex::new(Some(frames)));
    let upstream = service_fn(move |request: Request<tonic::body::Body>| {
        let (answer, head) = (answer.clone(), head.clone());
        async move {
            // What it gets are whole frames, or the client's fault; gRPC-Web's pass through as they are.
            let passed = request.headers().get("content-type").is_none_or(|text| text != "application/grpc");
            if let (false, Ok(body)) = (passed, request.into_body().collect().await) {
                let mut bytes = body.to_bytes();
                while !bytes.is_empty() {
                    let header = bytes.split_to(5);
                    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
                    drop(bytes.split_to(length as usize));
                }
            }
            let frames = answer.lock().unwrap().take().unwrap_or_default();
            let mut response =
                Response::new(tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames))));
            response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
            let coding = pick(&CODINGS, input.answer_encoding);
            if !coding.is_empty() {
                response.headers_mut().insert("grpc-encoding", HeaderValue::from_static(coding));
            }
            response.headers_mut().extend(head);
            Ok::<_, Status>(response)
        }
    });
    let transcoder = TRANSCODER.with_upstream(upstream);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let answer = transcoder.oneshot(request).await.unwrap();
        assert!(answer.status().as_u16() >= 200);
        let json = answer.headers().get("content-type").is_some_and(|text| text == "application/json");
        let coded = answer.headers().contains_key("content-encoding");
        let streamed = http_body::Body::size_hint(answer.body()).exact().is_none();
        let grpc = answer.headers().get("content-type").is_some_and(|text| text == "application/grpc");
        let told = answer.headers().contains_key("grpc-status");
        if let Ok(body) = answer.into_body().collect().await {
            let at_the_end = body.trailers().is_some_and(|trailers| trailers.contains_key("grpc-status"));
            assert!(!grpc || told || at_the_end, "an answer of gRPC has a status");
            let body = body.to_bytes();
            if json && !coded && !streamed && !body.is_empty() {
                serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("JSON");
            }
        }
    });
});
