//! What the transcoder says went wrong, in the contract's words.

use crate::fault::{self, Asked, Failure};
use crate::routes::Route;
use bytes::Bytes;
use http::{HeaderMap, Response};
use riskmesh_core::{Clock, Detail, Error, ErrorCode, error::DOMAIN};
use serde_json::{Value, json};
use std::sync::Arc;
use telemetry::TraceContext;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use transcode::{ErrorContext, ErrorRenderer, Kind};

/// Renders the transcoder's errors as the edge renders its own.
pub(crate) struct Renderer {
    pub(crate) clock: Arc<dyn Clock>,
}

impl ErrorRenderer for Renderer {
    fn render(&self, context: &ErrorContext<'_>, error: &transcode::Error) -> Response<Bytes> {
        let route = context.extensions.get::<Arc<Route>>().map(|route| &**route);
        let trace =
            context.extensions.get::<TraceContext>().cloned().unwrap_or_else(|| TraceContext::root(false));
        let asked = Asked { at: self.clock.now(), trace_id: trace.trace_id, headers: context.headers };
        fault::rest(&failure(error, route), &asked)
    }

    fn schema_in_stream(&self) -> Option<Value> {
        let error = json!({ "$ref": "#/components/schemas/Error" });
        Some(json!({ "type": "object", "properties": { "error": error }, "required": ["error"] }))
    }

    fn retell(&self, _: &ErrorContext<'_>, error: &transcode::Error) -> Option<Box<transcode::Error>> {
        let status = Status::with_details(error.code, error.message.clone(), error.details.clone());
        Some(Box::new(match error.kind {
            _ if is_ours(&status) => fault::shown(&status),
            // As gRPC and Connect have it.
            Kind::ContentCoding => fault::told(&Failure::message_coding()),
            _ => fault::told(&failure(error, None)),
        }))
    }
}

/// The failure that an error of the transcoder is, over REST by this route: callers know the fields of the HTTP body, not the name of the
/// request's field that it is.
pub(crate) fn failure(error: &transcode::Error, route: Option<&Route>) -> Failure {
    let body_field = route.and_then(|route| route.body_field.as_deref());
    match error.kind {
        Kind::NotFound => ErrorCode::RouteNotFound.into(),
        Kind::MethodNotAllowed => Failure::method_not_allowed(&error.allow.join(", ")),
        Kind::Path | Kind::Query | Kind::Header | Kind::Body => invalid(error, route).into(),
        Kind::BodyTooLarge => Error::new(ErrorCode::PayloadTooLarge).message(sentence(&error.message)).into(),
        Kind::UnsupportedMediaType => {
            Error::new(ErrorCode::UnsupportedMediaType).message(sentence(&error.message)).into()
        }
        Kind::ContentCoding => Failure::content_coding(),
        Kind::NotAcceptable => ErrorCode::NotAcceptable.into(),
        Kind::BodyRead => body_read(error).into(),
        Kind::Upstream => {
            let status = Status::with_details(error.code, error.message.clone(), error.details.clone());
            of_status(&status, body_field).into()
        }
        Kind::Transport => {
            let because = error.source.as_ref().map_or_else(String::new, ToString::to_string);
            Error::new(ErrorCode::from_grpc(error.code)).because(because).into()
        }
        Kind::BadResponse => {
            let because = error.source.as_ref().map_or_else(|| error.message.clone(), ToString::to_string);
            Error::new(ErrorCode::Internal).because(because).into()
        }
    }
}

/// The error that a service's status is, its fields relative to the HTTP body. What somebody else's status says about a failure of
/// ours (a host that did not answer, a library's internals) is for the log.
pub(crate) fn of_status(status: &Status, body_field: Option<&str>) -> Error {
    let mut error = Error::from_status(status);
    if !is_ours(status) && error.code.http() >= 500 {
        error = Error::new(error.code).because(status.message().to_owned());
    }
    if let Some(body) = body_field {
        for detail in &mut error.details {
            relative(detail, body);
        }
    }
    error
}

/// `client.name` in the request is `name` in a body that is the client; the whole client is `body`.
fn relative(detail: &mut Detail, body: &str) {
    let Some(rest) = detail.field.strip_prefix(body) else { return };
    let rest = match rest.strip_prefix('.') {
        Some(inside) => inside.to_owned(),
        None if rest.is_empty() => "body".to_owned(),
        None if rest.starts_with('[') => rest.to_owned(),
        None => return,
    };
    detail.field = rest.into();
}

/// Input that is not what its field takes, with the place in the body where there is one.
fn invalid(error: &transcode::Error, route: Option<&Route>) -> Error {
    let body_field = route.and_then(|route| route.body_field.as_deref());
    if let Some((route, field)) = route.zip(unknown_field(error))
        && route.unchangeable.iter().any(|stays| **stays == *field)
    {
        let expected = error.violations.first().and_then(|violation| violation.expected.clone());
        let field = field.to_owned();
        return Error::invalid(Detail::expected(field, "cannot be changed", expected.unwrap_or_default()));
    }
    let place = error.location.map(|at| format!("line {}, column {}", at.line, at.column));
    let mut details: Vec<Detail> = error
        .violations
        .iter()
        .map(|violation| {
            let issue = match &place {
                Some(place) => format!("{} ({place})", violation.description),
                None => violation.description.clone(),
            };
            let expected = violation.expected.clone().unwrap_or_default();
            let mut detail = Detail::expected(violation.field.clone(), issue, expected);
            if error.kind == Kind::Path
                && let Some(body) = body_field
            {
                relative(&mut detail, body);
            }
            if detail.field.is_empty() {
                detail.field = "body".into();
            }
            detail
        })
        .collect();
    if details.is_empty() {
        details.push(whole(error));
    }
    let mut answer = Error::new(ErrorCode::InvalidInput).message(sentence(&error.message));
    answer.details = details;
    answer
}

/// The field that a body has and its message does not.
fn unknown_field(error: &transcode::Error) -> Option<&str> {
    let violation = error.violations.first().filter(|_| error.kind == Kind::Body)?;
    (violation.description == "unknown field").then_some(&*violation.field)
}

/// What is wrong with all of a part of the request, where no field of it is at fault.
fn whole(error: &transcode::Error) -> Detail {
    let (part, expected) = match error.kind {
        Kind::Path => ("path", "the path of an operation, percent-encoded"),
        Kind::Query => ("query", "parameters of the operation, percent-encoded"),
        Kind::Header => ("header", "a header as the document has it"),
        _ => ("body", "a body as the document has it, in UTF-8"),
    };
    Detail::expected(part, error.message.clone(), expected)
}

/// A body that did not arrive whole.
fn body_read(error: &transcode::Error) -> Error {
    let source = error.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static));
    unread(source.and_then(find_status))
}

/// What to tell of a body whose reading ended with this: the edge's own guard says why, anything else is the caller's connection, or an
/// encoding that is none.
pub(crate) fn unread(status: Option<&Status>) -> Error {
    match status {
        Some(status) if is_ours(status) => Error::from_status(status),
        _ => {
            let detail =
                Detail::expected("body", "could not be read to its end", "a whole body, as its headers say");
            Error::invalid(detail).message("The request body could not be read to its end")
        }
    }
}

fn is_ours(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.domain == DOMAIN)
}

/// Puts a status of ours in the place of somebody else's, in an answer's headers or trailers.
pub(crate) fn own(headers: &mut HeaderMap) {
    let foreign =
        Status::from_header_map(headers).filter(|status| status.code() != Code::Ok && !is_ours(status));
    if let Some(status) = foreign {
        // It fails for texts that cannot be headers; these were headers, or are ours.
        let _ = Status::from(of_status(&status, None)).add_header(headers);
    }
}

fn find_status<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Status> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(status) = error.downcast_ref::<Status>() {
            return Some(status);
        }
        next = error.source();
    }
    None
}

/// The text as a sentence begins.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn fields_are_told_relative_to_the_body() {
        for (field, shown) in [
            ("client.clientId", "clientId"),
            ("client", "body"),
            ("client[2].name", "[2].name"),
            ("clientId", "clientId"),
            ("limit", "limit"),
        ] {
            let mut detail = Detail::new(field, "is wrong");
            relative(&mut detail, "client");
            assert_eq!(detail.field, shown);
        }
    }

    #[test]
    fn a_foreign_status_becomes_one_of_ours_and_success_stays() {
        let headers = |status: &Status| {
            let mut headers = HeaderMap::new();
            status.add_header(&mut headers).unwrap();
            own(&mut headers);
            Status::from_header_map(&headers).unwrap()
        };
        let foreign = headers(&Status::internal("tonic: a frame of theirs"));
        assert!(is_ours(&foreign) && !foreign.message().contains("theirs"), "{foreign:?}");
        let ours = Status::from(&Error::new(ErrorCode::ClientNotFound));
        assert_eq!(headers(&ours).details(), ours.details());
        assert_eq!(headers(&Status::new(Code::Ok, "")).code(), Code::Ok);
    }

    #[test]
    fn a_status_of_ours_keeps_its_words_and_a_foreign_failure_loses_them() {
        let ours =
            Status::from(&Error::new(ErrorCode::ServiceUnavailable).message("Scores are being rebuilt"));
        assert_eq!(of_status(&ours, None).message, "Scores are being rebuilt");
        let foreign = of_status(&Status::unavailable("tcp connect error: 10.1.2.3:50051"), None);
        assert_eq!(foreign.message, ErrorCode::ServiceUnavailable.message());
        assert!(foreign.cause().contains("10.1.2.3"));
    }
}
