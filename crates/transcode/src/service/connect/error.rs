//! Errors as Connect writes them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use serde::Serialize;
use tonic::Code;

use super::Framing;
use super::envelopes::{END, seal};
use crate::builder::Engine;
use crate::coding::Coding;
use crate::error::{Error, Kind, http_status};
use crate::plan::{Raw, Reader, put_len};
use crate::render::{ErrorContext, Told};
use crate::service::{Body, body, headers};

#[derive(Serialize)]
struct Shown<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Serialize)]
struct End<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'a str, Vec<String>>,
}

impl<'a> Shown<'a> {
    fn of(error: &'a Error) -> Self {
        Self { code: code_name(code(error)), message: &error.message, details: details(error) }
    }
}

/// The answer to a request that failed before there was anything to answer.
pub(in crate::service) fn failed(
    engine: &Engine,
    context: &ErrorContext<'_>,
    error: &Error,
) -> Response<Body> {
    // What is about HTTP is told by HTTP. Streams have no other errors than those at their end.
    let http = matches!(error.kind, Kind::MethodNotAllowed | Kind::UnsupportedMediaType);
    match Framing::of(context.headers) {
        Some(framing @ Framing::Stream(_)) if !http => {
            stream(engine, context, framing, &HeaderMap::new(), error)
        }
        _ => {
            let response = unary(engine, context, &HeaderMap::new(), error);
            if context.method == Method::HEAD { body::without(response) } else { response }
        }
    }
}

/// An error as the answer of a unary call, after this much metadata.
pub(super) fn unary(
    engine: &Engine,
    context: &ErrorContext<'_>,
    initial: &HeaderMap,
    error: &Error,
) -> Response<Body> {
    let told = engine.told(context, error);
    // Only texts: nothing here can fail to serialize.
    let mut response = Response::new(Body::full(serde_json::to_vec(&Shown::of(&told)).unwrap_or_default()));
    *response.status_mut() = match (&told, told.kind) {
        (_, Kind::NotFound | Kind::MethodNotAllowed | Kind::UnsupportedMediaType)
        | (Told::Retold(_), Kind::Upstream) => told.status,
        _ => http_status(code(&told)),
    };
    leading(initial, response.headers_mut());
    trailing(&error.metadata, response.headers_mut());
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if error.kind == Kind::ContentCoding {
        answer.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(Coding::NAMES));
    }
    if error.kind == Kind::MethodNotAllowed
        && let Ok(allow) = HeaderValue::try_from(error.allow.join(", "))
    {
        answer.insert(header::ALLOW, allow);
    }
    response
}

/// An error as the whole answer of a stream.
pub(super) fn stream(
    engine: &Engine,
    context: &ErrorContext<'_>,
    framing: Framing,
    initial: &HeaderMap,
    error: &Error,
) -> Response<Body> {
    let mut out = Vec::new();
    failure(engine, context, error, &mut out);
    let mut response = Response::new(Body::full(out));
    leading(initial, response.headers_mut());
    response.headers_mut().insert(header::CONTENT_TYPE, framing.content_type());
    if error.kind == Kind::ContentCoding {
        response.headers_mut().insert(super::ACCEPT_ENCODING, HeaderValue::from_static(Coding::NAMES));
    }
    response
}

/// Adds the envelope that ends a stream with an error.
pub(super) fn failure(engine: &Engine, context: &ErrorContext<'_>, error: &Error, out: &mut Vec<u8>) {
    end(Some(&engine.told(context, error)), &error.metadata, out);
}

/// Adds the envelope that ends a stream.
pub(super) fn end(error: Option<&Error>, trailers: &HeaderMap, out: &mut Vec<u8>) {
    let mut metadata = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in passing(trailers) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        metadata.entry(name.as_str()).or_default().push(value);
    }
    let start = out.len();
    seal(out, |out| {
        let end = End { error: error.map(Shown::of), metadata };
        out.extend(serde_json::to_vec(&end).unwrap_or_default());
    });
    out[start] = END;
}

/// Metadata before the messages: headers.
pub(super) fn leading(metadata: &HeaderMap, answer: &mut HeaderMap) {
    for (name, value) in passing(metadata) {
        answer.append(name.clone(), value.clone());
    }
}

/// Metadata after the message of a unary call: headers with a prefix.
pub(super) fn trailing(metadata: &HeaderMap, answer: &mut HeaderMap) {
    for (name, value) in passing(metadata) {
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            answer.append(name, value.clone());
        }
    }
}

fn passing(metadata: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    metadata.iter().filter(|(name, _)| !headers::is_framing(name) && !name.as_str().starts_with("grpc-"))
}

/// The code for the client. Where gRPC and HTTP differ about what happened here, it is gRPC's.
pub(super) fn code(error: &Error) -> Code {
    match error.kind {
        Kind::BodyTooLarge => Code::ResourceExhausted,
        Kind::ContentCoding => Code::Unimplemented,
        _ => error.code,
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        // A failure is never said to be none.
        Code::Ok | Code::Unknown => "unknown",
        Code::Cancelled => "canceled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The service's own details; for fields that were found at fault here, a `google.rpc.BadRequest`.
fn details(error: &Error) -> Vec<Detail> {
    let mut details = Vec::new();
    let mut status = Reader::new(&error.details);
    // What does not decode is no detail.
    while let Ok(Some(field)) = status.field() {
        if let (3, Raw::Len(any)) = field {
            details.extend(detail(any));
        }
    }
    if details.is_empty() && !error.violations.is_empty() {
        let mut bad_request = Vec::new();
        for violation in &error.violations {
            let mut inside = Vec::new();
            put_len(&mut inside, 1, violation.field.as_bytes());
            put_len(&mut inside, 2, violation.description.as_bytes());
            put_len(&mut bad_request, 1, &inside);
        }
        let value = STANDARD_NO_PAD.encode(bad_request);
        details.push(Detail { kind: "google.rpc.BadRequest".to_owned(), value });
    }
    details
}

/// A detail from an encoded `google.protobuf.Any`.
fn detail(any: &[u8]) -> Option<Detail> {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(any);
    while let Some(field) = reader.field().ok()? {
        match field {
            (1, Raw::Len(bytes)) => url = bytes,
            (2, Raw::Len(bytes)) => value = bytes,
            _ => {}
        }
    }
    let kind = std::str::from_utf8(url).ok()?.rsplit('/').next().filter(|kind| !kind.is_empty())?;
    Some(Detail { kind: kind.to_owned(), value: STANDARD_NO_PAD.encode(value) })
}
