//! Errors as gRPC answers, and answers as codes for metrics.

use http::{HeaderMap, Response};
use riskmesh_core::{Error, ErrorCode};
use tonic::body::Body;
use tonic::{Code, Status};

/// The header or trailer with the code of an answer.
pub(crate) const GRPC_STATUS: &str = "grpc-status";

/// An error as a whole gRPC answer: HTTP 200 with the status in the headers ("trailers only").
pub fn answer(error: &Error) -> Response<Body> {
    Status::from(error).into_http()
}

/// An error as the end of an answer under way.
pub(crate) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    if status.add_header(&mut trailers).is_err() {
        // A message that cannot be a header; its code can.
        trailers.clear();
        trailers.insert(GRPC_STATUS, http::HeaderValue::from(status.code() as i32));
    }
    trailers
}

/// The code in the headers of an answer without a body, or in trailers.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

/// The canonical name of a code: `NOT_FOUND`.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether a code is a failure of ours, not of the request.
pub(crate) const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::Unavailable | Code::DataLoss
    )
}

/// The deadline has passed.
pub(crate) fn deadline_exceeded() -> Error {
    Error::new(ErrorCode::DeadlineExceeded)
}
