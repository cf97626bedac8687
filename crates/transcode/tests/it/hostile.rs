//! What a hostile client, or a service gone mad, may send: each gets an error in the shape of errors, and where HTTP/1.1 lets it the
//! connection takes the next request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use riskmesh_transcode::{Builder, Coding, Limits, coding};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Status};

use crate::pool::POOL;
use crate::rest::{GrpcResponse, Log, answer, frame, ok, service};

const LIMIT: usize = 64 << 10;
const GOOD: &[u8] = b"GET /v1/shelves/s/books/good HTTP/1.1\r\nhost: h\r\n\r\n";

/// A server on loopback, before a service that answers by what the path asks for.
async fn start(reply: impl Fn(&str) -> GrpcResponse + Clone + Send + Sync + 'static) -> SocketAddr {
    let limits = Limits { request_bytes: LIMIT, response_bytes: LIMIT, ..Limits::default() };
    let builder = Builder::new(POOL.clone()).services(["test.Library"]).limits(limits);
    let transcoder = builder.build(service(Log::default(), reply)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback_service(transcoder);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A connection that speaks for itself.
struct Wire(TcpStream);

impl Wire {
    async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends bytes, and reads one answer with a body of known length.
    async fn ask(&mut self, bytes: &[u8]) -> (u16, String, Vec<u8>) {
        // A server that has heard enough may close before it has taken everything.
        let _ = self.0.write_all(bytes).await;
        tokio::time::timeout(Duration::from_secs(10), self.answer()).await.expect("an answer in time")
    }

    async fn answer(&mut self) -> (u16, String, Vec<u8>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a whole head"));
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        (head[9..12].parse().unwrap(), head, body)
    }
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn json_body(body: &[u8]) -> Vec<u8> {
    post("/v1/shelves/s/books", "content-type: application/json\r\n", body)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n").into_bytes()
}

fn is_error(body: &[u8], status: u16, what: &str) {
    let error: Value = serde_json::from_slice(body).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(error["error"]["code"], status, "{what}: {error}");
    assert!(error["error"]["message"].is_string(), "{what}: {error}");
}

fn good(path: &str) -> GrpcResponse {
    let name = if path.ends_with("Books") { "ListBooksResponse" } else { "Book" };
    ok(name, &json!({}))
}

fn bomb() -> Vec<u8> {
    coding::encode(Coding::Gzip, &vec![b' '; 64 << 20]).unwrap()
}

#[tokio::test]
async fn a_hostile_request_is_an_error_and_the_connection_takes_the_next_one() {
    let address = start(good).await;
    let mut wire = Wire::open(address).await;
    let nested = [&br#"{"id":"#[..], &b"[".repeat(60_000)].concat();
    let objects = [&b"{\"author\":".repeat(5_000)[..], b"{}"].concat();
    let parameters = format!("/v1/shelves/s/books?{}", "tags=a&".repeat(1_001));
    let deep = format!("/v1/shelves/s/books?{}=1", ["author"; 500].join("."));
    let brackets = format!("/v1/shelves/s/books/b?fields={}", "author(".repeat(1_000));
    let gzip = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    for (what, request, status) in [
        ("a nesting bomb of arrays", json_body(&nested), 400),
        ("a nesting bomb of objects", json_body(&objects), 400),
        ("a key twice", json_body(br#"{"id":"1","id":"1"}"#), 400),
        ("bytes that are not UTF-8", json_body(b"{\"id\":\"\xff\xfe\"}"), 400),
        ("a lone surrogate", json_body(br#"{"id":"\ud800"}"#), 400),
        ("text after the end", json_body(b"{} {}"), 400),
        ("nothing that ends", json_body(br#"{"id":"#), 400),
        ("a number beyond all", json_body(&[&br#"{"pages":1"#[..], &b"0".repeat(9_999), b"}"].concat()), 400),
        ("a body over the limit", json_body(&vec![b' '; LIMIT + 1]), 413),
        ("a bomb that was compressed", post("/v1/shelves/s/books", gzip, &bomb()), 413),
        ("what is not gzip", post("/v1/shelves/s/books", gzip, b"\x1f\x8b nonsense"), 400),
        ("an unknown coding", post("/v1/shelves/s/books", "content-encoding: aws-chunked\r\n", b"{}"), 415),
        ("many codings", post("/v1/shelves/s/books", "content-encoding: gzip, gzip\r\n", b"{}"), 415),
        ("an escape that is none", get("/v1/shelves/%zz/books/b"), 400),
        ("an escape that is cut", get("/v1/shelves/%f/books/b"), 400),
        ("a path that is not UTF-8", get("/v1/shelves/%ff/books/b"), 400),
        ("a way up, escaped", get("/v1/shelves/s/books/%2e%2e/%2e%2e/secret"), 404),
        ("empty segments", get("/v1//shelves///books/b"), 404),
        ("a slash at the end", get("/v1/shelves/s/books/b/"), 404),
        ("a query that is not UTF-8", get("/v1/shelves/s/books?tags=%ff"), 400),
        ("too many parameters", get(&parameters), 400),
        ("a parameter too deep", get(&deep), 400),
        ("fields too deep", get(&brackets), 400),
        ("a method nobody knows", b"BREW /v1/shelves/s/books/b HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(), 405),
        (
            "a boundary that is none",
            post("/v1/forms/1", "content-type: multipart/form-data\r\n", b"--x"),
            415,
        ),
        (
            "a form that does not end",
            post(
                "/v1/forms/1",
                "content-type: multipart/form-data; boundary=x\r\n",
                b"--x\r\ncontent-disposition",
            ),
            400,
        ),
    ] {
        let (found, head, body) = wire.ask(&request).await;
        assert_eq!(found, status, "{what}: {head}{}", String::from_utf8_lossy(&body));
        is_error(&body, status, what);
        if head.contains("connection: close") {
            // A rest of the body that nobody wants to read.
            assert_eq!(status, 413, "{what}: {head}");
            wire = Wire::open(address).await;
        }
        assert_eq!(wire.ask(GOOD).await.0, 200, "after {what}");
    }
}

#[tokio::test]
async fn a_body_said_to_have_a_gigabyte_is_refused_before_it_comes() {
    let address = start(good).await;
    let mut wire = Wire::open(address).await;
    let head = "POST /v1/shelves/s/books HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\
                content-length: 1073741824\r\n\r\n{";
    let (status, _, body) = wire.ask(head.as_bytes()).await;
    assert_eq!(status, 413);
    is_error(&body, 413, "a gigabyte");
}

#[tokio::test]
async fn a_flood_of_headers_is_refused_and_costs_one_connection() {
    let address = start(good).await;
    let mut wire = Wire::open(address).await;
    let flood = (0..10_000).map(|n| format!("x-{n}: {n}\r\n")).collect::<Vec<_>>().concat();
    let request = format!("GET /v1/shelves/s/books/b HTTP/1.1\r\nhost: h\r\n{flood}\r\n");
    assert_eq!(wire.ask(request.as_bytes()).await.0, 431);
    assert_eq!(Wire::open(address).await.ask(GOOD).await.0, 200);
}

#[tokio::test]
async fn a_client_that_has_said_everything_still_gets_its_answer_and_one_that_breaks_off_gets_none() {
    let address = start(good).await;
    let mut wire = Wire::open(address).await;
    wire.0.write_all(GOOD).await.unwrap();
    wire.0.shutdown().await.unwrap();
    assert_eq!(wire.answer().await.0, 200);
    let mut wire = Wire::open(address).await;
    let whole = json_body(br#"{"id":"12345"}"#);
    wire.0.write_all(&whole[..whole.len() - 3]).await.unwrap();
    wire.0.shutdown().await.unwrap();
    let mut rest = Vec::new();
    wire.0.read_to_end(&mut rest).await.unwrap();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    assert_eq!(Wire::open(address).await.ask(GOOD).await.0, 200);
}

/// Of Connect: frames of gRPC and gRPC-Web pass through, and are the service's to judge.
#[tokio::test]
async fn frames_of_a_client_that_lie_about_their_length_are_errors() {
    let address = start(|_| ok("Book", &json!({}))).await;
    let mut wire = Wire::open(address).await;
    for frame in [
        &b"\0\0\0\0\x64\x0a\x01"[..],
        b"\0\xff\xff\xff\xff\x0a",
        b"\0\0\0",
        b"\x07\0\0\0\x00",
        b"\x01\0\0\0\x02\x0a\x00",
        b"\0\0\0\0\x00\0\0\0\0\x00",
    ] {
        let headers = "content-type: application/connect+proto\r\nconnection: close\r\n";
        wire.0.write_all(&post("/test.Library/WatchBooks", headers, frame)).await.unwrap();
        let mut bytes = Vec::new();
        wire.0.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.starts_with("HTTP/1.1 200 ") && text.contains(r#""error":{"code":"#),
            "{frame:?}: {text}"
        );
        wire = Wire::open(address).await;
    }
    assert_eq!(wire.ask(GOOD).await.0, 200);
}

/// What a service gone mad answers.
fn garbage(kind: &str) -> GrpcResponse {
    let fine = || Status::new(Code::Ok, "");
    let bytes = |bytes: &[u8]| vec![Bytes::copy_from_slice(bytes)];
    match kind {
        "short" => answer(bytes(b"\0\0\0\0\x09\x0a\x01a"), fine()),
        "endless" => answer(bytes(b"\0\xff\xff\xff\xff\x0a"), fine()),
        "flag" => answer(bytes(b"\x09\0\0\0\x00"), fine()),
        "coded" => answer(bytes(b"\x01\0\0\0\x01\x00"), fine()),
        "wire" => answer(bytes(b"\0\0\0\0\x03\x0f\xff\xff"), fine()),
        "text" => answer(bytes(b"\0\0\0\0\x03\x0a\x01\xff"), fine()),
        "time" => answer(bytes(b"\0\0\0\0\x0d\x32\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), fine()),
        "large" => answer(vec![vec![0; LIMIT * 2].into()], fine()),
        "nothing" => answer(vec![], fine()),
        "html" => {
            http::Response::new(tonic::body::Body::new(http_body_util::Full::from("<html>nope</html>")))
        }
        "code" => {
            let mut response = answer(vec![], fine());
            response.headers_mut().insert("grpc-status", http::HeaderValue::from_static("ninety"));
            response
        }
        "details" => {
            let details = Bytes::from_static(b"\xff\xff\xff");
            answer(vec![], Status::with_details(Code::NotFound, "gone\r\nx: y", details))
        }
        _ => answer(vec![frame("Book", &json!({"id": kind}))], fine()),
    }
}

#[tokio::test]
async fn a_service_that_sends_garbage_is_an_error_and_the_connection_takes_the_next_request() {
    let kind = std::sync::Arc::new(std::sync::Mutex::new("good"));
    let next = kind.clone();
    let address = start(move |_| garbage(*next.lock().unwrap())).await;
    let mut wire = Wire::open(address).await;
    for (what, status) in [
        ("short", 500),
        ("endless", 500),
        ("flag", 500),
        ("coded", 500),
        ("wire", 500),
        ("text", 500),
        ("time", 500),
        ("large", 500),
        ("nothing", 500),
        ("html", 500),
        ("code", 500),
        ("details", 404),
    ] {
        *kind.lock().unwrap() = what;
        let (found, head, body) = wire.ask(GOOD).await;
        assert_eq!(found, status, "{what}: {head}{}", String::from_utf8_lossy(&body));
        is_error(&body, status, what);
        assert!(!head.contains("\nx: y"), "{what}: {head}");
        // In a stream the head has gone already: the error is the stream's last element.
        let stream = b"GET /v1/shelves/s/books:watch HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
        let mut streamed = Wire::open(address).await;
        streamed.0.write_all(stream).await.unwrap();
        let mut text = Vec::new();
        streamed.0.read_to_end(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        // No message at all is a stream like another.
        assert_eq!(text.contains("\"error\""), what != "nothing", "{what}: {text}");
        *kind.lock().unwrap() = "good";
        assert_eq!(wire.ask(GOOD).await.0, 200, "after {what}");
    }
}
