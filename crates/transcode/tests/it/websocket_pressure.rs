//! WebSocket: back-pressure, over connections whose room is known to the byte. At no moment one side is ahead of the other by more
//! than there is room for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt as _, Stream, StreamExt as _};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use riskmesh_transcode::{Builder, WebSocket};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Result};

use crate::websocket::{Shown, builder, handshake, serve, until};

/// What the connection holds each way.
const ROOM: usize = 16 << 10;

/// A socket on a connection that the system keeps no bytes of.
async fn open(builder: Builder, shown: &Arc<Shown>, path: &str) -> WebSocketStream<DuplexStream> {
    let shown = shown.clone();
    let transcoder =
        builder.build(crate::rest::upstream(move |request| serve(shown.clone(), request))).unwrap();
    let (near, far) = tokio::io::duplex(ROOM);
    let server = hyper::server::conn::http1::Builder::new();
    let served = server.serve_connection(TokioIo::new(far), TowerToHyperService::new(transcoder));
    tokio::spawn(served.with_upgrades());
    let request = handshake(([127, 0, 0, 1], 80).into(), path);
    tokio_tungstenite::client_async(request, near).await.unwrap().0
}

fn impatient() -> Builder {
    builder().websocket(WebSocket { keep_alive: Some(Duration::from_millis(100)), ..WebSocket::default() })
}

async fn next(stream: &mut (impl Stream<Item = Result<Message>> + Unpin)) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("a message in time");
    next.expect("a message").unwrap()
}

#[tokio::test]
async fn websocket_holds_the_service_back_for_a_client_that_does_not_read() {
    // Of a kilobyte each: what fits into the connection and once more into the client's own buffer, and one in each hand.
    const MOST: usize = 2 * 16 + 5;
    let shown = Arc::new(Shown::default());
    let given = || shown.given.load(Ordering::SeqCst);
    let mut client = open(builder(), &shown, "/v1/shelves/s/books:watch?limit=1000000").await;
    until("the connection is full", || given() >= 14).await;
    // Whoever went on without room would be far ahead soon.
    for n in 0..5000 {
        assert!(given() <= n + MOST, "{} messages were taken for a client that has read {n}", given());
        let message: Value = serde_json::from_str(next(&mut client).await.to_text().unwrap()).unwrap();
        assert_eq!(message["title"], n.to_string());
    }
}

#[tokio::test]
async fn websocket_holds_the_client_back_for_a_service_that_does_not_read() {
    // Large ones: one in each hand, one that waits, one that is read ahead, and one on its way.
    const MOST: usize = 5;
    const COUNT: usize = 500;
    let shown = Arc::new(Shown { permits: Some(Semaphore::new(1)), ..Shown::default() });
    let (mut sink, mut stream) = open(impatient(), &shown, "/v1/books:chat").await.split();
    let message = json!({"title": "x".repeat(100_000)}).to_string();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let sender = tokio::spawn(async move {
        for _ in 0..COUNT {
            sink.send(Message::text(&message)).await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        }
        sink.send(Message::text("")).await.unwrap();
    });
    let is_held_back = || {
        let (sent, taken) = (sent.load(Ordering::SeqCst), shown.taken.load(Ordering::SeqCst));
        assert!(sent <= taken + MOST, "{sent} messages were taken for a service that has read {taken}");
    };
    // The one that the service takes, and then it stands still. Nobody listens to the client: its silence is no reason to leave it.
    let (mut echoed, mut asked) = (0, 0);
    while echoed < 1 || asked < 4 {
        match next(&mut stream).await {
            Message::Text(_) => echoed += 1,
            message => asked += usize::from(message.is_ping()),
        }
        is_held_back();
    }
    assert_eq!((echoed, shown.taken.load(Ordering::SeqCst)), (1, 1));
    while echoed < COUNT {
        shown.permits.as_ref().unwrap().add_permits(1);
        while !next(&mut stream).await.is_text() {
            is_held_back();
        }
        echoed += 1;
        is_held_back();
    }
    while !next(&mut stream).await.is_close() {}
    sender.await.unwrap();
}

#[tokio::test]
async fn websocket_leaves_a_client_that_only_sends_while_answers_are_stuck() {
    let shown = Arc::new(Shown::default());
    let mut client = open(impatient(), &shown, "/v1/books:chat").await;
    let message = json!({"title": "x".repeat(1000)}).to_string();
    // It is held back, as nobody takes the echoes, and left.
    let sending = async {
        let mut sent = 0;
        while client.send(Message::text(&message)).await.is_ok() {
            sent += 1;
        }
        sent
    };
    let sent = tokio::time::timeout(Duration::from_secs(20), sending).await.expect("the connection ends");
    assert!((14..200).contains(&sent), "{sent}");
    until("the call ends", || shown.ended.load(Ordering::SeqCst) > 0).await;
}
