//! Errors as AIP-193 has them.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{ErrorContext, ErrorRenderer, code_name, details};
use crate::error::Error;

/// `{"error":{"code":400,"message":"…","status":"INVALID_ARGUMENT","details":[…]}}` (<https://google.aip.dev/193>).
///
/// Details are those of the service's status; what the transcoder itself found is told as a `google.rpc.BadRequest` and a
/// `google.rpc.ErrorInfo`, with [`Kind::reason`](crate::Kind::reason) and the domain `transcode`. The
/// standard types of `google/rpc/error_details.proto` are always understood, others if the descriptors have them; of the
/// rest the bytes are shown, in base64 under `value`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aip193;

// Structs, because the order of a `serde_json::Value`'s keys depends on features that any crate of a build may turn on.

#[derive(Serialize)]
struct Body<'a> {
    error: Failed<'a>,
}

#[derive(Serialize)]
struct Failed<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    details: Vec<Box<RawValue>>,
}

impl ErrorRenderer for Aip193 {
    fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Bytes> {
        let status = Failed {
            code: error.status.as_u16(),
            message: &error.message,
            status: code_name(error.code),
            details: details::of(context, error),
        };
        // Only texts and numbers: nothing here can fail to serialize.
        let body = serde_json::to_vec(&Body { error: status }).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = error.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        error.add_limits(response.headers_mut());
        response
    }

    fn schema(&self) -> Option<(&'static str, serde_json::Value)> {
        let error = json!({
            "type": "object",
            "properties": {
                "code": { "type": "integer", "description": "The HTTP status." },
                "message": { "type": "string", "description": "A text for developers." },
                "status": super::code_schema(),
                "details": super::details_schema(),
            },
            "required": ["code", "message", "status", "details"],
        });
        let schema = json!({
            "type": "object",
            "description": "An error as AIP-193 has it.",
            "properties": { "error": error },
            "required": ["error"],
        });
        Some(("application/json", schema))
    }

    fn schema_in_stream(&self) -> Option<serde_json::Value> {
        Some(json!({ "$ref": "#/components/schemas/Error" }))
    }

    fn render_in_stream(&self, context: &ErrorContext<'_>, error: &Error) -> Bytes {
        self.render(context, error).into_body()
    }
}
