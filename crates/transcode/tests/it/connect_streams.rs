//! Connect, streams: envelopes both ways, in any split, and what a hostile client may send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use proptest::prelude::*;
use riskmesh_transcode::coding::{self, Coding};
use riskmesh_transcode::{Body, Builder, Compression, Limits};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::connect::{exchange, post};
use crate::pool::{parse, print};
use crate::rest::{GrpcResponse, Log, answer, builder, collect, frame, ok, send_with, service};

const CODECS: [&str; 2] = ["application/connect+json", "application/connect+proto"];

pub(crate) fn envelope(flags: u8, message: &[u8]) -> Vec<u8> {
    [&[flags], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// The envelopes of an answer, the last of them being the end.
pub(crate) fn envelopes(mut bytes: &[u8]) -> (Vec<(u8, Bytes)>, Value) {
    let mut found = Vec::new();
    while let Some((&[flags, ref length @ ..], rest)) = bytes.split_first_chunk::<5>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        found.push((flags, Bytes::copy_from_slice(message)));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    let (flags, end) = found.pop().unwrap();
    assert_eq!(flags, 2);
    (found, serde_json::from_slice(&end).unwrap())
}

fn write(content_type: &str, name: &str, json: &Value) -> Vec<u8> {
    if content_type.ends_with("json") {
        json.to_string().into()
    } else {
        parse(name, &json.to_string()).unwrap()
    }
}

fn read(content_type: &str, name: &str, message: &[u8]) -> Value {
    let json = if content_type.ends_with("json") {
        String::from_utf8(message.to_vec()).unwrap()
    } else {
        print(name, message).unwrap()
    };
    serde_json::from_str(&json).unwrap()
}

fn request(rpc: &str, content_type: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    post(rpc, content_type, body)
}

/// Sends a body byte by byte.
async fn byte_by_byte(
    builder: Builder,
    request: Request<Full<Bytes>>,
    reply: impl Fn() -> GrpcResponse + Clone + Send + Sync + 'static,
) -> (Response<Bytes>, Vec<Value>) {
    let log = Log::default();
    let transcoder = builder.build(service(log.clone(), move |_| reply())).unwrap();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let bytes: Vec<_> =
        body.chunks(1).map(|b| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(b)))).collect();
    let request = Request::from_parts(parts, StreamBody::new(tokio_stream::iter(bytes)));
    let response = collect(transcoder.oneshot(request).await.unwrap()).await;
    let seen = log.lock().unwrap().pop();
    (response, seen.map(|seen| seen.messages).unwrap_or_default())
}

/// The error that a stream ends with.
fn failure(response: &Response<Bytes>) -> (String, String) {
    assert_eq!(response.status(), StatusCode::OK);
    let (_, end) = envelopes(response.body());
    let text = |key: &str| end["error"][key].as_str().unwrap_or_else(|| panic!("{end}")).to_owned();
    (text("code"), text("message"))
}

fn two_books(status: Status) -> GrpcResponse {
    answer(vec![frame("Book", &json!({"id": "1"})), frame("Book", &json!({"id": "2"}))], status)
}

#[tokio::test]
async fn streams_flow_both_ways_in_any_split_codec_and_compression() {
    let books = [json!({"id": "a", "title": "title ".repeat(300)}), json!({}), json!({"id": "b"})];
    let long = || {
        let book = frame("Book", &json!({"title": "title ".repeat(1000)}));
        answer(vec![book, frame("Book", &json!({"id": "short"}))], Status::new(Code::Ok, ""))
    };
    for content_type in CODECS {
        for coding in [None, Some(Coding::Gzip), Some(Coding::Brotli), Some(Coding::Zstd)] {
            let mut body = Vec::new();
            for (index, book) in books.iter().enumerate() {
                let message = write(content_type, "Book", book);
                match coding.filter(|_| index != 2) {
                    // An empty one is never decoded.
                    Some(_) if message.is_empty() => body.extend(envelope(1, b"")),
                    Some(coding) => body.extend(envelope(1, &coding::encode(coding, &message).unwrap())),
                    None => body.extend(envelope(0, &message)),
                }
            }
            let mut request = request("Chat", content_type, body);
            if let Some(coding) = coding {
                let name = HeaderName::from_static("connect-content-encoding");
                request.headers_mut().insert(name, HeaderValue::from_static(coding.name()));
            }
            let (response, seen) = byte_by_byte(builder(), request, long).await;
            assert_eq!(seen, books, "{content_type} {coding:?}");
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
            let named = response.headers().get("connect-content-encoding").map(|name| name.to_str().unwrap());
            assert_eq!(named, coding.map(Coding::name));
            let (messages, end) = envelopes(response.body());
            assert_eq!(end, json!({}));
            let [(first, one), (second, two)] = &messages[..] else { panic!("{messages:?}") };
            assert_eq!((*first, *second), (u8::from(coding.is_some()), 0));
            let one =
                coding.map_or(one.to_vec(), |coding| coding::decode(coding, one.clone(), 10_000).unwrap());
            assert_eq!(read(content_type, "Book", &one), json!({"title": "title ".repeat(1000)}));
            assert_eq!(read(content_type, "Book", two), json!({"id": "short"}));
        }
    }
}

#[tokio::test]
async fn a_server_stream_takes_one_message() {
    for content_type in CODECS {
        let message = write(content_type, "ListBooksRequest", &json!({"shelf": "s"}));
        let request = request("WatchBooks", content_type, envelope(0, &message));
        let (response, seen) =
            byte_by_byte(builder(), request, || two_books(Status::new(Code::Ok, ""))).await;
        assert_eq!(seen, [json!({"shelf": "s"})]);
        let (messages, end) = envelopes(response.body());
        let ids: Vec<_> = messages.iter().map(|(_, book)| read(content_type, "Book", book)).collect();
        assert_eq!((ids, end), (vec![json!({"id": "1"}), json!({"id": "2"})], json!({})));
    }
    for count in [0, 2] {
        let body = envelope(0, b"{}").repeat(count);
        let (response, seen) = send_with(builder(), request("WatchBooks", CODECS[0], body)).await;
        assert!(seen.is_none());
        assert_eq!(
            failure(&response),
            ("unimplemented".to_owned(), "the method takes one message".to_owned())
        );
    }
}

#[tokio::test]
async fn a_client_stream_answers_with_one_message() {
    let body = [envelope(0, br#"{"id":"1"}"#), envelope(0, br#"{"id":"2"}"#)].concat();
    let import = || request("ImportBooks", CODECS[0], body.clone());
    let one = || ok("ListBooksResponse", &json!({"total": "2"}));
    let (response, seen) = byte_by_byte(builder(), import(), one).await;
    assert_eq!(seen, [json!({"id": "1"}), json!({"id": "2"})]);
    let (messages, end) = envelopes(response.body());
    assert_eq!((&*messages[0].1, messages.len(), end), (&br#"{"total":"2"}"#[..], 1, json!({})));
    let none = || answer(vec![], Status::new(Code::Ok, ""));
    let (response, _) = exchange(builder(), import(), none).await;
    assert_eq!(failure(&response).0, "internal");
    let (response, seen) = byte_by_byte(builder(), request("ImportBooks", CODECS[1], vec![]), one).await;
    assert_eq!((envelopes(response.body()).0.len(), seen.len()), (1, 0));
}

#[tokio::test]
async fn errors_and_metadata_are_at_the_end() {
    let with_metadata = |code| {
        let mut status = Status::new(code, if code == Code::Ok { "" } else { "gone" });
        status.metadata_mut().append("x-cost", "237".parse().unwrap());
        status.metadata_mut().append("x-cost", "238".parse().unwrap());
        let mut response = two_books(status);
        response.headers_mut().insert("x-shard", HeaderValue::from_static("4"));
        response
    };
    let watch = || request("WatchBooks", CODECS[0], envelope(0, b"{}"));
    let metadata = json!({"x-cost": ["237", "238"]});
    let (response, _) = exchange(builder(), watch(), move || with_metadata(Code::Ok)).await;
    assert_eq!(response.headers()["x-shard"], "4");
    assert_eq!(envelopes(response.body()).1, json!({"metadata": metadata}));
    let (response, _) = exchange(builder(), watch(), move || with_metadata(Code::DataLoss)).await;
    let (messages, end) = envelopes(response.body());
    let error = json!({"code": "data_loss", "message": "gone"});
    assert_eq!((messages.len(), end), (2, json!({"error": error, "metadata": metadata})));
    // At once, without a message.
    let denied = || Status::new(Code::PermissionDenied, "no").into_http();
    let (response, _) = exchange(builder(), watch(), denied).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], CODECS[0]);
    assert_eq!(failure(&response), ("permission_denied".to_owned(), "no".to_owned()));
    // A message that is none, after one that is.
    let broken = || {
        let book = frame("Book", &json!({"id": "1"}));
        answer(vec![book, Bytes::from_static(&[0, 0, 0, 0, 1, 0xff])], Status::new(Code::Ok, ""))
    };
    let (response, _) = exchange(builder(), watch(), broken).await;
    assert_eq!((envelopes(response.body()).0.len(), failure(&response).0), (1, "internal".to_owned()));
}

#[tokio::test]
async fn what_fails_before_the_call_is_at_the_end_too() {
    let chat = |headers: &[(&'static str, &'static str)]| {
        let mut request = request("Chat", CODECS[1], vec![]);
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        request
    };
    for (name, value, code, message) in [
        ("connect-protocol-version", "2", "invalid_argument", "connect-protocol-version must be 1"),
        (
            "connect-timeout-ms",
            "soon",
            "invalid_argument",
            "connect-timeout-ms must be a whole number of at most ten digits",
        ),
        (
            "connect-content-encoding",
            "lz4",
            "unimplemented",
            "unknown compression: supported are zstd, br, gzip and identity",
        ),
    ] {
        let (response, seen) = send_with(builder(), chat(&[(name, value)])).await;
        assert!(seen.is_none());
        assert_eq!(response.headers()[header::CONTENT_TYPE], CODECS[1]);
        assert_eq!(failure(&response), (code.to_owned(), message.to_owned()));
        let ours = response.headers().get("connect-accept-encoding");
        assert_eq!(ours.is_some(), name == "connect-content-encoding");
    }
    let mut nothing = chat(&[]);
    *nothing.uri_mut() = "/nothing/Here".parse().unwrap();
    let (response, _) = send_with(builder(), nothing).await;
    assert_eq!(failure(&response), ("unimplemented".to_owned(), "no such method".to_owned()));
    let unreachable = tower::service_fn(|_: Request<tonic::body::Body>| async {
        Err::<GrpcResponse, _>(std::io::Error::other("db.internal refused"))
    });
    let response = builder().build(unreachable).unwrap().oneshot(chat(&[])).await.unwrap();
    assert_eq!(
        failure(&collect(response).await),
        ("unavailable".to_owned(), "the service is unavailable".to_owned())
    );
}

#[tokio::test]
async fn a_fault_in_what_a_client_streams_is_told_to_it() {
    let good = envelope(0, br#"{"id":"1"}"#);
    let limits = Limits { request_bytes: 100, ..Limits::default() };
    let bomb = coding::encode(Coding::Gzip, &[b' '; 10_000]).unwrap();
    for (body, code, message) in [
        (envelope(2, b"{}"), "invalid_argument", "only an answer has an envelope that ends the stream"),
        (envelope(3, b"{}"), "invalid_argument", "only an answer has an envelope that ends the stream"),
        (envelope(4, b"{}"), "invalid_argument", "an envelope has unknown flags"),
        (envelope(255, b"{}"), "invalid_argument", "an envelope has unknown flags"),
        (vec![0, 0xff, 0xff, 0xff, 0xff], "resource_exhausted", "a message is larger than 100 bytes"),
        (envelope(1, &bomb), "resource_exhausted", "a message is larger than 100 bytes"),
        (envelope(1, b"nope"), "invalid_argument", "a message does not decode: the bytes are not gzip"),
        (vec![0, 0, 0, 0], "invalid_argument", "the body ends within a message"),
        (vec![0, 0, 0, 0, 2, b'{'], "invalid_argument", "the body ends within a message"),
        (envelope(0, b""), "invalid_argument", "line 1, column 1: unexpected end of input"),
        (envelope(0, br#"{"nope":1}"#), "invalid_argument", "line 1, column 2, nope: unknown field"),
    ] {
        for rpc in ["Chat", "ImportBooks"] {
            let mut request = request(rpc, CODECS[0], [&good[..], &body].concat());
            let name = HeaderName::from_static("connect-content-encoding");
            request.headers_mut().insert(name, HeaderValue::from_static("gzip"));
            let (response, _) =
                byte_by_byte(builder().limits(limits), request, || ok("Book", &json!({}))).await;
            assert_eq!(failure(&response), (code.to_owned(), message.to_owned()), "{body:?}");
        }
    }
    let plain = request("Chat", CODECS[0], envelope(1, b"{}"));
    let (response, _) = byte_by_byte(builder(), plain, || ok("Book", &json!({}))).await;
    let message = "a message is compressed, and the headers name no compression";
    assert_eq!(failure(&response), ("internal".to_owned(), message.to_owned()));
    // A service that overlooks the fault does not make the call a success.
    let careless = crate::rest::upstream(|request: Request<tonic::body::Body>| async {
        let mut body = request.into_body();
        while body.frame().await.is_some() {}
        Ok::<_, Status>(two_books(Status::new(Code::Ok, "")))
    });
    let request = request("Chat", CODECS[0], [good, vec![0]].concat());
    let response = collect(builder().build(careless).unwrap().oneshot(request).await.unwrap()).await;
    assert_eq!(failure(&response).1, "the body ends within a message");
}

#[tokio::test]
async fn a_broken_connection_ends_the_call() {
    let frames = [Ok(Frame::data(Bytes::from(envelope(0, b"{}")))), Err(std::io::Error::other("reset"))];
    let request = Request::post("/test.Library/Chat").header(header::CONTENT_TYPE, CODECS[0]);
    let request = request.body(StreamBody::new(tokio_stream::iter(frames))).unwrap();
    let upstream = service(Log::default(), |_| ok("Book", &json!({})));
    let response = collect(builder().build(upstream).unwrap().oneshot(request).await.unwrap()).await;
    assert_eq!(failure(&response).1, "the body could not be read");
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A service that echoes the frames of the request body as they arrive, and tells when the call is gone.
fn echo(
    gone: Arc<AtomicBool>,
) -> impl tower::Service<
    Request<tonic::body::Body>,
    Response = GrpcResponse,
    Error = Status,
    Future = impl Future<Output = Result<GrpcResponse, Status>> + Send,
> + Clone
+ Send {
    crate::rest::upstream(move |request: Request<tonic::body::Body>| {
        let guard = Dropped(gone.clone());
        async move {
            let frames = request.into_body().into_data_stream().map(move |data| {
                let _ = &guard;
                data.map(Frame::data)
            });
            let mut response = Response::new(tonic::body::Body::new(StreamBody::new(frames)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok::<_, Status>(response)
        }
    })
}

#[tokio::test]
async fn messages_pass_as_they_arrive_with_back_pressure_and_dropping_the_answer_ends_the_call() {
    let gone = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let frames = frames.map(|data| Ok::<_, std::io::Error>(Frame::data(data)));
    let request = Request::post("/test.Library/Chat").header(header::CONTENT_TYPE, CODECS[0]);
    let request = request.body(StreamBody::new(frames)).unwrap();
    let response = builder().build(echo(gone.clone())).unwrap().oneshot(request).await.unwrap();
    let mut body: Body = response.into_body();
    for id in ["1", "2", "3"] {
        let message = envelope(0, format!("{{\"id\":\"{id}\"}}").as_bytes());
        sender.send(message.clone().into()).await.unwrap();
        let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(chunk, message);
    }
    // Nobody reads: what is sent waits with the sender.
    sender.try_send(Bytes::new()).unwrap();
    assert!(sender.try_send(Bytes::new()).is_err());
    assert!(!gone.load(Ordering::SeqCst));
    drop(body);
    assert!(gone.load(Ordering::SeqCst));
    assert!(sender.is_closed());
}

#[tokio::test]
async fn small_messages_stay_as_they_are_and_never_is_never() {
    let accept = |compression| {
        let mut request = request("WatchBooks", CODECS[0], envelope(0, b"{}"));
        let name = HeaderName::from_static("connect-accept-encoding");
        request.headers_mut().insert(name, HeaderValue::from_static("x, zstd"));
        exchange(builder().compression(compression), request, || two_books(Status::new(Code::Ok, "")))
    };
    let (response, _) = accept(Compression::default()).await;
    assert_eq!(response.headers()["connect-content-encoding"], "zstd");
    assert!(envelopes(response.body()).0.iter().all(|(flags, _)| *flags == 0));
    let (response, _) = accept(Compression { answers_from: None, ..Compression::default() }).await;
    assert!(!response.headers().contains_key("connect-content-encoding"));
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn any_bytes_are_messages_or_one_clear_error(
        pieces in prop::collection::vec((0_u8..5, 0_u32..40, prop::collection::vec(any::<u8>(), 0..30)), 0..4),
        rpc in prop::sample::select(vec!["Chat", "WatchBooks", "ImportBooks"]),
        codec in prop::sample::select(&CODECS[..]),
    ) {
        let mut body = Vec::new();
        for (flags, length, bytes) in pieces {
            body.push(flags);
            body.extend(length.to_be_bytes());
            body.extend(bytes);
        }
        let mut request = request(rpc, codec, body);
        let name = HeaderName::from_static("connect-content-encoding");
        request.headers_mut().insert(name, HeaderValue::from_static("br"));
        // A service that counts, since not every message that goes through is one.
        let count = crate::rest::upstream(|request: Request<tonic::body::Body>| async {
            request.into_body().collect().await?;
            Ok::<_, Status>(ok("Book", &json!({})))
        });
        let response = block_on(async {
            collect(builder().build(count).unwrap().oneshot(request).await.unwrap()).await
        });
        prop_assert_eq!(response.status(), StatusCode::OK);
        let (_, end) = envelopes(response.body());
        prop_assert!(end == json!({}) || end["error"]["code"].is_string(), "{}", end);
    }

    #[test]
    fn any_unary_request_has_an_answer(
        query in "[a-z0-9%=&+/-]{0,40}",
        encoding in prop::sample::select(vec!["", "&encoding=json", "&encoding=proto&base64=1", "&encoding=json&compression=zstd"]),
        body in prop::collection::vec(any::<u8>(), 0..40),
        coding in prop::sample::select(vec!["identity", "gzip", "zstd", "br"]),
        is_get in any::<bool>(),
    ) {
        let request = if is_get {
            let uri = format!("/test.Library/GetBook?message={query}{encoding}");
            Request::get(uri).body(Full::default()).unwrap()
        } else {
            let mut request = post("GetBook", "application/json", body);
            request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            request
        };
        let reply = crate::rest::upstream(|_: Request<tonic::body::Body>| async { Ok::<_, Status>(ok("Book", &json!({}))) });
        let response = block_on(async {
            collect(builder().build(reply).unwrap().oneshot(request).await.unwrap()).await
        });
        let known = [200, 400, 415, 429];
        prop_assert!(known.contains(&response.status().as_u16()), "{:?}", response);
    }
}
