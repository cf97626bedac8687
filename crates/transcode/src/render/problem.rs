//! Errors as RFC 9457 has them.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{ErrorContext, ErrorRenderer, code_name, details};
use crate::error::Error;

/// `application/problem+json` (RFC 9457): `{"type":"about:blank","title":"Bad Request","status":400,"detail":"…",
/// "code":"INVALID_ARGUMENT","details":[…]}`. `code` is the gRPC code; `details` are as [`Aip193`](super::Aip193) has them, and
/// absent where there are none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Problem;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Box<RawValue>>,
}

impl ErrorRenderer for Problem {
    fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Bytes> {
        let body = Body {
            // With `about:blank` the title is that of the HTTP status (section 4.2.1).
            kind: "about:blank",
            title: error.status.canonical_reason().unwrap_or("Client Closed Request"),
            status: error.status.as_u16(),
            detail: &error.message,
            code: code_name(error.code),
            details: details::of(context, error),
        };
        // Only texts and numbers: nothing here can fail to serialize.
        let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default().into());
        *response.status_mut() = error.status;
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        error.add_limits(response.headers_mut());
        response
    }
    fn schema(&self) -> Option<(&'static str, serde_json::Value)> {
        let schema = json!({
            "type": "object",
            "description": "An error as RFC 9457 has it.",
            "properties": {
                "type": { "type": "string", "format": "uri-reference" },
                "title": { "type": "string", "description": "What kind of error it is." },
                "status": { "type": "integer", "description": "The HTTP status." },
                "detail": { "type": "string", "description": "A text for developers." },
                "code": super::code_schema(),
                "details": super::details_schema(),
            },
            "required": ["type", "title", "status", "detail", "code"],
        });
        Some(("application/problem+json", schema))
    }
}
