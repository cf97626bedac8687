//! The transcoder as a service: HTTP with JSON in front, gRPC behind.
//!
//! A call is three steps, and a caller may stand between them: [`Transcoder::route`] finds the method, so that it can
//! be authenticated, limited and authorised; [`Transcoder::call_matched`] makes the gRPC call and the answer; and
//! [`Transcoder::render`] answers what failed. The tower service does all three.

mod body;
mod frames;
mod headers;
mod negotiate;
mod stream;
mod upload;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use prost_reflect::MethodDescriptor;
use tower::{Service, ServiceExt as _};

pub use body::Body;

use crate::builder::{Builder, Engine};
use crate::error::{BoxError, Error, Kind, Result};
use crate::render::ErrorContext;
use crate::request::Woven;
use crate::router::Miss;
use crate::rule::{BodyRule, RoutePlan};
use frames::Frames;

/// A request that found its route.
#[derive(Debug, Clone)]
pub struct Matched {
    route: Arc<RoutePlan>,
    bindings: Vec<String>,
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
}

/// A tower service that answers HTTP requests with JSON by calling the gRPC service `S`. Cheap to clone.
pub struct Transcoder<S> {
    engine: Arc<Engine>,
    upstream: S,
}

impl<S: Clone> Clone for Transcoder<S> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), upstream: self.upstream.clone() }
    }
}

impl<S> std::fmt::Debug for Transcoder<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoder").field("routes", &self.engine.routes.len()).finish_non_exhaustive()
    }
}

impl Transcoder<()> {
    /// Starts a [`Builder`] from a descriptor pool.
    pub fn builder(pool: prost_reflect::DescriptorPool) -> Builder {
        Builder::new(pool)
    }
}

impl<S> Transcoder<S> {
    pub(crate) fn new(engine: Arc<Engine>, upstream: S) -> Self {
        Self { engine, upstream }
    }

    /// The same routes and plans before another service.
    pub fn with_upstream<T>(&self, upstream: T) -> Transcoder<T> {
        Transcoder { engine: self.engine.clone(), upstream }
    }

    /// Finds the route of a request; `path` is the URI's, still percent-encoded.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::MethodNotAllowed`] or, for a bad escape, [`Kind::Path`].
    pub fn route(&self, method: &Method, path: &str) -> Result<Matched> {
        match self.engine.router.find(method.as_str(), path) {
            Ok(found) => {
                Ok(Matched { route: self.engine.routes[found.route].clone(), bindings: found.bindings })
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

    /// Every route: HTTP method (or `*`), template, and the method that it leads to.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &str, &MethodDescriptor)> {
        let routes = self.engine.router.routes().iter().zip(&self.engine.routes);
        routes.map(|(route, plan)| (route.method.as_str(), route.text.as_str(), &plan.rpc))
    }

    /// The answer to a request that failed: what the renderer makes of it, and `Allow` for 405.
    pub fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        self.engine.render(context, error)
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
        let (engine, upstream) = (self.engine.clone(), self.upstream.clone());
        async move {
            let (parts, body) = request.into_parts();
            let parts = Arc::new(parts);
            let call = Call { engine: &engine, parts: &parts, matched: &matched };
            match call.run(upstream, body).await {
                Ok(response) if parts.method == Method::HEAD => body::without(response),
                Ok(response) => response,
                Err(error) => {
                    let route = &matched.route;
                    let context = ErrorContext {
                        template: Some(&route.template),
                        rpc: Some(&route.rpc),
                        ..ErrorContext::of(&parts)
                    };
                    engine.render(&context, &error)
                }
            }
        }
    }
}

impl Engine {
    fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Body> {
        let mut response = self.renderer.render(context, error);
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
        let query = self.parts.uri.query();
        let bindings = &self.matched.bindings;
        let woven = Woven::new(&engine.plans, route, bindings, query, &engine.parse, &engine.limits)?;
        let (body, fault) =
            if route.rpc.is_client_streaming() && route.body != BodyRule::No && !route.raw_body {
                let lines = negotiate::upload(&self.parts.headers, body.is_end_stream())?;
                let upload = upload::Upload::new(engine.clone(), route.clone(), woven, body, lines);
                let fault = upload.fault();
                (tonic::body::Body::new(upload), Some(fault))
            } else {
                let bytes = self.read(body).await?;
                let content_type =
                    self.parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
                let frame = woven.frame(&engine.plans, route, &bytes, content_type, &engine.parse)?;
                (tonic::body::Body::new(Full::new(Bytes::from(frame))), None)
            };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = http::Uri::from(route.grpc_path.clone());
        *request.headers_mut() = headers::metadata(&self.parts.headers, &engine.forward);
        *request.extensions_mut() = self.parts.extensions.clone();
        let answer = upstream.oneshot(request).await;
        // A fault in what the client streams ends the call in many ways; the fault itself is what to tell.
        let told = |error| fault.as_ref().and_then(upload::Fault::take).unwrap_or(error);
        let response = answer.map_err(|error| told(Error::transport(error.into())))?;
        let (head, body) = response.into_parts();
        headers::check(&head).map_err(told)?;
        let frames = Frames::new(body, engine.limits.response_bytes);
        if route.rpc.is_server_streaming() {
            let response = stream::Stream {
                engine: engine.clone(),
                parts: self.parts.clone(),
                route: route.clone(),
                fault,
                frames,
                form,
            };
            return Ok(response.respond(&head.headers));
        }
        self.unary(&head.headers, frames).await.map_err(told)
    }

    /// Reads a body that is one value, within the limit.
    async fn read<B>(&self, body: B) -> Result<Bytes>
    where
        B: http_body::Body + Send + Unpin,
        B::Error: Into<BoxError>,
    {
        let route = &self.matched.route;
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let json = route.raw_body || negotiate::is_json(&self.parts.headers);
        let declared = self.parts.headers.contains_key(header::CONTENT_TYPE);
        if !json && declared && route.body != BodyRule::No {
            return Err(negotiate::unsupported());
        }
        let limit = self.engine.limits.request_bytes;
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        let bytes = match Limited::new(body, limit).collect().await {
            Ok(bytes) => bytes.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large(limit)),
            Err(error) => {
                return Err(Error::boxed(Kind::BodyRead, "the body could not be read").with_source(error));
            }
        };
        if !bytes.is_empty() && !json && route.body != BodyRule::No {
            return Err(negotiate::unsupported());
        }
        Ok(bytes)
    }

    async fn unary(&self, initial: &HeaderMap, mut frames: Frames) -> Result<Response<Body>> {
        let message = poll_fn(|cx| frames.poll_message(cx)).await?;
        let more = match &message {
            Some(_) => poll_fn(|cx| frames.poll_message(cx)).await?,
            None => None,
        };
        let status = frames.status(initial)?;
        let (Some(message), None) = (message, more) else {
            return Err(Error::boxed(Kind::BadResponse, "the service did not answer with one message"));
        };
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
            let json = body::json(engine, route, &message, message.len() * 2 + 64)?;
            (HeaderValue::from_static("application/json"), json.into())
        };
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        *response.body_mut() = Body::full(body);
        Ok(response)
    }
}

fn too_large(limit: usize) -> Box<Error> {
    Error::boxed(Kind::BodyTooLarge, format!("the request body is larger than {limit} bytes"))
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
        let matched = self.route(request.method(), request.uri().path());
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
