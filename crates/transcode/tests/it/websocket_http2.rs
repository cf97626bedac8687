//! WebSocket over HTTP/2 (RFC 8441): CONNECT with a `:protocol`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use riskmesh_transcode::{IdempotencyKey, MethodPolicy};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::websocket::{builder, start_with};

type Client = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A connection that knows what the server lets it do.
async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    // The server's settings have come once it has answered.
    let request = Request::get(format!("http://{address}/v1/nowhere")).body(Empty::new()).unwrap();
    assert_eq!(send.send_request(request).await.unwrap().status(), StatusCode::NOT_FOUND);
    send
}

fn handshake(address: SocketAddr, path: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .method(Method::CONNECT)
        .version(Version::HTTP_2)
        .uri(format!("http://{address}{path}"))
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(Empty::new())
        .unwrap()
}

async fn open(send: &mut SendRequest<Empty<Bytes>>, request: Request<Empty<Bytes>>) -> Client {
    let response = send.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
}

async fn json_of(client: &mut Client) -> Value {
    serde_json::from_str(client.next().await.unwrap().unwrap().to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn websocket_carries_streams_side_by_side_over_one_http2_connection() {
    let address = start_with(builder(), &Arc::default()).await;
    let mut send = connect(address).await;
    let mut chats = Vec::new();
    for _ in 0..3 {
        chats.push(open(&mut send, handshake(address, "/v1/books:chat")).await);
    }
    for (n, chat) in chats.iter_mut().enumerate() {
        chat.send(Message::text(json!({"title": n.to_string()}).to_string())).await.unwrap();
        assert_eq!(json_of(chat).await, json!({"title": n.to_string()}));
    }
    for chat in &mut chats {
        chat.send(Message::text("")).await.unwrap();
        let Some(Ok(Message::Close(Some(frame)))) = chat.next().await else { panic!("a close frame") };
        assert_eq!(u16::from(frame.code), 1000);
    }
    // The host's own pages may, by the authority.
    let mut request = handshake(address, "/v1/shelves/s/books:watch?limit=1&$fields=title");
    request.headers_mut().insert("origin", format!("http://{address}").parse().unwrap());
    let mut watch = open(&mut send, request).await;
    assert_eq!(json_of(&mut watch).await, json!({"title": "0"}));
}

#[tokio::test]
async fn websocket_refuses_over_http2_what_cannot_be_a_socket() {
    let address = start_with(builder(), &Arc::default()).await;
    let mut send = connect(address).await;
    let told = async |response: Response<Incoming>| {
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["error"]["message"].as_str().unwrap().to_owned())
    };
    let chat = "/v1/books:chat";
    let mut old = handshake(address, chat);
    old.headers_mut().insert("sec-websocket-version", "8".parse().unwrap());
    let mut other = handshake(address, chat);
    other.extensions_mut().insert(Protocol::from_static("connect-udp"));
    let mut foreign = handshake(address, chat);
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    for (request, status, message) in [
        (old, 400, "WebSocket is spoken in version 13"),
        (other, 501, "CONNECT is for WebSocket over HTTP/2 only"),
        (foreign, 403, "pages of this origin may not open WebSockets"),
        (
            handshake(address, "/v1/shelves/s/books/b"),
            400,
            "this method is no stream: call it without WebSocket",
        ),
        (handshake(address, "/v1/nowhere"), 404, "no such path"),
    ] {
        let response = send.send_request(request).await.unwrap();
        assert_eq!(told(response).await, (status, message.to_owned()));
    }
}

#[tokio::test]
async fn websocket_asks_for_the_key_of_the_method_whatever_connect_is() {
    let key = IdempotencyKey { required: true, ..IdempotencyKey::default() };
    let policy = move |_: &_| MethodPolicy { idempotency_key: Some(key), ..MethodPolicy::default() };
    let address = start_with(builder().policy(policy), &Arc::default()).await;
    let mut send = connect(address).await;
    let refused = send.send_request(handshake(address, "/v1/books:chat")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let mut keyed = handshake(address, "/v1/books:chat");
    keyed.headers_mut().insert("idempotency-key", "\"k\"".parse().unwrap());
    open(&mut send, keyed).await;
    open(&mut send, handshake(address, "/v1/shelves/s/books:watch?limit=1")).await;
}

#[tokio::test]
async fn websocket_over_http2_knows_its_scheme() {
    let address = start_with(builder(), &Arc::default()).await;
    let mut send = connect(address).await;
    for (origin, status) in [("http", 200), ("https", 403)] {
        let mut request = handshake(address, "/v1/books:chat");
        request.headers_mut().insert("origin", format!("{origin}://{address}").parse().unwrap());
        assert_eq!(send.send_request(request).await.unwrap().status(), status, "{origin}");
    }
}
