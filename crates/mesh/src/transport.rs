//! How a request gets to a server: in the same process, or over HTTP/2. The only place where the two differ.

use crate::body;
use crate::context::{InContext, Inbound};
use crate::server::Server;
use crate::status::{answer, deadline_exceeded};
use http::{Extensions, Request, Response, StatusCode};
use riskmesh_core::{Error as Outward, ErrorCode};
use std::time::Duration;
use tonic::TimeoutExpired;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::ServiceExt as _;

/// Why a channel cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of a role is not one.
    #[error("{uri:?} is not the address of a role, such as http://clients:9090")]
    Address {
        /// The address as configured.
        uri: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Calls a server in this process, on the caller's task: dropping the call drops the handler.
///
/// Nothing passes that a socket would not carry: extensions stay behind, on both ways, and the caller's context is not the
/// handler's.
pub(crate) async fn local(server: Server, request: Request<Body>) -> Response<Body> {
    let (mut parts, mut stream) = request.into_parts();
    parts.extensions = Extensions::new();
    if let Some(caller) = Inbound::current() {
        // The caller's stream of messages is the caller's code.
        stream = body::watched(stream, InContext(caller));
    }
    let Ok(mut response) = server.oneshot(Request::from_parts(parts, stream)).await;
    *response.extensions_mut() = Extensions::new();
    response
}

/// The connection to a server elsewhere; made when it is first needed, and again when it is lost.
pub(crate) fn connection(uri: &str) -> Result<tonic::transport::Channel, Error> {
    let endpoint = Endpoint::from_shared(uri.to_owned())
        .map_err(|source| Error::Address { uri: uri.to_owned(), source })?
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_lazy())
}

/// Calls a server elsewhere. A server that cannot be reached, or an answer that is not gRPC, is `SERVICE_UNAVAILABLE`; the cause,
/// which may name hosts, goes to the log.
pub(crate) async fn remote(connection: tonic::transport::Channel, request: Request<Body>) -> Response<Body> {
    let unavailable = |cause: &dyn std::fmt::Display| {
        tracing::debug!(%cause, "call failed");
        answer(&Outward::new(ErrorCode::ServiceUnavailable))
    };
    match connection.oneshot(request).await {
        Ok(response) if response.status() == StatusCode::OK => {
            response.map(|stream| body::watched(stream, Torn))
        }
        Ok(response) => unavailable(&response.status()),
        // The connection reads `grpc-timeout` as well, and its timer may be faster than ours.
        Err(error) if is_timeout(&error) => answer(&deadline_exceeded()),
        Err(error) => unavailable(&error),
    }
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<TimeoutExpired>)
}

/// A stream that tears becomes `SERVICE_UNAVAILABLE`, without what the connection says about itself.
struct Torn;

impl body::Watch for Torn {
    fn poll(
        &mut self,
        stream: std::pin::Pin<&mut Body>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, tonic::Status>>> {
        http_body::Body::poll_frame(stream, context).map_err(|cause| {
            tracing::debug!(%cause, "an answer broke off");
            tonic::Status::from(&Outward::new(ErrorCode::ServiceUnavailable))
        })
    }
}
