//! What the service behind sees of an upload that breaks off: a reset that says CANCEL, over a real connection.

use std::net::SocketAddr;
use std::time::Duration;

use h2::Reason;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::transport::Endpoint;

use crate::connect_streams::envelope;
use crate::rest::{builder, frame};

/// Starts a transcoder before a service that never answers. Returns where it listens, and what the service gets: the first bytes of
/// each call, and the reason of its reset.
async fn start() -> (SocketAddr, mpsc::Receiver<Option<Reason>>) {
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = Endpoint::from_shared(format!("http://{}", behind.local_addr().unwrap())).unwrap();
    let (tell, told) = mpsc::channel(16);
    tokio::spawn(async move {
        let (stream, _) = behind.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(call) = connection.accept().await {
            let ((request, answer), tell) = (call.unwrap(), tell.clone());
            tokio::spawn(async move {
                let mut body = request.into_body();
                let reason = loop {
                    match body.data().await {
                        Some(Ok(data)) if !data.is_empty() => tell.send(None).await.unwrap(),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => break error.reason(),
                        None => break Some(Reason::NO_ERROR),
                    }
                };
                tell.send(Some(reason.expect("a reset has a reason"))).await.unwrap();
                drop(answer);
            });
        }
    });
    let transcoder = builder().build(channel.connect_lazy()).unwrap();
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
    (address, told)
}

async fn next<T>(told: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), told.recv()).await.expect("it comes soon").unwrap()
}

/// A request over HTTP/1.1 whose body goes on after this.
async fn begin(address: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body, b"\r\n"].concat()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_goes_away_within_its_upload_cancels_the_call() {
    let (address, mut told) = start().await;
    let book = frame("Book", &json!({"id": "1"}));
    let envelope = envelope(0, br#"{"id":"1"}"#);
    for (path, content_type, body) in [
        ("/v1/books:import", "application/x-ndjson", &b"{\"id\":\"1\"}\n"[..]),
        ("/v1/books/b:uploadParts", "image/png", &b"png"[..]),
        ("/test.Library/ImportBooks", "application/connect+json", &envelope[..]),
        ("/test.Library/ImportBooks", "application/grpc-web", &book[..]),
        ("/test.Library/ImportBooks", "application/grpc", &book[..]),
    ] {
        let stream = begin(address, path, content_type, body).await;
        assert_eq!(next(&mut told).await, None, "{content_type}: the first message is there");
        drop(stream);
        assert_eq!(next(&mut told).await, Some(Reason::CANCEL), "{content_type}");
    }
}

#[tokio::test]
async fn a_client_of_http_2_that_resets_its_upload_cancels_the_call() {
    let (address, mut told) = start().await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let request = http::Request::post(format!("http://{address}/test.Library/ImportBooks"))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (_answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(frame("Book", &json!({"id": "1"})), false).unwrap();
        assert_eq!(next(&mut told).await, None);
        body.send_reset(reason);
        assert_eq!(next(&mut told).await, Some(Reason::CANCEL), "{reason}");
    }
}

/// The client is still there to hear what was wrong.
#[tokio::test]
async fn a_fault_in_an_upload_cancels_the_call_and_is_told() {
    let (address, mut told) = start().await;
    let broken = [envelope(0, br#"{"id":"1"}"#), envelope(0, b"{\"nope\":1}")].concat();
    for (path, content_type, body, status, answer) in [
        (
            "/v1/books:import",
            "application/x-ndjson",
            &b"{}\n{\"nope\":1}\n"[..],
            "400",
            "nope: unknown field",
        ),
        ("/test.Library/ImportBooks", "application/connect+json", &broken[..], "200", "nope: unknown field"),
        (
            "/test.Library/ImportBooks",
            "application/grpc-web-text",
            &b"AAAAAAA=!!!!"[..],
            "200",
            "grpc-status: 13",
        ),
    ] {
        let mut stream = begin(address, path, content_type, body).await;
        let reset = loop {
            if let Some(reason) = next(&mut told).await {
                break reason;
            }
        };
        assert_eq!(reset, Reason::CANCEL, "{content_type}");
        let (mut got, mut piece) = (Vec::new(), [0; 1024]);
        while !String::from_utf8_lossy(&got).contains(answer) {
            let count = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut piece))
                .await
                .unwrap()
                .unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&got));
            got.extend(&piece[..count]);
        }
        assert!(got.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{content_type}");
    }
}
