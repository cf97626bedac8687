//! The server stack: what a call passes before a handler sees it.

use crate::context::{InContext, Inbound};
use crate::deadline::{self, Deadline};
use crate::layer::{Inner, around};
use crate::{body, observe, panic};
use api::Method;
use authn::{AuthnLayer, Claims, Verifier};
use http::header::AUTHORIZATION;
use http::{Request, Response};
use policy::{MethodPolicyLayer, Policy};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use telemetry::metrics::Side;
use telemetry::{Metrics, RequestId, TraceContext};
use tonic::body::Body;
use tonic::service::Routes;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt as _};

/// A role's services behind the server stack: what a [`crate::Channel`] calls and what [`crate::listen`] puts on a port.
pub type Server = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What the server stack needs.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The role that serves: a label of metrics and spans.
    pub role: &'static str,
    /// Checks callers' tokens.
    pub verifier: Arc<Verifier>,
    /// Says which caller may call what.
    pub policy: Arc<Policy>,
    /// Where calls are counted.
    pub metrics: Metrics,
    /// The longest that a call may take where its method does not say: [`crate::DEFAULT_TIMEOUT`].
    pub default_timeout: Duration,
    /// The full names of services outside the contract that anybody may call: health, reflection. Besides them and the contract's
    /// public methods nothing passes without a token.
    pub open: &'static [&'static str],
}

/// Puts services behind the stack. Read it from top to bottom: that is the way of a request.
pub fn serve(routes: Routes, deps: Deps) -> Server {
    let Deps { role, verifier, policy, metrics, default_timeout, open } = deps;
    let routes = routes.prepare();
    let guarded = ServiceBuilder::new()
        // Who is it? Before the policy, which asks about the caller.
        .layer(AuthnLayer::new(verifier))
        // May it call this method? Before a byte of the message is read.
        .layer(MethodPolicyLayer::new(policy))
        .service(routes.clone());
    let stack = ServiceBuilder::new()
        // Outermost: whatever happens further in is seen and counted.
        .layer(around(move |next, request: Request<Body>| {
            let parent = TraceContext::extract(request.headers());
            observe::observe(next, request, Side::Server, role, metrics.clone(), parent)
        }))
        // Around everything of ours that could panic, inside what counts it.
        .layer(around(panic::catch))
        // Before any work: what cannot finish in time is not begun, what is late is dropped.
        .layer(around(move |next, request: Request<Body>| {
            let until = deadline::of(&request, default_timeout, None);
            deadline::enforce(next, request, until)
        }))
        // What the handler's own calls will carry on; needs trace and deadline.
        .layer(around(in_context))
        // The way in for everybody leads past the two that ask for a token, by name and by nothing else; to a public method only
        // for those who show none. What was forged to look like a caller stays behind.
        .service(tower::service_fn(move |mut request: Request<Body>| {
            let path = request.uri().path();
            let anonymous = !request.headers().contains_key(AUTHORIZATION);
            let is_open = open.contains(&service_of(path)) || (anonymous && Method::is_public(path));
            request.extensions_mut().remove::<Arc<Claims>>();
            let (routes, guarded) = (routes.clone(), guarded.clone());
            async move { if is_open { routes.oneshot(request).await } else { guarded.oneshot(request).await } }
        }));
    Server::new(stack)
}

async fn in_context<S: Inner>(next: S, request: Request<Body>) -> Response<Body> {
    let extensions = request.extensions();
    let inbound = Inbound {
        deadline: extensions.get::<Deadline>().map(|deadline| deadline.0),
        authorization: request.headers().get(AUTHORIZATION).cloned(),
        trace: extensions.get().cloned().unwrap_or_else(|| TraceContext::root(false)),
        request_id: RequestId::from_headers(request.headers()),
    };
    let Ok(response) = inbound.clone().scope(next.oneshot(request)).await;
    response.map(|body| body::watched(body, InContext(inbound)))
}

/// The service in a path: `/riskmesh.clients.v1.ClientsService/GetClient` is of `riskmesh.clients.v1.ClientsService`.
pub(crate) fn service_of(path: &str) -> &str {
    path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(service, _)| service)
}
