//! The client stack: what a call gets on its way out.

use crate::context::Inbound;
use crate::layer::{Inner, around};
use crate::server::Server;
use crate::status::answer;
use crate::transport::{self, Error};
use crate::{deadline, observe};
use authn::Credentials;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use riskmesh_core::TenantId;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use telemetry::metrics::Side;
use telemetry::{Metrics, TraceContext, request_id, trace};
use tokio::time::Instant;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt as _};

/// In the extensions of a request: call as this workload, in this tenant, instead of in the name of the caller being served.
///
/// `request.extensions_mut().insert(OnBehalf(tenant))` on a `tonic::Request`. The tenant comes from a verified token or a stored
/// event, never from a message's field.
#[derive(Clone, Debug)]
pub struct OnBehalf(pub TenantId);

/// Who calls through a channel.
#[derive(Clone)]
pub struct Caller {
    /// The role that calls: a label of metrics and spans.
    pub role: &'static str,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// The workload's own tokens, for [`OnBehalf`].
    pub credentials: Arc<dyn Credentials>,
    /// The longest that a call may take where its method does not say: [`crate::DEFAULT_TIMEOUT`].
    pub default_timeout: Duration,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("role", &self.role).finish_non_exhaustive()
    }
}

/// The way to a role's services: give it to a generated client, `ClientsServiceClient::new(channel)`.
///
/// Every outcome is an answer with a gRPC status, so its error type has no values; clones share connections.
#[derive(Clone)]
pub struct Channel(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel(…)")
    }
}

impl Channel {
    /// To services in this process: no sockets, nothing else skipped.
    pub fn local(server: Server, caller: Caller) -> Self {
        Self::stack(
            tower::service_fn(move |request| {
                let server = server.clone();
                async move { Ok(transport::local(server, request).await) }
            }),
            caller,
        )
    }

    /// To services at an address such as `http://clients:9090`. Connects when it is first used; must be called within a tokio
    /// runtime. Errors when the address is none.
    pub fn remote(uri: &str, caller: Caller) -> Result<Self, Error> {
        let connection = transport::connection(uri)?;
        Ok(Self::stack(
            tower::service_fn(move |request| {
                let connection = connection.clone();
                async move { Ok(transport::remote(connection, request).await) }
            }),
            caller,
        ))
    }

    /// Read it from top to bottom: that is the way of a request. What repeats an attempt or chooses among endpoints stands between
    /// the credentials, which attempts share, and the headers, which are each attempt's own.
    fn stack<S: Inner + Sync>(transport: S, caller: Caller) -> Self {
        let Caller { role, metrics, credentials, default_timeout } = caller;
        let stack = ServiceBuilder::new()
            // Outermost: refusals of the layers below are calls as well.
            .layer(around(move |next, request: Request<Body>| {
                observe::observe(next, request, Side::Client, role, metrics.clone(), trace::current())
            }))
            // Before everything that takes time: all of it shares one deadline.
            .layer(around(move |next, request: Request<Body>| {
                let outer = Inbound::current().and_then(|inbound| inbound.deadline);
                let until = deadline::of(&request, default_timeout, outer);
                deadline::enforce(next, request, until)
            }))
            // In whose name? After the deadline: fetching a token takes time.
            .layer(around(move |next, request| authorize(next, request, Arc::clone(&credentials))))
            // Innermost: what is left of the deadline is written when the request leaves, not before.
            .layer(around(carry))
            .service(transport);
        Self(BoxCloneSyncService::new(stack))
    }
}

/// The workload's token where the request asks for it; else the one it carries; else the caller's, whom this task serves.
///
/// A request with none of these goes out without: the service refuses it, as it would anybody's.
async fn authorize<S: Inner>(
    next: S,
    mut request: Request<Body>,
    credentials: Arc<dyn Credentials>,
) -> Response<Body> {
    let value = match request.extensions_mut().remove::<OnBehalf>() {
        Some(OnBehalf(tenant)) => match credentials.token(&tenant).await {
            Ok(token) => Some(token),
            Err(error) => return answer(&error),
        },
        None if request.headers().contains_key(AUTHORIZATION) => None,
        None => Inbound::current().and_then(|inbound| inbound.authorization),
    };
    if let Some(mut value) = value {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let Ok(response) = next.oneshot(request).await;
    response
}

/// Writes what the next hop must know: the time that is left, its place in the trace, the request's id.
async fn carry<S: Inner>(next: S, mut request: Request<Body>) -> Response<Body> {
    let until = request.extensions().get::<deadline::Deadline>().copied();
    let trace = request.extensions().get::<TraceContext>().cloned();
    let id = Inbound::current().map(|inbound| inbound.request_id.to_header());
    let headers = request.headers_mut();
    if let Some(until) = until {
        deadline::write(headers, until.0.saturating_duration_since(Instant::now()));
    }
    if let Some(trace) = trace {
        trace.inject(headers);
    }
    if let Some(id) = id {
        headers.entry(request_id::HEADER).or_insert(id);
    }
    let Ok(response) = next.oneshot(request).await;
    response
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        <BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}
