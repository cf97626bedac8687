//! What external clients rely on over REST.

use crate::support::{Server, eventually, shared};
use authn::Role;
use http::Method;
use riskmesh::http_client::{Answer, Http};
use riskmesh_core::{ManualClock, Timestamp};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

async fn get(http: &mut Http, path: &str) -> Answer {
    http.call(Method::GET, path, &[], None).await.unwrap()
}

async fn post(http: &mut Http, path: &str, body: Value) -> Answer {
    http.call(Method::POST, path, &[], Some(body)).await.unwrap()
}

fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.body["errorCode"].as_str()), (status, Some(code)), "{:#}", answer.body);
    assert_eq!(answer.body["status"], status);
    for field in ["message", "timestamp", "traceId"] {
        assert!(!answer.body[field].as_str().unwrap_or_default().is_empty(), "{field} in {:#}", answer.body);
    }
    assert!(answer.headers.contains_key("x-request-id"));
    if code == "INVALID_INPUT" {
        let details = answer.body["details"].as_array().unwrap();
        assert!(!details.is_empty(), "{:#}", answer.body);
        for (detail, told) in
            details.iter().flat_map(|one| ["field", "issue", "expected"].map(|told| (one, told)))
        {
            assert!(!detail[told].as_str().unwrap().is_empty(), "no {told} in {:#}", answer.body);
        }
    }
}

#[tokio::test]
async fn both_versions_are_served_side_by_side_and_agree() {
    let mut http = shared().as_role(Role::Analyst, "sandbox").await;
    let page = get(&mut http, "/v2/analytics?limit=20").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.body["page"]["limit"], 20);
    for listed in page.body["analytics"].as_array().unwrap() {
        let id = listed["clientId"].as_str().unwrap();
        let v1 = get(&mut http, &format!("/v1/analytics/{id}")).await;
        let v2 = get(&mut http, &format!("/v2/clients/{id}/analytics")).await;
        assert_eq!(v1.body, json!({"clientId": id, "riskScore": v2.body["risk"]["score"]}));
        assert_eq!(&v2.body, listed);
        let score = v2.body["risk"]["score"].as_i64().unwrap();
        let band = if score < 40 {
            "Low"
        } else if score < 70 {
            "Medium"
        } else {
            "High"
        };
        assert_eq!(v2.body["risk"]["category"], band);
        let confidence = v2.body["risk"]["confidence"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&confidence));
        assert!(v1.headers.contains_key("deprecation") && v1.headers.contains_key("sunset"));
        assert!(v1.headers["link"].to_str().unwrap().contains("successor-version"));
        assert!(!v2.headers.contains_key("deprecation"));
    }
}

#[tokio::test]
async fn the_sandbox_is_what_it_says() {
    let mut http = shared().as_role(Role::Analyst, "sandbox").await;
    let page = get(&mut http, "/v1/analytics?limit=1").await;
    assert!(page.body["page"]["total"].as_i64().unwrap() >= 1000);
    let clients = get(&mut http, "/api/v1/clients?limit=5").await;
    assert_eq!(clients.status, 200, "also under /api");
    for client in clients.body["clients"].as_array().unwrap() {
        let id = client["clientId"].as_str().unwrap();
        let accounts = get(&mut http, &format!("/v1/clients/{id}/accounts")).await;
        let euros = |account: &&Value| account["currency"] == "EUR" && account["status"] == "active";
        assert!(
            accounts.body["accounts"].as_array().unwrap().iter().any(|account| euros(&account)),
            "{:#}",
            accounts.body
        );
    }
}

#[tokio::test]
async fn a_score_moves_within_a_second_of_the_transaction_that_moves_it() {
    let server = shared();
    let mut admin = server.as_role(Role::Admin, "moving").await;
    let client =
        json!({"clientId": "1", "name": "Ada", "residenceCountry": "IE", "onboardedOn": "2020-01-01"});
    assert_eq!(post(&mut admin, "/v1/clients", client).await.status, 201);
    let account = json!({"accountId": "0000000001", "currency": "EUR"});
    assert_eq!(post(&mut admin, "/v1/clients/1/accounts", account).await.status, 201);
    let before = get(&mut admin, "/v2/analytics/1").await;
    assert_eq!(before.status, 200, "{:#}", before.body);
    let entry = |n: i64| {
        json!({"transactionId": format!("m-{n}"), "accountId": "0000000001", "direction": "credit", "type": "cash",
            "channel": "branch", "amount": 9500, "currency": "EUR", "bookedAt": format!("2026-03-01T0{n}:00:00Z")})
    };
    let batch = json!({"transactions": [entry(1), entry(2), entry(3), entry(4)]});
    let recorded = post(&mut admin, "/v1/transactions:batchCreate", batch).await;
    assert_eq!(recorded.body, json!({"created": 4, "duplicates": 0, "rejected": []}));
    let written = std::time::Instant::now();
    let mut moved = None;
    while moved.is_none() && written.elapsed().as_millis() < 1000 {
        let now = get(&mut admin, "/v2/analytics/1").await;
        let reasons = now.body["risk"]["reasons"].as_array().unwrap().clone();
        moved = reasons.into_iter().find(|reason| reason["code"] == "STRUCTURING");
    }
    let reason = moved.expect("the score shows structuring within a second");
    assert_eq!(reason["transactionIds"], json!(["m-1", "m-2", "m-3", "m-4"]));
}

#[tokio::test]
async fn pages_walk_the_whole_list_once() {
    let mut http = shared().as_role(Role::Analyst, "sandbox").await;
    for path in ["/v1/clients?status=active&limit=300", "/v2/analytics?limit=300"] {
        let list = if path.contains("clients") { "clients" } else { "analytics" };
        let mut seen = HashSet::new();
        let (mut by_cursor, mut by_offset) = (Vec::new(), Vec::new());
        let mut next = path.to_owned();
        loop {
            let page = get(&mut http, &next).await;
            for item in page.body[list].as_array().unwrap() {
                assert!(seen.insert(item["clientId"].clone()), "shown twice");
                by_cursor.push(item["clientId"].clone());
            }
            match page.body["page"]["nextCursor"].as_str() {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => break,
            }
        }
        let mut next = path.to_owned();
        loop {
            let page = get(&mut http, &next).await;
            by_offset.extend(page.body[list].as_array().unwrap().iter().map(|item| item["clientId"].clone()));
            match page.body["page"]["nextOffset"].as_i64() {
                Some(offset) => next = format!("{path}&offset={offset}"),
                None => break,
            }
        }
        assert_eq!(by_cursor.len(), by_offset.len());
        assert!(by_cursor.len() >= 900);
    }
}

#[tokio::test]
async fn bad_input_is_named_and_nothing_else_happens() {
    let mut admin = shared().as_role(Role::Admin, "badinput").await;
    assert_eq!(post(&mut admin, "/v1/clients", json!({"clientId": "1", "name": "Ada"})).await.status, 201);
    let account =
        post(&mut admin, "/v1/clients/1/accounts", json!({"accountId": "123", "currency": "EUR"})).await;
    assert_error(&account, 400, "INVALID_INPUT");
    assert_eq!(account.body["message"], "Account ID must be 10 digits");
    assert_eq!(
        account.body["details"],
        json!([{"field": "accountId", "issue": "must be 10 digits", "expected": "^[0-9]{10}$"}])
    );
    for body in [
        json!({"clientId": "2", "name": "Eve", "nmae": "typo"}),
        json!({"clientId": "2", "name": 7}),
        json!({"clientId": "2"}),
        json!({"clientId": "2", "name": "Eve", "nationality": "ZZ"}),
        json!({"clientId": "2", "name": "Eve", "onboardedOn": "2026-02-30"}),
        json!([]),
        json!("text"),
    ] {
        assert_error(&post(&mut admin, "/v1/clients", body).await, 400, "INVALID_INPUT");
    }
    let deep = "[".repeat(100_000);
    for body in [
        "{",
        "{\"clientId\":\"2\",}",
        "nul",
        "{\"clientId\":\"2\"} x",
        "{\"clientId\":\"2\",\"clientId\":\"3\"}",
        deep.as_str(),
    ] {
        let answer = admin
            .send(Method::POST, "/v1/clients", &[], Some(body.as_bytes().to_vec().into()))
            .await
            .unwrap();
        assert_error(&answer, 400, "INVALID_INPUT");
    }
    let invalid_utf8 = b"{\"clientId\":\"2\",\"name\":\"\xff\"}".to_vec();
    assert_error(
        &admin.send(Method::POST, "/v1/clients", &[], Some(invalid_utf8.into())).await.unwrap(),
        400,
        "INVALID_INPUT",
    );
    for path in [
        "/v1/clients?limit=0",
        "/v1/clients?limit=1001",
        "/v1/clients?offset=-1",
        "/v1/clients?cursor=forged",
        "/v1/clients?nope=1",
        "/v1/clients?status=gone",
    ] {
        assert_error(&get(&mut admin, path).await, 400, "INVALID_INPUT");
    }
    let listed = get(&mut admin, "/v1/clients").await;
    assert_eq!(listed.body["page"]["total"], 1, "nothing was created");
    let media = admin
        .send(Method::POST, "/v1/clients", &[("content-type", "text/plain")], Some("x".into()))
        .await
        .unwrap();
    assert_error(&media, 415, "UNSUPPORTED_MEDIA_TYPE");
    let huge = vec![b' '; 2 << 20];
    let mut fresh = shared().as_role(Role::Admin, "badinput").await;
    assert_error(
        &fresh.send(Method::POST, "/v1/clients", &[], Some(huge.into())).await.unwrap(),
        413,
        "PAYLOAD_TOO_LARGE",
    );
}

#[tokio::test]
async fn a_patch_of_what_stays_says_so_and_what_can_be_changed() {
    let mut admin = shared().as_role(Role::Admin, "staying").await;
    assert_eq!(post(&mut admin, "/v1/clients", json!({"clientId": "1", "name": "Ada"})).await.status, 201);
    let account = json!({"accountId": "0000000001", "currency": "EUR"});
    assert_eq!(post(&mut admin, "/v1/clients/1/accounts", account).await.status, 201);
    let path = "/v1/clients/1/accounts/0000000001";
    let mut patch = async |body| admin.call(Method::PATCH, path, &[], Some(body)).await.unwrap();
    let stays = patch(json!({"currency": "USD"})).await;
    assert_error(&stays, 400, "INVALID_INPUT");
    assert_eq!(stays.body["message"], "Currency cannot be changed");
    assert_eq!(
        stays.body["details"],
        json!([{"field": "currency", "issue": "cannot be changed", "expected": "one of accountId, type, status"}])
    );
    let unknown = patch(json!({"colour": "red"})).await;
    assert_error(&unknown, 400, "INVALID_INPUT");
    let detail = &unknown.body["details"][0];
    assert!(detail["issue"].as_str().unwrap().starts_with("unknown field"), "{detail}");
    assert_eq!(
        (&detail["field"], &detail["expected"]),
        (&json!("colour"), &json!("one of accountId, type, status"))
    );
}

#[tokio::test]
async fn what_was_not_said_is_not_shown_and_a_rejection_names_its_field() {
    let mut admin = shared().as_role(Role::Admin, "unsaid").await;
    assert_eq!(post(&mut admin, "/v1/clients", json!({"clientId": "1", "name": "Ada"})).await.status, 201);
    let account = json!({"accountId": "0000000001", "currency": "EUR"});
    assert_eq!(post(&mut admin, "/v1/clients/1/accounts", account).await.status, 201);
    let entry = |id: &str, account: &str, amount: &str| {
        json!({"transactionId": id, "accountId": account, "direction": "debit", "amount": amount, "currency": "EUR",
            "bookedAt": "2026-01-02T10:00:00Z"})
    };
    let batch = json!({"transactions": [entry("a", "0000000001", "1"), entry("b", "0000000001", "1.001"),
        entry("c", "0000000009", "1"), entry("a", "0000000001", "2")]});
    let recorded = post(&mut admin, "/v1/transactions:batchCreate", batch).await;
    assert_eq!((recorded.status, &recorded.body["created"]), (200, &json!(1)), "{:#}", recorded.body);
    let rows = recorded.body["rejected"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (&row["index"], row["field"].as_str(), row["expected"].as_str())).collect();
    assert_eq!(
        told,
        [
            (&json!(1), Some("amount"), Some("at most 2 decimal places")),
            (&json!(2), Some("accountId"), Some("")),
            (&json!(3), Some("transactionId"), Some("an id of its own, or the same content")),
        ]
    );
    let told = get(&mut admin, "/v1/transactions/a").await.body;
    assert!(told["channel"].is_null() && told["type"] == "transfer", "{told:#}");
    for path in ["/v1/clients/1", "/v1/clients/1/accounts/0000000001", "/v1/reference/countries?limit=300"] {
        let told = get(&mut admin, path).await;
        assert_eq!(told.status, 200);
        assert!(!told.body.to_string().contains("_UNSPECIFIED"), "{path}: {:#}", told.body);
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_told_apart() {
    let server = shared();
    let good = server.token(Role::Analyst, "sandbox");
    let past = Arc::new(ManualClock::at(Timestamp::parse("2020-01-01").unwrap()));
    let expired = server.token_at(Role::Analyst, "sandbox", past);
    let (head, rest) = good.split_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", rest.split_once('.').unwrap().0);
    let forged = format!("{head}.{}x", &rest[..rest.len() - 1]);
    for (token, code) in [
        (None, "AUTH_TOKEN_MISSING"),
        (Some(expired), "AUTH_TOKEN_EXPIRED"),
        (Some(none), "AUTH_TOKEN_INVALID"),
        (Some(forged), "AUTH_TOKEN_INVALID"),
        (Some("garbage".into()), "AUTH_TOKEN_INVALID"),
        (Some("a".repeat(20_000)), "AUTH_TOKEN_INVALID"),
    ] {
        let mut http = server.with_token(token).await;
        let answer = get(&mut http, "/v1/analytics").await;
        assert_error(&answer, 401, code);
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    }
}

#[tokio::test]
async fn roles_may_do_what_they_may_and_tenants_see_their_own() {
    let server = shared();
    let mut analyst = server.as_role(Role::Analyst, "sandbox").await;
    assert_error(
        &post(&mut analyst, "/v1/clients", json!({"clientId": "1", "name": "Eve"})).await,
        403,
        "PERMISSION_DENIED",
    );
    let mut auditor = server.as_role(Role::Auditor, "sandbox").await;
    assert_error(&get(&mut auditor, "/v1/clients").await, 403, "PERMISSION_DENIED");
    let mut own = server.as_role(Role::Admin, "tenant-a").await;
    assert_eq!(post(&mut own, "/v1/clients", json!({"clientId": "77", "name": "Ada"})).await.status, 201);
    let mut other = server.as_role(Role::Admin, "tenant-b").await;
    for path in ["/v1/clients/77", "/v1/analytics/77", "/v2/analytics/77"] {
        assert_eq!(get(&mut own, path).await.status, 200, "{path}");
        let answer = get(&mut other, path).await;
        assert_error(&answer, 404, "CLIENT_NOT_FOUND");
        assert_eq!(answer.body["message"], "Client not found");
        assert!(answer.body["details"].to_string().contains("77"));
    }
}

#[tokio::test]
async fn resources_follow_http() {
    let mut admin = shared().as_role(Role::Admin, "follow-http").await;
    let created = post(&mut admin, "/v1/clients", json!({"clientId": "5", "name": "Ada"})).await;
    assert_eq!((created.status, created.body["status"].as_str()), (201, Some("active")));
    let tag = created.headers["etag"].to_str().unwrap().to_owned();
    let fresh = admin.call(Method::GET, "/v1/clients/5", &[("if-none-match", &tag)], None).await.unwrap();
    assert_eq!((fresh.status, fresh.bytes.len()), (304, 0));
    let patched = admin
        .call(Method::PATCH, "/v1/clients/5", &[("if-match", &tag)], Some(json!({"status": "inactive"})))
        .await
        .unwrap();
    assert_eq!(
        (patched.status, patched.body["status"].as_str(), patched.body["name"].as_str()),
        (200, Some("inactive"), Some("Ada"))
    );
    let stale = admin
        .call(Method::PATCH, "/v1/clients/5", &[("if-match", &tag)], Some(json!({"status": "active"})))
        .await
        .unwrap();
    assert_error(&stale, 412, "PRECONDITION_FAILED");
    let address = json!({"lines": ["1 Main St"], "city": "Dublin", "country": "IE"});
    let put = admin.call(Method::PUT, "/v1/clients/5/address", &[], Some(address)).await.unwrap();
    assert_eq!((put.status, put.body["city"].as_str()), (200, Some("Dublin")));
    let tag = put.headers["etag"].to_str().unwrap().to_owned();
    let same = [("if-none-match", tag.as_str())];
    let fresh = admin.call(Method::GET, "/v1/clients/5/address", &same, None).await.unwrap();
    assert_eq!((fresh.status, fresh.bytes.len()), (304, 0));
    let fixed = json!({"name": "Eve"});
    let fixed =
        admin.call(Method::PATCH, "/v1/clients/5?updateMask=clientId", &[], Some(fixed)).await.unwrap();
    assert_error(&fixed, 400, "INVALID_INPUT");
    assert_eq!(fixed.body["message"], "Update mask names clientId, which cannot be changed");
    assert_error(
        &post(&mut admin, "/v1/clients", json!({"clientId": "5", "name": "Eve"})).await,
        409,
        "ALREADY_EXISTS",
    );
    assert_error(&get(&mut admin, "/v1/nothing").await, 404, "ROUTE_NOT_FOUND");
    let wrong = admin.call(Method::DELETE, "/v1/clients", &[], None).await.unwrap();
    assert_error(&wrong, 405, "METHOD_NOT_ALLOWED");
    assert!(wrong.headers["allow"].to_str().unwrap().contains("GET"));
    for _ in 0..2 {
        let gone = admin.call(Method::DELETE, "/v1/clients/5", &[], None).await.unwrap();
        assert_eq!((gone.status, gone.bytes.len()), (204, 0));
    }
    assert_error(&get(&mut admin, "/v1/clients/5").await, 404, "CLIENT_NOT_FOUND");
}

#[tokio::test]
async fn the_quota_is_a_hundred_a_minute_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--data-dir",
        data,
        "--no-sandbox",
    ];
    let process = testkit::Process::start(crate::support::riskmesh(), &args, &[]).unwrap();
    let greeting = process.wait_for("ready").unwrap();
    let edge = greeting.iter().find_map(|line| testkit::address_in(line)).unwrap();
    let server = Server { process, edge, admin: edge, data: dir.path().to_owned() };
    let mut http = server.as_role(Role::Admin, "sandbox").await;
    for n in 0..100 {
        assert_eq!(get(&mut http, "/v1/clients").await.status, 200, "request {n}");
    }
    let denied = get(&mut http, "/v1/clients").await;
    assert_error(&denied, 429, "RATE_LIMITED");
    let wait: u64 = denied.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    let mut other = server.as_role(Role::Analyst, "sandbox").await;
    assert_eq!(get(&mut other, "/v1/clients").await.status, 200, "another API client has its own quota");
}

#[tokio::test]
async fn openapi_and_docs_are_served() {
    let mut http = shared().with_token(None).await;
    for version in ["v1", "v2"] {
        let document = get(&mut http, &format!("/openapi/{version}.json")).await;
        assert_eq!(document.body["openapi"].as_str().map(|text| &text[..3]), Some("3.1"));
        assert!(document.body["paths"].as_object().unwrap().len() >= 2);
    }
    let docs = get(&mut http, "/docs").await;
    assert_eq!(docs.status, 200);
    assert!(docs.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(get(&mut http, "/.well-known/jwks.json").await.body["keys"][0]["kty"], "OKP");
}

#[tokio::test]
async fn a_trace_goes_in_and_comes_out() {
    let mut http = shared().as_role(Role::Analyst, "sandbox").await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [("traceparent", parent), ("x-request-id", "my-request-1")];
    let answer = http.call(Method::GET, "/v1/clients/999999999999", &headers, None).await.unwrap();
    assert_eq!(answer.body["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(answer.headers["x-request-id"], "my-request-1");
    eventually("the request is counted", async || {
        let mut admin = Http::connect(shared().admin, None).await.unwrap();
        let metrics = get(&mut admin, "/metrics").await;
        String::from_utf8_lossy(&metrics.bytes).contains("GetClient")
    })
    .await;
}
