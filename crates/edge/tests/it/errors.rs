//! The error of every kind of bad request: status, code, words and details.

use crate::services::{BROKEN, DOWN, MISSING, PANICS};
use crate::world::{World, empty, full};
use authn::Role;
use http::{Method, Request};
use std::time::Duration;

#[tokio::test]
async fn an_account_id_that_is_none_is_told_as_the_contract_says() {
    let world = World::new();
    let body = r#"{"transactions":[{"transactionId":"t-1","accountId":"123","direction":"debit","amount":"100.00",
        "currency":"EUR","bookedAt":"2026-01-02T10:00:00Z"}]}"#;
    let answer = world.json(Method::POST, "/v1/transactions:batchCreate", body).await;
    let error = answer.fails(400, "INVALID_INPUT");
    assert_eq!(error["message"], "Account ID must be 10 digits");
    assert_eq!(error["status"], 400);
    assert_eq!(error["timestamp"], "2025-07-30T14:15:00Z");
    assert_eq!(error["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(
        error["details"],
        serde_json::json!([{"field": "transactions[0].accountId", "issue": "must be 10 digits", "expected": "^[0-9]{10}$"}])
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_missing_client_is_named_in_the_details() {
    let error = World::new().get(&format!("/v1/clients/{MISSING}")).await.fails(404, "CLIENT_NOT_FOUND");
    assert_eq!(error["message"], "Client not found");
    assert_eq!(error["details"][0]["field"], "clientId");
    assert!(error["details"][0]["issue"].as_str().unwrap().contains(MISSING));
}

#[tokio::test]
async fn a_request_without_a_token_is_challenged() {
    let world = World::new();
    let answer = world.send(Request::get("/v1/clients").body(empty()).unwrap()).await;
    answer.fails(401, "AUTH_TOKEN_MISSING");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"riskmesh\"");
}

#[tokio::test]
async fn expired_and_forged_tokens_are_told_apart() {
    let world = World::new();
    let request = world.request(Method::GET, "/v1/clients").body(empty()).unwrap();
    world.clock.advance(Duration::from_hours(1));
    let answer = world.send(request).await;
    answer.fails(401, "AUTH_TOKEN_EXPIRED");
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));

    let header =
        |text: &str| Request::get("/v1/clients").header("authorization", text).body(empty()).unwrap();
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    for token in ["Bearer x", "Bearer ", &format!("Bearer {none}"), &format!("Bearer {}", "x".repeat(9000))] {
        let answer = world.send(header(token)).await;
        answer.fails(401, "AUTH_TOKEN_INVALID");
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
    }
    world.send(header("Basic eDp5")).await.fails(401, "AUTH_TOKEN_MISSING");
}

#[tokio::test]
async fn a_role_that_may_not_is_told_which_permission_it_lacks() {
    let world = World::new();
    let token = world.token(Role::Auditor, "audit-tool");
    let request = Request::get("/v1/clients/424242").header("authorization", format!("Bearer {token}"));
    let answer = world.send(request.body(empty()).unwrap()).await;
    answer.fails(403, "PERMISSION_DENIED");
    assert!(answer.header("www-authenticate").contains("scope=\"clients.read\""));
}

#[tokio::test]
async fn broken_json_is_told_where_it_breaks() {
    let answer = World::new()
        .json(Method::POST, "/v1/clients", "{\n  \"clientId\": \"1\",\n  \"name\" \"Ada\"\n}")
        .await;
    let error = answer.fails(400, "INVALID_INPUT");
    let issue = error["details"][0]["issue"].as_str().unwrap();
    assert_eq!(issue, "expected `:` (line 3, column 10)");
}

#[tokio::test]
async fn json_that_breaks_inside_a_field_names_the_field() {
    let world = World::new();
    for (body, field, issue) in [
        (r#"{"clientId":"1","name":"#, "name", "unexpected end of input (line 1, column 24)"),
        (r#"{"clientId":"1","name":"\ud800"}"#, "name", "lone surrogate in a string (line 1, column 25)"),
        ("{", "body", "expected a key in double quotes (line 1, column 2)"),
    ] {
        let error = world.json(Method::POST, "/v1/clients", body).await.fails(400, "INVALID_INPUT");
        let detail = serde_json::json!([{"field": field, "issue": issue, "expected": "JSON"}]);
        assert_eq!(error["details"], detail, "{body}");
    }
}

#[tokio::test]
async fn what_is_missing_is_told_once() {
    let body = r#"{"transactions":[{"transactionId":"t-1","accountId":"1234567890","direction":"debit","amount":null,
        "currency":"EUR","bookedAt":"2026-01-02T10:00:00Z"}]}"#;
    let error = World::new()
        .json(Method::POST, "/v1/transactions:batchCreate", body)
        .await
        .fails(400, "INVALID_INPUT");
    assert_eq!(error["message"], "Amount is required");
    assert_eq!(error["details"].as_array().unwrap().len(), 1, "{error}");
}

#[tokio::test]
async fn a_limit_out_of_bounds_has_the_bounds_in_its_hint() {
    let error = World::new().get("/v1/clients?limit=1001").await.fails(400, "INVALID_INPUT");
    assert_eq!(
        (&error["message"], &error["hint"]),
        (&"Limit must be 1 to 1000".into(), &"Send limit from 1 to 1000.".into())
    );
}

#[tokio::test]
async fn an_amount_is_any_exact_number() {
    let world = World::new();
    let body = |amount: &str| {
        format!(
            r#"{{"transactions":[{{"transactionId":"t-1","accountId":"1234567890","direction":"debit","amount":{amount},
            "currency":"EUR","bookedAt":"2026-01-02T10:00:00Z"}}]}}"#
        )
    };
    for amount in ["\"100.00\"", "100", "1e2", "1.5E+1"] {
        let answer = world.json(Method::POST, "/v1/transactions:batchCreate", &body(amount)).await;
        assert_eq!(answer.status, 200, "{amount}: {answer:?}");
    }
    for amount in ["1e99", "\"1e2\"", "-1e2", "0e5"] {
        let answer = world.json(Method::POST, "/v1/transactions:batchCreate", &body(amount)).await;
        assert_eq!(
            answer.fails(400, "INVALID_INPUT")["details"][0]["field"],
            "transactions[0].amount",
            "{amount}"
        );
    }
}

#[tokio::test]
async fn wrong_types_unknown_fields_and_duplicates_name_their_field() {
    let world = World::new();
    for (body, field) in [
        (r#"{"clientId":"1","name":7}"#, "name"),
        (r#"{"clientId":"1","name":"Ada","nick":"A"}"#, "nick"),
        (r#"{"clientId":"1","name":"Ada","name":"Bob"}"#, "name"),
        (r#"{"clientId":"1","name":"Ada","status":"asleep"}"#, "status"),
        (r#"{"clientId":"abc","name":"Ada"}"#, "clientId"),
        (r#"{"clientId":"1","name":"Ada","nationality":"ZZ"}"#, "nationality"),
    ] {
        let error = world.json(Method::POST, "/v1/clients", body).await.fails(400, "INVALID_INPUT");
        assert_eq!(error["details"][0]["field"], field, "{body}: {error}");
    }
}

#[tokio::test]
async fn a_missing_body_is_told_as_the_body() {
    let error = World::new().json(Method::POST, "/v1/clients", "").await.fails(400, "INVALID_INPUT");
    assert_eq!(error["details"][0]["field"], "body", "{error}");
}

#[tokio::test]
async fn bad_parameters_and_ids_are_named() {
    let world = World::new();
    for (path, field) in [
        ("/v1/clients?limit=0", "limit"),
        ("/v1/clients?limit=1001", "limit"),
        ("/v1/clients?limit=many", "limit"),
        ("/v1/clients?limit=1&limit=2", "limit"),
        ("/v1/clients?colour=red", "colour"),
        ("/v1/clients/abc", "clientId"),
        ("/v1/clients/%zz", "path"),
        ("/v1/clients/1234567890123", "clientId"),
    ] {
        let error = world.get(path).await.fails(400, "INVALID_INPUT");
        assert_eq!(error["details"][0]["field"], field, "{path}: {error}");
    }
}

#[tokio::test]
async fn bad_utf8_and_deep_nesting_are_refused() {
    let world = World::new();
    let request = world.request(Method::POST, "/v1/clients").header("content-type", "application/json");
    let body = http_body_util::Full::new(bytes::Bytes::from_static(b"{\"name\":\"\xff\"}"));
    world.send(request.body(body).unwrap()).await.fails(400, "INVALID_INPUT");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    world.json(Method::POST, "/v1/clients", &deep).await.fails(400, "INVALID_INPUT");
}

#[tokio::test]
async fn what_we_cannot_read_or_give_has_its_own_status() {
    let world = World::new();
    let xml = world
        .request(Method::POST, "/v1/clients")
        .header("content-type", "text/xml")
        .body(full("<a/>"))
        .unwrap();
    world.send(xml).await.fails(415, "UNSUPPORTED_MEDIA_TYPE");
    let html = world.request(Method::GET, "/v1/clients").header("accept", "text/html").body(empty()).unwrap();
    world.send(html).await.fails(406, "NOT_ACCEPTABLE");
}

#[tokio::test]
async fn problem_details_are_given_to_those_who_accept_them() {
    let world = World::new();
    let path = format!("/v1/clients/{MISSING}");
    for path in [path.as_str(), "/v1/nowhere"] {
        let request = world.request(Method::GET, path).header("accept", "application/problem+json");
        let answer = world.send(request.body(empty()).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (404, "application/problem+json")
        );
        let problem = answer.json();
        assert!(problem["type"].as_str().unwrap().starts_with("urn:riskmesh:error:"));
        assert_eq!(problem["status"], 404);
        assert!(
            problem["title"].is_string() && problem["detail"].is_string() && problem["traceId"].is_string()
        );
    }
}

#[tokio::test]
async fn nothing_of_the_inside_is_told() {
    let world = World::new();
    let internal = world.get(&format!("/v1/clients/{BROKEN}")).await;
    internal.fails(500, "INTERNAL");
    let down = world.get(&format!("/v1/clients/{DOWN}")).await;
    down.fails(503, "SERVICE_UNAVAILABLE");
    assert_eq!(down.header("retry-after"), "1");
    for answer in [internal, down] {
        assert!(!String::from_utf8_lossy(&answer.body).contains("db-7"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_in_the_same_shape() {
    for world in [World::new(), World::without_mesh()] {
        let error = world.get(&format!("/v1/clients/{PANICS}")).await.fails(500, "INTERNAL");
        assert_eq!(error["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(world.get("/v1/clients/424242").await.status, 200);
    }
}

#[tokio::test]
async fn the_trace_in_an_error_is_the_callers() {
    let world = World::new();
    let request = world
        .request(Method::GET, "/v1/nowhere")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let answer = world.send(request.body(empty()).unwrap()).await;
    assert_eq!(answer.fails(404, "ROUTE_NOT_FOUND")["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert!(answer.header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
}
