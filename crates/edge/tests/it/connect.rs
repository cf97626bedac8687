//! Connect on the same port, through the same checks.

use crate::services::{MISSING, SLOW};
use crate::world::{Answer, World, empty, enveloped, full};
use http::{Method, Request};
use serde_json::{Value, json};
use std::time::Duration;

const GET_CLIENT: &str = "/riskmesh.clients.v1.ClientsService/GetClient";
const INGEST: &str = "/riskmesh.transactions.v1.TransactionsService/IngestTransactions";

/// A unary call with JSON.
async fn call(
    world: &World,
    path: &str,
    message: &Value,
    change: impl FnOnce(&mut Request<http_body_util::Full<bytes::Bytes>>),
) -> Answer {
    let request = world.request(Method::POST, path).header("content-type", "application/json");
    let mut request =
        request.header("connect-protocol-version", "1").body(full(&message.to_string())).unwrap();
    change(&mut request);
    world.send(request).await
}

/// The code of an error, which must be in Connect's shape.
fn code(answer: &Answer) -> String {
    let error = answer.json();
    assert!(error.get("errorCode").is_none() && error["message"].is_string(), "{error}");
    error["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_over_connect_gives_what_rest_gives() {
    let world = World::new();
    let rest = world.get("/v1/clients/424242").await.json();
    for prefix in ["", "/api"] {
        let path = format!("{prefix}{GET_CLIENT}");
        let posted = call(&world, &path, &json!({"clientId": "424242"}), |request| {
            request.headers_mut().insert("x-request-id", "c-1".parse().unwrap());
        })
        .await;
        assert_eq!((posted.status.as_u16(), posted.header("x-request-id")), (200, "c-1"));
        assert_eq!(posted.json()["client"], rest);
        // Without side effects: GET will do, and caches may keep it.
        let query = "?connect=v1&encoding=json&message=%7B%22clientId%22%3A%22424242%22%7D";
        let got = world.get(&format!("{path}{query}")).await;
        assert_eq!((got.status.as_u16(), &got.json()["client"]), (200, &rest), "{got:?}");
    }
    let line = world.logged("RequestId=c-1").await;
    assert!(line.contains(&format!("Method=POST Path={GET_CLIENT} Status=200")), "{line}");
}

#[tokio::test]
async fn the_checks_of_rest_hold_for_connect_in_its_own_shape() {
    let world = World::with(|config| {
        config.rate_limit_per_minute = 4;
        config.body_bytes = 1024;
    });
    let client = json!({"clientId": "424242"});
    let unknown =
        call(&world, GET_CLIENT, &client, |request| drop(request.headers_mut().remove("authorization")))
            .await;
    assert_eq!((unknown.status.as_u16(), &*code(&unknown)), (401, "unauthenticated"));
    assert_eq!(unknown.header("www-authenticate"), "Bearer realm=\"riskmesh\"");
    let missing = call(&world, GET_CLIENT, &json!({"clientId": MISSING}), |_| {}).await;
    assert_eq!((missing.status.as_u16(), &*code(&missing)), (404, "not_found"));
    assert_eq!(missing.json()["details"][0]["type"], "google.rpc.ErrorInfo", "{:?}", missing.json());
    let invalid = call(&world, GET_CLIENT, &json!({"nope": 1}), |_| {}).await;
    assert_eq!((invalid.status.as_u16(), &*code(&invalid)), (400, "invalid_argument"));
    let late = call(&world, GET_CLIENT, &json!({"clientId": SLOW}), |request| {
        request.headers_mut().insert("connect-timeout-ms", "20".parse().unwrap());
    })
    .await;
    assert_eq!((late.status.as_u16(), &*code(&late)), (504, "deadline_exceeded"));
    let large = call(&world, GET_CLIENT, &json!({"clientId": "1".repeat(4096)}), |_| {}).await;
    assert_eq!((large.status.as_u16(), &*code(&large)), (413, "out_of_range"), "{large:?}");
    let limited = call(&world, GET_CLIENT, &client, |_| {}).await;
    assert_eq!((limited.status.as_u16(), &*code(&limited)), (429, "resource_exhausted"));
    assert!(limited.header("retry-after").parse::<u64>().unwrap() > 0);
    assert!(limited.header("ratelimit").starts_with("\"default\";r=0;"));
    world.clock.advance(Duration::from_mins(2));
    let nowhere = call(&world, "/riskmesh.clients.v1.ClientsService/Nothing", &client, |_| {}).await;
    assert_eq!(code(&nowhere), "unimplemented");
    // A workload's method is closed to people.
    let scan = "/riskmesh.transactions.v1.TransactionsService/ScanTransactions";
    let denied = call(&world, scan, &json!({}), |request| {
        request.headers_mut().insert("content-type", "application/connect+json".parse().unwrap());
    })
    .await;
    // Of a stream the error is its end.
    assert_eq!((denied.status.as_u16(), denied.header("content-type")), (200, "application/connect+json"));
    assert!(String::from_utf8_lossy(&denied.body).contains("permission_denied"), "{denied:?}");
}

#[tokio::test]
async fn a_client_stream_over_connect_is_taken() {
    let world = World::with(|config| config.body_bytes = 1024);
    let entry = json!({
        "transactionId": "t-1", "accountId": "1234567890", "direction": "credit", "amount": "1", "currency": "EUR",
        "bookedAt": "2026-01-01T00:00:00Z",
    });
    let message = json!({"transactions": vec![entry; 20]}).to_string();
    let body = enveloped(&[(0, message.as_bytes()); 10]);
    let request = world.request(Method::POST, INGEST).header("content-type", "application/connect+json");
    let answer = world.send(request.body(http_body_util::Full::new(body)).unwrap()).await;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(answer.status.as_u16() == 200 && text.contains("\"created\":200"), "{text}");
}

#[tokio::test]
async fn a_method_of_http_that_connect_does_not_take_is_told_with_those_that_it_does() {
    let world = World::new();
    for (path, method, allow) in [
        (GET_CLIENT, Method::PUT, "GET, HEAD, POST"),
        (GET_CLIENT, Method::DELETE, "GET, HEAD, POST"),
        ("/riskmesh.clients.v1.ClientsService/CreateClient", Method::GET, "POST"),
        (INGEST, Method::PATCH, "POST"),
    ] {
        let answer = world.send(world.request(method, path).body(empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{path}");
        assert_eq!(code(&answer), "unimplemented");
        assert_eq!(answer.json()["details"][0]["type"], "google.rpc.ErrorInfo", "{:?}", answer.json());
    }
}

#[tokio::test]
async fn what_is_not_connect_is_rest() {
    let world = World::new();
    let request = world.request(Method::GET, "/v1/clients/424242").header("connect-protocol-version", "1");
    assert_eq!(world.send(request.body(empty()).unwrap()).await.json()["clientId"], "424242");
    let plain = world.request(Method::POST, "/v1/nothing").header("content-type", "application/json");
    world.send(plain.body(full("{}")).unwrap()).await.fails(404, "ROUTE_NOT_FOUND");
}
