//! A proxy for many requests: what `front` does, without a thread that wakes another one.
//!
//! `cargo run --profile dist -p riskmesh-transcode --example proxy -- --descriptors FILE --upstream http://HOST:PORT --listen HOST:PORT`
//!
//! Each thread has a runtime, a socket and a connection to the upstream of its own, as in Envoy. It is what
//! `cargo xtask bench transcode` measures.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use riskmesh_transcode::{Builder, Transcoder};
use std::net::SocketAddr;
use tokio::net::TcpSocket;
use tonic::transport::Endpoint;

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const THREADS: usize = 2;

fn main() -> Result<()> {
    let descriptors = std::fs::read(argument("--descriptors")?)?;
    let transcoder = Builder::from_descriptor_set(&descriptors)?.build(())?;
    let upstream = Endpoint::try_from(argument("--upstream")?)?.tcp_nodelay(true);
    let listen: SocketAddr = argument("--listen")?.parse()?;
    let serve = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(&transcoder, &upstream, listen))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(serve)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

async fn serve(transcoder: &Transcoder<()>, upstream: &Endpoint, listen: SocketAddr) -> Result<()> {
    let transcoder = transcoder.with_upstream(upstream.connect_lazy());
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(listen)?;
    let listener = socket.listen(1024)?;
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
