//! gRPC and gRPC-Web on the same port, through the same checks.

use crate::services::{MISSING, PANICS, SLOW};
use crate::world::{Answer, World, empty, entry, enveloped, full, opened};
use api::clients::v1::clients_service_client::ClientsServiceClient;
use api::clients::v1::{GetClientRequest, GetClientResponse};
use api::transactions::v1::IngestTransactionsRequest;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use authn::Role;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use prost::Message as _;
use riskmesh_core::{Error, ErrorCode};
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

const GET_CLIENT: &str = "/riskmesh.clients.v1.ClientsService/GetClient";

async fn channel(world: &World) -> Channel {
    let listening = world.listen().await;
    Endpoint::try_from(format!("http://{}", listening.address)).unwrap().connect().await.unwrap()
}

fn ask<T>(world: &World, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let token = format!("Bearer {}", world.token(Role::Admin, "console"));
    request.metadata_mut().insert("authorization", MetadataValue::try_from(token).unwrap());
    request
}

fn get(id: &str) -> GetClientRequest {
    GetClientRequest { client_id: id.into() }
}

fn code(status: &Status) -> ErrorCode {
    Error::from_status(status).code
}

#[tokio::test]
async fn a_call_over_grpc_gives_what_rest_gives() {
    let world = World::new();
    let mut clients = ClientsServiceClient::new(channel(&world).await);
    let mut request = ask(&world, get("424242"));
    request.metadata_mut().insert("x-request-id", MetadataValue::from_static("g-1"));
    let response = clients.get_client(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "g-1");
    assert_eq!(
        response.into_inner().client.unwrap().name,
        world.get("/v1/clients/424242").await.json()["name"]
    );
    let line = world.logged("RequestId=g-1").await;
    assert!(line.contains(&format!("Method=POST Path={GET_CLIENT} Status=200")), "{line}");
}

#[tokio::test]
async fn errors_over_grpc_keep_their_details() {
    let world = World::new();
    let mut clients = ClientsServiceClient::new(channel(&world).await);
    let missing = clients.get_client(ask(&world, get(MISSING))).await.unwrap_err();
    assert_eq!((missing.code(), code(&missing)), (Code::NotFound, ErrorCode::ClientNotFound));
    assert_eq!(missing.get_details_bad_request().unwrap().field_violations[0].field, "clientId");
    assert_eq!(missing.get_error_details_vec().len(), 3, "ErrorInfo, BadRequest, RequestInfo: {missing:?}");
    let invalid = clients.get_client(ask(&world, get("abc"))).await.unwrap_err();
    assert_eq!((invalid.code(), code(&invalid)), (Code::InvalidArgument, ErrorCode::InvalidInput));
    let panicked = clients.get_client(ask(&world, get(PANICS))).await.unwrap_err();
    assert_eq!((panicked.code(), code(&panicked)), (Code::Internal, ErrorCode::Internal));
    assert!(!panicked.message().contains("handler"));
    let mut named = ask(&world, get(MISSING));
    named.metadata_mut().insert("x-request-id", MetadataValue::from_static("g-2"));
    let named = clients.get_client(named).await.unwrap_err();
    assert_eq!(named.get_details_request_info().unwrap().request_id, "g-2");
    for status in [missing, invalid, panicked] {
        let told = status.get_details_request_info().unwrap().request_id;
        assert_eq!(status.metadata().get("x-request-id").unwrap(), &told, "whoever raised it: {status:?}");
    }
    let line = world.logged("Status=404").await;
    assert!(line.contains(GET_CLIENT), "the log has the status that REST would have: {line}");
}

#[tokio::test]
async fn the_checks_of_rest_hold_for_grpc() {
    let world = World::with(|config| config.rate_limit_per_minute = 2);
    let mut clients = ClientsServiceClient::new(channel(&world).await);
    let unknown = clients.get_client(tonic::Request::new(get("424242"))).await.unwrap_err();
    assert_eq!((unknown.code(), code(&unknown)), (Code::Unauthenticated, ErrorCode::TokenMissing));
    assert!(!unknown.get_details_request_info().unwrap().request_id.is_empty());
    assert_eq!(unknown.get_error_details_vec().len(), 2, "ErrorInfo, RequestInfo: {unknown:?}");
    assert!(clients.get_client(ask(&world, get("424242"))).await.is_ok());
    assert!(clients.get_client(ask(&world, get("424242"))).await.is_ok());
    let limited = clients.get_client(ask(&world, get("424242"))).await.unwrap_err();
    assert_eq!((limited.code(), code(&limited)), (Code::ResourceExhausted, ErrorCode::RateLimited));
    assert_eq!(limited.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_mins(1)));
    world.clock.advance(Duration::from_hours(2));
    let mut expired = ask(&world, get("424242"));
    world.clock.advance(Duration::from_hours(2));
    expired.set_timeout(Duration::from_secs(5));
    assert_eq!(code(&clients.get_client(expired).await.unwrap_err()), ErrorCode::TokenExpired);
}

#[tokio::test]
async fn a_workloads_method_is_closed_to_people_over_grpc() {
    let world = World::new();
    let mut transactions = TransactionsServiceClient::new(channel(&world).await);
    let request = ask(
        &world,
        api::transactions::v1::ScanTransactionsRequest {
            account_id: "1234567890".into(),
            ..Default::default()
        },
    );
    let denied = transactions.scan_transactions(request).await.unwrap_err();
    assert_eq!((denied.code(), code(&denied)), (Code::PermissionDenied, ErrorCode::PermissionDenied));
}

#[tokio::test]
async fn a_grpc_deadline_is_honoured() {
    let world = World::new();
    // Without tonic's client, which would end the call by itself.
    let mut request = framed(&world, "application/grpc", SLOW);
    request.headers_mut().insert("grpc-timeout", "20m".parse().unwrap());
    let late = Status::from_header_map(&world.send(request).await.headers).unwrap();
    assert_eq!((late.code(), code(&late)), (Code::DeadlineExceeded, ErrorCode::DeadlineExceeded));
}

#[tokio::test]
async fn a_client_stream_may_be_longer_than_any_body() {
    let world = World::with(|config| config.body_bytes = 1024);
    let mut transactions = TransactionsServiceClient::new(channel(&world).await);
    let batch = IngestTransactionsRequest { transactions: vec![entry(); 100], ..Default::default() };
    let response =
        transactions.ingest_transactions(ask(&world, tokio_stream::iter(vec![batch; 20]))).await.unwrap();
    assert_eq!(response.into_inner().created, 2000);
}

#[tokio::test]
async fn a_single_message_is_bounded_over_grpc_too() {
    let world = World::with(|config| config.body_bytes = 1024);
    let mut clients = ClientsServiceClient::new(channel(&world).await);
    let error = clients.get_client(ask(&world, get(&"1".repeat(4096)))).await.unwrap_err();
    assert_eq!(code(&error), ErrorCode::PayloadTooLarge, "{error:?}");
}

#[tokio::test]
async fn health_is_for_anybody_and_what_is_not_listed_is_not_there() {
    let world = World::new();
    let channel = channel(&world).await;
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(health.into_inner().status, 1);
    world.logged("Method=POST Path=/grpc.health.v1.Health/Check Status=200").await;
    let nobody = HealthCheckRequest { service: "nobody".into() };
    let nobody = HealthClient::new(channel.clone()).check(nobody).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    assert!(nobody.get_details_request_info().is_some());
    let mut grpc = tonic::client::Grpc::new(channel);
    for path in
        ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/AnythingAtAll"]
    {
        let path = http::uri::PathAndQuery::from_static(path);
        let codec = tonic_prost::ProstCodec::<GetClientRequest, GetClientResponse>::default();
        grpc.ready().await.unwrap();
        let refused = grpc.unary(ask(&world, get("1")), path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
    }
    world.logged("Path=unmatched Status=501").await;
}

#[tokio::test]
async fn what_is_no_message_of_a_public_method_is_told_as_such() {
    let world = World::new();
    for (method, message) in [("Check", &[0xff][..]), ("Watch", b"\x0a\x01\xff"), ("Watch", b"\x0a\x09x")] {
        let request = world
            .request(Method::POST, &format!("/grpc.health.v1.Health/{method}"))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc");
        let refused = world.send(request.body(Full::new(enveloped(&[(0, message)]))).unwrap()).await.grpc();
        assert_eq!((refused.code(), code(&refused)), (Code::InvalidArgument, ErrorCode::InvalidInput));
        assert_eq!(refused.message(), "The request body has a message that is not one of the method's");
    }
}

/// A request for a client, with its message in a gRPC frame.
fn framed(world: &World, content_type: &str, id: &str) -> Request<Full<Bytes>> {
    let body = enveloped(&[(0, &get(id).encode_to_vec())]);
    let request = world
        .request(Method::POST, GET_CLIENT)
        .version(http::Version::HTTP_2)
        .header("content-type", content_type)
        .header("x-grpc-web", "1");
    request.body(Full::new(body)).unwrap()
}

#[tokio::test]
async fn a_browser_calls_over_grpc_web() {
    let world = World::with(|config| config.cors_origins = vec!["*".into()]);
    let mut request = framed(&world, "application/grpc-web+proto", "424242");
    request.headers_mut().insert("origin", "https://console.example.com".parse().unwrap());
    let answer = world.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/grpc-web+proto"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let frames = opened(&answer.body);
    let message = GetClientResponse::decode(frames[0].1.clone()).unwrap();
    assert_eq!(message.client.unwrap().client_id, "424242");
    let (flag, trailers) = frames.last().unwrap();
    assert_eq!(*flag, 0x80);
    assert!(String::from_utf8_lossy(trailers).contains("grpc-status:0"));
}

#[tokio::test]
async fn grpc_web_is_checked_as_everything_is() {
    let world = World::new();
    let mut request = framed(&world, "application/grpc-web", "424242");
    request.headers_mut().remove("authorization");
    let answer = world.send(request).await;
    let status = Status::from_header_map(&answer.headers).unwrap();
    assert_eq!((answer.status.as_u16(), code(&status)), (200, ErrorCode::TokenMissing));
    let missing = world.send(framed(&world, "application/grpc-web", MISSING)).await;
    assert_eq!(Status::from_header_map(&missing.headers).unwrap().code(), Code::NotFound);
}

#[tokio::test]
async fn grpc_goes_over_http_2_and_grpc_web_over_both() {
    let world = World::new();
    let over = |content_type: &str, version: http::Version| {
        let mut request = framed(&world, content_type, "424242");
        *request.version_mut() = version;
        world.send(request)
    };
    let refused = over("application/grpc", http::Version::HTTP_11).await.grpc();
    assert_eq!((refused.code(), code(&refused)), (Code::Unimplemented, ErrorCode::NotImplemented));
    assert!(refused.message().contains("HTTP/2"));
    let web = over("application/grpc-web", http::Version::HTTP_11).await;
    assert_eq!(opened(&web.body).last().unwrap().0, 0x80);
    assert_eq!(over("application/grpc+proto", http::Version::HTTP_2).await.grpc().code(), Code::Ok);
    for content_type in ["application/grpc+json", "application/grpc+thrift; charset=utf-8"] {
        let refused = over(content_type, http::Version::HTTP_2).await.grpc();
        assert_eq!(code(&refused), ErrorCode::UnsupportedMediaType, "{content_type}");
    }
}

#[tokio::test]
async fn grpc_at_a_path_that_is_none_is_unimplemented_and_rest_does_not_answer_it() {
    let world = World::new();
    let grpc = |path: &str| {
        let request = world.request(Method::POST, path).version(http::Version::HTTP_2);
        request.header("content-type", "application/grpc").body(full("")).unwrap()
    };
    for path in ["/v1/clients", "/riskmesh.clients.v1.ClientsService/Nothing", "/"] {
        let answer: Answer = world.send(grpc(path)).await;
        assert_eq!(Status::from_header_map(&answer.headers).unwrap().code(), Code::Unimplemented, "{path}");
    }
    // A path that is no method's is nothing to Connect either.
    let json = world
        .request(Method::POST, "/riskmesh.clients.v1.ClientsService/Nothing")
        .header("content-type", "application/json")
        .body(empty())
        .unwrap();
    world.send(json).await.fails(404, "ROUTE_NOT_FOUND");
}
