//! A tower service that fronts any gRPC service with HTTP and JSON, from descriptors alone (`google.api.http`).
//!
//! It is fast because it builds no messages: at start every message type is compiled into a [plan], and a call
//! runs plans over bytes, JSON to wire format and back, in one pass each. It is strict: unknown fields and parameters,
//! duplicate keys, collisions between path, query and body, overflow and bad UTF-8 are errors that say where. It passes
//! all JSON tests of Protobuf's own conformance runner, Required and Recommended (`docs/conformance.md`).
//!
//! ```ignore
//! let transcoder = Transcoder::builder(DescriptorPool::decode(descriptor_bytes)?)
//!     .services(["pkg.v1.Clients"])                       // default: all
//!     .extensions(Extensions { enum_spelling: Some("pkg.options.v1.json_name".into()), ..Default::default() })
//!     .print_options(PrintOptions { always_print_primitive_fields: true, ..Default::default() })
//!     .forward_headers(|name| name == "authorization")
//!     .expose_metadata(|name| name == "etag")
//!     .status_metadata(HeaderName::from_static("x-http-code"))
//!     .success_status(|rpc| if rpc.name().starts_with("Create") { StatusCode::CREATED } else { StatusCode::OK })
//!     .policy(|rpc| MethodPolicy { deprecation: going_away(rpc), ..MethodPolicy::default() })
//!     .error_renderer(MyRenderer)
//!     .build(grpc_service)?;                              // S: Service<Request<tonic::body::Body>> + Clone
//!
//! // As a tower service:
//! let response = transcoder.clone().oneshot(request).await?;
//!
//! // Or step by step, with work of one's own in between:
//! let matched = match transcoder.route(request.method(), request.uri().path()) {
//!     Ok(matched) => matched,                             // matched.rpc(), matched.template(), matched.bindings()
//!     Err(error) if request.method() == Method::OPTIONS => return transcoder.options(error),
//!     Err(error) => return transcoder.render(&ErrorContext::of(&parts), &error),
//! };
//! authorise(&request, matched.rpc())?;
//! let response = transcoder.call_matched(matched, request).await;
//! ```
//!
//! Rules may also come from a file ([`Builder::rules`]), and descriptors from the server itself (`reflection`, a feature of
//! this crate that is on by default). Both may change while calls run: [`Transcoder::replace`] gives a transcoder and all
//! its clones new descriptors and options. A loop that reads and swaps (whole in `examples/reload.rs`):
//!
//! ```ignore
//! loop {
//!     ticks.tick().await;
//!     match reflection::descriptors(channel.clone(), ["pkg.v1.Clients"]).await {
//!         // A builder that fails leaves what was there; calls under way end as they began.
//!         Ok(pool) => transcoder.replace(Transcoder::builder(pool))?,
//!         Err(error) => warn!(%error, "descriptors not read"),
//!     }
//! }
//! ```
//!
//! gRPC, gRPC-Web and Connect are served on the same port (see [`Protocols`]); [`Transcoder::route_head`] is the `route` that
//! knows them.
//!
//! Streams are served as WebSockets as well (`websocket`, a feature that is on by default; see `WebSocket`). Clients choose the fields of
//! an answer by `fields` ([`Builder::partial_responses`]); requests are held to `google.api.field_behavior` ([`FieldBehavior`]); tags,
//! deprecation, idempotency keys, rate limits and caching come from a [`MethodPolicy`] for each method; everything that comes is
//! bounded ([`Limits`], [`ParseOptions`]).
//!
//! What is served can be told, too: [`Transcoder::openapi`] gives an OpenAPI 3.1 document (`openapi`, a feature that is on by
//! default).
//!
//! The code, from the outside in: [`Transcoder`] (HTTP on one side, gRPC on the other), the request woven from path,
//! query and body, the [`router`] over [`template`]s, and the [`plan`]s over JSON and wire format.
//!
//! Architecture invariant: nothing here knows the product that it serves; what is particular (error shape, headers,
//! spellings, statuses) is given to the [`Builder`]. Descriptors are read at start and
//! at [`Transcoder::replace`], never by a call.

mod builder;
pub mod coding;
mod error;
mod escape;
pub mod framing;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod plan;
mod policy;
#[cfg(feature = "reflection")]
pub mod reflection;
mod render;
mod request;
pub mod router;
mod routing;
mod rule;
mod rules;
mod service;
pub mod template;

pub use builder::{Builder, Compression, Resume};
pub use coding::Coding;
pub use error::{BoxError, Error, FieldViolation, Kind, Location, Result, http_status};
pub use escape::{Slash, query_parameters};
pub use plan::{Extensions, FieldBehavior, ParseOptions, Plans, PrintOptions, UnknownFields};
pub use policy::{Deprecation, IdempotencyKey, Link, MethodPolicy, RateLimit, Relation};
pub use render::{Aip193, ErrorContext, ErrorRenderer, Problem, code_name};
pub use request::{BodyLimit, Limits};
pub use rule::BuildError;
#[cfg(feature = "websocket")]
pub use service::WebSocket;
pub use service::{
    Body, Matched, Protocol, Protocols, Transcoder, accepted_coding, compress, connect_timeout, has_tag,
    weak_tag,
};
