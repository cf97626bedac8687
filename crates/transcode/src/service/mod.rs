//! The transcoder as a service: HTTP with JSON in front, gRPC behind.
//!
//! A call is three steps, and a caller may stand between them: [`Transcoder::route`] finds the method, so that it can
//! be authenticated, limited and authorised; [`Transcoder::call_matched`] makes the gRPC call and the answer; and
//! [`Transcoder::render`] answers what failed. The tower service does all three.

mod body;
mod call;
mod coded;
mod connect;
mod deadline;
mod etag;
mod frames;
mod headers;
mod matched;
mod negotiate;
mod passthrough;
mod protocol;
mod raw;
pub(crate) mod status;
mod stream;
mod upload;
#[cfg(feature = "websocket")]
mod websocket;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use prost_reflect::MethodDescriptor;
use tower::Service;

pub use body::Body;
pub use coded::{accepted_coding, compress};
pub use connect::connect_timeout;
pub use etag::{has_tag, weak_tag};
pub use matched::Matched;
pub(crate) use protocol::Rpcs;
pub use protocol::{Protocol, Protocols};
#[cfg(feature = "websocket")]
pub use websocket::WebSocket;

use crate::builder::{Builder, Engine};
use crate::coding::Coding;
use crate::error::{BoxError, Error, Kind, Result};
use crate::render::{ErrorContext, Told};
use crate::request::{BodyLimit, Limits};
use crate::router::Miss;
use crate::rule::{BuildError, RoutePlan};
use call::Call;

/// A tower service that answers HTTP requests with JSON by calling the gRPC service `S`. Cheap to clone; all clones share
/// what [`replace`](Self::replace) changes.
pub struct Transcoder<S> {
    engine: Arc<ArcSwap<Engine>>,
    upstream: S,
}

impl<S: Clone> Clone for Transcoder<S> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), upstream: self.upstream.clone() }
    }
}

impl<S> std::fmt::Debug for Transcoder<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoder").field("routes", &self.engine.load().routes.len()).finish_non_exhaustive()
    }
}

impl Transcoder<()> {
    /// Starts a [`Builder`] from a descriptor pool.
    pub fn builder(pool: prost_reflect::DescriptorPool) -> Builder {
        Builder::new(pool)
    }
}

impl<S> Transcoder<S> {
    pub(crate) fn new(engine: Engine, upstream: S) -> Self {
        Self { engine: Arc::new(ArcSwap::from_pointee(engine)), upstream }
    }

    /// Gives this transcoder, and all its clones, the descriptors, routes and options of `builder`. Calls under way end as
    /// they began; calls that begin later see only the new ones. No call is dropped, and none waits.
    ///
    /// # Errors
    /// Those of [`Builder::build`]; then everything stays as it was.
    pub fn replace(&self, builder: Builder) -> std::result::Result<(), BuildError> {
        self.engine.store(Arc::new(builder.engine()?));
        Ok(())
    }

    /// Everything but the service behind it, as it is now.
    #[cfg(feature = "openapi")]
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.engine.load_full()
    }

    /// The same routes and plans before another service; [`replace`](Self::replace) on one changes both.
    pub fn with_upstream<T>(&self, upstream: T) -> Transcoder<T> {
        Transcoder { engine: self.engine.clone(), upstream }
    }

    /// Finds what a request asks for in the protocol that it speaks (see [`Protocols`]); what speaks none of them is REST, and
    /// has its [`route`](Self::route). An error is answered in the same protocol by [`render`](Self::render).
    ///
    /// # Errors
    /// Those of [`route`](Self::route); [`Code::Unimplemented`](tonic::Code::Unimplemented) for a gRPC path that is none.
    pub fn route_head(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Matched> {
        let engine = self.engine.load_full();
        match engine.protocol(method, uri, headers) {
            Protocol::Rest => engine.route(method, uri.path()),
            #[cfg(feature = "websocket")]
            Protocol::WebSocket => engine.stream_at(uri.path()),
            protocol => {
                let route = engine.rpc(protocol, method, uri.path())?;
                Ok(Matched { engine, route, bindings: Vec::new(), protocol, method: method.clone() })
            }
        }
    }

    /// Finds the route of a request of REST; `path` is the URI's, still percent-encoded.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::MethodNotAllowed`] or, for a bad escape, [`Kind::Path`].
    pub fn route(&self, method: &Method, path: &str) -> Result<Matched> {
        self.engine.load_full().route(method, path)
    }

    /// Every route as it is now: HTTP method (or `*`), template, and the method that it leads to.
    pub fn routes(&self) -> Vec<(String, String, MethodDescriptor)> {
        let engine = self.engine.load();
        let routes = engine.router.routes().iter().zip(&engine.routes);
        routes.map(|(route, plan)| (route.method.clone(), route.text.clone(), plan.rpc.clone())).collect()
    }

    /// The protocol that a request speaks, by its head: [`route_head`](Self::route_head) goes by it.
    pub fn protocol(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Protocol {
        self.engine.load().protocol(method, uri, headers)
    }

    /// The answer to a request that failed, in the protocol that it is known to speak.
    pub fn render_as(&self, protocol: Protocol, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        self.engine.load().render_as(protocol, context, error)
    }

    /// The answer to a request that failed: what the renderer makes of it, and `Allow` for 405; to other protocols than REST
    /// what those say of errors.
    pub fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        self.engine.load().render(context, error)
    }

    /// The answer to OPTIONS on a path that has no route for it: 204 with `Allow`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a path that no route has.
    pub fn options(&self, error: Box<Error>) -> Result<Response<Body>> {
        if error.kind != Kind::MethodNotAllowed {
            return Err(error);
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Ok(allow) = HeaderValue::try_from(error.allow.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        Ok(response)
    }
}

impl<S> Transcoder<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    /// Makes the gRPC call of a request whose route was found. An error is rendered: the answer is always there.
    pub fn call_matched<B>(
        &self,
        matched: Matched,
        request: Request<B>,
    ) -> impl Future<Output = Response<Body>> + Send + use<S, B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        // The upstream is cloned before the first await, so that it need not be Sync.
        let upstream = self.upstream.clone();
        async move {
            let (mut parts, body) = request.into_parts();
            let said = matched.route.policy.speaks().then(|| matched.clone());
            let mut response = 'answer: {
                if let Err(error) = matched.route.policy.check_key(&matched.method, &mut parts.headers) {
                    let context = matched.route.context(&parts);
                    break 'answer matched.engine.render_as(matched.protocol, &context, &error);
                }
                // Boxed: calls of REST need not have room for the others.
                if matched.protocol != Protocol::Rest {
                    break 'answer Box::pin(other(matched, upstream, parts, body)).await;
                }
                let (engine, parts) = (&matched.engine, Arc::new(parts));
                let call = Call { engine, parts: &parts, matched: &matched };
                match call.run(upstream, body).await {
                    Ok(response) => engine.finish(&matched.route, &parts, response),
                    Err(error) => engine.render_rest(&matched.route.context(&parts), &error),
                }
            };
            if let Some(matched) = said {
                matched.annotate(response.headers_mut());
            }
            response
        }
    }
}

/// Answers a call of another protocol than REST.
async fn other<S, B>(matched: Matched, upstream: S, parts: Parts, body: B) -> Response<Body>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    #[cfg(feature = "websocket")]
    if matched.protocol == Protocol::WebSocket {
        return websocket::open(&matched, upstream, parts);
    }
    let Matched { engine, route, protocol, .. } = matched;
    match protocol {
        Protocol::Grpc => passthrough::grpc(engine, route, upstream, parts, body).await,
        Protocol::GrpcWeb => passthrough::web(engine, route, upstream, parts, body).await,
        // REST does not come here, and WebSocket has gone.
        Protocol::Connect | Protocol::Rest | Protocol::WebSocket => {
            connect::call(engine, route, upstream, parts, body).await
        }
    }
}

impl RoutePlan {
    /// What an error of a call on this route is told in.
    fn context<'a>(&'a self, parts: &'a Parts) -> ErrorContext<'a> {
        ErrorContext { template: Some(&self.template), rpc: Some(&self.rpc), ..ErrorContext::of(parts) }
    }
}

impl Engine {
    fn route(self: Arc<Self>, method: &Method, path: &str) -> Result<Matched> {
        match self.router.find(method.as_str(), path) {
            Ok(found) => {
                let route = self.routes[found.route].clone();
                let (bindings, protocol, method) = (found.bindings, Protocol::Rest, method.clone());
                Ok(Matched { engine: self, route, bindings, protocol, method })
            }
            // The server as a whole (RFC 9110, section 9.3.7).
            Err(Miss::NotFound) if method == Method::OPTIONS && path == "*" => {
                let methods = self.router.routes().iter().map(|route| route.method.clone());
                Err(not_allowed(methods.filter(|method| method != "*").collect::<BTreeSet<_>>()))
            }
            Err(Miss::NotFound) => Err(Error::boxed(Kind::NotFound, "no such path")),
            Err(Miss::BadEscape) => Err(Error::boxed(Kind::Path, "a bad escape in the path")),
            Err(Miss::MethodNotAllowed { allow }) => Err(not_allowed(allow)),
        }
    }

    /// What is left to do about an answer of REST: its tag, its coding, and no body for HEAD.
    fn finish(&self, route: &RoutePlan, parts: &Parts, response: Response<Body>) -> Response<Body> {
        let answers_from = self.compression.answers_from;
        let mut response = etag::finish(route, parts, response, answers_from);
        if let Some(smallest) = answers_from {
            response = compress(&parts.headers, response, smallest);
        }
        if parts.method == Method::HEAD { body::without(response) } else { response }
    }

    /// The limits of one request.
    fn limits_of(&self, parts: &Parts) -> Limits {
        let own = parts.extensions.get::<BodyLimit>();
        Limits { request_bytes: own.map_or(self.limits.request_bytes, |limit| limit.0), ..self.limits }
    }

    fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        self.render_as(self.protocol(context.method, context.uri, context.headers), context, error)
    }

    fn render_as(&self, protocol: Protocol, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        match protocol {
            Protocol::Rest | Protocol::WebSocket => self.render_rest(context, error),
            Protocol::Grpc => passthrough::failed(&self.told(context, error)),
            Protocol::GrpcWeb => passthrough::failed_web(&self.told(context, error)),
            Protocol::Connect => connect::failed(self, context, error),
        }
    }

    /// The error that a client of another protocol than REST is told of.
    fn told<'a>(&self, context: &ErrorContext<'_>, error: &'a Error) -> Told<'a> {
        self.renderer.retell(context, error).map_or(Told::Itself(error), Told::Retold)
    }

    fn render_rest(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        let context = &ErrorContext { plans: Some(&self.plans), ..*context };
        let mut response = self.renderer.render(context, error);
        if error.kind == Kind::ContentCoding && !response.headers().contains_key(header::ACCEPT_ENCODING) {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(Coding::NAMES));
        }
        if error.kind == Kind::MethodNotAllowed
            && !response.headers().contains_key(header::ALLOW)
            && let Ok(allow) = HeaderValue::try_from(error.allow.join(", "))
        {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        let response = response.map(Body::full);
        if context.method == Method::HEAD { body::without(response) } else { response }
    }
}

fn not_allowed(methods: impl IntoIterator<Item = String>) -> Box<Error> {
    let mut error = Error::boxed(Kind::MethodNotAllowed, "the path does not know this method");
    error.allow = methods.into_iter().filter(|method| method != "OPTIONS").collect();
    error.allow.push("OPTIONS".to_owned());
    error
}

impl<S, B> Service<Request<B>> for Transcoder<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self::Response, Infallible>> + Send>>;

    /// Always ready: the service behind is waited for within the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // HTTP/1.0 knows no upgrades (RFC 9110, section 7.8).
        if request.version() == Version::HTTP_10 {
            request.headers_mut().remove(header::UPGRADE);
        }
        let matched = self.route_head(request.method(), request.uri(), request.headers());
        let matched = match matched {
            Err(error) if request.method() == Method::OPTIONS => match self.options(error) {
                Ok(response) => return Box::pin(async move { Ok(response) }),
                Err(error) => Err(error),
            },
            matched => matched,
        };
        match matched {
            Ok(matched) => {
                let answer = self.call_matched(matched, request);
                Box::pin(async move { Ok(answer.await) })
            }
            Err(error) => {
                let (parts, _) = request.into_parts();
                let response = self.render(&ErrorContext::of(&parts), &error);
                Box::pin(std::future::ready(Ok(response)))
            }
        }
    }
}
