//! What an answer's headers say: how it may be kept, whether the caller has it already, where a new thing is, how much quota is left.

use crate::fault;
use crate::limiter::{Decision, WINDOW};
use crate::routes::{self, Route};
use api::method::Cache;
use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use transcode::Body;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Nothing of an API answer is a page: it loads nothing, frames nothing, and is framed by nobody.
const API_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// What a success of REST needs to know of its request.
pub(crate) struct Asked<'a> {
    /// The route.
    pub(crate) route: &'a Route,
    /// `/api`, or nothing.
    pub(crate) prefix: &'static str,
    /// The path, without the prefix.
    pub(crate) path: &'a str,
    /// `If-None-Match` of a GET or HEAD.
    pub(crate) if_none_match: Option<&'a HeaderValue>,
}

/// Completes the answer to a call over REST that succeeded: `Cache-Control`, `ETag` and 304, `Location`.
pub(crate) async fn success(response: Response<Body>, asked: &Asked<'_>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if !head.headers.contains_key(header::CACHE_CONTROL) {
        head.headers.insert(header::CACHE_CONTROL, asked.route.cache_control.clone());
    }
    let method = asked.route.method;
    let ok = head.status == StatusCode::OK;
    let tagless = ok && method.cache != Cache::NoStore && !head.headers.contains_key(header::ETAG);
    let placeless = head.status == StatusCode::CREATED && !head.headers.contains_key(header::LOCATION);
    let body = if method.server_streaming || !(tagless || placeless) {
        body
    } else {
        // One message, there already: nothing is waited for, and nothing can fail.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if tagless {
            head.headers.insert(header::ETAG, weak_tag(&body));
        }
        if placeless && let Some(location) = location(&body, asked) {
            head.headers.insert(header::LOCATION, location);
        }
        Body::full(body)
    };
    // Whoever gave the tag, and whatever caches may do: a caller who names it has this answer already.
    let known = asked.if_none_match.zip(head.headers.get(header::ETAG));
    if ok && known.is_some_and(|(known, tag)| matches(known, tag)) {
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, body)
}

/// A tag for answers whose service gives none: it tells equal texts, and, being weak, promises nothing to `If-Match`.
pub(crate) fn weak_tag(body: &[u8]) -> HeaderValue {
    let hash = digest::digest(&digest::SHA256, body);
    let tag = format!("W/\"{}\"", hex::encode(&hash.as_ref()[..12]));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether `If-None-Match` names the tag, by weak comparison (RFC 9110, section 13.1.2).
pub(crate) fn matches(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.trim() == "*" || known.split(',').any(|one| strong(one) == strong(tag))
}

fn location(body: &Bytes, asked: &Asked<'_>) -> Option<HeaderValue> {
    let field = asked.route.created.as_deref()?;
    let created: serde_json::Value = serde_json::from_slice(body).ok()?;
    routes::location(asked.prefix, asked.path, created.get(field)?.as_str()?)
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
    fn tags_are_compared_weakly() {
        let tag = HeaderValue::from_static("W/\"abc\"");
        for (known, same) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"ab\"", false),
            ("abc", false),
            ("", false),
        ] {
            assert_eq!(matches(&HeaderValue::from_static(known), &tag), same, "{known}");
        }
        assert!(matches(&weak_tag(b"x"), &weak_tag(b"x")) && !matches(&weak_tag(b"x"), &weak_tag(b"y")));
    }

    #[test]
    fn quota_reads_as_structured_fields() {
        let mut headers = HeaderMap::new();
        let reset = Duration::from_millis(29_100);
        quota(&Decision { limit: 100, remaining: 7, reset, allowed: true }, &mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=100;w=60");
        assert_eq!(headers["ratelimit"], "\"default\";r=7;t=30");
    }
}
