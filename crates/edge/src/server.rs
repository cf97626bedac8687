//! The listener: connections in, bounded in number and in the time that they may waste, and drained when the server stops.

use crate::activity::Activity;
use crate::edge::{Connection, Edge, Error};
use crate::pace::Streams;
use crate::peer::Peer;
use crate::stall::{Lingers, Stalling};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
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
/// What a caller may send on an HTTP/2 stream, and on all of a connection, before it is read: what is not read is held. At 50 ms from
/// us a body comes with 5 MB a second.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What of an answer is handed to an HTTP/2 connection ahead of what its caller takes.
const SEND_BUFFER: usize = 64 << 10;
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
        let mut connections = JoinSet::new();
        tracing::info!(%address, "edge listens");
        while let Some((stream, slot)) = accept(&listener, &slots, &shutdown).await {
            // Forget those that are done.
            while connections.try_join_next().is_some() {}
            let (edge, stop) = (self.clone(), shutdown.clone());
            connections.spawn(async move {
                edge.connection(stream, &stop).await;
                drop(slot);
            });
        }
        drop(listener);
        tracing::info!(connections = connections.len(), "edge drains");
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.core.config.drain_timeout, drained).await.is_err() {
            tracing::warn!("requests are cut: the time to drain is over");
        }
        connections.shutdown().await;
        Ok(())
    }

    async fn connection(self, stream: TcpStream, stop: &CancellationToken) {
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
        let activity = Activity::new();
        let streams = Streams { limit: config.write_timeout, activity: activity.clone() };
        let mut builder = Builder::new(streams);
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
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(config.http2.keep_alive_interval)
            .keep_alive_timeout(config.http2.keep_alive_timeout);
        let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
        let lingers = Lingers::default();
        let stream = Stalling::new(stream, config.write_timeout, lingers.clone());
        let service = TowerToHyperService::new(self.service().on(Connection { peer, lingers }));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            // One of HTTP/1 is closed when it idles, and has no streams: what it is doing it may finish.
            () = activity.idle(config.http2.idle_timeout) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
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
