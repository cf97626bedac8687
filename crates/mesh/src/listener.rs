//! A role on a port: gRPC over HTTP/2, for the other roles of a deployment.
//!
//! Our own loop over hyper rather than tonic's server: that one reads `grpc-timeout` too, and answers CANCELLED when its timer is
//! faster than ours.

use crate::server::Server;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::body::Body;
use tower::ServiceExt as _;

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// The most connections at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// The most calls at once on a connection.
    pub max_streams: u32,
    /// The most bytes of a request's headers.
    pub max_header_bytes: u32,
    /// How long a connection may be silent before it is asked whether it lives.
    pub keepalive: Duration,
    /// How long a connection that was asked may take to answer.
    pub keepalive_timeout: Duration,
    /// How long calls under way may still take once the shutdown began; what is left then is dropped.
    pub drain: Duration,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_streams: 1024,
            max_header_bytes: 16 * 1024,
            keepalive: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(5),
            drain: Duration::from_secs(30),
        }
    }
}

/// Serves within the default bounds until `shutdown` completes and the calls under way are answered. Without TLS.
pub async fn listen(listener: TcpListener, server: Server, shutdown: impl Future<Output = ()>) {
    Listening::default().run(listener, server, shutdown).await;
}

impl Listening {
    /// Serves within these bounds; see [`listen`].
    pub async fn run(self, listener: TcpListener, server: Server, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let service = TowerToHyperService::new(
            server.map_request(|request: http::Request<Incoming>| request.map(Body::new)),
        );
        let (http2, graceful) = (self.http2(), GracefulShutdown::new());
        let room = Arc::new(Semaphore::new(self.max_connections));
        // Dropping the set ends its connections: none outlives this function, however it is left.
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&listener, &room) => accepted,
            };
            let Some((stream, permit)) = accepted else { continue };
            let connection = graceful.watch(http2.serve_connection(TokioIo::new(stream), service.clone()));
            connections.spawn(async move {
                let _permit = permit;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
            });
        }
        drop(listener);
        // GOAWAY to everybody, then the calls under way.
        if tokio::time::timeout(self.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("calls were still under way at the end of the drain");
        }
    }

    fn http2(self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.max_streams)
            .max_header_list_size(self.max_header_bytes)
            .keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive_timeout);
        builder
    }
}

/// The next connection, once there is room for it; `None` where accepting failed and is worth another try.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Latency before throughput; a socket that refuses still works.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            // The peer is gone already, or the process is out of descriptors: those come back.
            tracing::warn!(%error, "accept failed");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
