//! What can go wrong with a call, in the terms of both sides: a gRPC code, an HTTP status, and what to tell the client.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tonic::Code;

use crate::plan::{ParseError, ParseErrorKind};

/// Any error of a lower layer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of anything that can fail with an [`Error`].
pub type Result<T> = std::result::Result<T, Box<Error>>;

/// The class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No route has the path: 404.
    NotFound,
    /// Routes have the path, but not with this method: 405.
    MethodNotAllowed,
    /// A segment of the path cannot become the field it is bound to: 400.
    Path,
    /// A query parameter is unknown, repeated, malformed, or sets what path or body set: 400.
    Query,
    /// A header that the method asks for is missing or malformed: 400.
    Header,
    /// The body is not JSON, or not JSON of the message: 400.
    Body,
    /// The body is larger than the limit: 413.
    BodyTooLarge,
    /// The body could not be read to its end: 400. [`Error::source`] tells why.
    BodyRead,
    /// The body is not JSON by its content type: 415.
    UnsupportedMediaType,
    /// The body is in a content coding that is not understood: 415.
    ContentCoding,
    /// The client accepts none of the forms that the answer has: 406.
    NotAcceptable,
    /// The service answered with a status that is not OK.
    Upstream,
    /// The service could not be reached, or the connection broke.
    Transport,
    /// The service's answer is not gRPC, too large, or not the message that it should be.
    BadResponse,
}

/// A call that failed.
#[derive(Debug)]
pub struct Error {
    /// The class.
    pub kind: Kind,
    /// The gRPC code: the service's own, or the one that fits.
    pub code: Code,
    /// The HTTP status to answer with.
    pub status: StatusCode,
    /// A text for the client. For [`Kind::Upstream`] it is the service's own.
    pub message: String,
    /// The fields at fault, where there are any.
    pub violations: Vec<FieldViolation>,
    /// Where in the body the fault is, for [`Kind::Body`].
    pub location: Option<Location>,
    /// The methods that the path knows, for [`Kind::MethodNotAllowed`].
    pub allow: Vec<String>,
    /// `grpc-status-details-bin`, decoded: a serialised `google.rpc.Status`, or empty.
    pub details: Bytes,
    /// The metadata that came with the service's status (`retry-after` and the like).
    pub metadata: HeaderMap,
    /// The cause, not for the client.
    pub source: Option<BoxError>,
}

/// A field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of JSON names, as in `address.lines[2]`; empty for the whole body.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
    /// What would have been right, where that can be said.
    pub expected: Option<String>,
}

/// A place in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The 1-based line.
    pub line: usize,
    /// The 1-based column, in characters.
    pub column: usize,
    /// The offset in bytes.
    pub offset: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({}): {}", self.kind, self.status.as_u16(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl Kind {
    /// Its name as a `reason` of `google.rpc.ErrorInfo`; none for what the service answered, which has reasons of its own.
    pub fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound => "ROUTE_NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Path => "INVALID_PATH",
            Self::Query => "INVALID_QUERY",
            Self::Header => "INVALID_HEADER",
            Self::Body => "INVALID_BODY",
            Self::BodyTooLarge => "BODY_TOO_LARGE",
            Self::BodyRead => "BODY_NOT_READ",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::ContentCoding => "UNSUPPORTED_CONTENT_CODING",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::Transport => "SERVICE_UNREACHABLE",
            Self::BadResponse => "BAD_RESPONSE",
            Self::Upstream => return None,
        })
    }

    fn code_and_status(self) -> (Code, StatusCode) {
        match self {
            Self::NotFound => (Code::NotFound, StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => (Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED),
            Self::Path | Self::Query | Self::Header | Self::Body | Self::BodyRead => {
                (Code::InvalidArgument, StatusCode::BAD_REQUEST)
            }
            Self::BodyTooLarge => (Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType | Self::ContentCoding => {
                (Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::NotAcceptable => (Code::InvalidArgument, StatusCode::NOT_ACCEPTABLE),
            Self::Upstream => (Code::Unknown, StatusCode::INTERNAL_SERVER_ERROR),
            Self::Transport => (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
            Self::BadResponse => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl Error {
    /// An error of a class, with that class's code and status.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (code, status) = kind.code_and_status();
        Self {
            kind,
            code,
            status,
            message: message.into(),
            violations: Vec::new(),
            location: None,
            allow: Vec::new(),
            details: Bytes::new(),
            metadata: HeaderMap::new(),
            source: None,
        }
    }

    pub(crate) fn boxed(kind: Kind, message: impl Into<String>) -> Box<Self> {
        Box::new(Self::new(kind, message))
    }

    pub(crate) fn with_source(mut self: Box<Self>, source: impl Into<BoxError>) -> Box<Self> {
        self.source = Some(source.into());
        self
    }

    /// The same with another gRPC code, and that code's HTTP status.
    pub(crate) fn with_code(mut self: Box<Self>, code: Code) -> Box<Self> {
        self.code = code;
        self.status = http_status(code);
        self
    }

    pub(crate) fn with_violation(
        mut self: Box<Self>,
        field: impl Into<String>,
        description: impl Into<String>,
        expected: Option<String>,
    ) -> Box<Self> {
        let (field, description) = (field.into(), description.into());
        self.violations.push(FieldViolation { field, description, expected });
        self
    }

    pub(crate) fn body_too_large(limit: usize) -> Box<Self> {
        Self::boxed(Kind::BodyTooLarge, format!("the request body is larger than {limit} bytes"))
    }

    /// The error of a body that ended before its end, or is not in the coding that it is said to be in.
    pub(crate) fn body_read(source: BoxError) -> Box<Self> {
        match source.downcast::<crate::coding::Error>() {
            Ok(coding) => Self::boxed(Kind::Body, format!("the body does not decode: {coding}")),
            Err(source) => Self::boxed(Kind::BodyRead, "the body could not be read").with_source(source),
        }
    }

    /// The error of a call whose time is over.
    pub(crate) fn late() -> Box<Self> {
        Self::boxed(Kind::Transport, "the service did not answer in time").with_code(Code::DeadlineExceeded)
    }

    /// The error of a connection to the service that failed. A gRPC status among the causes tells more than the failure.
    pub(crate) fn transport(source: BoxError) -> Box<Self> {
        if is_late(&*source) {
            return Self::late().with_source(source);
        }
        match tonic::Status::try_from_error(source) {
            Ok(status) => {
                let mut error = Self::boxed(Kind::Transport, "the service is unavailable");
                if status.code() != Code::Unknown {
                    error = error.with_code(status.code());
                }
                error.with_source(status)
            }
            Err(source) => Self::boxed(Kind::Transport, "the service is unavailable").with_source(source),
        }
    }
}

impl From<ParseError> for Box<Error> {
    fn from(parse: ParseError) -> Self {
        let mut error = Error::boxed(Kind::Body, parse.to_string());
        let (line, column, offset) = (parse.line, parse.column, parse.offset);
        error.location = Some(Location { line, column, offset });
        let expected = parse.expected.unwrap_or_else(|| expected(parse.kind).to_owned());
        error.with_violation(parse.path, parse.message, Some(expected))
    }
}

/// What would have been right, where the fault is in no single value.
fn expected(kind: ParseErrorKind) -> &'static str {
    match kind {
        ParseErrorKind::Syntax => "JSON",
        ParseErrorKind::Value => "a value as proto3 JSON writes it",
        ParseErrorKind::Unknown => "a name of the message",
        ParseErrorKind::Duplicate => "one value",
        ParseErrorKind::Collision => "one value: in the path, the query or the body",
        ParseErrorKind::TooDeep => "less depth",
        ParseErrorKind::TooMany => "fewer members and elements",
        ParseErrorKind::Behavior => "what is required, and nothing that is immutable",
    }
}

/// Whether a call ended because its time was over. `tonic`'s channel keeps to `grpc-timeout` by itself, and would call that
/// cancelled.
fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<tonic::TimeoutExpired>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The HTTP status of a gRPC code, as `google/rpc/code.proto` maps them.
pub fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // 499 "client closed request" has no constant; 200..=999 are all valid.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}
