//! Which pages of other origins may call the API (the Fetch standard's CORS protocol).
//!
//! Callers send their token in `Authorization`, never in a cookie: credentials mode is not offered.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tonic::body::Body;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "authorization, content-type, accept, idempotency-key, if-match, if-none-match, prefer, \
                               traceparent, tracestate, x-request-id, x-request-timeout, grpc-timeout, x-grpc-web, x-user-agent, \
                               connect-protocol-version, connect-timeout-ms, content-encoding, connect-content-encoding, \
                               connect-accept-encoding, grpc-encoding, grpc-accept-encoding";
const RESPONSE_HEADERS: &str = "x-request-id, traceparent, etag, location, idempotent-replayed, link, deprecation, sunset, \
                                retry-after, ratelimit, ratelimit-policy, www-authenticate, allow, accept-encoding, grpc-status, grpc-message, grpc-status-details-bin, \
                                grpc-encoding, grpc-accept-encoding, connect-content-encoding, connect-accept-encoding";
/// How long a browser may remember a preflight's answer, in seconds.
const MAX_AGE: &str = "600";

/// The origins that may call.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    any: bool,
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// These origins; `*` is any.
    pub(crate) fn new(origins: &[String]) -> Self {
        let any = origins.iter().any(|origin| origin == "*");
        Self {
            any,
            origins: origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect(),
        }
    }

    /// The answer to a browser that asks before it calls; `None` where the request is no such question, or the origin may not call.
    pub(crate) fn preflight(&self, request: &Parts) -> Option<Response<Body>> {
        let asks = request.method == Method::OPTIONS
            && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed(request.headers.get(header::ORIGIN)?).is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }

    /// Tells a browser whether the page that asked may see the answer.
    pub(crate) fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        if !self.any {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(allowed) = origin.and_then(|origin| self.allowed(origin)) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
        }
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.contains(origin).then(|| origin.clone())
    }
}
