//! Fronts any tonic server, or any other gRPC server, with HTTP and JSON: descriptors, an upstream, a socket.
//!
//! `cargo run --release -p riskmesh-transcode --example front -- --descriptors FILE --upstream http://HOST:PORT --listen HOST:PORT`
//!
//! It is also what `cargo xtask bench transcode` measures.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use riskmesh_transcode::Builder;
use tonic::transport::Endpoint;

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let descriptors = std::fs::read(argument("--descriptors")?)?;
    let upstream = Endpoint::try_from(argument("--upstream")?)?.tcp_nodelay(true).connect_lazy();
    let transcoder = Builder::from_descriptor_set(&descriptors)?.build(upstream)?;
    let listener = tokio::net::TcpListener::bind(argument("--listen")?).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(transcoder.clone());
        tokio::spawn(async move {
            // What a connection ends with concerns its client alone.
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The value of a flag.
fn argument(flag: &str) -> Result<String> {
    let value = std::env::args().skip_while(|argument| argument != flag).nth(1);
    value.ok_or_else(|| format!("{flag} is missing").into())
}
