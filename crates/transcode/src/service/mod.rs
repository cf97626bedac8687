//! The transcoder as a service: HTTP with JSON in front, gRPC behind.
//!
//! A call is three steps, and a caller may stand between them: [`Transcoder::route`] finds the method, so that it can
//! be authenticated, limited and authorised; [`Transcoder::call_matched`] makes the gRPC call and the answer; and
//! [`Transcoder::render`] answers what failed. The tower service does all three.

mod body;
mod coded;
mod connect;
mod etag;
mod frames;
mod headers;
mod negotiate;
mod passthrough;
mod protocol;
mod raw;
mod stream;
mod upload;
#[cfg(feature = "websocket")]
mod websocket;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, Limited};
use prost_reflect::MethodDescriptor;
use tower::{Service, ServiceExt as _};

pub use body::Body;
pub use coded::compress;
pub use connect::connect_timeout;
pub use etag::{has_tag, weak_tag};
pub(crate) use protocol::Rpcs;
pub use protocol::{Protocol, Protocols};
#[cfg(feature = "websocket")]
pub use websocket::WebSocket;

use crate::builder::{Builder, Engine};
use crate::coding::{Coding, Decoded};
use crate::error::{BoxError, Error, Kind, Result};
use crate::plan::Selection;
use crate::render::ErrorContext;
use crate::request::{BodyLimit, FRAME_HEADER, Limits, Woven, form};
use crate::router::Miss;
use crate::routing;
use crate::rule::{BodyRule, BuildError, RoutePlan};
use frames::Frames;
use negotiate::Written;

/// A request that found its route.
#[derive(Debug, Clone)]
pub struct Matched {
    /// What was there when the route was found is there until the answer, whatever [`Transcoder::replace`] does.
    engine: Arc<Engine>,
    route: Arc<RoutePlan>,
    bindings: Vec<String>,
    protocol: Protocol,
}

impl Matched {
    /// The method that the route leads to.
    pub fn rpc(&self) -> &MethodDescriptor {
        &self.route.rpc
    }

    /// The template of the route: a label of few values for logs and metrics.
    pub fn template(&self) -> &str {
        &self.route.template
    }

    /// The protocol that the client speaks: that of the answer.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The gRPC path, `/pkg.Service/Method`.
    pub fn grpc_path(&self) -> &str {
        self.route.grpc_path.path()
    }

    /// The values that the path binds, decoded: the field's path in proto names (`book.id`) and the value, in the
    /// order of the template.
    pub fn bindings(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.route.variable_names.iter().map(String::as_str);
        names.zip(self.bindings.iter().map(String::as_str))
    }

    /// Adds to an answer what [`Builder::policy`] says of the method: `Deprecation`, `Sunset`, `Link`, `RateLimit-Policy`.
    /// [`Transcoder::call_matched`] does so by itself; this is for answers of those who stand between it and
    /// [`Transcoder::route`], such as a limiter:
    ///
    /// ```ignore
    /// let matched = transcoder.route(request.method(), request.uri().path())?;
    /// let left = limiter.take(caller, matched.grpc_path());    // yours: the transcoder counts nothing
    /// let mut response = match left {
    ///     Some(_) => transcoder.call_matched(matched.clone(), request).await,
    ///     None => {
    ///         let mut refused = too_many_requests();           // 429, with Retry-After
    ///         matched.annotate(refused.headers_mut());         // RateLimit-Policy: "default";q=100;w=60
    ///         refused
    ///     }
    /// };
    /// let left = format!("\"default\";r={};t=60", left.unwrap_or(0));
    /// response.headers_mut().insert("ratelimit", left.parse()?);
    /// ```
    pub fn annotate(&self, headers: &mut HeaderMap) {
        let names = self.route.variable_names.iter().map(String::as_str);
        self.route.policy.annotate(&names.zip(self.bindings.iter().map(String::as_str)), headers);
    }

    /// The routing header of a call that begins with this frame, where there is to be one.
    fn params<F: AsRef<[u8]>>(&self, frame: impl FnOnce() -> Result<F>) -> Result<Option<HeaderValue>> {
        let Some(routing) = &self.route.routing else { return Ok(None) };
        Ok(routing.value(self.bindings(), &frame()?.as_ref()[FRAME_HEADER..]))
    }
}

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
                Ok(Matched { engine, route, bindings: Vec::new(), protocol })
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
                if let Err(error) = matched.route.policy.check_key(&parts.method, &mut parts.headers) {
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
                Ok(Matched { engine: self, route, bindings: found.bindings, protocol: Protocol::Rest })
            }
            Err(Miss::NotFound) => Err(Error::boxed(Kind::NotFound, "no such path")),
            Err(Miss::BadEscape) => Err(Error::boxed(Kind::Path, "a bad escape in the path")),
            Err(Miss::MethodNotAllowed { mut allow }) => {
                allow.push("OPTIONS".to_owned());
                let mut error = Error::boxed(Kind::MethodNotAllowed, "the path does not know this method");
                error.allow = allow;
                Err(error)
            }
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
            Protocol::Grpc => passthrough::failed(error),
            Protocol::GrpcWeb => passthrough::failed_web(error),
            Protocol::Connect => connect::failed(context.method, context.headers, error),
        }
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

/// One call on its way.
struct Call<'a> {
    engine: &'a Arc<Engine>,
    parts: &'a Arc<Parts>,
    matched: &'a Matched,
}

impl Call<'_> {
    async fn run<S, B>(&self, upstream: S, body: B) -> Result<Response<Body>>
    where
        S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>>,
        S::Error: Into<BoxError>,
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let route = &self.matched.route;
        let engine = self.engine;
        let form =
            negotiate::answer(&self.parts.headers, route.rpc.is_server_streaming(), route.raw_response)?;
        let body = Decoded::new(body, negotiate::body_coding(&self.parts.headers)?);
        let query = self.parts.uri.query();
        let bindings = &self.matched.bindings;
        let resumed = headers::last_event_id(&self.parts.headers, route);
        let mut woven =
            Woven::new(&engine.plans, route, bindings, query, resumed, &engine.parse, &engine.limits)?;
        let selection = woven.selection.take();
        let params;
        let (body, fault) = if !route.rpc.is_client_streaming() || route.body == BodyRule::No {
            let frame = self.frame(&woven, body).await?;
            params = self.matched.params(|| Ok(&frame))?;
            (tonic::body::Body::new(Full::new(engine.pack(frame))), None)
        } else if route.raw_body {
            params = self.matched.params(|| woven.frame(0, |_| Ok(())))?;
            let upload = raw::Upload::new(engine.clone(), route.clone(), woven, body, self.content_type());
            let fault = upload.fault();
            (tonic::body::Body::new(upload), Some(fault))
        } else {
            params = self.matched.params(|| woven.frame(0, |_| Ok(())))?;
            let lines = negotiate::upload(&self.parts.headers, body.is_end_stream())?;
            let upload = upload::Upload::new(engine.clone(), route.clone(), woven, body, lines);
            let fault = upload.fault();
            (tonic::body::Body::new(upload), Some(fault))
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = http::Uri::from(route.grpc_path.clone());
        *request.headers_mut() = headers::metadata(&self.parts.headers, engine, route);
        if let Some(params) = params {
            request.headers_mut().insert(routing::HEADER, params);
        }
        *request.extensions_mut() = self.parts.extensions.clone();
        let answer = upstream.oneshot(request).await;
        // A fault in what the client streams ends the call in many ways; the fault itself is what to tell.
        let told = |error| fault.as_ref().and_then(upload::Fault::take).unwrap_or(error);
        let response = answer.map_err(|error| told(Error::transport(error.into())))?;
        let (head, body) = response.into_parts();
        headers::check(&head).map_err(told)?;
        let frames = Frames::new(body, &head.headers, engine.limits.response_bytes)?;
        if route.rpc.is_server_streaming() {
            let response = stream::Stream {
                engine: engine.clone(),
                parts: self.parts.clone(),
                route: route.clone(),
                fault,
                frames,
                form,
                selection,
            };
            return response.respond(&head.headers).await;
        }
        self.unary(&head.headers, frames, selection.as_ref()).await.map_err(told)
    }

    fn content_type(&self) -> &[u8] {
        self.parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes)
    }

    /// The frame of a request that is one message.
    async fn frame<B>(&self, woven: &Woven, body: Decoded<B>) -> Result<Vec<u8>>
    where
        B: http_body::Body + Send + Unpin,
        B::Error: Into<BoxError>,
    {
        let route = &self.matched.route;
        let Engine { plans, parse, .. } = &**self.engine;
        let limits = self.engine.limits_of(self.parts);
        if body.is_end_stream() {
            return woven.json_frame(plans, route, b"", parse);
        }
        if route.raw_body {
            let bytes = read(body, &limits).await?;
            return woven.raw_frame(plans, route, &bytes, self.content_type());
        }
        let written = negotiate::written(&self.parts.headers);
        let takes_body = route.body != BodyRule::No;
        if takes_body && written == Written::Other && self.parts.headers.contains_key(header::CONTENT_TYPE) {
            return Err(negotiate::unsupported());
        }
        if let (Written::Multipart(boundary), true) = (&written, takes_body) {
            let form = form::multipart(woven, plans, route, body, boundary.clone(), parse, &limits);
            // Boxed: other calls need not have room for it.
            return Box::pin(form).await;
        }
        let bytes = read(body, &limits).await?;
        match written {
            Written::Form if takes_body => form::urlencoded(woven, plans, route, &bytes, parse, &limits),
            Written::Other if takes_body && !bytes.is_empty() => Err(negotiate::unsupported()),
            _ => woven.json_frame(plans, route, &bytes, parse),
        }
    }

    async fn unary(
        &self,
        initial: &HeaderMap,
        mut frames: Frames,
        selection: Option<&Selection>,
    ) -> Result<Response<Body>> {
        let (message, status) = frames.one(initial).await?;
        let (engine, route) = (self.engine, &self.matched.route);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = route.success;
        for metadata in [initial, &status] {
            headers::expose(engine, metadata, &mut response);
        }
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(response);
        }
        let (content_type, body) = if route.raw_response {
            body::raw(&engine.plans, route, &message)?
        } else {
            let mut json = Vec::with_capacity(engine.plans.room(route.output, message.len()));
            body::append_json(engine, route, selection, &message, &mut json)?;
            (HeaderValue::from_static("application/json"), json.into())
        };
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = Body::full(body);
        Ok(response)
    }
}

/// Reads a body that is one value, within the limit.
async fn read<B>(body: Decoded<B>, limits: &Limits) -> Result<Bytes>
where
    B: http_body::Body + Send + Unpin,
    B::Error: Into<BoxError>,
{
    let limit = limits.request_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::body_too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(bytes) => Ok(bytes.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Error::body_too_large(limit)),
        Err(error) => Err(Error::body_read(error)),
    }
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
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
