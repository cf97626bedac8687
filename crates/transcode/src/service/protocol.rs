//! Which protocol a request speaks: told from its head alone, before anything is read.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use prost_reflect::ServiceDescriptor;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use tonic::Code;

use crate::builder::Engine;
use crate::error::{Error, Kind, Result};
use crate::plan::Plans;
use crate::rule::{BuildError, Choices, RoutePlan, rpc_route};

pub(super) const CONNECT_PROTOCOL_VERSION: &str = "connect-protocol-version";

/// What is served beside REST on the same port, for the methods of the served services, annotated or not.
///
/// A request's method, content type and path tell them apart:
/// - `POST` of `application/grpc` (with any `+` suffix but JSON's) goes to the service as it is, in gRPC's own framing. The service
///   bounds what it reads; [`Limits`](crate::Limits) do not apply.
/// - `POST` of `application/grpc+json` is translated message by message, within the limits: few services know more than Protobuf.
/// - `POST` of `application/grpc-web` or `application/grpc-web-text`, of Protobuf or `+json`, goes the same two ways, through
///   `tonic_web`'s layer.
/// - `POST` of `application/connect+json` or `application/connect+proto` is a stream of Connect.
/// - Everything else at `/pkg.Service/Method` is a unary call of Connect: `POST` of JSON or Protobuf, or `GET` of a method
///   without side effects. If a REST route has exactly that path, word for word, the request is REST's, unless it says
///   `Connect-Protocol-Version` (or `connect` in the query, for `GET`). Routes with variables or wildcards never take a
///   request from Connect: literals win, as they do between routes.
///
/// Connect reads and writes JSON with the transcoder's own [`ParseOptions`](crate::ParseOptions) and
/// [`PrintOptions`](crate::PrintOptions): one API has one JSON. Unknown fields are thus errors by default. Clients that may be
/// newer than the service, as generated ones may be, want [`UnknownFields::Ignore`](crate::UnknownFields::Ignore), or send
/// Protobuf, whose unknown fields go through.
///
/// A call of REST, Connect or WebSocket with a `grpc-timeout` or `Connect-Timeout-Ms` is given up when that time is over, and the call
/// behind it with it, also within a stream. Until the answer begins that is for the service behind, or the channel to it, as
/// `tonic`'s is. Clients of gRPC and gRPC-Web watch their own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "one switch for each")]
pub struct Protocols {
    /// gRPC, over HTTP/2.
    pub grpc: bool,
    /// gRPC-Web, binary and text. CORS, where browsers need it, is for a layer above.
    pub grpc_web: bool,
    /// Connect (<https://connectrpc.com/docs/protocol>), unary and streaming.
    pub connect: bool,
    /// [`WebSocket`](crate::WebSocket), for the streams among the HTTP rules; with the feature `websocket`.
    pub websocket: bool,
}

impl Default for Protocols {
    fn default() -> Self {
        Self { grpc: true, grpc_web: true, connect: true, websocket: true }
    }
}

impl Protocols {
    /// REST alone.
    pub const NONE: Self = Self { grpc: false, grpc_web: false, connect: false, websocket: false };
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP and JSON by the HTTP rules.
    Rest,
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// Connect.
    Connect,
    /// WebSocket, to a stream among the HTTP rules.
    WebSocket,
}

/// The methods by their gRPC paths.
pub(crate) struct Rpcs(HashMap<String, Rpc>);

struct Rpc {
    route: Arc<RoutePlan>,
    /// It may be called with GET.
    gettable: bool,
}

impl Rpcs {
    pub(crate) fn new(
        services: &[ServiceDescriptor],
        choices: &Choices,
        plans: &Plans,
    ) -> std::result::Result<Self, BuildError> {
        let mut rpcs = HashMap::new();
        for rpc in services.iter().flat_map(ServiceDescriptor::methods) {
            let route = Arc::new(rpc_route(&rpc, choices, plans)?);
            let options = rpc.method_descriptor_proto().options.as_ref();
            let safe = options.is_some_and(|o| o.idempotency_level() == IdempotencyLevel::NoSideEffects);
            let gettable = safe && !rpc.is_client_streaming() && !rpc.is_server_streaming();
            rpcs.insert(route.grpc_path.path().to_owned(), Rpc { route, gettable });
        }
        Ok(Self(rpcs))
    }
}

impl Engine {
    pub(super) fn protocol(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Protocol {
        let Protocols { grpc, grpc_web, connect, websocket } = self.protocols;
        #[cfg(feature = "websocket")]
        if websocket && super::websocket::is_handshake(method, uri, headers) {
            return Protocol::WebSocket;
        }
        #[cfg(not(feature = "websocket"))]
        let _ = websocket;
        if *method == Method::POST {
            let essence = essence(headers, &header::CONTENT_TYPE);
            if let Some(rest) = strip(essence, "application/grpc") {
                if grpc && (rest.is_empty() || rest.starts_with('+')) {
                    return Protocol::Grpc;
                }
                if grpc_web && web_type(rest).is_some() {
                    return Protocol::GrpcWeb;
                }
            } else if connect && strip(essence, "application/connect+").is_some() {
                return Protocol::Connect;
            }
        }
        if connect && self.is_connect(method, uri, headers) { Protocol::Connect } else { Protocol::Rest }
    }

    fn is_connect(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        let path = uri.path();
        let found = || self.router.find(method.as_str(), path).ok();
        let versioned = headers.contains_key(CONNECT_PROTOCOL_VERSION);
        if !self.rpcs.0.contains_key(path) {
            return versioned && *method == Method::POST && found().is_none();
        }
        let query = uri.query().unwrap_or_default();
        let marked = if is_get(method) {
            query.split('&').any(|parameter| parameter.starts_with("connect="))
        } else {
            versioned
        };
        marked || found().is_none_or(|found| self.routes[found.route].template != path)
    }

    /// The method of a gRPC path, if the protocol has it for this HTTP method.
    pub(super) fn rpc(&self, protocol: Protocol, method: &Method, path: &str) -> Result<Arc<RoutePlan>> {
        let Some(rpc) = self.rpcs.0.get(path) else {
            let mut error = Error::boxed(Kind::NotFound, "no such method");
            error.code = Code::Unimplemented;
            return Err(error);
        };
        if protocol == Protocol::Connect && *method != Method::POST && !(rpc.gettable && is_get(method)) {
            let mut error = Error::boxed(Kind::MethodNotAllowed, "the path does not know this method");
            error.allow = if rpc.gettable { &["GET", "HEAD", "POST"][..] } else { &["POST"] }
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
            return Err(error);
        }
        Ok(rpc.route.clone())
    }
}

pub(super) fn is_get(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// A media type without parameters, in whatever case; empty if there is none.
fn essence<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let text = headers.get(name).map(HeaderValue::to_str);
    let text = text.and_then(std::result::Result::ok).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// What follows a prefix in any case.
fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether the messages of gRPC or gRPC-Web are JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let codec = essence(headers, &header::CONTENT_TYPE).rsplit_once('+');
    codec.is_some_and(|(_, codec)| codec.eq_ignore_ascii_case("json"))
}

/// gRPC-Web's media type in a header as `tonic_web` knows it: without parameters, in lower case, of Protobuf.
pub(super) fn grpc_web_type(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    strip(essence(headers, name), "application/grpc").and_then(web_type).map(HeaderValue::from_static)
}

fn web_type(suffix: &str) -> Option<&'static str> {
    let (form, codec) = suffix.split_once('+').unwrap_or((suffix, "proto"));
    let known = codec.eq_ignore_ascii_case("proto") || codec.eq_ignore_ascii_case("json");
    match form {
        _ if !known => None,
        form if form.eq_ignore_ascii_case("-web") => Some("application/grpc-web+proto"),
        form if form.eq_ignore_ascii_case("-web-text") => Some("application/grpc-web-text+proto"),
        _ => None,
    }
}

/// The type of an answer of gRPC-Web whose messages are JSON.
pub(super) fn in_json(content_type: &HeaderValue) -> HeaderValue {
    HeaderValue::from_static(match content_type.as_bytes() {
        b"application/grpc-web-text+proto" => "application/grpc-web-text+json",
        _ => "application/grpc-web+json",
    })
}
