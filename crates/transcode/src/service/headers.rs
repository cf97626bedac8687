//! Headers: which go to the service, which come back, and what they say about the call.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response};
use tonic::Code;

use super::{Body, status};
use crate::builder::Engine;
use crate::error::{Error, Kind, Result};
use crate::policy::IDEMPOTENCY_KEY;
use crate::rule::RoutePlan;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Headers that belong to one connection, to HTTP's framing or to gRPC's own: they never go through, whatever a
/// predicate says.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    let text = name.as_str();
    text.starts_with("content-")
        || text.starts_with("grpc-") && text != "grpc-timeout"
        || text.starts_with("proxy-")
        || text.starts_with("sec-websocket-")
        || matches!(
            text,
            "connection"
                | "keep-alive"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
                | "host"
                | "accept"
                | "accept-encoding"
                | "expect"
        )
}

/// The request metadata: gRPC's own headers and those of the client's that may pass.
pub(super) fn metadata(client: &HeaderMap, engine: &Engine, route: &RoutePlan) -> HeaderMap {
    let mut metadata = HeaderMap::with_capacity(8);
    metadata.insert(header::TE, HeaderValue::from_static("trailers"));
    metadata.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    metadata.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,zstd,br,gzip"));
    if let Some(coding) = engine.compression.messages {
        metadata.insert(GRPC_ENCODING, HeaderValue::from_static(coding.name()));
    }
    add(client, &mut metadata, |name| !is_framing(name) && ((engine.forward)(name) || is_key(name, route)));
    metadata
}

/// The metadata of a call that Connect makes.
pub(super) fn connect_metadata(client: &HeaderMap, engine: &Engine, route: &RoutePlan) -> HeaderMap {
    let mut metadata = metadata(&HeaderMap::new(), engine, route);
    add(client, &mut metadata, |name| {
        let own = name.as_str().starts_with("connect-");
        !own && !is_framing(name) && (engine.forward_all || (engine.forward)(name) || is_key(name, route))
    });
    metadata
}

/// The metadata of a call of gRPC whose messages are translated.
pub(super) fn json_metadata(client: &HeaderMap, engine: &Engine, route: &RoutePlan) -> HeaderMap {
    let mut metadata = connect_metadata(client, engine, route);
    for name in [GRPC_TIMEOUT, header::USER_AGENT] {
        if let Some(value) = client.get(&name) {
            metadata.insert(name, value.clone());
        }
    }
    metadata
}

/// The headers of a call that is gRPC already: its own, and the metadata that may pass.
pub(super) fn grpc_headers(client: &HeaderMap, engine: &Engine, route: &RoutePlan) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(client.keys_len());
    add(client, &mut headers, |name| {
        let own = name.as_str().starts_with("grpc-")
            || matches!(*name, header::CONTENT_TYPE | header::TE | header::USER_AGENT);
        own || !is_framing(name) && (engine.forward_all || (engine.forward)(name) || is_key(name, route))
    });
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers
}

/// Whether a header is the key that the method takes.
fn is_key(name: &HeaderName, route: &RoutePlan) -> bool {
    route.policy.takes_key() && *name == IDEMPOTENCY_KEY
}

fn add(client: &HeaderMap, metadata: &mut HeaderMap, passes: impl Fn(&HeaderName) -> bool) {
    // What `Connection` names belongs to the connection (RFC 9110, section 7.6.1).
    let passes = |name| passes(name) && !names(client, &header::CONNECTION, name.as_str());
    for (name, value) in client.iter().filter(|(name, _)| passes(name)) {
        metadata.append(name.clone(), value.clone());
    }
}

/// Whether a header that is a list has this word, in any case.
pub(super) fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// The id of the event after which a stream goes on.
pub(super) fn last_event_id<'a>(client: &'a HeaderMap, route: &RoutePlan) -> Option<&'a str> {
    route.resume.as_ref()?;
    client.get(LAST_EVENT_ID)?.to_str().ok().filter(|id| !id.is_empty())
}

/// The error of an answer that is none: another HTTP status, another content type, or a failure without messages.
pub(super) fn check(head: &response::Parts) -> Result<()> {
    status::of(&head.headers).unwrap_or(Ok(()))?;
    is_grpc(head)
}

/// The error of an answer that is not gRPC's: somebody before the service made it, and its HTTP status is all that is known.
pub(super) fn is_grpc(head: &response::Parts) -> Result<()> {
    let grpc = head.headers.get(header::CONTENT_TYPE);
    let grpc = grpc.is_some_and(|text| text.as_bytes().starts_with(b"application/grpc"));
    match head.status {
        StatusCode::OK if grpc => Ok(()),
        StatusCode::OK => {
            let error = Error::boxed(Kind::BadResponse, "the service's answer is malformed");
            Err(error.with_code(status::of_http(head.status)).with_source("it is not gRPC"))
        }
        other => {
            let code = status::of_http(other);
            let error = match code {
                Code::Unavailable => Error::boxed(Kind::Transport, "the service is unavailable"),
                _ => Error::boxed(
                    Kind::BadResponse,
                    format!("the answer is no gRPC, but HTTP {}", other.as_u16()),
                ),
            };
            Err(error.with_code(code).with_source(other.to_string()))
        }
    }
}

/// Lets metadata through to the client, and the status that the service chose. What it says at the end takes the place of what it said
/// before.
pub(super) fn expose(engine: &Engine, metadata: &HeaderMap, response: &mut Response<Body>) {
    for name in metadata.keys().filter(|name| !is_framing(name) && (engine.expose)(name)) {
        let mut values = metadata.get_all(name).iter();
        if let Some(first) = values.next() {
            response.headers_mut().insert(name.clone(), first.clone());
        }
        for value in values {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    let chosen = engine.status_metadata.as_ref().and_then(|name| metadata.get(name));
    let chosen = chosen.and_then(|value| StatusCode::from_bytes(value.as_bytes()).ok());
    if let Some(status) = chosen.filter(|status| status.is_success() || status.is_redirection()) {
        *response.status_mut() = status;
    }
}
