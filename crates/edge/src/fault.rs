//! How a request that failed is answered: one path and one shape for every error, wherever it was found.
//!
//! REST gets `{"errorCode","message","status","timestamp","traceId","details","hint"}`, or the same as RFC 9457 for those who accept
//! `application/problem+json`; gRPC and Connect get a `google.rpc.Status`, trailers only. Causes go to the log, never to the caller.

use crate::packed;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use riskmesh_core::{Detail, Error, ErrorCode, Timestamp};
use serde::Serialize;
use std::time::Duration;
use tonic::Status;
use tonic::body::Body;
use transcode::Kind;

/// When to come again, where nobody knows better.
const PAUSE: Duration = Duration::from_secs(1);

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) error: Box<Error>,
    /// The header that says what would be taken: `Allow` for 405, `Accept-Encoding` for a content coding, `grpc-accept-encoding` for one
    /// of messages.
    pub(crate) takes: Option<(HeaderName, HeaderValue)>,
    /// The permission that was missing, for 403.
    pub(crate) scope: Option<&'static str>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), takes: None, scope: None }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Error::new(code).into()
    }
}

impl Failure {
    /// `METHOD_NOT_ALLOWED` with the methods there are.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        let takes = HeaderValue::from_str(allow).ok().map(|allow| (header::ALLOW, allow));
        Self { takes, ..Self::from(ErrorCode::MethodNotAllowed) }
    }

    /// `UNSUPPORTED_MEDIA_TYPE` for a body in another content coding than ours (RFC 9110, section 15.5.16).
    pub(crate) fn content_coding() -> Self {
        let error = Error::new(ErrorCode::UnsupportedMediaType)
            .message("The body's content coding is not understood")
            .hint("Send the body as it is, or in one of the codings that Accept-Encoding lists.");
        let takes = Some((header::ACCEPT_ENCODING, HeaderValue::from_static(transcode::Coding::NAMES)));
        Self { takes, ..error.into() }
    }

    /// `NOT_IMPLEMENTED` for messages that are compressed in another way than ours: the code is that of gRPC's compression and of Connect.
    pub(crate) fn message_coding() -> Self {
        let error = Error::new(ErrorCode::NotImplemented)
            .message("The compression of the messages is not understood")
            .hint("Send messages as they are, or compressed by gzip, zstd or br.");
        Self {
            takes: Some((packed::ACCEPT, HeaderValue::from_static(transcode::Coding::NAMES))),
            ..error.into()
        }
    }
}

/// What an answer needs to know of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// When the error happened.
    pub(crate) at: Timestamp,
    /// The trace to report.
    pub(crate) trace_id: telemetry::trace::TraceId,
    /// The request's headers.
    pub(crate) headers: &'a HeaderMap,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestBody<'a> {
    error_code: &'static str,
    message: &'a str,
    status: u16,
    timestamp: String,
    trace_id: String,
    details: Vec<DetailBody<'a>>,
    hint: &'a str,
}

/// RFC 9457, with our members beside its own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    error_code: &'static str,
    timestamp: String,
    trace_id: String,
    details: Vec<DetailBody<'a>>,
    hint: &'a str,
}

#[derive(Serialize)]
struct DetailBody<'a> {
    field: &'a str,
    issue: &'a str,
    expected: &'a str,
}

impl<'a> From<&'a Detail> for DetailBody<'a> {
    fn from(detail: &'a Detail) -> Self {
        Self { field: &detail.field, issue: &detail.issue, expected: &detail.expected }
    }
}

/// The answer over REST.
pub(crate) fn rest(failure: &Failure, asked: &Asked<'_>) -> Response<Bytes> {
    log(&failure.error);
    let error = &failure.error;
    let status = error.code.http();
    let details = error.details.iter().map(DetailBody::from).collect();
    // Whole seconds, as the contract has it; the log has the milliseconds.
    let timestamp = Timestamp(asked.at.seconds() * 1000).to_string();
    let trace_id = asked.trace_id.to_string();
    let (message, hint) = (&*error.message, &*error.hint);
    let error_code = error.code.name();
    let (content_type, body) = if prefers_problem(asked.headers) {
        let problem = Problem {
            r#type: format!("urn:riskmesh:error:{error_code}"),
            title: error.code.message(),
            status,
            detail: message,
            error_code,
            timestamp,
            trace_id,
            details,
            hint,
        };
        ("application/problem+json", serde_json::to_vec(&problem))
    } else {
        let body = RestBody { error_code, message, status, timestamp, trace_id, details, hint };
        ("application/json", serde_json::to_vec(&body))
    };
    // Structs of strings and numbers always serialise.
    let mut response = Response::new(Bytes::from(body.unwrap_or_default()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    complete(failure, headers);
    response
}

/// The answer over gRPC: a status in the head and no body.
pub(crate) fn grpc(failure: &Failure) -> Response<Body> {
    log(&failure.error);
    let mut response: Response<Body> = Status::from(&*failure.error).into_http();
    complete(failure, response.headers_mut());
    response
}

/// The answer over Connect, which `render` writes.
pub(crate) fn connect(
    failure: &Failure,
    render: impl FnOnce(&transcode::Error) -> Response<Body>,
) -> Response<Body> {
    let mut response = render(&told(failure));
    complete(failure, response.headers_mut());
    response
}

/// The failure as Connect is told of it.
pub(crate) fn told(failure: &Failure) -> transcode::Error {
    log(&failure.error);
    shown(&Status::from(&*failure.error))
}

/// A status of ours as Connect is told of it: with the status of HTTP where it is about HTTP, else with that of the protocol's own table.
pub(crate) fn shown(status: &Status) -> transcode::Error {
    let code = Error::from_status(status).code;
    let kind = match code {
        ErrorCode::MethodNotAllowed => Kind::MethodNotAllowed,
        ErrorCode::UnsupportedMediaType => Kind::UnsupportedMediaType,
        _ => Kind::Upstream,
    };
    let mut error = transcode::Error::new(kind, status.message());
    error.code = status.code();
    error.status = match code.http() {
        about_http @ (405 | 408 | 413 | 414 | 415 | 431) => {
            StatusCode::from_u16(about_http).unwrap_or(StatusCode::BAD_REQUEST)
        }
        _ => transcode::http_status(status.code()),
    };
    error.details = Bytes::copy_from_slice(status.details());
    error
}

/// `SERVICE_UNAVAILABLE` without a word.
pub(crate) fn speechless() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    pace(&mut answer);
    answer
}

/// Says when to come again on an answer that has no service.
pub(crate) fn pace<B>(answer: &mut Response<B>) {
    if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from(PAUSE.as_secs()));
    }
}

/// The headers that say what to do about a failure.
fn complete(failure: &Failure, headers: &mut HeaderMap) {
    if let Some((name, value)) = &failure.takes {
        headers.insert(name, value.clone());
    }
    if let Some(challenge) = challenge(failure) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = retry_after(&failure.error) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
    }
}

/// Whole seconds, rounded up, at least one: who waits so long has waited long enough.
pub(crate) fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn log(error: &Error) {
    if error.code == ErrorCode::Internal {
        tracing::error!(code = error.code.name(), cause = error.cause(), "request failed");
    } else {
        tracing::debug!(code = error.code.name(), cause = error.cause(), "request refused");
    }
}

/// `WWW-Authenticate` for 401 and for a missing permission (RFC 6750, section 3).
fn challenge(failure: &Failure) -> Option<HeaderValue> {
    let code = failure.error.code;
    let invalid = |description: &str| {
        format!("Bearer realm=\"riskmesh\", error=\"invalid_token\", error_description=\"{description}\"")
    };
    let text = match (code, failure.scope) {
        (ErrorCode::TokenMissing, _) => "Bearer realm=\"riskmesh\"".to_owned(),
        (ErrorCode::PermissionDenied, Some(scope)) => {
            format!("Bearer realm=\"riskmesh\", error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        _ if code.http() == 401 => invalid(code.message()),
        _ => return None,
    };
    HeaderValue::from_str(&text).ok()
}

fn retry_after(error: &Error) -> Option<Duration> {
    let always = matches!(error.code, ErrorCode::RateLimited | ErrorCode::ServiceUnavailable);
    error.retry_after.or(always.then_some(PAUSE))
}

/// Whether `Accept` names `application/problem+json`, and likes plain JSON no better.
fn prefers_problem(headers: &HeaderMap) -> bool {
    let (mut problem, mut json) = (0, 0);
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let essence = parts.next().unwrap_or_default().trim();
            let quality = parts.find_map(|part| part.trim().strip_prefix("q="));
            let quality = quality.map_or(1.0, |text| text.trim().parse::<f32>().unwrap_or(0.0));
            let quality = (quality.clamp(0.0, 1.0) * 1000.0) as u32;
            if essence.eq_ignore_ascii_case("application/problem+json") {
                problem = problem.max(quality);
            } else if essence.eq_ignore_ascii_case("application/json") {
                json = json.max(quality);
            }
        }
    }
    problem > 0 && problem >= json
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn answer(failure: &Failure, accept: &str) -> (Response<Bytes>, serde_json::Value) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        let trace = telemetry::TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .unwrap();
        let at = Timestamp::parse("2025-07-30T14:15:00.123Z").unwrap();
        let response = rest(failure, &Asked { at, trace_id: trace.trace_id, headers: &headers });
        let body = serde_json::from_slice(response.body()).unwrap();
        (response, body)
    }

    #[test]
    fn the_shape_is_the_contracts() {
        let detail = Detail::expected("accountId", "must be 10 digits", "^[0-9]{10}$");
        let (response, _) = answer(&Error::invalid(detail).into(), "*/*");
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(
            std::str::from_utf8(response.body()).unwrap(),
            "{\"errorCode\":\"INVALID_INPUT\",\"message\":\"Account ID must be 10 digits\",\"status\":400,\
             \"timestamp\":\"2025-07-30T14:15:00Z\",\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"details\":[{\
             \"field\":\"accountId\",\"issue\":\"must be 10 digits\",\"expected\":\"^[0-9]{10}$\"}],\"hint\":\"Correct \
             the fields named in details and send it again.\"}"
        );
    }

    #[test]
    fn problem_details_are_for_those_who_ask() {
        let failure = Failure::from(ErrorCode::ClientNotFound);
        for (accept, problem) in [
            ("application/problem+json", true),
            ("application/json, application/problem+json", true),
            ("application/json, application/problem+json;q=0.5", false),
            ("application/problem+json;q=0", false),
            ("*/*", false),
        ] {
            let (response, body) = answer(&failure, accept);
            assert_eq!(response.headers()["content-type"] == "application/problem+json", problem, "{accept}");
            assert_eq!(body["errorCode"], "CLIENT_NOT_FOUND");
            assert_eq!(body.get("type").is_some(), problem);
        }
        let (_, body) = answer(&failure, "application/problem+json");
        assert_eq!(
            (&body["type"], &body["title"], &body["status"]),
            (&"urn:riskmesh:error:CLIENT_NOT_FOUND".into(), &"Client not found".into(), &404.into())
        );
    }

    #[test]
    fn every_401_carries_a_challenge_and_no_other_status_does() {
        for code in ErrorCode::ALL {
            let (response, _) = answer(&Failure::from(*code), "*/*");
            let challenge =
                response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
            assert_eq!(
                challenge.is_some_and(|text| text.starts_with("Bearer ")),
                code.http() == 401,
                "{code}"
            );
        }
        let denied = Failure { scope: Some("clients.write"), ..Failure::from(ErrorCode::PermissionDenied) };
        let (response, _) = answer(&denied, "*/*");
        let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("insufficient_scope") && challenge.contains("clients.write"));
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let limited = Error::new(ErrorCode::RateLimited).retry_after(Duration::from_millis(30_001));
        assert_eq!(answer(&limited.into(), "*/*").0.headers()["retry-after"], "31");
        assert_eq!(answer(&ErrorCode::ServiceUnavailable.into(), "*/*").0.headers()["retry-after"], "1");
        assert!(!answer(&ErrorCode::Internal.into(), "*/*").0.headers().contains_key("retry-after"));
    }

    #[test]
    fn causes_stay_with_us() {
        let failure = Failure::from(Error::internal("doing").because("db-7.internal refused"));
        let (response, _) = answer(&failure, "*/*");
        assert!(!String::from_utf8_lossy(response.body()).contains("db-7"));
        let status = Status::from_header_map(grpc(&failure).headers()).unwrap();
        assert!(!format!("{status:?}").contains("db-7"));
    }

    #[test]
    fn a_grpc_status_names_the_code() {
        let response = grpc(&ErrorCode::ClientNotFound.into());
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(
            (status.code(), Error::from_status(&status).code),
            (tonic::Code::NotFound, ErrorCode::ClientNotFound)
        );
    }
}
