//! Percent-escapes of paths and queries (RFC 3986), decoded strictly: a bad escape is an error, not text.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// What is escaped where only RFC 3986's unreserved characters stay as they are.
pub(crate) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What happens to `%2F` in a variable that spans several segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Slash {
    /// It stays as it is, everything else is decoded: the rule of `google/api/http.proto`.
    #[default]
    Keep,
    /// It becomes a slash.
    Decode,
}

/// Decodes every escape of one path segment; `None` for a bad escape or bytes that are not UTF-8.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    bytes(text, false, false).map(Cow::Owned)
}

/// Decodes a path of several segments.
pub(crate) fn decode_path(text: &str, slash: Slash) -> Option<String> {
    bytes(text, slash == Slash::Keep, false)
}

/// The parameters of a query, decoded; `None` in place of one with a bad escape. Empty ones (`&&`) are passed over.
pub fn query_parameters(query: &str) -> impl Iterator<Item = Option<(Cow<'_, str>, Cow<'_, str>)>> {
    query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        decode_query(key).zip(decode_query(value))
    })
}

/// Decodes a key or value of a query, where `+` is a space.
fn decode_query(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    bytes(text, false, true).map(Cow::Owned)
}

fn bytes(text: &str, keep_slash: bool, plus_is_space: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (high, low) = (hex(*tail.first()?)?, hex(*tail.get(1)?)?);
                match high << 4 | low {
                    b'/' if keep_slash => out.extend_from_slice(&[b'%', tail[0], tail[1]]),
                    decoded => out.push(decoded),
                }
                rest = &tail[2..];
            }
            b'+' if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}
