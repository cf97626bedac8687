//! The feature table's row "AIP-4222 routing headers".

use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use prost_reflect::DescriptorPool;
use riskmesh_transcode::Builder;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::rest::{GrpcResponse, answer, collect, request};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| pool("test/routing.proto").unwrap());

fn pool(file: &str) -> Result<DescriptorPool, protox::Error> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).open_file(file)?;
    Ok(DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap())
}

fn builder() -> Builder {
    Builder::new(POOL.clone()).services(["test.Tables"]).routing_headers(true)
}

const HEADER: HeaderName = HeaderName::from_static("x-goog-request-params");

/// The routing header with which the service is called.
async fn header_of(builder: Builder, request: Request<Full<Bytes>>) -> Option<String> {
    let seen = Arc::new(Mutex::new(None));
    let log = seen.clone();
    let upstream = crate::rest::upstream(move |request: Request<tonic::body::Body>| {
        let log = log.clone();
        async move {
            let values: Vec<_> = request.headers().get_all(HEADER).iter().cloned().collect();
            request.into_body().collect().await?;
            *log.lock().unwrap() = Some(values);
            Ok::<GrpcResponse, Status>(answer(vec![Bytes::from_static(&[0; 5])], Status::new(Code::Ok, "")))
        }
    });
    let response: Response<Bytes> =
        collect(builder.build(upstream).unwrap().oneshot(request).await.unwrap()).await;
    assert_eq!(response.status(), 200, "{response:?}");
    let values: Vec<HeaderValue> = seen.lock().unwrap().take().unwrap();
    assert!(values.len() < 2, "{values:?}");
    values.first().map(|value| value.to_str().unwrap().to_owned())
}

async fn sends(method: &str, uri: &str, body: &str, expected: &str) {
    let found = header_of(builder(), request(method, uri, body)).await;
    assert_eq!(found.as_deref().unwrap_or_default(), expected, "{uri} {body}");
}

#[tokio::test]
async fn routing_headers_without_a_rule_are_all_that_the_path_binds() {
    let uri = "/implicit/projects/p%20q/tables/t/7/a%26b";
    sends("POST", uri, "{}", "table.name=projects%2Fp%20q%2Ftables%2Ft&count=7&app=a%26b").await;
    sends("GET", "/implicit/%C3%BC?count=2", "", "app=%C3%BC").await;
}

#[tokio::test]
async fn routing_headers_of_a_rule_name_fields_and_the_last_match_of_a_key_wins() {
    let uri = "/explicit/a";
    sends("POST", uri, "", "app=a").await;
    sends("POST", uri, r#"{"name":"projects/p"}"#, "app=a&name=projects%2Fp").await;
    sends("POST", uri, r#"{"name":"projects/p/tables/t"}"#, "app=a&name=tables%2Ft").await;
    sends("POST", uri, r#"{"name":"projects/p/tables/t/rows"}"#, "app=a&name=projects%2Fp").await;
    sends("POST", uri, r#"{"name":"else","home":"h o"}"#, "app=a&home=h%20o").await;
    sends("GET", "/watched/a?table.home=x/y", "", "table.home=x%2Fy").await;
    sends("GET", "/watched/a", "", "").await;
}

#[tokio::test]
async fn an_empty_rule_turns_it_off_and_so_does_the_builder() {
    sends("GET", "/off/a", "", "").await;
    let off = builder().routing_headers(false);
    assert_eq!(header_of(off, request("GET", "/implicit/a", "")).await, None);
}

#[tokio::test]
async fn a_client_stream_is_routed_by_its_path_and_its_query() {
    sends("POST", "/streamed/a", r#"[{"home":"h"},{}]"#, "app=a").await;
}

#[tokio::test]
async fn it_takes_the_place_of_the_clients_own() {
    let mut request = request("GET", "/implicit/a", "");
    request.headers_mut().insert(HEADER, HeaderValue::from_static("app=forged"));
    let forwarding = builder().forward_headers(|name| *name == HEADER);
    assert_eq!(header_of(forwarding, request).await.as_deref(), Some("app=a"));
}

#[tokio::test]
async fn calls_of_connect_are_routed_by_the_fields_of_their_message() {
    for (rpc, body, expected) in [
        ("Implicit", r#"{"app":"a","count":7,"table":{"name":"n"}}"#, "table.name=n&app=a"),
        ("Implicit", r#"{"count":7}"#, ""),
        ("Explicit", r#"{"app":"a","table":{"name":"projects/p/tables/t"}}"#, "app=a&name=tables%2Ft"),
        ("Off", r#"{"app":"a"}"#, ""),
    ] {
        let uri = format!("/test.Tables/{rpc}");
        sends("POST", &uri, body, expected).await;
    }
    let mut request = request("POST", "/test.Tables/Watched", "");
    let message = br#"{"table":{"home":"h"}}"#;
    let envelope = [&[0, 0, 0, 0, message.len() as u8], &message[..]].concat();
    *request.body_mut() = Full::from(envelope);
    let content_type = HeaderValue::from_static("application/connect+json");
    request.headers_mut().insert(header::CONTENT_TYPE, content_type);
    assert_eq!(header_of(builder(), request).await.as_deref(), Some("table.home=h"));
}

#[test]
fn a_rule_that_does_not_fit_is_refused_by_name() {
    for (rule, problem) in [
        ("field: 'count'", "names count, which is no string field"),
        ("field: 'table.nope'", "names table.nope, which is no string field"),
        ("field: 'app' path_template: 'a/*'", "a/* does not have one variable"),
        ("field: 'app' path_template: '{a=*}/{b=*}'", "{a=*}/{b=*} does not have one variable"),
        ("field: 'app' path_template: '{a=*}:verb'", "{a=*}:verb has a verb"),
        ("field: 'app' path_template: '{a=*'", "{a=*: "),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let text = include_str!("../proto/test/routing.proto");
        let text = text
            .replace("routing_parameters { field: \"app\" }", &format!("routing_parameters {{ {rule} }}"));
        std::fs::create_dir(directory.path().join("test")).unwrap();
        std::fs::write(directory.path().join("test/routing.proto"), text).unwrap();
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto"));
        let mut compiler = protox::Compiler::new([directory.path(), root]).unwrap();
        compiler.include_imports(true).open_file("test/routing.proto").unwrap();
        let builder = Builder::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap();
        let error = builder.routing_headers(true).build(()).unwrap_err().to_string();
        assert!(error.contains("test.Tables.Explicit") && error.contains(problem), "{error}");
    }
}
