//! The edge as a whole: what it is made of, and the service that answers requests.

use crate::budget::Budget;
use crate::config::{self, Config};
use crate::contract;
use crate::cors::Cors;
use crate::exchange::{Exchange, shielded};
use crate::leftover;
use crate::limiter::{RateLimiter, SlidingWindow};
use crate::peer::Peer;
use crate::pipeline;
use crate::portal::Portal;
use crate::public::Public;
use crate::routes::Routes;
use crate::stall::Lingers;
use crate::translate::Renderer;
use authn::{Jwks, Verifier};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header};
use policy::Policy;
use prost_reflect::DescriptorPool;
use riskmesh_core::Clock;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use telemetry::{Metrics, RequestLog, TraceContext, trace};
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _};
use tracing::Instrument as _;
use transcode::{BoxError, Compression, Limits, Protocols, Transcoder};

/// What stands behind the edge: any gRPC service, chosen by path. Make one with [`upstream`].
pub type Upstream = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// An [`Upstream`] from any gRPC service: the mesh's dispatcher, tonic's `Routes`, a channel.
pub fn upstream<S>(service: S) -> Upstream
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    BoxCloneSyncService::new(service.map_err(Into::into))
}

/// What the edge works with.
pub struct Deps {
    /// Where calls go: it gets `POST /pkg.Service/Method` with the caller's token, `traceparent`, `x-request-id` and `grpc-timeout`.
    pub upstream: Upstream,
    /// gRPC services that anybody may call, without a token: reflection on the sandbox, health.
    pub public: Public,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// Says who may call which method.
    pub policy: Arc<Policy>,
    /// The public keys to show at `/.well-known/jwks.json`.
    pub jwks: Jwks,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Where requests are written down.
    pub request_log: RequestLog,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Why an edge cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be.
    #[error(transparent)]
    Config(#[from] config::Invalid),
    /// The contract's descriptors do not decode: a defect of the build.
    #[error("decode the contract")]
    Contract(#[from] prost_reflect::DescriptorError),
    /// The transcoder refuses the contract: a defect of the build.
    #[error("build the transcoder")]
    Transcoder(#[from] transcode::BuildError),
    /// The machine does not give the socket.
    #[error("serve on {address}")]
    Serve {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Answers from this size on are compressed for those who take that.
pub(crate) const COMPRESS_FROM: usize = 1 << 10;

/// Everything that requests share.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) budget: Budget,
    pub(crate) upstream: Upstream,
    pub(crate) transcoder: Transcoder<Upstream>,
    pub(crate) routes: Routes,
    pub(crate) portal: Portal,
    pub(crate) public: Public,
    pub(crate) cors: Cors,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) limiter: Arc<dyn RateLimiter>,
    pub(crate) metrics: Metrics,
    pub(crate) request_log: RequestLog,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The HTTP front; clones share everything.
#[derive(Clone)]
pub struct Edge {
    pub(crate) core: Arc<Core>,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("listen", &self.core.config.listen).finish_non_exhaustive()
    }
}

impl Edge {
    /// Builds the edge with a [`SlidingWindow`] of this process for quotas: checks the configuration, compiles the contract, writes
    /// the OpenAPI documents.
    pub fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        let limiter = SlidingWindow::new(config.rate_limit_per_minute, Arc::clone(&deps.clock));
        Self::with_limiter(config, deps, Arc::new(limiter))
    }

    /// The same with quotas that are counted elsewhere.
    pub fn with_limiter(config: Config, deps: Deps, limiter: Arc<dyn RateLimiter>) -> Result<Self, Error> {
        config.check()?;
        let pool = DescriptorPool::decode(api::DESCRIPTOR_SET)?;
        let transcoder = contract::builder(pool)
            .limits(Limits {
                // The edge guards bodies by method; this is the bound of all.
                request_bytes: config.message_bytes(),
                ..Limits::default()
            })
            // gRPC and gRPC-Web do not come this way; no method of the contract is a stream to browsers.
            .protocols(Protocols { connect: true, ..Protocols::NONE })
            .compression(Compression { answers_from: Some(COMPRESS_FROM), ..Compression::default() })
            .forward_headers(pipeline::is_forwarded)
            .error_renderer(Renderer { clock: Arc::clone(&deps.clock) })
            .build(deps.upstream.clone())?;
        let core = Core {
            routes: Routes::new(&transcoder.bindings(), &config),
            portal: Portal::new(&transcoder, &deps.jwks),
            cors: Cors::new(&config.cors_origins),
            budget: Budget::new(config.in_flight_bytes, &deps.metrics),
            upstream: deps.upstream,
            transcoder,
            public: deps.public,
            verifier: deps.verifier,
            policy: deps.policy,
            limiter,
            metrics: deps.metrics,
            request_log: deps.request_log,
            clock: deps.clock,
            config,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// The edge without a socket.
    pub fn service(&self) -> EdgeService {
        EdgeService { core: Arc::clone(&self.core), connection: None }
    }
}

/// Answers requests of REST, gRPC, gRPC-Web and Connect; always ready, never fails.
#[derive(Clone)]
pub struct EdgeService {
    core: Arc<Core>,
    /// The connection, where there is a socket.
    connection: Option<Connection>,
}

/// What is known of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Who is at the other end.
    pub(crate) peer: Option<Peer>,
    /// Who is still sending when his answer goes.
    pub(crate) lingers: Lingers,
}

impl EdgeService {
    /// The service on a connection.
    pub(crate) fn on(self, connection: Connection) -> Self {
        Self { connection: Some(connection), ..self }
    }
}

impl fmt::Debug for EdgeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EdgeService(…)")
    }
}

impl<B> Service<Request<B>> for EdgeService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = request.map(Body::new);
        if let Some(peer) = self.connection.as_ref().and_then(|connection| connection.peer) {
            request.extensions_mut().insert(peer);
        }
        let Self { core, connection } = self.clone();
        Box::pin(async move {
            let (request, leftover) = leftover::lend(request);
            let Ok(mut response) = translated(core, request).await;
            if let Some(leftover) = leftover
                && !leftover.read_off().await
            {
                // What is not read of this request stands where the next one would begin.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                if let Some(connection) = &connection {
                    connection.lingers.set();
                }
            }
            Ok(response)
        })
    }
}

/// In the extensions of a request that is gRPC for us, and gRPC-Web for its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcWeb;

/// Answers gRPC-Web as gRPC: what lies between does not know the difference.
async fn translated(core: Arc<Core>, mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let Some(content_type) = grpc_web_type(&request) else { return answer(core, request).await };
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    request.extensions_mut().insert(GrpcWeb);
    let service = tower::service_fn(move |request| answer(Arc::clone(&core), request));
    tonic_web::GrpcWebLayer::new().layer(service).oneshot(request).await
}

async fn answer(core: Arc<Core>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let span = tracing::info_span!("request", otel.kind = "server", http.route = tracing::field::Empty);
    let trace = trace::open(&span, TraceContext::extract(request.headers()).as_ref());
    let mut exchange = Exchange::open(Arc::clone(&core), &request, trace.clone());
    let run = shielded(pipeline::run(&core, &mut exchange, request));
    let outcome = trace::scope(trace, run.instrument(span.clone())).await;
    span.record("http.route", exchange.name());
    let response = outcome.unwrap_or_else(|failure| exchange.fail(&failure));
    Ok(exchange.answer(response))
}

/// The content type of gRPC-Web that a request has, in whatever case and with whatever parameters.
fn grpc_web_type(request: &Request<Body>) -> Option<&'static str> {
    const TYPES: [&str; 4] = [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
    ];
    let text = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    let known = TYPES.into_iter().find(|name| name.eq_ignore_ascii_case(essence));
    known.filter(|_| request.method() == http::Method::POST)
}
