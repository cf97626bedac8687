//! Fronts any gRPC server with HTTP and JSON: REST, gRPC, gRPC-Web and Connect on one port.
//!
//! `cargo run --release -p riskmesh-transcode --example front -- api.binpb http://127.0.0.1:50051 127.0.0.1:8080`

use riskmesh_transcode::{BoxError, Builder};
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let mut arg = || args.next().ok_or("usage: front DESCRIPTORS UPSTREAM LISTEN");
    let descriptors = std::fs::read(arg()?)?;
    let upstream = Endpoint::try_from(arg()?)?.connect_lazy();
    let transcoder = Builder::from_descriptor_set(&descriptors)?.build(upstream)?;
    let listener = tokio::net::TcpListener::bind(arg()?).await?;
    axum::serve(listener, axum::Router::new().fallback_service(transcoder)).await?;
    Ok(())
}
