//! What the edge serves by itself.

use crate::world::{World, empty};
use http::{Method, Request};
use serde_json::Value;

async fn page(world: &World, path: &str) -> crate::world::Answer {
    world.send(Request::get(path).body(empty()).unwrap()).await
}

#[tokio::test]
async fn the_documents_are_there_for_anybody() {
    let world = World::new();
    for version in ["v1", "v2"] {
        let answer = page(&world, &format!("/openapi/{version}.json")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
        assert_eq!(answer.json(), riskmesh_edge::openapi(version).unwrap());
        let request =
            Request::get(format!("/openapi/{version}.json")).header("if-none-match", answer.header("etag"));
        assert_eq!(world.send(request.body(empty()).unwrap()).await.status, 304);
    }
}

#[tokio::test]
async fn public_keys_are_shown_and_nothing_private() {
    let answer = page(&World::new(), "/.well-known/jwks.json").await;
    let keys = answer.json();
    let key = keys["keys"][0].as_object().unwrap();
    assert_eq!((&key["kty"], &key["crv"]), (&Value::from("OKP"), &Value::from("Ed25519")));
    assert!(key.contains_key("kid") && key.contains_key("x") && !key.contains_key("d"), "{keys}");
}

#[tokio::test]
async fn the_portal_needs_nothing_from_elsewhere() {
    let world = World::new();
    let html = page(&world, "/docs").await;
    assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
    let csp = html.header("content-security-policy");
    assert!(
        csp.contains("script-src 'self'")
            && csp.contains("frame-ancestors 'none'")
            && !csp.contains("unsafe"),
        "{csp}"
    );
    let html = String::from_utf8(html.body.to_vec()).unwrap();
    for asset in ["docs/portal.js", "docs/portal.css"] {
        assert!(html.contains(&format!("\"{asset}\"")));
        assert_eq!(page(&world, &format!("/{asset}")).await.status, 200);
        let text = String::from_utf8(page(&world, &format!("/api/{asset}")).await.body.to_vec()).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML"));
    }
    assert!(
        !html.contains("http://")
            && !html.contains("https://")
            && !html.contains("<script>")
            && !html.contains(" style=")
    );
}

#[tokio::test]
async fn documents_are_only_read() {
    let world = World::new();
    let answer =
        world.send(Request::builder().method(Method::POST).uri("/docs").body(empty()).unwrap()).await;
    answer.fails(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let world = World::new();
    for (path, template) in [
        ("/v1/clients/424242", "/v1/clients/{clientId}"),
        ("/v1/clients", "/v1/clients"),
        ("/v2/analytics/424242", "/v2/analytics/{clientId}"),
        ("/v1/analytics/424242", "/v1/analytics/{clientId}"),
    ] {
        let document = riskmesh_edge::openapi(&path[1..3]).unwrap();
        let answers = &document["paths"][template]["get"]["responses"];
        let schema = &answers["200"]["content"]["application/json"]["schema"];
        conforms(&document, schema, &world.get(path).await.json(), path);
    }
    let document = riskmesh_edge::openapi("v1").unwrap();
    for path in ["/v1/clients/404404", "/v1/clients?limit=0", "/v1/clients/500500"] {
        let schema = &document["components"]["schemas"]["Error"];
        conforms(&document, schema, &world.get(path).await.json(), path);
    }
}

/// The part of JSON Schema that the documents use for objects, lists, enums and types.
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return conforms(document, target, value, at);
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        other => panic!("{at}: type {other:?}"),
    };
    assert!(fits, "{at}: {value} is no {}", schema["type"]);
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{at}: {value} is none of {values:?}");
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(document, &schema["items"], item, &format!("{at}[]"));
    }
    for (name, inside) in value.as_object().into_iter().flatten() {
        let property = &schema["properties"][name];
        assert!(property.is_object(), "{at}: {name} is not in the schema");
        conforms(document, property, inside, &format!("{at}.{name}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at}: {name} is missing in {value}");
    }
}
