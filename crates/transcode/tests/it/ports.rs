//! One port for all protocols: a real tonic server behind, real HTTP/1.1 and HTTP/2 clients in front, over loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Status, Streaming};

use crate::connect_streams::{envelope, envelopes};
use crate::pool::{parse, print};
use crate::rest::{builder, frame};

/// Messages as bytes.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// The service: `Chat` echoes, `WatchBooks` gives its request thrice, `ImportBooks` counts, `GetBook` gives its request, or is
/// not found where that names nothing.
async fn serve(
    path: String,
    request: tonic::Request<Streaming<Bytes>>,
) -> Result<tonic::Response<Messages>, Status> {
    let mark = request.metadata().get("x-mark").cloned();
    let mut sent = request.into_inner();
    let messages: Messages = match path.as_str() {
        "/test.Library/Chat" => Box::pin(sent),
        "/test.Library/ImportBooks" => {
            let mut count = 0;
            while let Some(book) = sent.next().await {
                book?;
                count += 1;
            }
            let counted = parse("ListBooksResponse", &json!({ "total": count }).to_string()).unwrap();
            Box::pin(tokio_stream::once(Ok(counted.into())))
        }
        _ => {
            let message = sent.next().await.ok_or_else(|| Status::internal("no message"))??;
            if message.is_empty() {
                return Err(Status::not_found("nothing is named"));
            }
            let times = if path.ends_with("WatchBooks") { 3 } else { 1 };
            Box::pin(tokio_stream::iter(vec![Ok(message); times]))
        }
    };
    let mut response = tonic::Response::new(messages);
    if let Some(mark) = mark {
        response.metadata_mut().insert("x-mark", mark);
    }
    Ok(response)
}

#[derive(Clone)]
struct Library;

impl tonic::server::NamedService for Library {
    const NAME: &'static str = "test.Library";
}

impl tower::Service<Request<tonic::body::Body>> for Library {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            let service = tower::service_fn(move |request| serve(path.clone(), request));
            Ok(tonic::server::Grpc::new(Raw).streaming(service, request).await)
        })
    }
}

/// Starts both servers and returns where the front listens.
async fn start() -> SocketAddr {
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = behind.local_addr().unwrap();
    let server = Server::builder().add_service(Library);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(behind)));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let transcoder = builder().build(channel).unwrap();
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = front.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = front.accept().await {
            let service = TowerToHyperService::new(transcoder.clone());
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                server.serve_connection(TokioIo::new(stream), service).await.map_err(drop)
            });
        }
    });
    address
}

/// One request over a connection of its own.
async fn send(address: SocketAddr, http2: bool, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let response: Response<Incoming> = if http2 {
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    } else {
        let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    };
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// A request as the version of HTTP has it.
fn request(
    (address, http2): (SocketAddr, bool),
    method: &str,
    path: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let uri = if http2 { format!("http://{address}{path}") } else { path.to_owned() };
    let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content_type);
    let request = request.header("x-mark", "m");
    let request = if http2 { request } else { request.header(header::HOST, address.to_string()) };
    request.body(Full::new(body.into())).unwrap()
}

fn ids(messages: &[(u8, Bytes)]) -> Vec<Value> {
    messages.iter().map(|(_, book)| serde_json::from_slice(book).unwrap()).collect()
}

#[tokio::test]
async fn grpc_web_and_connect_including_connect_get_are_on_the_same_port() {
    let address = start().await;
    for http2 in [false, true] {
        let to = (address, http2);
        // REST.
        let response = send(address, http2, request(to, "GET", "/v1/shelves/s/books/b", "", "")).await;
        assert_eq!(response.body(), r#"{"id":"s","title":"b"}"#);
        // Connect, unary: JSON, Protobuf, GET, an error.
        let get_book = "/test.Library/GetBook";
        let asked = request(to, "POST", get_book, "application/json", r#"{"shelf":"s","id":"b"}"#);
        let response = send(address, http2, asked).await;
        assert_eq!(response.body(), r#"{"id":"s","title":"b"}"#);
        assert_eq!(response.headers()["x-mark"], "m");
        let message = parse("GetBookRequest", r#"{"shelf":"s"}"#).unwrap();
        let response =
            send(address, http2, request(to, "POST", get_book, "application/proto", message)).await;
        assert_eq!(print("Book", response.body()).unwrap(), r#"{"id":"s"}"#);
        let by_get = format!("{get_book}?connect=v1&encoding=json&message=%7B%22shelf%22%3A%22s%22%7D");
        let response = send(address, http2, request(to, "GET", &by_get, "", "")).await;
        assert_eq!(response.body(), r#"{"id":"s"}"#);
        let response = send(address, http2, request(to, "POST", get_book, "application/json", "{}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.body(), r#"{"code":"not_found","message":"nothing is named"}"#);
        // Connect, streams of all three kinds.
        let json = "application/connect+json";
        let shelf = envelope(0, br#"{"shelf":"s"}"#);
        let response =
            send(address, http2, request(to, "POST", "/test.Library/WatchBooks", json, shelf)).await;
        let (messages, end) = envelopes(response.body());
        assert_eq!((ids(&messages), end), (vec![json!({"id": "s"}); 3], json!({})));
        let books = [envelope(0, br#"{"id":"1"}"#), envelope(0, br#"{"id":"2"}"#)].concat();
        let response =
            send(address, http2, request(to, "POST", "/test.Library/ImportBooks", json, books.clone())).await;
        assert_eq!(ids(&envelopes(response.body()).0), [json!({"total": "2"})]);
        let response = send(address, http2, request(to, "POST", "/test.Library/Chat", json, books)).await;
        assert_eq!(ids(&envelopes(response.body()).0), [json!({"id": "1"}), json!({"id": "2"})]);
        let broken = [envelope(0, br#"{"id":"1"}"#), vec![0, 0, 0]].concat();
        let response = send(address, http2, request(to, "POST", "/test.Library/Chat", json, broken)).await;
        assert_eq!(envelopes(response.body()).1["error"]["message"], "the body ends within a message");
        // gRPC-Web.
        let book = frame("Book", &json!({"id": "1"}));
        let asked = request(to, "POST", "/test.Library/Chat", "application/grpc-web+proto", book.clone());
        let response = send(address, http2, asked).await;
        assert_eq!(response.headers()["x-mark"], "m");
        assert!(response.body().starts_with(&book));
        assert!(response.body().ends_with(b"grpc-status:0\r\n"), "{response:?}");
        // As text, which has another length than what the service gets.
        let text = base64::engine::general_purpose::STANDARD.encode(&book);
        let asked = request(to, "POST", "/test.Library/Chat", "application/grpc-web-text", text);
        let response = send(address, http2, asked).await;
        assert!(response.body().starts_with(&book), "{response:?}");
        assert!(response.body().ends_with(b"grpc-status:0\r\n"), "{response:?}");
    }
    // gRPC itself, by tonic's client, both directions at once.
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let sent = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(receiver));
    client.ready().await.unwrap();
    let answer = client.streaming(sent, "/test.Library/Chat".parse().unwrap(), Raw).await.unwrap();
    let mut answer = answer.into_inner();
    for id in ["1", "2"] {
        let book = Bytes::from(parse("Book", &json!({ "id": id }).to_string()).unwrap());
        sender.send(book.clone()).await.unwrap();
        assert_eq!(answer.message().await.unwrap(), Some(book));
    }
    drop(sender);
    assert_eq!(answer.message().await.unwrap(), None);
    let unknown = unary(&mut client, "/test.Library/Nope", b"").await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::Unimplemented);
    let missing = unary(&mut client, "/test.Library/GetBook", b"").await.unwrap_err();
    assert_eq!((missing.code(), missing.message()), (tonic::Code::NotFound, "nothing is named"));
}

async fn unary(
    client: &mut tonic::client::Grpc<Channel>,
    path: &'static str,
    message: &'static [u8],
) -> Result<tonic::Response<Bytes>, Status> {
    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::from_static(message));
    client.unary(request, http::uri::PathAndQuery::from_static(path), Raw).await
}

#[tokio::test]
async fn a_client_that_goes_away_ends_a_stream_of_connect() {
    use std::sync::Arc;
    let alive = Arc::new(());
    let watched = Arc::downgrade(&alive);
    let held = std::sync::Mutex::new(Some(alive));
    let held = Arc::new(held);
    let upstream = crate::rest::upstream(move |_: Request<tonic::body::Body>| {
        let alive = held.lock().unwrap().take();
        async move {
            // One message, and then nothing for ever.
            let first = tokio_stream::once(frame("Book", &json!({"id": "1"}))).chain(tokio_stream::pending());
            let frames = first.map(move |data| {
                let _ = &alive;
                Ok::<_, Status>(http_body::Frame::data(data))
            });
            let mut response = Response::new(tonic::body::Body::new(http_body_util::StreamBody::new(frames)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok::<_, Status>(response)
        }
    });
    let transcoder = builder().build(upstream).unwrap();
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = front.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = front.accept().await.unwrap();
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let service = TowerToHyperService::new(transcoder);
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    });
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let body = envelope(0, b"{}");
    let asked =
        request((address, false), "POST", "/test.Library/WatchBooks", "application/connect+json", body);
    let mut response = client.send_request(asked).await.unwrap();
    let first = response.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, envelope(0, br#"{"id":"1"}"#));
    assert!(watched.upgrade().is_some());
    drop((response, client));
    connection.abort();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), serving).await;
    assert!(ended.is_ok() && watched.upgrade().is_none());
}
