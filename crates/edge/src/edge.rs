//! The edge as a whole: what it is made of, and the service that answers requests.

use crate::config::{self, Config};
use crate::contract;
use crate::cors::Cors;
use crate::exchange::{Exchange, shielded};
use crate::limiter::{RateLimiter, SlidingWindow};
use crate::peer::Peer;
use crate::pipeline;
use crate::portal::Portal;
use crate::public::Public;
use crate::routes::Routes;
use crate::translate::Renderer;
use authn::{Jwks, Verifier};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
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

/// Everything that requests share.
pub(crate) struct Core {
    pub(crate) config: Config,
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
                request_bytes: config.batch_body_bytes.max(config.body_bytes),
                ..Limits::default()
            })
            // gRPC and gRPC-Web do not come this way; no method of the contract is a stream to browsers.
            .protocols(Protocols { connect: true, ..Protocols::NONE })
            // Locations are made from the answer as it is; after that it is compressed.
            .compression(Compression { answers_from: None, ..Compression::default() })
            .forward_headers(pipeline::is_forwarded)
            .error_renderer(Renderer { clock: Arc::clone(&deps.clock) })
            .build(deps.upstream.clone())?;
        let core = Core {
            routes: Routes::new(&transcoder.bindings(), &config),
            portal: Portal::new(&transcoder, &deps.jwks),
            cors: Cors::new(&config.cors_origins),
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
        EdgeService { core: Arc::clone(&self.core), peer: None }
    }
}

/// Answers requests of REST, gRPC, gRPC-Web and Connect; always ready, never fails.
#[derive(Clone)]
pub struct EdgeService {
    core: Arc<Core>,
    /// Who is at the other end, where there is a socket.
    peer: Option<Peer>,
}

impl EdgeService {
    /// The service on a connection.
    pub(crate) fn for_peer(self, peer: Option<Peer>) -> Self {
        Self { peer, ..self }
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
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let core = Arc::clone(&self.core);
        if is_grpc_web(&request) {
            // Translates to gRPC and back; what lies between does not know the difference.
            let service = tower::service_fn(move |request| answer(Arc::clone(&core), request));
            return Box::pin(tonic_web::GrpcWebLayer::new().layer(service).oneshot(request));
        }
        Box::pin(answer(core, request))
    }
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

/// POST with one of gRPC-Web's four content types.
fn is_grpc_web(request: &Request<Body>) -> bool {
    let content_type = request.headers().get(http::header::CONTENT_TYPE).and_then(|text| text.to_str().ok());
    let kind = content_type.and_then(|text| text.strip_prefix("application/grpc-web"));
    request.method() == http::Method::POST && matches!(kind, Some("" | "+proto" | "-text" | "-text+proto"))
}
