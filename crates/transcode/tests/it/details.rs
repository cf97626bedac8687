//! Errors with details, in the shapes that come with the crate.

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use prost_reflect::{DescriptorPool, DynamicMessage};
use riskmesh_transcode::{ErrorRenderer, Problem};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::pool::{POOL, parse};
use crate::rest::{Log, answer, builder, collect, ok, request, service};

const DESCRIPTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/render/details.binpb");

fn compile() -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let mut compiler = protox::Compiler::new([root]).unwrap();
    compiler.include_imports(true).include_source_info(false);
    compiler.open_file("google/rpc/error_details.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// With `UPDATE_DESCRIPTORS=1` it writes them.
#[test]
fn the_standard_details_are_those_of_the_proto() {
    if std::env::var_os("UPDATE_DESCRIPTORS").is_some() {
        std::fs::write(DESCRIPTORS, compile()).unwrap();
    }
    assert!(std::fs::read(DESCRIPTORS).unwrap() == compile(), "write it with UPDATE_DESCRIPTORS=1");
}

/// A status with these details: type and JSON, or bytes of a type that nobody knows.
fn status(code: Code, details: &[(&str, Value)]) -> Status {
    let standard = DescriptorPool::decode(&*compile()).unwrap();
    let any = |(name, value): &(&str, Value)| {
        let value = match standard.get_message_by_name(name) {
            Some(message) => {
                let text = value.to_string();
                let mut deserializer = serde_json::Deserializer::from_str(&text);
                let message = DynamicMessage::deserialize(message, &mut deserializer).unwrap();
                prost::Message::encode_to_vec(&message)
            }
            None if POOL.get_message_by_name(name).is_some() => {
                parse(&name[5..], &value.to_string()).unwrap()
            }
            None => vec![1, 2, 3],
        };
        prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value }
    };
    let mut bytes = Vec::new();
    for detail in details {
        prost::encoding::message::encode(3, &any(detail), &mut bytes);
    }
    Status::with_details(code, "no book", bytes.into())
}

async fn failing(status: Status, renderer: impl ErrorRenderer, trailers_only: bool) -> Response<Bytes> {
    assert!(POOL.get_message_by_name("google.rpc.ErrorInfo").is_none());
    let upstream = service(Log::default(), move |_| {
        if trailers_only { status.clone().into_http() } else { answer(vec![], status.clone()) }
    });
    let transcoder = builder().error_renderer(renderer).build(upstream).unwrap();
    let request = Request::get("/v1/shelves/s/books/b").body(Full::<Bytes>::default()).unwrap();
    collect(transcoder.oneshot(request).await.unwrap()).await
}

fn details() -> [(&'static str, Value); 5] {
    [
        ("google.rpc.ErrorInfo", json!({"reason": "GONE", "domain": "lib", "metadata": {"k": "v"}})),
        ("google.rpc.RetryInfo", json!({"retryDelay": "1.500s"})),
        ("google.rpc.BadRequest", json!({"fieldViolations": [{"field": "id", "description": "is no id"}]})),
        ("test.Book", json!({"id": "b", "pages": 3})),
        ("test.Nobody", json!(null)),
    ]
}

fn expected() -> Value {
    let shown = details().map(|(name, mut value)| {
        if name == "test.Nobody" {
            value = json!({"value": "AQID"});
        }
        value["@type"] = json!(format!("type.googleapis.com/{name}"));
        value
    });
    Value::Array(shown.into())
}

#[tokio::test]
async fn errors_with_details_as_aip_193_has_them() {
    for trailers_only in [true, false] {
        let response =
            failing(status(Code::NotFound, &details()), riskmesh_transcode::Aip193, trailers_only).await;
        assert_eq!(response.status().as_u16(), 404);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let error = json!({"code": 404, "message": "no book", "status": "NOT_FOUND", "details": expected()});
        assert_eq!(body, json!({ "error": error }));
    }
}

#[tokio::test]
async fn errors_with_details_as_rfc_9457_has_them() {
    let response = failing(status(Code::NotFound, &details()), Problem, true).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let expected = json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "no book", "code": "NOT_FOUND",
        "details": expected(),
    });
    assert_eq!(body, expected);
    let response = failing(status(Code::Cancelled, &[]), Problem, true).await;
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((&body["status"], &body["title"]), (&json!(499), &json!("Client Closed Request")));
    assert!(body.get("details").is_none());
}

#[tokio::test]
async fn details_that_are_no_status_do_no_harm() {
    for bytes in [vec![0xff], vec![0x1a, 200], vec![0x1a, 2, 0x0a, 0]] {
        let status = Status::with_details(Code::NotFound, "no book", bytes.into());
        let response = failing(status, riskmesh_transcode::Aip193, true).await;
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["details"], json!([]));
    }
}

#[tokio::test]
async fn errors_of_the_transcoders_own_have_a_reason() {
    let upstream = service(Log::default(), |_| ok("Book", &json!({})));
    let transcoder = builder().build(upstream).unwrap();
    for (method, uri, reason) in [
        ("GET", "/nothing/here", "ROUTE_NOT_FOUND"),
        ("TRACE", "/v1/shelves/s/books", "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/shelves/%zz/books", "INVALID_PATH"),
        ("GET", "/v1/shelves/s/books?nope=1", "INVALID_QUERY"),
        ("POST", "/v1/shelves/s/books", "INVALID_BODY"),
    ] {
        let request = request(method, uri, if method == "POST" { "{" } else { "" });
        let response = collect(transcoder.clone().oneshot(request).await.unwrap()).await;
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let info = body["error"]["details"].as_array().unwrap().last().unwrap();
        let expected = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "transcode"});
        assert_eq!(*info, expected, "{method} {uri}");
    }
}
