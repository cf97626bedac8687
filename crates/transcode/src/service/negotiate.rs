//! Content negotiation: what the client sends, and what it takes.

use http::{HeaderMap, HeaderValue, header};

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

/// Chooses the form of the answer by `Accept` (RFC 9110, section 12.5.1). `raw`: the answer brings its own content
/// type, which nobody knows yet.
pub(super) fn answer(headers: &HeaderMap, streaming: bool, raw: bool) -> Result<Form> {
    let mut any = false;
    let mut best: Option<(u16, Form)> = None;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (essence, quality) = media_range(range);
            if essence.is_empty() {
                continue;
            }
            any = true;
            let form = match &*essence {
                "application/x-ndjson" | "application/ndjson" if streaming => Form::Lines,
                "text/event-stream" if streaming => Form::Events,
                "*/*" | "application/*" => Form::Json,
                other if is_json_type(other) => Form::Json,
                _ if raw => Form::Json,
                _ => continue,
            };
            if quality > 0 && best.is_none_or(|(before, _)| quality > before) {
                best = Some((quality, form));
            }
        }
    }
    match best {
        Some((_, form)) => Ok(form),
        None if !any => Ok(Form::Json),
        None => Err(Error::boxed(Kind::NotAcceptable, "the answer is JSON, which Accept excludes")),
    }
}

/// The type and subtype of a media range in lower case, and its quality in thousandths.
fn media_range(range: &str) -> (String, u16) {
    let mut parts = range.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.trim().strip_prefix("q="));
    let quality = quality.and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0).clamp(0.0, 1.0);
    (essence, (quality * 1000.0) as u16)
}

fn is_json_type(essence: &str) -> bool {
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

fn is_lines_type(essence: &str) -> bool {
    matches!(essence, "application/x-ndjson" | "application/ndjson")
}

/// The content type in lower case, if its charset is UTF-8 or none.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = text.split(';');
    let essence = parts.next()?.trim().to_ascii_lowercase();
    let utf8 = |part: &str| {
        let charset = part.trim().to_ascii_lowercase();
        charset.strip_prefix("charset=").is_none_or(|name| name.trim_matches('"') == "utf-8")
    };
    parts.all(utf8).then_some(essence)
}

/// Whether the body is JSON in UTF-8, by its content type.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|essence| is_json_type(&essence))
}

/// Whether a stream of messages comes as lines (or else as an array). `empty`: there is no body.
pub(super) fn upload(headers: &HeaderMap, empty: bool) -> Result<bool> {
    match content_type(headers) {
        Some(essence) if is_lines_type(&essence) => Ok(true),
        Some(essence) if is_json_type(&essence) => Ok(false),
        None if empty && !headers.contains_key(header::CONTENT_TYPE) => Ok(false),
        _ => Err(unsupported()),
    }
}

pub(super) fn unsupported() -> Box<Error> {
    Error::boxed(
        Kind::UnsupportedMediaType,
        "the body must be JSON in UTF-8, with content type application/json",
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
            ("text/html", None, None),
            ("", Some(Form::Json), Some(Form::Json)),
        ] {
            assert_eq!((form(accept, false), form(accept, true)), (unary, stream), "{accept}");
        }
        assert_eq!(answer(&HeaderMap::new(), true, false).unwrap(), Form::Json);
        assert_eq!(answer(&headers(header::ACCEPT, "text/csv"), false, true).unwrap(), Form::Json);
    }

    #[test]
    fn json_is_told_by_its_content_type() {
        for (text, json) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/merge-patch+json", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(is_json(&headers(header::CONTENT_TYPE, text)), json, "{text}");
        }
    }
}
