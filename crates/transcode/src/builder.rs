//! How a transcoder is put together: descriptors and choices in, routes and plans out.

use std::sync::Arc;

use http::{HeaderName, StatusCode};
use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};

use crate::coding::Coding;
use crate::escape::Slash;
use crate::plan::{Extensions, FieldBehavior, ParseOptions, Plans, PrintOptions};
use crate::policy::MethodPolicy;
use crate::render::{Aip193, ErrorRenderer};
use crate::request::Limits;
use crate::router::Router;
use crate::rule::{BuildError, Choices, RoutePlan, add_service};
#[cfg(feature = "websocket")]
use crate::service::WebSocket;
use crate::service::{Protocols, Rpcs, Transcoder};

pub(crate) type HeaderPredicate = Box<dyn Fn(&HeaderName) -> bool + Send + Sync>;

/// What is sent compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Answers of text from so many bytes on, in the coding that the client's `Accept-Encoding` likes best; streams at any
    /// size, each message as it comes. 1 KiB; `None`: never.
    pub answers_from: Option<usize>,
    /// Messages to the service, if they are of some size and it pays. None by default: the service is near.
    pub messages: Option<Coding>,
}

impl Default for Compression {
    fn default() -> Self {
        Self { answers_from: Some(1 << 10), messages: None }
    }
}

/// How a stream of server-sent events goes on after it broke off: events carry an id, a browser that connects again sends
/// the last one as `Last-Event-ID`, and the service gets it in its request (<https://html.spec.whatwg.org/#server-sent-events>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The field of the response message, a string or an integer, that is the event's id; an event without it has none.
    pub event_id: String,
    /// The field of the request message that gets `Last-Event-ID`, as a query parameter of that name would set it.
    pub resume_from: String,
}

/// Everything about a transcoder but the service behind it.
pub(crate) struct Engine {
    pub(crate) plans: Plans,
    pub(crate) router: Router,
    /// By the router's index.
    pub(crate) routes: Vec<Arc<RoutePlan>>,
    pub(crate) parse: ParseOptions,
    pub(crate) print: PrintOptions,
    pub(crate) limits: Limits,
    pub(crate) compression: Compression,
    pub(crate) protocols: Protocols,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: WebSocket,
    /// What gRPC, gRPC-Web and Connect ask for.
    pub(crate) rpcs: Rpcs,
    pub(crate) forward: HeaderPredicate,
    /// The user chose no headers: those protocols forward all metadata.
    pub(crate) forward_all: bool,
    pub(crate) expose: HeaderPredicate,
    pub(crate) status_metadata: Option<HeaderName>,
    pub(crate) renderer: Box<dyn ErrorRenderer>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}

/// Builds a [`Transcoder`]. Every choice has a default; see the methods.
#[must_use]
pub struct Builder {
    pool: DescriptorPool,
    services: Option<Vec<String>>,
    choices: Choices,
    extensions: Extensions,
    slash: Slash,
    parse: ParseOptions,
    print: PrintOptions,
    limits: Limits,
    compression: Compression,
    protocols: Protocols,
    #[cfg(feature = "websocket")]
    websocket: WebSocket,
    forward: Option<HeaderPredicate>,
    expose: HeaderPredicate,
    status_metadata: Option<HeaderName>,
    renderer: Box<dyn ErrorRenderer>,
}

impl Builder {
    /// Starts from a pool, decoded from the compiler's own bytes so that options are in it.
    pub fn new(pool: DescriptorPool) -> Self {
        Self {
            pool,
            services: None,
            choices: Choices::default(),
            extensions: Extensions::default(),
            slash: Slash::default(),
            parse: ParseOptions::default(),
            print: PrintOptions::default(),
            limits: Limits::default(),
            compression: Compression::default(),
            protocols: Protocols::default(),
            #[cfg(feature = "websocket")]
            websocket: WebSocket::default(),
            forward: None,
            expose: Box::new(exposed_by_default),
            status_metadata: None,
            renderer: Box::new(Aip193),
        }
    }

    /// Starts from an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// Bytes that are no such set, and files that refer to what is missing.
    pub fn from_descriptor_set(bytes: &[u8]) -> Result<Self, BuildError> {
        Ok(Self::new(DescriptorPool::decode(bytes)?))
    }

    /// Serves these services only, by their full names. Default: every service of the pool.
    pub fn services(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.services = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Reads HTTP rules from a `google.api.Service` document, in YAML or JSON. The last rule that selects a method is
    /// the one it has, and its annotation does not count. `fully_decode_reserved_expansion` is
    /// [`slash(Slash::Decode)`](Self::slash). May be called again, for more rules.
    ///
    /// ```yaml
    /// type: google.api.Service
    /// http:
    ///   rules:
    ///   - selector: pkg.Library.GetBook
    ///     get: /v1/{name=shelves/*/books/*}
    ///   - selector: pkg.Library.CreateBook
    ///     post: /v1/{parent=shelves/*}/books
    ///     body: book
    ///     additional_bindings:
    ///     - put: /v1/{parent=shelves/*}/books/{book.id}
    ///       body: "*"
    /// ```
    ///
    /// # Errors
    /// What is no such document, or no rule, by line or selector. That a selector names a method and that the rule
    /// fits it is checked by [`build`](Self::build).
    pub fn rules(mut self, document: &str) -> Result<Self, BuildError> {
        if let Some(slash) = self.choices.rules.add(document)? {
            self.slash = slash;
        }
        Ok(self)
    }

    /// Serves methods without an HTTP rule at `POST /pkg.Service/Method`, body `*`. Default: no.
    pub fn unannotated(mut self, on: bool) -> Self {
        self.choices.unannotated = on;
        self
    }

    /// Puts query parameters that name no field into this field of the request message, by its proto name: a
    /// `map<string, string>` (a parameter given twice is an error), a `map<string, M>` where `M` is one repeated string,
    /// or a message that holds one such map and nothing else. No other parameter sets that field. Where a message lacks
    /// the field, or path or body set it, unknown parameters are treated as [`ParseOptions::unknown_fields`] says; so they
    /// are with `body: "*"`, which leaves nothing to the query. Default: none.
    pub fn capture_parameters(mut self, field: impl Into<String>) -> Self {
        self.choices.capture = Some(field.into());
        self
    }

    /// Lets clients ask for a part of an answer by the query parameter `fields`, or `$fields` where the request has a field of that
    /// name: `fields=name,author.name`, `fields=books(name,author/name),next_page_token` (AIP-157). Default: yes.
    pub fn partial_responses(mut self, on: bool) -> Self {
        self.choices.partial = on;
        self
    }

    /// What of `google.api.field_behavior` is held against requests of REST. Default: all of it.
    pub fn field_behavior(mut self, behavior: FieldBehavior) -> Self {
        self.choices.behavior = behavior;
        self
    }

    /// The descriptor extensions that change JSON. Default: none.
    pub fn extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        self
    }

    /// What becomes of `%2F` in variables that span several segments. Default: it is kept.
    pub fn slash(mut self, slash: Slash) -> Self {
        self.slash = slash;
        self
    }

    /// How JSON and query parameters are read. Default: strictly.
    pub fn parse_options(mut self, options: ParseOptions) -> Self {
        self.parse = options;
        self
    }

    /// How JSON is written. Default: as proto3 JSON says.
    pub fn print_options(mut self, options: PrintOptions) -> Self {
        self.print = options;
        self
    }

    /// Bounds on requests and responses.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is sent compressed. What comes compressed is always understood: bodies by `Content-Encoding`, messages by
    /// `grpc-encoding`, in gzip, brotli and zstd.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// What is served beside REST. Default: everything.
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    /// How WebSockets are served. Default: to pages of the host itself, and to what is no browser.
    #[cfg(feature = "websocket")]
    pub fn websocket(mut self, websocket: WebSocket) -> Self {
        self.websocket = websocket;
        self
    }

    /// Which request headers go to the service as metadata. Default: `authorization`, `traceparent`, `tracestate`,
    /// `x-request-id`, `grpc-timeout`; where the client speaks gRPC, gRPC-Web or Connect, whose headers are metadata by
    /// themselves, all. What is chosen here holds for every protocol. Headers of the connection and of gRPC's own framing
    /// never go.
    pub fn forward_headers(mut self, forward: impl Fn(&HeaderName) -> bool + Send + Sync + 'static) -> Self {
        self.forward = Some(Box::new(forward));
        self
    }

    /// Which metadata of a successful response (initial and trailing) become response headers of REST. Default: `etag`,
    /// `location`, `ratelimit` and `ratelimit-policy`. The other protocols have a place of their own for all of it.
    pub fn expose_metadata(mut self, expose: impl Fn(&HeaderName) -> bool + Send + Sync + 'static) -> Self {
        self.expose = Box::new(expose);
        self
    }

    /// The metadata key by which a service chooses the HTTP status (200 to 399) of a success. Default: none.
    pub fn status_metadata(mut self, name: HeaderName) -> Self {
        self.status_metadata = Some(name);
        self
    }

    /// The HTTP status of a method's success, asked once a method at [`build`](Self::build). An answer with 204 has no
    /// body. Default: 200.
    pub fn success_status(mut self, status: impl Fn(&MethodDescriptor) -> StatusCode + 'static) -> Self {
        self.choices.success = Box::new(status);
        self
    }

    /// How a method's streams of server-sent events go on after they broke off, asked once a method at
    /// [`build`](Self::build). Default: not at all.
    pub fn resume(mut self, resume: impl Fn(&MethodDescriptor) -> Option<Resume> + 'static) -> Self {
        self.choices.resume = Box::new(resume);
        self
    }

    /// What answers of a method say beside its messages, and what its requests must: `Deprecation`, `Sunset`, `Idempotency-Key`,
    /// `RateLimit-Policy`, `Cache-Control`, `ETag`. Asked once a method at [`build`](Self::build) and at
    /// [`Transcoder::replace`]; it may read the method's options, standard ones and extensions. Default:
    /// [`MethodPolicy::default`].
    ///
    /// ```ignore
    /// builder.policy(|rpc| {
    ///     let options = rpc.method_descriptor_proto().options.clone().unwrap_or_default();
    ///     let deprecation = options.deprecated().then(|| Deprecation {
    ///         since: UNIX_EPOCH + Duration::from_secs(1_793_491_200),
    ///         sunset: None,
    ///         links: vec![Link { target: "/v2/books/{id}".into(), relation: Relation::Successor }],
    ///     });
    ///     MethodPolicy { deprecation, ..MethodPolicy::default() }
    /// })
    /// ```
    pub fn policy(mut self, policy: impl Fn(&MethodDescriptor) -> MethodPolicy + 'static) -> Self {
        self.choices.policy = Box::new(policy);
        self
    }

    /// Sends the service `x-goog-request-params`, by which Google's proxies route
    /// (<https://google.aip.dev/client-libraries/4222>): the fields that the method's `google.api.routing` rule names, otherwise
    /// all that the path binds. It takes the place of what a client sends. Calls of Connect have no path that binds: there it is
    /// the string fields that the method's first HTTP rule would bind. What streams to the service is not read for it: there it is
    /// made of path and query. Calls of gRPC and gRPC-Web are as their clients make them. Default: no, for it is of use to services
    /// that stand behind such a proxy, and tells it what is in the request.
    pub fn routing_headers(mut self, on: bool) -> Self {
        self.choices.routing = on;
        self
    }

    /// Who makes the answers to calls that failed. Default: [`Aip193`].
    pub fn error_renderer(mut self, renderer: impl ErrorRenderer) -> Self {
        self.renderer = Box::new(renderer);
        self
    }

    /// Compiles routes and plans for `upstream`.
    ///
    /// # Errors
    /// The first rule, template or extension that does not fit, by name.
    pub fn build<S>(self, upstream: S) -> Result<Transcoder<S>, BuildError> {
        Ok(Transcoder::new(self.engine()?, upstream))
    }

    /// Everything but the service behind it.
    pub(crate) fn engine(mut self) -> Result<Engine, BuildError> {
        #[cfg(feature = "websocket")]
        if let Some(origin) = self.websocket.no_origin() {
            return Err(BuildError::Origin { origin: origin.clone() });
        }
        let plans = Plans::new(&self.pool, &self.extensions)?;
        let services = match &self.services {
            None => self.pool.services().collect::<Vec<_>>(),
            Some(names) => {
                let find = |name: &String| {
                    let no = || BuildError::NoService { name: name.clone() };
                    self.pool.get_service_by_name(name).ok_or_else(no)
                };
                names.iter().map(find).collect::<Result<_, _>>()?
            }
        };
        self.choices.decide(&services)?;
        let methods = services.iter().flat_map(ServiceDescriptor::methods);
        self.choices.rules.check(&methods.map(|rpc| rpc.full_name().to_owned()).collect::<Vec<_>>())?;
        let mut router = Router::new(self.slash);
        let mut routes = Vec::new();
        for service in &services {
            add_service(service, &self.choices, &plans, &mut router, &mut routes)?;
        }
        let rpcs = Rpcs::new(&services, &self.choices, &plans)?;
        Ok(Engine {
            plans,
            router,
            routes,
            parse: self.parse,
            print: self.print,
            limits: self.limits,
            compression: self.compression,
            protocols: self.protocols,
            #[cfg(feature = "websocket")]
            websocket: self.websocket,
            rpcs,
            forward_all: self.forward.is_none(),
            forward: self.forward.unwrap_or_else(|| Box::new(forwarded_by_default)),
            expose: self.expose,
            status_metadata: self.status_metadata,
            renderer: self.renderer,
        })
    }
}

/// The metadata that becomes headers by default.
fn exposed_by_default(name: &HeaderName) -> bool {
    matches!(name.as_str(), "etag" | "location" | "ratelimit" | "ratelimit-policy")
}

/// The headers that go to the service by default.
pub(crate) fn forwarded_by_default(name: &HeaderName) -> bool {
    matches!(name.as_str(), "authorization" | "traceparent" | "tracestate" | "x-request-id" | "grpc-timeout")
}
