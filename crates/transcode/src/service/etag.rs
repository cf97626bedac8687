//! `ETag`, and 304 for a client that has the answer already (RFC 9110, sections 8.8.3, 13.1.2 and 15.4.5).

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use xxhash_rust::xxh3::xxh3_128;

use super::{Body, protocol};
use crate::rule::RoutePlan;

/// A weak `ETag` of a body: equal bodies have equal tags. A hash of 128 bits, fast, and not of cryptographic strength.
pub fn weak_tag(body: &[u8]) -> HeaderValue {
    let mut tag = *b"W/\"00000000000000000000000000000000\"";
    let hash = xxh3_128(body).to_be_bytes();
    for (digits, byte) in tag[3..35].chunks_exact_mut(2).zip(hash) {
        digits[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        digits[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    // Visible ASCII: always a header value.
    HeaderValue::from_bytes(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether the request's `If-None-Match` names the tag, by weak comparison: a client who has this answer already.
pub fn has_tag(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = opaque(tag.as_bytes());
    let mut values = asked.get_all(header::IF_NONE_MATCH).iter();
    values.any(|value| {
        let list = value.as_bytes().trim_ascii();
        list == b"*" || tag.is_some_and(|(tag, rest)| rest.is_empty() && lists(list, tag))
    })
}

/// Whether a list of tags has this one.
fn lists(mut list: &[u8], tag: &[u8]) -> bool {
    loop {
        while let [b',' | b' ' | b'\t', rest @ ..] = list {
            list = rest;
        }
        // What is no tag ends the list: who sends it has nothing that could be compared.
        let Some((one, rest)) = opaque(list) else { return false };
        if one == tag {
            return true;
        }
        list = rest;
    }
}

/// The tag at the start of a text, with its quotes and without its weakness, and what follows. A comma may be in it.
fn opaque(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"W/").unwrap_or(text);
    let inside = text.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', inside)?;
    Some(text.split_at(end + 2))
}

/// Adds to an answer of 200 to GET or HEAD what its caches need, its tag among it, and takes its body away if the client has it:
/// the body is there already, or the answer is no message. A stream is for no cache.
pub(super) fn finish(
    route: &RoutePlan,
    asked: &Parts,
    mut response: Response<Body>,
    answers_from: Option<usize>,
) -> Response<Body> {
    if route.rpc.is_server_streaming() {
        // It may fail after its 200, and a cache would keep what is broken.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return response;
    }
    if let Some(cache_control) = &route.policy.cache_control {
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert_with(|| cache_control.clone());
    }
    if response.status() != StatusCode::OK || !protocol::is_get(&asked.method) {
        return response;
    }
    let Some(body) = response.body().as_full() else { return response };
    if route.policy.etag && !response.headers().contains_key(header::ETAG) {
        let tag = weak_tag(body);
        response.headers_mut().insert(header::ETAG, tag);
    }
    let known = response.headers().get(header::ETAG).is_some_and(|tag| has_tag(&asked.headers, tag));
    if !known {
        return response;
    }
    // What the whole answer would say of its codings.
    if answers_from.is_some_and(|smallest| super::coded::depends_on_codings(&response, smallest)) {
        response.headers_mut().append(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
    }
    not_modified(response.headers_mut());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Body::empty();
    response
}

/// Takes off what describes the body.
fn not_modified(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_RANGE,
    ] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(known: &[&'static str]) -> HeaderMap {
        known.iter().map(|known| (header::IF_NONE_MATCH, HeaderValue::from_static(known))).collect()
    }

    #[test]
    fn tags_are_compared_weakly() {
        for tag in ["W/\"abc\"", "\"abc\""] {
            for (known, same) in [
                ("\"abc\"", true),
                ("W/\"abc\"", true),
                ("\"x\", W/\"abc\"", true),
                ("\"x,y\" ,,\t\"abc\"", true),
                (" * ", true),
                ("\"ab\"", false),
                ("w/\"abc\"", false),
                ("abc", false),
                ("\"x, \"abc\"", false),
                ("\"abc", false),
                ("", false),
            ] {
                assert_eq!(has_tag(&asked(&[known]), &HeaderValue::from_static(tag)), same, "{known}");
            }
            assert!(has_tag(&asked(&["\"x\"", "\"abc\""]), &HeaderValue::from_static(tag)));
            assert!(!has_tag(&asked(&[]), &HeaderValue::from_static(tag)));
        }
        let bad = HeaderValue::from_static("abc");
        assert!(has_tag(&asked(&["*"]), &bad) && !has_tag(&asked(&["abc"]), &bad));
    }

    #[test]
    fn equal_bodies_have_equal_tags() {
        assert_eq!(weak_tag(b"x"), weak_tag(b"x"));
        assert_ne!(weak_tag(b"x"), weak_tag(b"y"));
        // The hash of nothing, as the algorithm's authors publish it.
        assert_eq!(weak_tag(b""), "W/\"99aa06d3014798d86001c324468d497f\"");
    }
}
