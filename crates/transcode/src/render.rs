//! How errors look to the client. A product gives its own [`ErrorRenderer`]; the default is AIP-193.

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Response, Uri, header};
use prost_reflect::MethodDescriptor;
use serde::Serialize;

use crate::error::Error;

/// The request that an error answers.
#[derive(Debug, Clone, Copy)]
pub struct ErrorContext<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's URI.
    pub uri: &'a Uri,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The request's extensions: request id, trace, principal, whatever the layers above put there.
    pub extensions: &'a Extensions,
    /// The template of the route, once there is one.
    pub template: Option<&'a str>,
    /// The method that the route leads to, once there is one.
    pub rpc: Option<&'a MethodDescriptor>,
}

impl<'a> ErrorContext<'a> {
    /// The context of a request that has no route yet.
    pub fn of(parts: &'a http::request::Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
            template: None,
            rpc: None,
        }
    }
}

/// Makes the answer to a call that failed.
pub trait ErrorRenderer: Send + Sync + 'static {
    /// The whole answer. The transcoder itself adds `Allow` to 405, where the renderer did not.
    fn render(&self, context: &ErrorContext<'_>, error: &Error) -> Response<Bytes>;

    /// The JSON value, on one line, that ends a stream whose answer has begun. The default is `{"error":…}` around the
    /// body of [`render`](Self::render), so that no client takes it for a message.
    fn render_in_stream(&self, context: &ErrorContext<'_>, error: &Error) -> Bytes {
        let body = self.render(context, error).into_body();
        [b"{\"error\":", &*body, b"}"].concat().into()
    }
}

// Structs, because the order of a `serde_json::Value`'s keys depends on features that any crate of a build may turn on.

#[derive(Serialize)]
struct AipError<'a> {
    error: AipStatus<'a>,
}

#[derive(Serialize)]
struct AipStatus<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    details: Vec<BadRequest<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BadRequest<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    field_violations: Vec<Violation<'a>>,
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

/// `{"error":{"code":400,"message":"…","status":"INVALID_ARGUMENT","details":[…]}}` (<https://google.aip.dev/193>).
/// Details are the violations found here, as `google.rpc.BadRequest`; those of the service's status are left out,
/// because their types need not be in the descriptors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aip193;

impl ErrorRenderer for Aip193 {
    fn render(&self, _: &ErrorContext<'_>, error: &Error) -> Response<Bytes> {
        let violations: Vec<_> = error
            .violations
            .iter()
            .map(|v| Violation { field: &v.field, description: &v.description })
            .collect();
        let details = if violations.is_empty() {
            Vec::new()
        } else {
            vec![BadRequest {
                kind: "type.googleapis.com/google.rpc.BadRequest",
                field_violations: violations,
            }]
        };
        let status = AipStatus {
            code: error.status.as_u16(),
            message: &error.message,
            status: code_name(error.code),
            details,
        };
        // Only texts and numbers: nothing here can fail to serialize.
        let body = serde_json::to_vec(&AipError { error: status }).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = error.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }

    fn render_in_stream(&self, context: &ErrorContext<'_>, error: &Error) -> Bytes {
        self.render(context, error).into_body()
    }
}

/// The name of a gRPC code as `google/rpc/code.proto` spells it.
pub fn code_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "CANCELLED",
        tonic::Code::Unknown => "UNKNOWN",
        tonic::Code::InvalidArgument => "INVALID_ARGUMENT",
        tonic::Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        tonic::Code::NotFound => "NOT_FOUND",
        tonic::Code::AlreadyExists => "ALREADY_EXISTS",
        tonic::Code::PermissionDenied => "PERMISSION_DENIED",
        tonic::Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        tonic::Code::FailedPrecondition => "FAILED_PRECONDITION",
        tonic::Code::Aborted => "ABORTED",
        tonic::Code::OutOfRange => "OUT_OF_RANGE",
        tonic::Code::Unimplemented => "UNIMPLEMENTED",
        tonic::Code::Internal => "INTERNAL",
        tonic::Code::Unavailable => "UNAVAILABLE",
        tonic::Code::DataLoss => "DATA_LOSS",
        tonic::Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
