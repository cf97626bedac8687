//! The listener: connections in, bounded in number and in the time that they may waste, and drained when the server stops.

use crate::edge::{Edge, Error};
use crate::peer::Peer;
use crate::stall::Stalling;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// More than a URI can have: hyper and the http crate end at 65,534 bytes, whatever is set.
const URI_BYTES: usize = 64 << 10;
/// The pause after the machine had no descriptor or memory for one more connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a connection that has sent a part of the preface is looked at again.
const PREFACE_PAUSE: Duration = Duration::from_millis(5);

impl Edge {
    /// Serves until `shutdown` is cancelled; then takes no more connections, lets requests under way finish for at most
    /// [`drain_timeout`](crate::Config::drain_timeout), and returns. Whatever is not done by then is cut.
    ///
    /// The listener's address is checked as [`Config::check`](crate::Config::check) checks `listen`: without TLS it is a loopback
    /// address, or there is a proxy in front.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        let failed = |source| Error::Serve { address: self.core.config.listen, source };
        let address = listener.local_addr().map_err(failed)?;
        crate::Config { listen: address, ..self.core.config.clone() }.check()?;

        let slots = Arc::new(Semaphore::new(self.core.config.max_connections));
        let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
        tracing::info!(%address, "edge listens");
        while let Some((stream, slot)) = accept(&listener, &slots, &shutdown).await {
            // Forget those that are done.
            while connections.try_join_next().is_some() {}
            let (edge, watcher, stop) = (self.clone(), graceful.watcher(), shutdown.clone());
            connections.spawn(async move {
                edge.connection(stream, watcher, &stop).await;
                drop(slot);
            });
        }
        drop(listener);
        tracing::info!(connections = connections.len(), "edge drains");
        if timeout(self.core.config.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests are cut: the time to drain is over");
        }
        connections.shutdown().await;
        Ok(())
    }

    async fn connection(self, stream: TcpStream, watcher: Watcher, stop: &CancellationToken) {
        let config = &self.core.config;
        // Answers are small and whole: waiting for more to send would only delay them. A socket that is gone already tells so next.
        let _ = stream.set_nodelay(true);
        let begun = tokio::select! {
            // Who has said nothing has nothing to lose.
            () = stop.cancelled() => false,
            begun = timeout(config.header_timeout, preface(&stream)) => matches!(begun, Ok(Ok(()))),
        };
        if !begun {
            return;
        }
        let head_bytes = URI_BYTES + config.header_bytes * 4;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            // Above our own limits: what hyper refuses by itself, it answers without a body.
            .max_headers(config.header_count * 4)
            .max_buf_size(head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.http2.max_concurrent_streams)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(config.http2.keep_alive_interval)
            .keep_alive_timeout(config.http2.keep_alive_timeout);
        let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
        let service = TowerToHyperService::new(self.service().for_peer(peer));
        let connection = builder
            .serve_connection(TokioIo::new(Stalling::new(stream, config.write_timeout)), service)
            .into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "connection ended early");
        }
    }
}

/// The next connection with its slot; `None` when the server is to stop.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let next = async {
        // The semaphore is never closed.
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, slot)),
                Err(error) if is_connections_own(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        accepted = next => accepted,
    }
}

/// Errors of the connection that was to be accepted, not of the listener.
fn is_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Waits until the bytes that tell HTTP/1 from HTTP/2 are there, and leaves them where they are: hyper waits for them as well, but
/// without an end.
async fn preface(stream: &TcpStream) -> io::Result<()> {
    let mut seen = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut seen).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if count == seen.len() || seen[..count] != PREFACE[..count] {
            return Ok(());
        }
        sleep(PREFACE_PAUSE).await;
    }
}
