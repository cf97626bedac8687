//! Bodies that are not what they should be, in each protocol: cut short, too long, too slow, no message at all. All are told with the
//! table's codes, and in our words.

use crate::world::{Answer, Listening, World, entry, enveloped};
use api::transactions::v1::IngestTransactionsRequest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use futures::StreamExt as _;
use http::Method;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use prost::Message as _;
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tonic_types::StatusExt as _;
use tonic_types::pb::ErrorInfo;
use transcode::{Coding, coding};

const GET_CLIENT: &str = "/riskmesh.clients.v1.ClientsService/GetClient";
const CREATE_CLIENT: &str = "/riskmesh.clients.v1.ClientsService/CreateClient";
const INGEST: &str = "/riskmesh.transactions.v1.TransactionsService/IngestTransactions";

/// What callers of gRPC and gRPC-Web are told: the reason, and the words.
fn told(answer: &Answer) -> (String, String) {
    let status = answer.grpc();
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {answer:?}"));
    assert_eq!(info.domain, "riskmesh");
    assert!(status.get_details_request_info().is_some());
    (info.reason, status.message().to_owned())
}

/// The same of Connect, with the code.
fn told_by_connect(answer: &Answer) -> (String, String, String) {
    let json = match answer.header("content-type") {
        "application/json" => answer.json(),
        _ => serde_json::from_slice::<Value>(&answer.body[5..]).unwrap()["error"].clone(),
    };
    let detail = &json["details"][0];
    assert_eq!(detail["type"], "google.rpc.ErrorInfo", "{json}");
    let info =
        ErrorInfo::decode(&*STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap()).unwrap();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    (text("code"), info.reason, text("message"))
}

async fn call(
    world: &World,
    listening: &Listening,
    path: &str,
    content_type: &str,
    encoding: (&str, &str),
    body: impl Into<Bytes>,
) -> Answer {
    let request = world.request(Method::POST, path).header("content-type", content_type);
    listening.ask(request.header(encoding.0, encoding.1).body(Full::new(body.into())).unwrap()).await
}

/// Bodies that are wrong, how their messages are said to be compressed, and what is told of them.
fn wrong() -> Vec<(Bytes, &'static str, &'static str, &'static str)> {
    let bomb = coding::encode(Coding::Gzip, &vec![0; 8 << 20]).unwrap();
    let cut = enveloped(&[(0, b"\n\x061")]);
    let mut window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3];
    window.extend([1, 0, 0]);
    let invalid = "INVALID_INPUT";
    let large = "The request body is larger than 65536 bytes";
    let whole = "The request body ends within a message";
    let decode = "The request body has a message that does not decode";
    vec![
        (cut.slice(..6), "identity", invalid, whole),
        (cut.slice(..3), "identity", invalid, whole),
        (enveloped(&[(7, b"")]), "identity", invalid, "The request body has a message with an unknown flag"),
        (
            enveloped(&[(0x80, b"x: y")]),
            "identity",
            invalid,
            "The request body has a message with an unknown flag",
        ),
        (
            enveloped(&[(1, b"x")]),
            "identity",
            invalid,
            "The request body has a compressed message, and grpc-encoding",
        ),
        (enveloped(&[(1, b"not gzip")]), "gzip", invalid, decode),
        (
            enveloped(&[(1, &window)]),
            "zstd",
            invalid,
            "The request body has a message that does not decode: its zstd window",
        ),
        (enveloped(&[(1, &bomb)]), "gzip", "PAYLOAD_TOO_LARGE", large),
        (enveloped(&[(0, &vec![0; 70_000])]), "identity", "PAYLOAD_TOO_LARGE", large),
        (Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]), "identity", "PAYLOAD_TOO_LARGE", large),
    ]
}

fn small() -> World {
    World::with(|config| (config.body_bytes, config.batch_body_bytes) = (65_536, 65_536))
}

#[tokio::test]
async fn what_is_no_message_is_told_over_grpc_and_grpc_web_in_our_words() {
    let world = small();
    let listening = world.listen().await;
    let mut wrong = wrong();
    let one = "must be one message: the method takes no more and no less";
    wrong.push((Bytes::new(), "identity", "INVALID_INPUT", one));
    wrong.push((enveloped(&[(0, b""), (0, b"")]), "identity", "INVALID_INPUT", one));
    wrong.push((
        enveloped(&[(0, b"\xff")]),
        "identity",
        "INVALID_INPUT",
        "The message is not valid Protobuf",
    ));
    for (body, encoding, reason, words) in wrong {
        let encoding = ("grpc-encoding", encoding);
        let text = Bytes::from(STANDARD.encode(&body));
        for (content_type, body) in [
            ("application/grpc", body.clone()),
            ("application/grpc-web+proto", body),
            ("application/grpc-web-text", text),
        ] {
            let answer = call(&world, &listening, GET_CLIENT, content_type, encoding, body).await;
            let (told, message) = told(&answer);
            assert!(told == reason && message.contains(words), "{content_type} {words}: {told} {message}");
        }
    }
    let garbage = "not base64!";
    let answer =
        call(&world, &listening, GET_CLIENT, "application/grpc-web-text", ("te", "trailers"), garbage).await;
    let (reason, message) = told(&answer);
    assert_eq!((&*reason, &*message), ("INVALID_INPUT", "The request body could not be read to its end"));
}

#[tokio::test]
async fn what_is_no_message_ends_a_client_stream_in_our_words() {
    let world = small();
    let listening = world.listen().await;
    let fine =
        IngestTransactionsRequest { transactions: vec![entry()], ..Default::default() }.encode_to_vec();
    for (body, encoding, reason, words) in wrong() {
        let body = [&enveloped(&[(0, &fine)])[..], &body].concat();
        let encoding = ("grpc-encoding", encoding);
        let answer = call(&world, &listening, INGEST, "application/grpc", encoding, body).await;
        let (told, message) = told(&answer);
        assert!(told == reason && message.contains(words), "{words}: {told} {message}");
    }
}

#[tokio::test]
async fn what_is_no_message_is_told_over_connect_with_its_code() {
    let world = small();
    let listening = world.listen().await;
    let bomb = coding::encode(Coding::Gzip, &vec![b' '; 8 << 20]).unwrap();
    let json = "application/json";
    for (body, encoding, status, told) in [
        (Bytes::from(bomb.clone()), "gzip", 413, ("out_of_range", "PAYLOAD_TOO_LARGE")),
        (Bytes::from(vec![b' '; 70_000]), "identity", 413, ("out_of_range", "PAYLOAD_TOO_LARGE")),
        (Bytes::from_static(b"not gzip"), "gzip", 400, ("invalid_argument", "INVALID_INPUT")),
        (Bytes::from_static(b"{"), "identity", 400, ("invalid_argument", "INVALID_INPUT")),
        (Bytes::from_static(b"{}"), "lzw", 501, ("unimplemented", "NOT_IMPLEMENTED")),
    ] {
        let answer = call(&world, &listening, GET_CLIENT, json, ("content-encoding", encoding), body).await;
        let (code, reason, message) = told_by_connect(&answer);
        assert_eq!((answer.status.as_u16(), &*code, &*reason), (status, told.0, told.1), "{message}");
    }
    let stream = "application/connect+json";
    for (body, encoding, told) in [
        (enveloped(&[(1, &bomb)]), "gzip", ("out_of_range", "PAYLOAD_TOO_LARGE")),
        (enveloped(&[(0, &vec![b' '; 70_000])]), "identity", ("out_of_range", "PAYLOAD_TOO_LARGE")),
        (enveloped(&[(1, b"x")]), "identity", ("invalid_argument", "INVALID_INPUT")),
        (enveloped(&[(9, b"x")]), "identity", ("invalid_argument", "INVALID_INPUT")),
        (enveloped(&[(2, b"{}")]), "identity", ("invalid_argument", "INVALID_INPUT")),
        (Bytes::from_static(&[0, 0, 0]), "identity", ("invalid_argument", "INVALID_INPUT")),
    ] {
        let encoding = ("connect-content-encoding", encoding);
        let answer = call(&world, &listening, INGEST, stream, encoding, body).await;
        let (code, reason, message) = told_by_connect(&answer);
        assert_eq!((answer.status.as_u16(), &*code, &*reason), (200, told.0, told.1), "{message}");
    }
}

#[tokio::test]
async fn a_wrong_content_type_is_told_by_http_over_connect_with_those_it_takes() {
    let world = World::new();
    let listening = world.listen().await;
    let answer =
        call(&world, &listening, GET_CLIENT, "text/xml", ("connect-protocol-version", "1"), "<a/>").await;
    let (code, reason, _) = told_by_connect(&answer);
    assert_eq!(
        (answer.status.as_u16(), &*code, &*reason),
        (415, "invalid_argument", "UNSUPPORTED_MEDIA_TYPE")
    );
    assert_eq!(answer.header("accept-post"), "application/json, application/proto");
}

#[tokio::test]
async fn a_slow_body_is_a_request_timeout_in_every_protocol() {
    let world = World::with(|config| config.body_timeout = Duration::from_millis(50));
    let listening = world.listen().await;
    let ask = async |path: &str, content_type: &str, begun: Bytes| {
        let begun = futures::stream::iter([Ok::<_, Infallible>(Frame::data(begun))]);
        let stalled = StreamBody::new(begun.chain(futures::stream::pending()));
        let request = world.request(Method::POST, path).header("content-type", content_type);
        listening.ask(request.body(stalled).unwrap()).await
    };
    let begun = Bytes::from_static(&[0, 0, 0, 0, 8, 10, 6]);
    for content_type in ["application/grpc", "application/grpc-web", "application/grpc-web-text"] {
        let begun =
            if content_type.ends_with("text") { STANDARD.encode(&begun).into() } else { begun.clone() };
        let answer = ask(GET_CLIENT, content_type, begun).await;
        assert_eq!(
            told(&answer),
            ("REQUEST_TIMEOUT".to_owned(), "The request did not arrive in time".to_owned())
        );
        assert_eq!(answer.grpc().code(), tonic::Code::Cancelled, "{content_type}");
    }
    let unary = ask(CREATE_CLIENT, "application/json", Bytes::from_static(b"{\"client\"")).await;
    assert_eq!(unary.status, 408);
    let stream = ask(INGEST, "application/connect+json", Bytes::from_static(&[0, 0, 0])).await;
    assert_eq!(stream.status, 200);
    for answer in [unary, stream] {
        let (code, reason, _) = told_by_connect(&answer);
        assert_eq!((&*code, &*reason), ("canceled", "REQUEST_TIMEOUT"));
    }
}

#[tokio::test]
async fn a_stream_may_take_longer_than_a_body_while_it_does_not_pause() {
    let world = World::with(|config| config.body_timeout = Duration::from_millis(400));
    let listening = world.listen().await;
    let batch = r#"{"transactions":[{"transactionId":"t-1","accountId":"1234567890","direction":"credit","amount":"1",
        "currency":"EUR","bookedAt":"2026-01-01T00:00:00Z"}]}"#;
    let message = enveloped(&[(0, batch.as_bytes())]);
    let pieces = futures::stream::iter(0..6).then(move |_| {
        let message = message.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, Infallible>(Frame::data(message))
        }
    });
    let request = world.request(Method::POST, INGEST).header("content-type", "application/connect+json");
    let answer = listening.ask(request.body(StreamBody::new(pieces.boxed())).unwrap()).await;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains("\"created\":6"), "{text}");
}
