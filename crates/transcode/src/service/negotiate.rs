//! Content negotiation: what the client sends, and what it takes.

use std::cmp::Reverse;

use http::{HeaderMap, HeaderValue, header};

use crate::coding::Coding;
use crate::error::{Error, Kind, Result};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON value; for a stream, an array.
    Json,
    /// A JSON value a line.
    Lines,
    /// Server-sent events, one a message.
    Events,
}

impl Form {
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        })
    }
}

/// Chooses the form of the answer by `Accept` (RFC 9110, section 12.5.1): the one with the highest quality, which the most specific
/// range that matches it gives; of equal ones the one that was named more exactly, then first. `raw`: the answer brings its own
/// content type, which nobody knows yet.
pub(super) fn answer(headers: &HeaderMap, streaming: bool, raw: bool) -> Result<Form> {
    let forms = [Form::Json, Form::Lines, Form::Events];
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(',').map(media_range))
        .filter(|(essence, _)| !essence.is_empty())
        .peekable();
    if ranges.peek().is_none() {
        return Ok(Form::Json);
    }
    let mut found: [Option<Liked>; 3] = [None; 3];
    let mut others = false;
    for (at, (essence, quality)) in ranges.enumerate() {
        for (form, found) in forms.into_iter().zip(&mut found) {
            let Some(exact) = form.matches(&essence).filter(|_| form == Form::Json || streaming) else {
                continue;
            };
            if found.is_none_or(|before| exact > before.exact) {
                *found = Some(Liked { quality, exact, first: Reverse(at) });
            }
        }
        others |= raw && quality > 0;
    }
    let liked = forms.into_iter().zip(found).filter_map(|(form, found)| found.map(|liked| (liked, form)));
    // The first of equal ones, which only ranges with a star leave.
    let best = liked.filter(|(liked, _)| liked.quality > 0).rev().max_by_key(|(liked, _)| *liked);
    match best {
        Some((_, form)) => Ok(form),
        None if others => Ok(Form::Json),
        None => Err(Error::boxed(Kind::NotAcceptable, "the answer is JSON, which Accept excludes")),
    }
}

/// How a client likes a form; the greater the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Liked {
    quality: u16,
    exact: Exact,
    /// Which range says so.
    first: Reverse<usize>,
}

/// How exactly a media range names a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Exact {
    Any,
    Type,
    /// Another type that is written in it.
    Suffix,
    Name,
}

impl Form {
    fn matches(self, essence: &str) -> Option<Exact> {
        let kind = if self == Self::Events { "text/*" } else { "application/*" };
        match essence {
            "*/*" => Some(Exact::Any),
            _ if essence == kind => Some(Exact::Type),
            "text/event-stream" if self == Self::Events => Some(Exact::Name),
            _ if self == Self::Lines && is_lines_type(essence) => Some(Exact::Name),
            "application/json" if self == Self::Json => Some(Exact::Name),
            _ if self == Self::Json && is_json_type(essence) => Some(Exact::Suffix),
            _ => None,
        }
    }
}

/// The type and subtype of a media range in lower case, and its quality in thousandths.
pub(super) fn media_range(range: &str) -> (String, u16) {
    let mut parts = range.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    (essence, quality(parts))
}

/// The weight among parameters (RFC 9110, section 12.4.2); all of it where there is none, or none that can be read.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u16 {
    let weight = parameters.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))
    });
    weight.flatten().unwrap_or(1000)
}

/// `0.25` as 250: one digit, and up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok().filter(|weight| *weight <= 1000)
}

/// The coding that the client likes best (RFC 9110, section 12.5.3); of those that it likes equally, the one that we do. None where it
/// likes `identity` better.
pub(super) fn answer_coding(headers: &HeaderMap) -> Option<Coding> {
    let mut liked = [None; Coding::ALL.len()];
    let (mut others, mut identity) = (0, 0);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let name = parts.next().unwrap_or_default().trim();
            let quality = quality(parts);
            match Coding::of(name).and_then(|coding| Coding::ALL.iter().position(|c| *c == coding)) {
                Some(at) => liked[at] = Some(quality),
                None if name == "*" => others = quality,
                None if name.eq_ignore_ascii_case("identity") => identity = quality,
                None => {}
            }
        }
    }
    let liked = Coding::ALL.into_iter().zip(liked).map(|(coding, liked)| (coding, liked.unwrap_or(others)));
    // The last of equal ones is the greatest to `max_by_key`: ours comes first, so the order is turned.
    liked
        .rev()
        .filter(|(_, quality)| *quality > 0 && *quality >= identity)
        .max_by_key(|(_, quality)| *quality)
        .map(|(coding, _)| coding)
}

/// The coding of the body that the client sends.
pub(super) fn body_coding(headers: &HeaderMap) -> Result<Option<Coding>> {
    let mut found = None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name.eq_ignore_ascii_case("identity") {
                continue;
            }
            match Coding::of(name) {
                Some(coding) if found.is_none() => found = Some(coding),
                _ => {
                    return Err(Error::boxed(
                        Kind::ContentCoding,
                        "the body's content coding is not understood",
                    ));
                }
            }
        }
    }
    Ok(found)
}

fn is_json_type(essence: &str) -> bool {
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

fn is_lines_type(essence: &str) -> bool {
    matches!(essence, "application/x-ndjson" | "application/ndjson")
}

/// The content type in lower case, if its charset is UTF-8 or none.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = text.split(';');
    let essence = parts.next()?.trim().to_ascii_lowercase();
    let utf8 = |part: &str| {
        let charset = part.trim().to_ascii_lowercase();
        charset.strip_prefix("charset=").is_none_or(|name| name.trim_matches('"') == "utf-8")
    };
    parts.all(utf8).then_some(essence)
}

/// What a body that is one message is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data`, with its boundary.
    Multipart(String),
    /// Something else.
    Other,
}

/// What the body is written in, by its content type.
pub(super) fn written(headers: &HeaderMap) -> Written {
    match content_type(headers).as_deref() {
        Some(essence) if is_json_type(essence) => Written::Json,
        Some("application/x-www-form-urlencoded") => Written::Form,
        Some("multipart/form-data") => {
            let text = headers.get(header::CONTENT_TYPE).and_then(|text| text.to_str().ok());
            match text.map(multer::parse_boundary) {
                Some(Ok(boundary)) => Written::Multipart(boundary),
                _ => Written::Other,
            }
        }
        _ => Written::Other,
    }
}

/// Whether a stream of messages comes as lines (or else as an array). `empty`: there is no body.
pub(super) fn upload(headers: &HeaderMap, empty: bool) -> Result<bool> {
    match content_type(headers) {
        Some(essence) if is_lines_type(&essence) => Ok(true),
        Some(essence) if is_json_type(&essence) => Ok(false),
        None if empty && !headers.contains_key(header::CONTENT_TYPE) => Ok(false),
        _ => Err(Error::boxed(
            Kind::UnsupportedMediaType,
            "the body must be JSON in UTF-8: application/x-ndjson, or an array in application/json",
        )),
    }
}

pub(super) fn unsupported() -> Box<Error> {
    Error::boxed(
        Kind::UnsupportedMediaType,
        "the body must be JSON in UTF-8, with content type application/json, or a form",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())])
    }

    #[test]
    fn the_form_follows_accept() {
        let form = |accept: &str, streaming| answer(&headers(header::ACCEPT, accept), streaming, false).ok();
        for (accept, unary, stream) in [
            ("*/*", Some(Form::Json), Some(Form::Json)),
            ("application/json", Some(Form::Json), Some(Form::Json)),
            ("application/problem+json", Some(Form::Json), Some(Form::Json)),
            ("application/x-ndjson", None, Some(Form::Lines)),
            ("text/event-stream", None, Some(Form::Events)),
            ("text/event-stream;q=0.5, application/x-ndjson", None, Some(Form::Lines)),
            ("text/html, */*;q=0.1", Some(Form::Json), Some(Form::Json)),
            ("application/json;q=0", None, None),
            // The most specific range that matches a form counts, wherever it stands.
            ("application/json;q=0, */*", None, Some(Form::Lines)),
            ("*/*, application/json; Q=0", None, Some(Form::Lines)),
            ("application/json;q=0.2, text/*", Some(Form::Json), Some(Form::Events)),
            ("*/*;q=0.1, application/json;q=0.2", Some(Form::Json), Some(Form::Json)),
            ("*/*;q=0.3, application/json;q=0.2", Some(Form::Json), Some(Form::Lines)),
            // Of equal ones: named exactly, then first.
            ("*/*, text/event-stream", Some(Form::Json), Some(Form::Events)),
            ("application/json, text/event-stream", Some(Form::Json), Some(Form::Json)),
            ("text/event-stream, application/json", Some(Form::Json), Some(Form::Events)),
            ("application/problem+json, text/event-stream", Some(Form::Json), Some(Form::Events)),
            ("text/event-stream;q=nan, application/json", Some(Form::Json), Some(Form::Events)),
            ("text/event-stream;q=0.0001, application/json;q=0.5", Some(Form::Json), Some(Form::Events)),
            ("text/html", None, None),
            ("", Some(Form::Json), Some(Form::Json)),
        ] {
            assert_eq!((form(accept, false), form(accept, true)), (unary, stream), "{accept}");
        }
        assert_eq!(answer(&HeaderMap::new(), true, false).unwrap(), Form::Json);
        assert_eq!(answer(&headers(header::ACCEPT, "text/csv"), false, true).unwrap(), Form::Json);
        assert!(answer(&headers(header::ACCEPT, "text/csv;q=0"), false, true).is_err());
    }

    #[test]
    fn what_a_body_is_written_in_is_told_by_its_content_type() {
        for (text, expected) in [
            ("application/json", Written::Json),
            ("Application/JSON; charset=UTF-8", Written::Json),
            ("application/merge-patch+json", Written::Json),
            ("application/json; charset=latin1", Written::Other),
            ("text/plain", Written::Other),
            ("application/x-www-form-urlencoded", Written::Form),
            ("multipart/form-data; boundary=x-1", Written::Multipart("x-1".to_owned())),
            ("multipart/form-data", Written::Other),
        ] {
            assert_eq!(written(&headers(header::CONTENT_TYPE, text)), expected, "{text}");
        }
    }

    #[test]
    fn codings_follow_accept_encoding() {
        for (text, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1, br;q=0.9", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*, zstd;q=0", Some(Coding::Brotli)),
            ("identity", None),
            ("identity, gzip", Some(Coding::Gzip)),
            ("identity;q=0.5, gzip", Some(Coding::Gzip)),
            ("Identity, gzip;q=0.9", None),
            ("identity, *;q=0.5", None),
            ("identity, br;q=0.5, gzip", Some(Coding::Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(Coding::Gzip)),
            ("deflate", None),
            ("", None),
            ("gzip;q=0", None),
        ] {
            assert_eq!(answer_coding(&headers(header::ACCEPT_ENCODING, text)), expected, "{text}");
        }
        for (text, expected) in [
            ("gzip", Some(Some(Coding::Gzip))),
            ("identity", Some(None)),
            ("", Some(None)),
            ("deflate", None),
            ("gzip, br", None),
        ] {
            assert_eq!(body_coding(&headers(header::CONTENT_ENCODING, text)).ok(), expected, "{text}");
        }
    }
}
