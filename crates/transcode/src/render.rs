//! How errors look to the client: as AIP-193 says, as RFC 9457 says, or as a product's own [`ErrorRenderer`] says.

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Response, Uri};
use prost_reflect::MethodDescriptor;
use serde_json::json;

mod aip193;
mod details;
mod limits;
mod problem;

pub use aip193::Aip193;
pub use problem::Problem;

use crate::error::Error;
use crate::plan::Plans;

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
    /// The plans of the transcoder: they know the types of details.
    pub plans: Option<&'a Plans>,
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
            plans: None,
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

    /// What clients of gRPC, gRPC-Web and Connect are told instead of an error: their protocols have a shape of errors, and this has its
    /// own code, words and details (`google.rpc.ErrorInfo`). Where its kind is [`Kind::Upstream`](crate::Kind::Upstream) it is told as a
    /// service's would be, with its own HTTP status over Connect. By default an error is told as it is.
    fn retell(&self, context: &ErrorContext<'_>, error: &Error) -> Option<Box<Error>> {
        let _ = (context, error);
        None
    }

    /// The media type of the answers and the JSON Schema of their bodies, for OpenAPI documents. By default neither is told.
    fn schema(&self) -> Option<(&'static str, serde_json::Value)> {
        None
    }

    /// The JSON Schema of what [`render_in_stream`](Self::render_in_stream) gives, for OpenAPI documents, in which
    /// `#/components/schemas/Error` is the schema of answers. By default it is that of the default, where there is a
    /// [`schema`](Self::schema).
    fn schema_in_stream(&self) -> Option<serde_json::Value> {
        let error = json!({ "$ref": "#/components/schemas/Error" });
        let around = json!({ "type": "object", "properties": { "error": error }, "required": ["error"] });
        self.schema().map(|_| around)
    }
}

/// An error as clients are told of it: in its own words, or in the renderer's.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    Itself(&'a Error),
    Retold(Box<Error>),
}

impl std::ops::Deref for Told<'_> {
    type Target = Error;

    fn deref(&self) -> &Error {
        match self {
            Self::Itself(error) => error,
            Self::Retold(error) => error,
        }
    }
}

/// The schema of [`details`].
fn details_schema() -> serde_json::Value {
    json!({
        "type": "array",
        "description": "What else there is to say, each by its type: `google.rpc.BadRequest` names the fields at fault.",
        "items": { "type": "object", "properties": { "@type": { "type": "string" } }, "required": ["@type"] },
    })
}

/// The schema of a gRPC code's name.
fn code_schema() -> serde_json::Value {
    json!({ "type": "string", "pattern": "^[A-Z_]+$", "description": "The name of the gRPC code." })
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
