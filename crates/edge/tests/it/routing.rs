//! Which paths there are, with which HTTP methods, and what a request is called in the log.

use crate::world::{World, empty};
use http::{Method, Request};
use std::time::Duration;

#[tokio::test]
async fn unknown_paths_are_404_and_known_ones_with_another_method_405() {
    let world = World::new();
    for path in ["/", "/v1", "/v3/clients", "/v1/clients/", "/v1/clients/1/2/3", "/api", "/v1//clients"] {
        world.get(path).await.fails(404, "ROUTE_NOT_FOUND");
    }
    let request = world.request(Method::PUT, "/v1/clients").body(empty()).unwrap();
    let answer = world.send(request).await;
    answer.fails(405, "METHOD_NOT_ALLOWED");
    let allow: Vec<_> = answer.header("allow").split(", ").collect();
    for method in ["GET", "POST", "OPTIONS"] {
        assert!(allow.contains(&method), "{allow:?}");
    }
    assert!(!allow.contains(&"PUT"));
}

#[tokio::test]
async fn everything_is_there_under_api_too() {
    let world = World::new();
    let (plain, prefixed) =
        (world.get("/v1/clients/424242").await, world.get("/api/v1/clients/424242").await);
    assert_eq!((plain.status, plain.body), (prefixed.status, prefixed.body));
    let page = world.send(Request::get("/api/openapi/v1.json").body(empty()).unwrap()).await;
    assert_eq!(page.status, 200);
    world.get("/apiv1/clients").await.fails(404, "ROUTE_NOT_FOUND");
    world.get("/api/api/v1/clients").await.fails(404, "ROUTE_NOT_FOUND");
}

#[tokio::test]
async fn v1_and_v2_are_told_by_their_paths() {
    let world = World::new();
    let v1 = world.get("/v1/analytics/424242").await.json();
    assert_eq!(v1, serde_json::json!({"clientId": "424242", "riskScore": 0}));
    let v2 = world.get("/v2/clients/424242/analytics").await.json();
    assert_eq!(v2["risk"]["score"], 71);
    assert_eq!(v2["risk"]["category"], "High");
    assert_eq!(v2["risk"]["reasons"], serde_json::json!([]));
}

#[tokio::test]
async fn a_stream_of_events_goes_on_after_the_last_one() {
    let world = World::new();
    let ids = async |path: &str, last: Option<&str>| {
        let mut request = world.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = world.send(request.body(empty()).unwrap()).await;
        assert_eq!(answer.header("content-type"), "text/event-stream");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids("/v2/analytics/424242:watch", None).await, ["1", "2", "3"]);
    assert_eq!(ids("/v2/clients/424242/analytics:watch", Some("2")).await, ["3"]);
    assert_eq!(ids("/api/v2/analytics/424242:watch?after=1", None).await, ["2", "3"]);
    let bad = world.request(Method::GET, "/v2/analytics/424242:watch").header("last-event-id", "one");
    world.send(bad.body(empty()).unwrap()).await.fails(400, "INVALID_INPUT");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let world = World::new();
    let get = world.get("/v1/analytics/424242").await;
    let head = world.send(world.request(Method::HEAD, "/v1/analytics/424242").body(empty()).unwrap()).await;
    assert_eq!((head.status, head.body.len()), (get.status, 0));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    for name in ["etag", "content-type", "cache-control", "deprecation"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let missing = world.send(world.request(Method::HEAD, "/v1/nowhere").body(empty()).unwrap()).await;
    assert_eq!((missing.status.as_u16(), missing.body.len()), (404, 0));
}

#[tokio::test]
async fn options_tells_what_a_path_takes_to_anybody() {
    let world = World::new();
    let options = |path: &str| Request::options(path).body(empty()).unwrap();
    let answer = world.send(options("/v1/clients/424242")).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    for method in ["GET", "PATCH", "DELETE"] {
        assert!(answer.header("allow").contains(method));
    }
    world.send(options("/v1/nowhere")).await.fails(404, "ROUTE_NOT_FOUND");
    assert!(world.send(options("/docs")).await.header("allow").contains("GET"));
}

#[tokio::test]
async fn bodies_are_bare_resources_and_a_patch_names_its_fields() {
    let world = World::new();
    let created = world.json(Method::POST, "/v1/clients", r#"{"clientId":"424242","name":"Ada"}"#).await;
    assert_eq!(created.status, 201);
    assert_eq!((&created.json()["clientId"], &created.json()["name"]), (&"424242".into(), &"Ada".into()));
    // The service shows the mask as the name.
    let patched = world.json(Method::PATCH, "/v1/clients/424242", r#"{"status":"inactive"}"#).await;
    assert_eq!((patched.status.as_u16(), &patched.json()["name"]), (200, &"status".into()));
    let deleted =
        world.send(world.request(Method::DELETE, "/v1/clients/424242").body(empty()).unwrap()).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    assert_eq!(deleted.header("content-type"), "");
}

#[tokio::test]
async fn services_get_the_callers_token_ids_and_time_and_nothing_else() {
    let world = World::new();
    let request = world
        .request(Method::GET, "/v1/clients/424242")
        .header("x-request-id", "r-1")
        .header("x-request-timeout", "2s")
        .header("cookie", "secret")
        .header("x-forwarded-for", "10.0.0.1")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(world.send(request.body(empty()).unwrap()).await.status, 200);
    let seen = world.fakes.seen.lock().unwrap().join("\n");
    for expected in
        ["authorization: Bearer ", "x-request-id: r-1", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-"]
    {
        assert!(seen.contains(expected), "{seen}");
    }
    assert!(!seen.contains("b7ad6b7169203331"), "the service's parent is the edge's span: {seen}");
    let left =
        seen.lines().find_map(|line| mesh::deadline::parse(line.strip_prefix("grpc-timeout: ")?)).unwrap();
    assert!(left > Duration::from_secs(1) && left <= Duration::from_secs(2), "{left:?}");
    assert!(!seen.contains("cookie") && !seen.contains("x-forwarded-for"), "{seen}");
}

#[tokio::test]
async fn the_log_has_the_route_and_the_ids_and_never_the_path() {
    let world = World::new();
    let request = world.request(Method::GET, "/api/v1/clients/424242?x=secret").header("x-request-id", "r-1");
    world.send(request.body(empty()).unwrap()).await.fails(400, "INVALID_INPUT");
    let line = world.logged("RequestId=r-1").await;
    assert!(
        line.starts_with(
            "[2025-07-30T14:15:00Z] RequestId=r-1 Method=GET Path=/v1/clients/{clientId} Status=400 Latency="
        ),
        "{line}"
    );
    assert!(line.contains(" ClientId=console TraceId="), "{line}");
    assert!(!line.contains("424242") && !line.contains("secret"), "{line}");

    let request =
        Request::get("/v1/who/ada@example.com").header("x-request-id", "r-2").body(empty()).unwrap();
    world.send(request).await;
    let line = world.logged("RequestId=r-2").await;
    assert!(line.contains("Path=unmatched Status=404") && line.contains("ClientId=- "), "{line}");
}

#[tokio::test]
async fn a_path_that_is_only_asked_about_is_logged_by_its_template() {
    let world = World::with(|config| config.cors_origins = vec!["*".into()]);
    for (id, path, place, preflight) in [
        ("r-1", "/api/v1/clients/424242", "/v1/clients/{clientId}", false),
        ("r-2", "/v1/clients/424242/address", "/v1/clients/{clientId}/address", true),
        ("r-3", "/docs", "/docs", true),
        ("r-4", "/v1/who/424242", "preflight", true),
    ] {
        let mut request = Request::options(path).header("x-request-id", id);
        if preflight {
            request =
                request.header("origin", "https://a.example").header("access-control-request-method", "GET");
        }
        assert_eq!(world.send(request.body(empty()).unwrap()).await.status, 204, "{path}");
        let line = world.logged(&format!("RequestId={id}")).await;
        assert!(line.contains(&format!("Method=OPTIONS Path={place} Status=204")), "{line}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_method_and_status() {
    let world = World::new();
    world.get("/v1/clients/424242").await;
    world.get("/v1/nowhere").await;
    let text = world.metrics.encode();
    let method = "/riskmesh.clients.v1.ClientsService/GetClient";
    for line in [
        format!("riskmesh_http_requests_total{{role=\"edge\",method=\"{method}\",code=\"200\"}} 1"),
        "riskmesh_http_requests_total{role=\"edge\",method=\"unmatched\",code=\"404\"} 1".to_owned(),
        format!("riskmesh_http_in_flight{{role=\"edge\",method=\"{method}\"}} 0"),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}
