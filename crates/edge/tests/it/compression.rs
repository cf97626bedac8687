//! Compression in each protocol's own way, in both directions.

use crate::world::{Answer, Listening, World, empty, entry, enveloped, opened};
use api::clients::v1::clients_service_client::ClientsServiceClient;
use api::clients::v1::{GetClientRequest, ListClientsRequest, ListClientsResponse};
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use api::transactions::v1::{IngestTransactionsRequest, ScanTransactionsRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Method, Request};
use http_body_util::Full;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;
use transcode::{Coding, coding};

const LIST: &str = "/riskmesh.clients.v1.ClientsService/ListClients";
const INGEST: &str = "/riskmesh.transactions.v1.TransactionsService/IngestTransactions";

async fn channel(listening: &Listening) -> Channel {
    Endpoint::try_from(format!("http://{}", listening.address)).unwrap().connect().await.unwrap()
}

fn with_token<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", MetadataValue::try_from(format!("Bearer {token}")).unwrap());
    request
}

/// A hundred clients, asked for over gRPC or gRPC-Web.
fn list(world: &World, content_type: &str) -> http::request::Builder {
    world.request(Method::POST, LIST).header("content-type", content_type).header("te", "trailers")
}

fn hundred() -> Vec<u8> {
    ListClientsRequest { limit: Some(100), ..ListClientsRequest::default() }.encode_to_vec()
}

#[tokio::test]
async fn a_client_of_grpc_compresses_what_it_sends_and_takes_what_is_compressed() {
    let world = World::new();
    let listening = world.listen().await;
    let token = world.token(authn::Role::Admin, "console");
    let mut clients = ClientsServiceClient::new(channel(&listening).await)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let asked = ListClientsRequest { limit: Some(100), ..ListClientsRequest::default() };
    let answer = clients.list_clients(with_token(&token, asked)).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(answer.into_inner().clients.len(), 100);

    let mut transactions = TransactionsServiceClient::new(channel(&listening).await)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let batch = IngestTransactionsRequest { transactions: vec![entry(); 100], ..Default::default() };
    let batches = tokio_stream::iter(vec![batch; 20]);
    let created = transactions.ingest_transactions(with_token(&token, batches)).await.unwrap();
    assert_eq!(created.into_inner().created, 2000);

    let scan = ScanTransactionsRequest { account_id: "1234567890".into(), ..Default::default() };
    let scan = with_token(&world.workload("analytics"), scan);
    let pages = transactions.scan_transactions(scan).await.unwrap().into_inner();
    let lengths: Vec<usize> = pages.map_ok(|page| page.transactions.len()).try_collect().await.unwrap();
    assert_eq!(lengths, [1, 200, 1, 500]);
}

#[tokio::test]
async fn messages_of_some_size_are_compressed_for_whoever_takes_it_over_grpc_and_grpc_web() {
    let world = World::new();
    let listening = world.listen().await;
    let plain = enveloped(&[(0, &hundred())]);
    for content_type in
        ["application/grpc", "application/grpc-web+proto", "Application/GRPC-Web; charset=utf-8"]
    {
        for (accepted, flag) in
            [("gzip", 1), ("zstd", 1), ("identity, deflate,br ,gzip", 1), ("identity", 0), ("", 0)]
        {
            let request = list(&world, content_type).header("grpc-accept-encoding", accepted);
            let answer = listening.ask(request.body(Full::new(plain.clone())).unwrap()).await;
            assert_eq!(answer.header("grpc-accept-encoding"), Coding::NAMES);
            let messages = opened(&answer.body);
            assert_eq!(messages[0].0, flag, "{content_type} {accepted}");
            let message = match Coding::of(answer.header("grpc-encoding")) {
                Some(coding) => coding::decode(coding, messages[0].1.clone(), 1 << 20).unwrap().into(),
                None => messages[0].1.clone(),
            };
            assert_eq!(ListClientsResponse::decode(message).unwrap().clients.len(), 100);
        }
    }
    // A small one is not worth it.
    let get = enveloped(&[(0, &GetClientRequest { client_id: "1".into() }.encode_to_vec())]);
    let request = world.request(Method::POST, "/riskmesh.clients.v1.ClientsService/GetClient");
    let request = request.header("content-type", "application/grpc").header("grpc-accept-encoding", "gzip");
    let answer = listening.ask(request.body(Full::new(get)).unwrap()).await;
    assert_eq!(opened(&answer.body)[0].0, 0);
}

#[tokio::test]
async fn what_a_browser_sends_compressed_over_grpc_web_is_read() {
    let world = World::new();
    let listening = world.listen().await;
    for coding in Coding::ALL {
        let body = enveloped(&[(1, &coding::encode(coding, &hundred()).unwrap())]);
        for (content_type, body) in [
            ("application/grpc-web", body.clone()),
            ("application/grpc-web-text", STANDARD.encode(&body).into()),
        ] {
            let request = list(&world, content_type).header("grpc-encoding", coding.name());
            let answer = listening.ask(request.body(Full::new(body)).unwrap()).await;
            assert!(
                answer.status == 200 && answer.body.len() > 1000,
                "{content_type} {coding:?}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_compression_that_is_not_ours_is_unimplemented_with_those_that_are() {
    let world = World::new();
    let listening = world.listen().await;
    for name in ["snappy", "deflate", "gzip, gzip", ""] {
        let request = list(&world, "application/grpc").header("grpc-encoding", name);
        let answer = listening.ask(request.body(Full::new(enveloped(&[(1, b"x")]))).unwrap()).await;
        let status = answer.grpc();
        assert_eq!(status.code(), tonic::Code::Unimplemented, "{name}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "NOT_IMPLEMENTED");
        assert_eq!(answer.header("grpc-accept-encoding"), Coding::NAMES);
    }
    let request = connect(&world).header("content-encoding", "snappy");
    let answer = listening.ask(request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("accept-encoding")), (501, Coding::NAMES));
    assert_eq!(
        (&answer.json()["code"], reason(&answer.json())),
        (&"unimplemented".into(), "NOT_IMPLEMENTED".into())
    );
}

fn connect(world: &World) -> http::request::Builder {
    world.request(Method::POST, LIST).header("content-type", "application/json")
}

/// The reason in the error of Connect.
fn reason(error: &Value) -> String {
    let info = error["details"][0]["value"].as_str().unwrap();
    let info = base64::engine::general_purpose::STANDARD_NO_PAD.decode(info).unwrap();
    tonic_types::pb::ErrorInfo::decode(&*info).unwrap().reason
}

#[tokio::test]
async fn a_unary_call_of_connect_is_compressed_as_http_is() {
    let world = World::new();
    let listening = world.listen().await;
    let asked = json!({"limit": 100}).to_string();
    for coding in Coding::ALL {
        let body = coding::encode(coding, asked.as_bytes()).unwrap();
        let request = connect(&world)
            .header("content-encoding", coding.name())
            .header("accept-encoding", coding.name());
        let answer = listening.ask(request.body(Full::new(body.into())).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, coding.name()));
        assert_eq!(answer.header("vary"), "accept-encoding");
        let text = coding::decode(coding, answer.body, 1 << 20).unwrap();
        let clients: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(clients["clients"].as_array().unwrap().len(), 100);
    }
    let plain = listening.ask(connect(&world).body(Full::new(asked.into())).unwrap()).await;
    assert_eq!((plain.status.as_u16(), plain.header("content-encoding")), (200, ""));
}

#[tokio::test]
async fn a_stream_of_connect_is_compressed_message_by_message() {
    let world = World::new();
    let listening = world.listen().await;
    let entry = json!({
        "transactionId": "t-1", "accountId": "1234567890", "direction": "credit", "amount": "1", "currency": "EUR",
        "bookedAt": "2026-01-01T00:00:00Z",
    });
    let batch = json!({"transactions": vec![entry; 20]}).to_string();
    let coded = coding::encode(Coding::Gzip, batch.as_bytes()).unwrap();
    let request = world.request(Method::POST, INGEST).header("content-type", "application/connect+json");
    let request = request.header("connect-content-encoding", "gzip");
    let body = enveloped(&[(1, &coded), (0, batch.as_bytes()), (1, &coded)]);
    let answer = listening.ask(request.body(Full::new(body)).unwrap()).await;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(answer.status == 200 && text.contains("\"created\":60"), "{text}");

    let scan = json!({"accountId": "1234567890"}).to_string();
    let request = Request::post("/riskmesh.transactions.v1.TransactionsService/ScanTransactions")
        .header("authorization", format!("Bearer {}", world.workload("analytics")))
        .header("content-type", "application/connect+json")
        .header("connect-accept-encoding", "gzip");
    let answer = listening.ask(request.body(Full::new(enveloped(&[(0, scan.as_bytes())]))).unwrap()).await;
    assert_eq!(answer.header("connect-content-encoding"), "gzip", "{answer:?}");
    let flags: Vec<u8> = opened(&answer.body).iter().map(|(flag, _)| *flag).collect();
    assert_eq!(flags, [0, 1, 0, 1, 2], "the end of the stream comes last");
}

#[tokio::test]
async fn documents_are_compressed_once_and_keep_their_tag() {
    let world = World::new();
    let listening = world.listen().await;
    let get = async |path: &str, accepted: &str, tag: &str| -> Answer {
        let request = Request::get(path).header("accept-encoding", accepted).header("if-none-match", tag);
        listening.ask(request.body(empty()).unwrap()).await
    };
    for path in ["/openapi/v1.json", "/openapi/v2.json", "/docs/portal.js", "/docs/portal.css"] {
        let plain = get(path, "identity", "\"\"").await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
        for coding in Coding::ALL {
            let answer = get(path, coding.name(), "\"\"").await;
            assert_eq!(
                (answer.header("content-encoding"), answer.header("vary")),
                (coding.name(), "accept-encoding")
            );
            assert_eq!(answer.header("etag"), plain.header("etag"), "a weak tag names the text");
            assert!(answer.header("etag").starts_with("W/") && answer.body.len() < plain.body.len() / 2);
            assert_eq!(coding::decode(coding, answer.body, 1 << 24).unwrap(), plain.body);
            let kept = get(path, coding.name(), plain.header("etag")).await;
            assert_eq!(
                (kept.status.as_u16(), kept.header("vary"), kept.body.len()),
                (304, "accept-encoding", 0)
            );
        }
    }
    let short = get("/.well-known/jwks.json", "gzip", "\"\"").await;
    assert_eq!((short.header("content-encoding"), short.header("vary")), ("", ""));
}
