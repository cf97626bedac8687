//! The id of one request, for people who compare their log with ours: `X-Request-Id`, the caller's where it is sane.

use http::HeaderMap;
use std::fmt;
use std::sync::Arc;

/// The header that carries it, in and out, over REST and gRPC alike.
pub const HEADER: &str = "x-request-id";

/// The longest id that is taken from a caller, in bytes.
pub const MAX_LEN: usize = 128;

/// A request's id: 1 to [`MAX_LEN`] of `A-Z a-z 0-9 - _ . : / + = @ ~`, so it needs no escaping in a log, header or URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id, when it is one that can be taken from a caller.
    pub fn accept(text: &str) -> Option<Self> {
        let safe = |c: u8| c.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&c);
        ((1..=MAX_LEN).contains(&text.len()) && text.bytes().all(safe)).then(|| Self(text.into()))
    }

    /// A new random one: 32 hexadecimal digits. It names a request and decides nothing, so it is not drawn from the seeded rng.
    pub fn generate() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }

    /// The caller's id, or a new one where there is none, several, or one that is not sane.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(HEADER).iter();
        let sent = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(Self::accept),
            _ => None,
        };
        sent.unwrap_or_else(Self::generate)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header's value.
    pub fn to_header(&self) -> http::HeaderValue {
        // Every character of an id may stand in a header; the fallback is for the type.
        http::HeaderValue::from_str(&self.0).unwrap_or(http::HeaderValue::from_static("-"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, http::HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_sane_id_is_kept() {
        assert_eq!(RequestId::from_headers(&headers(&[b"abc-123"])).as_str(), "abc-123");
    }

    #[test]
    fn anything_else_gets_a_new_one() {
        let long = [b'a'; MAX_LEN + 1];
        let bad: [&[&[u8]]; 7] =
            [&[], &[b""], &[b"a b"], &[b"a", b"b"], &[&long], &[b"\xff\xfe"], &[b"a\"Status=200"]];
        for values in bad {
            let id = RequestId::from_headers(&headers(values));
            assert_eq!(id.as_str().len(), 32, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_everywhere(text in any::<String>()) {
            if let Some(id) = RequestId::accept(&text) {
                prop_assert!(text.len() <= MAX_LEN && text.bytes().all(|c| c.is_ascii_graphic()));
                let header = id.to_header();
                prop_assert_eq!(header.to_str().unwrap(), text);
            }
        }
    }
}
