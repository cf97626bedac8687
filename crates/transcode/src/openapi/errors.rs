//! The errors that any method can give, in the shape of the transcoder's renderer.

use http::StatusCode;
use serde_json::{Map, Value, json};
use tonic::Code;

use super::{Binding, Body};
use crate::error::http_status;
use crate::render::code_name;

/// The name of the renderer's shape among the schemas.
pub(super) const SHAPE: &str = "Error";

/// The codes that a service can answer with.
const CODES: [Code; 16] = [
    Code::Cancelled,
    Code::Unknown,
    Code::InvalidArgument,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::ResourceExhausted,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
    Code::Unauthenticated,
];
/// What the transcoder itself finds: of any request, and of a body.
const ANY: [StatusCode; 1] = [StatusCode::NOT_ACCEPTABLE];
const WITH_BODY: [StatusCode; 2] = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE];

/// The errors of a binding, by status: a service may answer any code to any call.
pub(super) fn of(binding: &Binding) -> Map<String, Value> {
    let statuses = CODES.into_iter().map(http_status).chain(ANY);
    let with_body = WITH_BODY.into_iter().filter(|_| !matches!(binding.body, Body::Absent));
    let reference = |status: StatusCode| {
        let status = status.as_u16();
        (status.to_string(), json!({ "$ref": format!("#/components/responses/Error{status}") }))
    };
    statuses.chain(with_body).map(reference).collect()
}

/// The responses that [`of`] refers to; `media` is what the renderer writes, where it says so.
pub(super) fn responses(media: Option<&str>) -> Map<String, Value> {
    let mut responses = Map::new();
    for status in CODES.into_iter().map(http_status).chain(ANY).chain(WITH_BODY) {
        let codes: Vec<&str> =
            CODES.into_iter().filter(|code| http_status(*code) == status).map(code_name).collect();
        let reason = status.canonical_reason().unwrap_or("Client Closed Request");
        let description =
            if codes.is_empty() { reason.to_owned() } else { format!("{reason}: `{}`.", codes.join("`, `")) };
        let mut response = json!({ "description": description });
        if let Some(media) = media {
            let schema = json!({ "$ref": format!("#/components/schemas/{SHAPE}") });
            response["content"] =
                Value::Object(Map::from_iter([(media.to_owned(), json!({ "schema": schema }))]));
        }
        responses.insert(format!("Error{}", status.as_u16()), response);
    }
    responses
}
