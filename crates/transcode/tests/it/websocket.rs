//! The feature table: WebSocket, between real clients and a service of the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use riskmesh_transcode::{Builder, Limits, Protocols, WebSocket};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as Piece;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tonic::{Code, Status};

use crate::pool::POOL;
use crate::rest::{GrpcResponse, answer, frame};

pub(crate) type Client = WebSocketStream<TcpStream>;

const LIMIT: usize = 1 << 20;

/// What the service shows of itself.
#[derive(Default)]
pub(crate) struct Shown {
    /// Frames that it took of `Chat`.
    pub(crate) taken: AtomicUsize,
    /// Messages that `WatchBooks` could give.
    pub(crate) given: AtomicUsize,
    /// Calls whose answer was dropped.
    pub(crate) ended: AtomicUsize,
    /// Client streams of `Chat` that broke off, and did not end.
    pub(crate) broken: AtomicUsize,
    /// `Chat` takes a frame for each.
    pub(crate) permits: Option<Semaphore>,
}

/// Counts the end of a call.
struct Ended(Arc<Shown>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

/// The service: `Chat` echoes, and fails on the title "fail"; `WatchBooks` gives the titles that the limit asks for; `ImportBooks`
/// counts.
pub(crate) async fn serve(
    shown: Arc<Shown>,
    request: Request<tonic::body::Body>,
) -> Result<GrpcResponse, Status> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    if path == "/test.Library/ImportBooks" {
        let mut total = 0;
        while let Some(frame) = body.frame().await {
            total += usize::from(frame?.is_data());
        }
        return Ok(answer(
            vec![frame("ListBooksResponse", &json!({"total": total}))],
            Status::new(Code::Ok, ""),
        ));
    }
    if path == "/test.Library/UploadParts" {
        let sent = body.collect().await?.to_bytes();
        return Ok(answer(
            vec![frame("Book", &json!({"title": format!("{sent:?}")}))],
            Status::new(Code::Ok, ""),
        ));
    }
    if path == "/test.Library/DownloadParts" {
        // The type, then the data.
        let part = Bytes::from_static(b"\0\0\0\0\x07\x0a\x01t\x12\x02\0\xff");
        return Ok(answer(vec![part.clone(), part], Status::new(Code::Ok, "")));
    }
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut status = Status::new(Code::Ok, "");
        let ended = Ended(shown.clone());
        if path == "/test.Library/WatchBooks" {
            let mut request = body.collect().await.unwrap().to_bytes();
            let limit = crate::pool::print("ListBooksRequest", &request.split_off(5)).unwrap();
            let limit = serde_json::from_str::<Value>(&limit).unwrap()["limit"].as_u64().unwrap_or(3);
            for n in 0..limit {
                let book =
                    frame("Book", &json!({"title": n.to_string(), "labels": {"pad": "x".repeat(1000)}}));
                if send.send(Frame::data(book)).await.is_err() {
                    return;
                }
                shown.given.fetch_add(1, Ordering::SeqCst);
            }
        } else {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else {
                    shown.broken.fetch_add(1, Ordering::SeqCst);
                    break;
                };
                if let Some(permits) = &shown.permits {
                    tokio::select! {
                        permit = permits.acquire() => permit.unwrap().forget(),
                        () = send.closed() => return,
                    }
                }
                shown.taken.fetch_add(1, Ordering::SeqCst);
                let Ok(data) = frame.into_data() else { break };
                if data.windows(4).any(|bytes| bytes == b"fail") {
                    status = Status::new(Code::FailedPrecondition, format!("no: {}", "é".repeat(100)));
                    break;
                }
                if send.send(Frame::data(data)).await.is_err() {
                    return;
                }
            }
        }
        drop(ended);
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).unwrap();
        let _ = send.send(Frame::trailers(trailers)).await;
    });
    let body = StreamBody::new(ReceiverStream::new(receive).map(Ok::<_, Status>));
    let mut response = Response::new(tonic::body::Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

pub(crate) fn builder() -> Builder {
    let limits = Limits { request_bytes: LIMIT, ..Limits::default() };
    Builder::new(POOL.clone()).services(["test.Library"]).limits(limits)
}

pub(crate) async fn start_with(builder: Builder, shown: &Arc<Shown>) -> SocketAddr {
    let shown = shown.clone();
    let upstream = crate::rest::upstream(move |request| serve(shown.clone(), request));
    let transcoder = builder.build(upstream).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        async move { axum::serve(listener, axum::Router::new().fallback_service(transcoder)).await },
    );
    address
}

async fn start() -> SocketAddr {
    start_with(builder(), &Arc::default()).await
}

pub(crate) fn handshake(address: SocketAddr, path: &str) -> Request<()> {
    Request::get(format!("ws://{address}{path}"))
        .header("host", address.to_string())
        .header("connection", "keep-alive, Upgrade")
        .header("upgrade", "WebSocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap()
}

pub(crate) async fn open(address: SocketAddr, path: &str) -> Client {
    try_open(address, handshake(address, path)).await.unwrap_or_else(|refused| panic!("{path}: {refused:?}"))
}

/// The socket, or the answer that refuses it.
pub(crate) async fn try_open(address: SocketAddr, request: Request<()>) -> Result<Client, Response<String>> {
    let stream = TcpStream::connect(address).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((client, _)) => Ok(client),
        Err(SocketError::Http(response)) => {
            Err(response.map(|body| String::from_utf8(body.unwrap_or_default()).unwrap()))
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn send(client: &mut Client, text: &str) {
    client.send(Message::text(text)).await.unwrap();
}

pub(crate) async fn next(client: &mut Client) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), client.next()).await.expect("a message in time");
    next.expect("a message").unwrap()
}

pub(crate) async fn json_of(client: &mut Client) -> Value {
    let message = next(client).await;
    serde_json::from_str(message.to_text().unwrap()).unwrap_or_else(|e| panic!("{e}: {message:?}"))
}

/// The code and reason that the server closes with, after which there is nothing more.
pub(crate) async fn closed(client: &mut Client) -> (u16, String) {
    let Message::Close(Some(frame)) = next(client).await else { panic!("a close frame") };
    assert!(client.next().await.is_none_or(|end| end.is_err()));
    (frame.code.into(), frame.reason.to_string())
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn websocket_carries_both_directions_at_once() {
    let mut client = open(start().await, "/v1/books:chat").await;
    for n in 0..3 {
        send(&mut client, &json!({"title": n.to_string(), "pages": n}).to_string()).await;
        let book = json_of(&mut client).await;
        assert_eq!(book["title"], n.to_string());
    }
    // A message in pieces is a message.
    let piece = |bytes: &'static str, opcode, last| {
        Message::Frame(Piece::message(Bytes::from_static(bytes.as_bytes()), OpCode::Data(opcode), last))
    };
    client.send(piece(r#"{"ti"#, Data::Text, false)).await.unwrap();
    client.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
    client.send(piece(r#"tle":"whole"}"#, Data::Continue, true)).await.unwrap();
    assert_eq!(next(&mut client).await, Message::Pong(Bytes::from_static(b"p")));
    assert_eq!(json_of(&mut client).await, json!({"title": "whole"}));
    // The empty message is the client's end; the call's own end closes.
    send(&mut client, "").await;
    assert_eq!(closed(&mut client).await, (1000, String::new()));
}

#[tokio::test]
async fn websocket_carries_a_server_stream_with_path_query_and_fields() {
    let address = start().await;
    let mut client = open(address, "/v1/shelves/s/books:watch?limit=2&$fields=title").await;
    assert_eq!(json_of(&mut client).await, json!({"title": "0"}));
    assert_eq!(json_of(&mut client).await, json!({"title": "1"}));
    assert_eq!(closed(&mut client).await, (1000, String::new()));
    // It takes no messages.
    let mut client = open(address, "/v1/shelves/s/books:watch?limit=1000000").await;
    send(&mut client, "{}").await;
    let error = loop {
        let message = json_of(&mut client).await;
        if message.get("error").is_some() {
            break message;
        }
    };
    assert_eq!(error["error"]["message"], "a message after the last one");
    assert_eq!(closed(&mut client).await, (4003, "a message after the last one".to_owned()));
}

#[tokio::test]
async fn websocket_carries_a_client_stream_that_the_empty_message_ends() {
    let mut client = open(start().await, "/v1/books:import").await;
    for _ in 0..5 {
        send(&mut client, r#"{"id":"1"}"#).await;
    }
    send(&mut client, "").await;
    assert_eq!(json_of(&mut client).await, json!({"total": "5"}));
    assert_eq!(closed(&mut client).await, (1000, String::new()));
}

#[tokio::test]
async fn websocket_carries_raw_bodies_in_binary_messages() {
    let address = start().await;
    let mut client = open(address, "/v1/books/7:uploadParts").await;
    client.send(Message::binary(&b"\0\xff"[..])).await.unwrap();
    send(&mut client, "t").await;
    send(&mut client, "").await;
    // Of each: content type, data and id.
    let parts = [
        &b"\0\0\0\0\x23\x12\x1e\x0a\x18application/octet-stream\x12\x02\0\xff\x0a\x017"[..],
        b"\0\0\0\0\x23\x12\x1e\x0a\x19text/plain; charset=utf-8\x12\x01t\x0a\x017",
    ];
    let parts = Bytes::from(parts.concat());
    assert_eq!(json_of(&mut client).await, json!({"title": format!("{parts:?}")}));
    let mut client = open(address, "/v1/books/7:downloadParts").await;
    for _ in 0..2 {
        assert_eq!(next(&mut client).await, Message::binary(&b"\0\xff"[..]));
    }
    assert_eq!(closed(&mut client).await, (1000, String::new()));
}

#[tokio::test]
async fn websocket_closes_with_the_error_of_the_call() {
    let mut client = open(start().await, "/v1/books:chat").await;
    send(&mut client, r#"{"title":"ok"}"#).await;
    assert_eq!(json_of(&mut client).await, json!({"title": "ok"}));
    send(&mut client, r#"{"title":"fail"}"#).await;
    let error = json_of(&mut client).await;
    let message = format!("no: {}", "é".repeat(100));
    assert_eq!(error["error"]["message"], message);
    // Of the reason there is what fits.
    assert_eq!(closed(&mut client).await, (4009, message.chars().take(4 + 59).collect()));
}

#[tokio::test]
async fn websocket_tells_a_bad_message_and_ends_the_call() {
    let shown = Arc::new(Shown::default());
    let address = start_with(builder(), &shown).await;
    for (message, code, reason) in [
        (Message::text("{"), 4003, "line 1, column 2: expected a key in double quotes"),
        (Message::text(r#"{"nope":1}"#), 4003, "line 1, column 2, nope: unknown field"),
        (Message::text("[1]"), 4003, "line 1, column 1: expected an object, found an array"),
        (Message::binary(&b"{}"[..]), 1003, "JSON comes in text messages"),
        (
            Message::text(format!(r#"{{"id":"{}"}}"#, "x".repeat(LIMIT))),
            1009,
            "a message is larger than the limit",
        ),
        (
            Message::Frame(Piece::message(Bytes::from_static(b"\xff"), OpCode::Data(Data::Text), true)),
            1007,
            "a text message is not UTF-8",
        ),
        (
            Message::Frame(Piece::message(Bytes::from_static(b"x"), OpCode::Data(Data::Continue), true)),
            1002,
            "a frame breaks the rules of WebSocket",
        ),
    ] {
        let before = shown.ended.load(Ordering::SeqCst);
        let mut client = open(address, "/v1/books:chat").await;
        send(&mut client, r#"{"title":"first"}"#).await;
        assert_eq!(json_of(&mut client).await, json!({"title": "first"}));
        // Of a large message not everything may be taken before the end.
        let _ = client.send(message).await;
        let error = json_of(&mut client).await;
        assert_eq!(error["error"]["message"], reason);
        let Message::Close(Some(frame)) = next(&mut client).await else { panic!("{reason}") };
        assert_eq!((u16::from(frame.code), &*frame.reason), (code, reason));
        until("the call ends", || shown.ended.load(Ordering::SeqCst) > before).await;
    }
}

#[tokio::test]
async fn websocket_ends_the_call_when_the_client_is_gone() {
    let shown = Arc::new(Shown::default());
    let address = start_with(builder(), &shown).await;
    for (broken, polite) in (1..).zip([true, false]) {
        let before = shown.ended.load(Ordering::SeqCst);
        let mut client = open(address, "/v1/books:chat").await;
        send(&mut client, r#"{"title":"a"}"#).await;
        json_of(&mut client).await;
        if polite {
            client.close(None).await.unwrap();
            assert!(matches!(client.next().await, None | Some(Ok(Message::Close(_)) | Err(_))));
        }
        drop(client);
        until("the call ends", || shown.ended.load(Ordering::SeqCst) > before).await;
        // What it said is not all that it had to say.
        assert_eq!(shown.broken.load(Ordering::SeqCst), broken);
    }
    let mut client = open(address, "/v1/books:chat").await;
    send(&mut client, "").await;
    assert_eq!(closed(&mut client).await, (1000, String::new()));
    assert_eq!(shown.broken.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn websocket_leaves_a_client_that_gives_no_sign_of_life() {
    let shown = Arc::new(Shown::default());
    let keep_alive = Some(Duration::from_millis(500));
    let impatient = builder().websocket(WebSocket { keep_alive, ..WebSocket::default() });
    let address = start_with(impatient, &shown).await;
    // One that answers pings may be silent for long.
    let mut lively = open(address, "/v1/books:chat").await;
    for _ in 0..3 {
        assert!(next(&mut lively).await.is_ping());
    }
    send(&mut lively, r#"{"title":"still here"}"#).await;
    loop {
        if next(&mut lively).await.is_text() {
            break;
        }
    }
    assert_eq!(shown.ended.load(Ordering::SeqCst), 0);
    // One that does not read answers none.
    let mut deaf = open(address, "/v1/books:chat").await;
    send(&mut deaf, r#"{"title":"bye"}"#).await;
    let gone = until("the call ends", || shown.ended.load(Ordering::SeqCst) > 0);
    let mut alive = Box::pin(async { while lively.next().await.is_some() {} });
    tokio::select! {
        () = gone => {}
        () = &mut alive => panic!("the lively one was left"),
    }
}

#[tokio::test]
async fn websocket_refuses_over_http_what_cannot_be_a_socket() {
    let address = start().await;
    let refused = async |path: &str, change: &dyn Fn(&mut HeaderMap)| {
        let mut request = handshake(address, path);
        change(request.headers_mut());
        // By hand: clients of good manners would not send these.
        let mut text = format!("GET {path} HTTP/1.1\r\n");
        for (name, value) in request.headers() {
            text.extend([name.as_str(), ": ", value.to_str().unwrap(), "\r\n"]);
        }
        text.push_str("\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await.unwrap();
        let mut bytes = vec![0; 4096];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap();
        let text = String::from_utf8(bytes[..read].to_vec()).unwrap();
        let message =
            text.split("\"message\":\"").nth(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        (text[9..12].parse::<u16>().unwrap(), message.unwrap_or_default(), text)
    };
    let set = |name: &'static str, value: &'static str| {
        move |headers: &mut HeaderMap| drop(headers.insert(name, HeaderValue::from_static(value)))
    };
    let chat = "/v1/books:chat";
    let (status, message, text) = refused(chat, &set("sec-websocket-version", "8")).await;
    assert_eq!((status, &*message), (426, "WebSocket is spoken in version 13"));
    assert!(text.contains("sec-websocket-version: 13") && text.contains("upgrade: websocket"), "{text}");
    for (path, change, status, message) in [
        (
            chat,
            &set("connection", "close") as &dyn Fn(&mut HeaderMap),
            400,
            "the handshake lacks `Connection: Upgrade`",
        ),
        (chat, &set("sec-websocket-key", "short"), 400, "the handshake has no key"),
        (chat, &set("sec-websocket-key", "************************"), 400, "the handshake has no key"),
        (chat, &set("origin", "https://evil.example"), 403, "pages of this origin may not open WebSockets"),
        (chat, &set("origin", "null"), 403, "pages of this origin may not open WebSockets"),
        ("/v1/shelves/s/books/b", &|_| {}, 400, "this method is no stream: call it without WebSocket"),
        ("/v1/nowhere", &|_| {}, 404, "no such path"),
        ("/v1/shelves/s/books:watch?nope=1", &|_| {}, 400, "query parameter nope: unknown"),
    ] {
        let (found, text, _) = refused(path, change).await;
        assert_eq!((found, &*text), (status, message), "{path}");
    }
}

#[tokio::test]
async fn websocket_is_for_pages_of_the_host_and_of_origins_that_are_listed() {
    let origins = vec!["https://app.example".to_owned()];
    let listed = builder().websocket(WebSocket { origins, ..WebSocket::default() });
    let address = start_with(listed, &Arc::default()).await;
    for (origin, status) in [
        (format!("http://{address}"), None),
        ("https://app.example".to_owned(), None),
        ("https://app.example.evil".to_owned(), Some(403)),
        ("http://app.example".to_owned(), Some(403)),
    ] {
        let mut request = handshake(address, "/v1/books:chat");
        request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        let found = try_open(address, request).await.err().map(|response| response.status().as_u16());
        assert_eq!(found, status, "{origin}");
    }
}

#[tokio::test]
async fn websocket_can_be_left_out_and_needs_a_server_that_lets_connections_go() {
    let address = start_with(builder().protocols(Protocols::NONE), &Arc::default()).await;
    let refused = try_open(address, handshake(address, "/v1/books:chat")).await.unwrap_err();
    assert_eq!(refused.status(), 405);
    // No server at all.
    let transcoder =
        builder().build(crate::rest::upstream(|request| serve(Arc::default(), request))).unwrap();
    let request = handshake(address, "/v1/books:chat").map(|()| http_body_util::Empty::<Bytes>::new());
    let response = tower::ServiceExt::oneshot(transcoder, request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(CloseCode::from(4003), CloseCode::Library(4003));
    // HTTP/1.0 has no upgrades: it is a GET like any other.
    let transcoder =
        builder().build(crate::rest::upstream(|request| serve(Arc::default(), request))).unwrap();
    let old = || {
        let mut request =
            handshake(address, "/v1/books:chat").map(|()| http_body_util::Empty::<Bytes>::new());
        *request.version_mut() = http::Version::HTTP_10;
        request
    };
    let response = tower::ServiceExt::oneshot(transcoder.clone(), old()).await.unwrap();
    assert_eq!(response.status(), 405);
    // Whoever goes step by step, and has not looked, opens none either.
    let request = old();
    let matched = transcoder.route_head(request.method(), request.uri(), request.headers()).unwrap();
    let response = transcoder.call_matched(matched, request).await;
    assert_eq!(response.status(), 400);
}

#[test]
fn websocket_takes_no_origins_that_no_page_has() {
    for (origin, fits) in [
        ("https://app.example", true),
        ("null", true),
        ("app://local", true),
        ("https://app.example/", false),
        ("https://app.example/path", false),
        ("app.example", false),
        ("*", false),
        ("https://*.example", true),
    ] {
        let websocket = WebSocket { origins: vec![origin.to_owned()], ..WebSocket::default() };
        let built = builder().websocket(websocket).build(());
        assert_eq!(built.is_ok(), fits, "{origin}: {:?}", built.err());
    }
}
