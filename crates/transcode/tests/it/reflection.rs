//! Descriptors read from a running server.

use std::time::Duration;

use http::{Request, Response};
use riskmesh_transcode::reflection::{self, Error, Limits};
use riskmesh_transcode::{BoxError, Transcoder};
use serde_json::json;
use tonic::Status;
use tower::{Service, ServiceExt as _, service_fn};

use crate::pool::SET;
use crate::rest::{GrpcResponse, Log, ok, request, service};

/// What both versions of tonic's server are.
trait Upstream:
    Service<
        Request<tonic::body::Body>,
        Response = Response<tonic::body::Body>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
}

impl<S> Upstream for S
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
}

fn configured() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(&SET)
}

async fn books_are_found(pool: prost_reflect::DescriptorPool) {
    let log = Log::default();
    let upstream = service(log.clone(), |_| ok("Book", &json!({})));
    let transcoder = Transcoder::builder(pool).services(["test.Library"]).build(upstream).unwrap();
    transcoder.oneshot(request("GET", "/v1/shelves/s/books/b", "")).await.unwrap();
    assert_eq!(log.lock().unwrap()[0].messages, [json!({"shelf": "s", "id": "b"})]);
}

async fn read(upstream: impl Upstream) {
    let pool = reflection::descriptors(upstream.clone(), ["test.Library"]).await.unwrap();
    assert!(pool.get_service_by_name("test.Features").is_none(), "only what was asked for");
    assert!(pool.get_file_by_name("google/protobuf/timestamp.proto").is_some(), "and what it imports");
    books_are_found(pool).await;
    let pool = reflection::descriptors(upstream, [""; 0]).await.unwrap();
    let mut services: Vec<_> = pool.services().map(|service| service.full_name().to_owned()).collect();
    services.sort_unstable();
    assert_eq!(services, ["test.Desk", "test.Features", "test.Library", "test.One"], "all but reflection");
    books_are_found(pool).await;
}

#[tokio::test]
async fn descriptors_come_over_reflection_with_their_options() {
    read(configured().build_v1().unwrap()).await;
}

#[tokio::test]
async fn the_alpha_version_will_do() {
    read(configured().build_v1alpha().unwrap()).await;
}

#[tokio::test]
async fn descriptors_come_over_a_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(configured().build_v1alpha().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tokio::spawn(server.serve_with_incoming(incoming));
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    // Spawned: the future may go to another thread.
    tokio::spawn(read(channel)).await.unwrap();
    server.abort();
}

async fn error(upstream: impl Upstream, services: &[&str], limits: Limits) -> Error {
    let services = services.iter().copied();
    reflection::descriptors_within(upstream, services, limits).await.expect_err("an error")
}

#[tokio::test]
async fn what_a_server_may_send_is_bounded() {
    let server = configured().build_v1().unwrap();
    let limits = Limits::default();
    let few = Limits { files: 3, ..limits };
    let found = error(server.clone(), &["test.Library"], few).await;
    assert_eq!(found.to_string(), "the server's descriptors are more than 3 files");
    let library = SET.len() / 2;
    let found = error(server.clone(), &[], Limits { bytes: library, ..limits }).await;
    assert_eq!(found.to_string(), format!("the server's descriptors are more than {library} bytes"));
    let found = error(server, &["test.Library"], Limits { bytes: 100, ..limits }).await;
    assert_eq!(found.to_string(), "read the file of test.Library over reflection");
    let silent =
        service_fn(|_: Request<tonic::body::Body>| std::future::pending::<Result<GrpcResponse, Status>>());
    let time = Duration::from_millis(20);
    let found = error(silent, &[], Limits { time, ..limits }).await;
    assert!(matches!(found, Error::TooSlow(limit) if limit == time), "{found}");
}

#[tokio::test]
async fn what_a_server_cannot_tell_is_an_error() {
    let found = error(configured().build_v1().unwrap(), &["test.Nope"], Limits::default()).await;
    assert_eq!(
        found.to_string(),
        "read the file of test.Nope over reflection",
        "tonic ends the stream instead of answering: {found:?}"
    );
    let none = service_fn(|_: Request<tonic::body::Body>| async {
        Ok::<GrpcResponse, Status>(Status::unimplemented("").into_http())
    });
    let found = error(none, &[], Limits::default()).await;
    assert!(matches!(found, Error::Unsupported), "{found}");
    let gone = service_fn(|_: Request<tonic::body::Body>| async {
        Err::<GrpcResponse, Status>(Status::unavailable("gone"))
    });
    let found = error(gone, &[], Limits::default()).await;
    assert!(matches!(&found, Error::Call { source, .. } if source.message() == "gone"), "{found}");
    // Details that are not base64, at the start and at the end.
    for at_the_start in [true, false] {
        let bad = service_fn(move |_: Request<tonic::body::Body>| async move {
            Ok::<GrpcResponse, Status>(crate::grpc_web::with_bad_details(at_the_start))
        });
        let found = error(bad, &[], Limits::default()).await;
        assert!(matches!(&found, Error::Call { source, .. } if source.message() == "gone"), "{found}");
    }
}
