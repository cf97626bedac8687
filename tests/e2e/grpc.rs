//! gRPC on the same port: the same data, the same checks.

use crate::support::shared;
use api::analytics::{v1, v2};
use api::portfolios::v1::trades_service_client::TradesServiceClient;
use api::portfolios::v1::{IngestTradesRequest, Trade};
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use api::transactions::v1::{IngestTransactionsRequest, ScanTransactionsRequest, Transaction};
use authn::Role;
use http::Method;
use riskmesh_core::{Error, ErrorCode, Timestamp};
use serde_json::json;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

async fn channel() -> Channel {
    Channel::from_shared(format!("http://{}", shared().edge)).unwrap().connect().await.unwrap()
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn grpc_and_rest_give_the_same_data() {
    let server = shared();
    let token = server.token(Role::Analyst, "sandbox");
    let mut rest = server.as_role(Role::Analyst, "sandbox").await;
    let listed = rest.call(Method::GET, "/v1/analytics?limit=5", &[], None).await.unwrap();
    let mut one = v1::analytics_service_client::AnalyticsServiceClient::new(channel().await);
    let mut two = v2::analytics_service_client::AnalyticsServiceClient::new(channel().await);
    for item in listed.body["analytics"].as_array().unwrap() {
        let client_id = item["clientId"].as_str().unwrap().to_owned();
        let get = v1::GetAnalyticsRequest { client_id: client_id.clone() };
        let first = one.get_analytics(with_token(get, &token)).await.unwrap().into_inner().analytics.unwrap();
        let get = v2::GetAnalyticsRequest { client_id: client_id.clone() };
        let second =
            two.get_analytics(with_token(get, &token)).await.unwrap().into_inner().analytics.unwrap();
        assert_eq!(item["riskScore"], first.risk_score);
        assert_eq!(second.risk.as_ref().unwrap().score, first.risk_score);
        let rest = rest.call(Method::GET, &format!("/v2/analytics/{client_id}"), &[], None).await.unwrap();
        assert_eq!(rest.body["stateHash"], second.state_hash);
        assert_eq!(
            rest.body["risk"]["reasons"].as_array().unwrap().len(),
            second.risk.unwrap().reasons.len()
        );
    }
}

#[tokio::test]
async fn grpc_errors_carry_details() {
    let server = shared();
    let mut client = v1::analytics_service_client::AnalyticsServiceClient::new(channel().await);
    let nobody = client.get_analytics(v1::GetAnalyticsRequest { client_id: "1".into() }).await.unwrap_err();
    assert_eq!(
        (nobody.code(), Error::from_status(&nobody).code),
        (Code::Unauthenticated, ErrorCode::TokenMissing)
    );
    let token = server.token(Role::Analyst, "sandbox");
    let bad = v1::GetAnalyticsRequest { client_id: "abc".into() };
    let bad = client.get_analytics(with_token(bad, &token)).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    assert_eq!(Error::from_status(&bad).details[0].field, "clientId");
    let missing = v1::GetAnalyticsRequest { client_id: "999999999999".into() };
    let missing = client.get_analytics(with_token(missing, &token)).await.unwrap_err();
    assert_eq!(
        (missing.code(), Error::from_status(&missing).code),
        (Code::NotFound, ErrorCode::ClientNotFound)
    );
}

#[tokio::test]
async fn methods_between_services_are_closed_to_people() {
    let mut client = TransactionsServiceClient::new(channel().await);
    for role in [Role::Admin, Role::Analyst, Role::Client] {
        let scan =
            ScanTransactionsRequest { account_id: "1000000001".into(), from_ms: 0, until_ms: i64::MAX };
        let denied =
            client.scan_transactions(with_token(scan, &shared().token(role, "sandbox"))).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{role}");
    }
}

/// What reflection answers to each of these questions.
async fn reflected(questions: Vec<MessageRequest>) -> Vec<MessageResponse> {
    let asked = questions
        .into_iter()
        .map(|question| ServerReflectionRequest { host: String::new(), message_request: Some(question) });
    let asked = futures::stream::iter(asked.collect::<Vec<_>>());
    let mut client = ServerReflectionClient::new(channel().await);
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        seen.extend(answer.message_response);
    }
    seen
}

/// Its answers come as the questions do, so that a bad one is told at their end.
#[tokio::test]
async fn a_question_to_reflection_that_is_none_is_told_as_such() {
    for version in ["v1", "v1alpha"] {
        let mut client = tonic::client::Grpc::new(channel().await);
        client.ready().await.unwrap();
        let path =
            format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo").parse().unwrap();
        // A host that is not UTF-8.
        let codec = tonic_prost::ProstCodec::<Vec<u8>, ServerReflectionResponse>::default();
        let asked = Request::new(futures::stream::iter([vec![0xff]]));
        let ended = match client.streaming(asked, path, codec).await {
            Ok(answers) => answers.into_inner().message().await,
            Err(refused) => Err(refused),
        };
        let refused = ended.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{version}: {refused}");
    }
}

#[tokio::test]
async fn reflection_knows_all_that_is_served_and_the_details_of_errors() {
    let listed = reflected(vec![MessageRequest::ListServices(String::new())]).await;
    let [MessageResponse::ListServicesResponse(listed)] = &*listed else { panic!("{listed:?}") };
    let listed: Vec<&str> = listed.service.iter().map(|service| &*service.name).collect();
    let served = [
        "riskmesh.clients.v1.ClientsService",
        "riskmesh.analytics.v2.AnalyticsService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    for service in served {
        assert_eq!(listed.iter().filter(|name| **name == service).count(), 1, "{service} in {listed:?}");
    }
    assert!(!listed.iter().any(|name| name.contains("operator")), "{listed:?}");
    let details =
        ["google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RequestInfo"];
    let symbols =
        served.iter().chain(&details).map(|name| MessageRequest::FileContainingSymbol((*name).into()));
    for answer in reflected(symbols.collect()).await {
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_where_and_what_is_recorded() {
    let server = shared();
    let mut admin = server.as_role(Role::Admin, "streams").await;
    for (path, body) in [
        ("/v1/clients", json!({"clientId": "1", "name": "Ada"})),
        ("/v1/clients/1/accounts", json!({"accountId": "0000000001", "currency": "EUR"})),
        ("/v1/portfolios", json!({"portfolioId": "p", "name": "P", "baseCurrency": "EUR"})),
    ] {
        assert_eq!(admin.call(Method::POST, path, &[], Some(body)).await.unwrap().status, 201);
    }
    let token = server.token(Role::Admin, "streams");
    let at = Some(api::time::to_proto(Timestamp(1_767_225_600_000)));
    let entry = |id: &str, account: &str| Transaction {
        transaction_id: id.into(),
        account_id: account.into(),
        direction: 1,
        amount: "1".into(),
        currency: "EUR".into(),
        booked_at: at,
        ..Transaction::default()
    };
    let batch = |entries| IngestTransactionsRequest { transactions: entries, ..Default::default() };
    let good = ["a", "b", "a"].map(|id| entry(id, "0000000001")).to_vec();
    let messages = vec![batch(good.clone()), batch(good), batch(vec![entry("c", "1")]), batch(Vec::new())];
    let mut entries = TransactionsServiceClient::new(channel().await);
    let request = with_token(futures::stream::iter(messages), &token);
    let error = Error::from_status(&entries.ingest_transactions(request).await.unwrap_err());
    assert_eq!(error.message, "Message 2 of the stream: Account ID must be 10 digits");
    assert!(error.hint.contains("before message 2 is recorded (6 in all)"), "{}", error.hint);
    assert_eq!(error.details[0].field, "transactions[0].accountId");

    let trade = Trade {
        trade_id: "T".into(),
        instrument_id: "I".into(),
        side: 1,
        quantity: "1".into(),
        price: "1".into(),
        currency: "EUR".into(),
        executed_at: at,
        ..Trade::default()
    };
    let batch =
        |portfolio: &str| IngestTradesRequest { portfolio_id: portfolio.into(), trades: vec![trade.clone()] };
    let mut trades = TradesServiceClient::new(channel().await);
    let request = with_token(futures::stream::iter(vec![batch("p"), batch("none")]), &token);
    let error = Error::from_status(&trades.ingest_trades(request).await.unwrap_err());
    assert_eq!(
        (error.code, &*error.message),
        (ErrorCode::PortfolioNotFound, "Message 1 of the stream: Portfolio not found")
    );
    assert!(error.hint.contains("before message 1 is recorded (1 in all)"), "{}", error.hint);
}
