//! Fronts a gRPC server with JSON, from what its reflection says, and reads that again every half minute. What the server
//! gains or loses is then served or gone; no call is dropped.
//!
//! `cargo run --release --package riskmesh-transcode --example reload -- http://127.0.0.1:50051 127.0.0.1:8080`

use std::time::Duration;

use riskmesh_transcode::{BoxError, Builder, Transcoder, reflection};
use tonic::transport::{Channel, Endpoint};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(upstream), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err("usage: reload UPSTREAM ADDRESS".into());
    };
    let channel = Endpoint::from_shared(upstream)?.connect_lazy();
    let transcoder = read(&channel).await?.build(channel.clone())?;
    tokio::spawn(reload(transcoder.clone(), channel));
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, axum::Router::new().fallback_service(transcoder)).await?;
    Ok(())
}

/// The one place that says how the transcoder is built, at start and later.
async fn read(channel: &Channel) -> Result<Builder, reflection::Error> {
    let pool = reflection::descriptors(channel.clone(), [""; 0]).await?;
    Ok(Transcoder::builder(pool).unannotated(true))
}

async fn reload(transcoder: Transcoder<Channel>, channel: Channel) {
    let mut ticks = tokio::time::interval(Duration::from_secs(30));
    ticks.tick().await; // the first one comes at once
    loop {
        ticks.tick().await;
        // A server that cannot be read, or whose rules do not fit, changes nothing.
        let replaced = match read(&channel).await {
            Ok(builder) => transcoder.replace(builder).map_err(BoxError::from),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = replaced {
            eprintln!("the old descriptors stay: {error}");
        }
    }
}
