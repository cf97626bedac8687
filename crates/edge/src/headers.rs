//! What an answer's headers say: where a new thing is, what goes away, how much quota is left. How it may be kept, and whether the
//! caller has it already, the transcoder says.

use crate::fault;
use crate::limiter::{Decision, WINDOW};
use crate::routes::{self, Route};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use transcode::Body;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Nothing of an API answer is a page: it loads nothing, frames nothing, and is framed by nobody.
const API_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds to the answer that something was created where that is: under the path that was asked, which comes without its prefix.
pub(crate) async fn created(
    response: Response<Body>,
    route: &Route,
    prefix: &str,
    path: &str,
) -> Response<Body> {
    let placeless =
        response.status() == StatusCode::CREATED && !response.headers().contains_key(header::LOCATION);
    let Some(field) = route.created.as_deref().filter(|_| placeless && !route.method.server_streaming) else {
        return response;
    };
    let (mut head, body) = response.into_parts();
    // One message, there already: nothing is waited for, and nothing can fail.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let created: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = created.get(field).and_then(serde_json::Value::as_str);
    if let Some(location) = id.and_then(|id| routes::location(prefix, path, id)) {
        head.headers.insert(header::LOCATION, location);
    }
    Response::from_parts(head, Body::full(body))
}

/// `Deprecation`, `Sunset` and `Link` where a newer method takes the place of this one.
pub(crate) fn deprecation(route: &Route, prefix: &str, bindings: &[String], headers: &mut HeaderMap) {
    let Some(deprecated) = &route.deprecated else { return };
    headers.insert(DEPRECATION, deprecated.since.clone());
    headers.insert(SUNSET, deprecated.sunset.clone());
    if let Some(link) = deprecated.link(prefix, bindings) {
        headers.append(header::LINK, link);
    }
}

/// `Surrogate-Key` where shared caches keep the answer: by these words they are told to forget it.
pub(crate) fn surrogate_keys(route: &Route, headers: &mut HeaderMap) {
    if let Some(keys) = &route.surrogate_keys {
        headers.insert(SURROGATE_KEY, keys.clone());
    }
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
pub(crate) fn quota(decision: &Decision, headers: &mut HeaderMap) {
    let policy = format!("\"default\";q={};w={}", decision.limit, WINDOW.as_secs());
    let left = format!("\"default\";r={};t={}", decision.remaining, fault::seconds(decision.reset));
    for (name, text) in [(RATELIMIT_POLICY, policy), (RATELIMIT, left)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// What every answer tells browsers, pages included unless they say otherwise.
pub(crate) fn security(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(API_CSP));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn quota_reads_as_structured_fields() {
        let mut headers = HeaderMap::new();
        let reset = Duration::from_millis(29_100);
        quota(&Decision { limit: 100, remaining: 7, reset, allowed: true }, &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"default\";r=7;t=30");
    }
}
