//! What the answers' headers say.

use crate::services::MISSING;
use crate::world::{World, empty};
use http::{Method, Request};

const CONSOLE: &str = "https://console.example.com";

#[tokio::test]
async fn a_sane_request_id_is_kept_and_every_answer_has_one() {
    let world = World::new();
    let ask = |path: &str, id: &str| {
        world.send(Request::get(path).header("x-request-id", id).body(empty()).unwrap())
    };
    for path in ["/v1/clients", "/v1/nowhere", "/docs", "/.well-known/jwks.json"] {
        let answer = ask(path, "abc-123").await;
        assert_eq!(answer.header("x-request-id"), "abc-123", "{path}");
        assert!(answer.header("traceparent").starts_with("00-"), "{path}");
    }
    assert_eq!(ask("/v1/clients", "a b\"c").await.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn deprecated_methods_say_so_and_link_their_successor() {
    let world = World::new();
    for (path, successor) in [
        ("/v1/analytics/424242", "</v2/analytics/424242>; rel=\"successor-version\""),
        ("/api/v1/clients/424242/analytics", "</api/v2/analytics/424242>; rel=\"successor-version\""),
        ("/v1/analytics", "</v2/analytics>; rel=\"successor-version\""),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("deprecation"), "@1793491200");
        assert_eq!(answer.header("sunset"), "Mon, 01 Nov 2027 00:00:00 GMT");
        assert_eq!(answer.header("link"), successor);
    }
    let missing = world.get(&format!("/v1/analytics/{MISSING}")).await;
    assert_eq!(missing.header("deprecation"), "@1793491200", "errors of a deprecated method too");
    assert_eq!(world.get("/v2/analytics/424242").await.header("deprecation"), "");
}

#[tokio::test]
async fn the_services_etag_answers_304() {
    let world = World::new();
    let first = world.get("/v1/clients/424242").await;
    assert_eq!((first.header("etag"), first.header("cache-control")), ("\"7\"", "private, no-cache"));
    // The contract lets callers keep the first and says nothing of the second.
    for path in ["/v1/clients/424242", "/v1/clients/424242/address"] {
        for (known, status) in
            [("\"7\"", 304), ("W/\"7\"", 304), ("\"6\", \"7\"", 304), ("*", 304), ("\"8\"", 200)]
        {
            let request = world.request(Method::GET, path).header("if-none-match", known);
            let answer = world.send(request.body(empty()).unwrap()).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {known}");
            assert_eq!(answer.body.is_empty(), status == 304);
            assert_eq!(answer.header("etag"), "\"7\"");
        }
    }
}

#[tokio::test]
async fn an_answer_whose_service_gives_no_etag_gets_a_weak_one() {
    let world = World::new();
    let first = world.get("/v2/analytics/424242").await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""));
    let request = world.request(Method::GET, "/v2/analytics/424242").header("if-none-match", &tag);
    assert_eq!(world.send(request.body(empty()).unwrap()).await.status, 304);
    assert_ne!(world.get("/v2/analytics/424243").await.header("etag"), tag);
    // Nothing about a client is kept where the contract does not say so.
    let list = world.get("/v1/clients").await;
    assert_eq!((list.header("etag"), list.header("cache-control")), ("", "no-store"));
}

#[tokio::test]
async fn if_match_reaches_the_service() {
    let world = World::new();
    let request = world
        .request(Method::PATCH, "/v1/clients/424242")
        .header("content-type", "application/json")
        .header("if-match", "\"7\"");
    let body = crate::world::full(r#"{"status":"inactive"}"#);
    assert_eq!(world.send(request.body(body).unwrap()).await.status, 200);
    assert!(world.fakes.seen.lock().unwrap().contains(&"if-match: \"7\"".to_owned()));
}

#[tokio::test]
async fn what_is_created_has_a_location() {
    let world = World::new();
    let body = r#"{"clientId":"424242","name":"Ada"}"#;
    let created = world.json(Method::POST, "/api/v1/clients", body).await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, "/api/v1/clients/424242"));
}

#[tokio::test]
async fn browsers_are_told_to_keep_to_what_they_got() {
    let world = World::new();
    for path in ["/v1/clients", "/v1/nowhere", "/docs"] {
        let answer = world.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
}

#[tokio::test]
async fn other_origins_are_let_in_by_name() {
    let world = World::with(|config| config.cors_origins = vec![CONSOLE.into()]);
    let preflight = |origin: &str| {
        Request::options("/v1/clients/424242")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,content-type")
            .body(empty())
            .unwrap()
    };
    let allowed = world.send(preflight(CONSOLE)).await;
    assert_eq!((allowed.status.as_u16(), allowed.header("access-control-allow-origin")), (204, CONSOLE));
    assert!(allowed.header("access-control-allow-methods").contains("PATCH"));
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(allowed.header("vary"), "Origin");
    let refused = world.send(preflight("https://evil.example")).await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
    assert_eq!(refused.header("access-control-allow-methods"), "");

    let request = world.request(Method::GET, "/v1/nowhere").header("origin", CONSOLE).body(empty()).unwrap();
    let answer = world.send(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), CONSOLE, "errors can be read as well");
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn no_origin_is_let_in_by_default_and_any_by_a_star() {
    let ask = async |world: &World| {
        let request =
            world.request(Method::GET, "/v1/clients").header("origin", CONSOLE).body(empty()).unwrap();
        world.send(request).await.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(ask(&World::new()).await, "");
    assert_eq!(ask(&World::with(|config| config.cors_origins = vec!["*".into()])).await, "*");
}
