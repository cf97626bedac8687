//! How a call ended, as a service says it in headers or trailers. A service may send anything there: what cannot be read is left out,
//! and the code stays.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
#[cfg(feature = "reflection")]
use http::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
#[cfg(feature = "reflection")]
use http_body::Frame;
#[cfg(feature = "reflection")]
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode;
use tonic::Code;

use crate::error::{Error, Kind, Result, http_status};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Padded or not, as gRPC has all binary metadata.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the call ended, where this says so: an error if not well.
pub(super) fn of(headers: &HeaderMap) -> Option<Result<()>> {
    let code = Code::from_bytes(headers.get(STATUS)?.as_bytes());
    Some(if code == Code::Ok { Ok(()) } else { Err(error(code, headers)) })
}

/// What an answer without a status of gRPC stands for (gRPC's doc/http-grpc-status-mapping.md). 200 is no success: one would say so.
pub(super) fn of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Whether this says how the call ended.
pub(super) fn is_there(headers: &HeaderMap) -> bool {
    headers.contains_key(STATUS)
}

fn error(code: Code, headers: &HeaderMap) -> Box<Error> {
    let message = headers.get(MESSAGE).map(|text| percent_decode(text.as_bytes()).decode_utf8_lossy());
    let mut error = Error::boxed(Kind::Upstream, message.unwrap_or_default());
    error.code = code;
    error.status = http_status(code);
    error.details = headers.get(DETAILS).and_then(details).unwrap_or_default();
    error.metadata = headers.clone();
    for name in [STATUS, MESSAGE, DETAILS] {
        error.metadata.remove(name);
    }
    error
}

fn details(value: &HeaderValue) -> Option<Bytes> {
    BASE64.decode(value).ok().map(Bytes::from)
}

/// Takes off what no reader of a status can read, and some readers break on.
pub(crate) fn mend(headers: &mut HeaderMap) {
    if headers.get(DETAILS).is_some_and(|value| details(value).is_none()) {
        headers.remove(DETAILS);
    }
}

/// An answer for whoever reads its status by `tonic`, which breaks on such.
#[cfg(feature = "reflection")]
pub(crate) fn mended(response: Response<tonic::body::Body>) -> Response<tonic::body::Body> {
    let (mut head, body) = response.into_parts();
    mend(&mut head.headers);
    let body = body.map_frame(|frame| match frame.into_trailers() {
        Ok(mut trailers) => {
            mend(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    });
    Response::from_parts(head, tonic::body::Body::new(body))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static [u8])]) -> HeaderMap {
        let header = |&(name, value): &(&'static str, &'static [u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn a_status_is_read_whatever_comes_with_it() {
        assert!(of(&headers(&[("grpc-message", b"x")])).is_none());
        assert!(of(&headers(&[("grpc-status", b"0"), ("grpc-status-details-bin", b"!")])).unwrap().is_ok());
        for (status, code) in [(&b"5"[..], Code::NotFound), (b"99", Code::Unknown), (b"x", Code::Unknown)] {
            assert_eq!(of(&headers(&[("grpc-status", status)])).unwrap().unwrap_err().code, code);
        }
        for (message, text) in [
            (&b"no%20such%E2%9C%93"[..], "no such\u{2713}"),
            (b"bad%ZZ%ff", "bad%ZZ\u{fffd}"),
            (b"caf\xc3\xa9 \xff", "caf\u{e9} \u{fffd}"),
        ] {
            let error =
                of(&headers(&[("grpc-status", b"5"), ("grpc-message", message)])).unwrap().unwrap_err();
            assert_eq!((error.code, &*error.message), (Code::NotFound, text));
        }
        for (sent, details) in
            [(&b"CAU"[..], &b"\x08\x05"[..]), (b"CAU=", b"\x08\x05"), (b"!!!", b""), (b"C", b""), (b"", b"")]
        {
            let sent =
                headers(&[("grpc-status", b"5"), ("grpc-status-details-bin", sent), ("x-other", b"1")]);
            let error = of(&sent).unwrap().unwrap_err();
            assert_eq!(error.details, details);
            assert_eq!(error.metadata, headers(&[("x-other", b"1")]));
        }
    }

    #[test]
    fn only_what_cannot_be_read_is_taken_off() {
        for (sent, stays) in
            [(&b"CAU"[..], true), (b"CAU=", true), (b"", true), (b"!!!", false), (b"C", false)]
        {
            let mut headers = headers(&[("grpc-status", b"5"), ("grpc-status-details-bin", sent)]);
            mend(&mut headers);
            assert_eq!((headers.contains_key(DETAILS), is_there(&headers)), (stays, true));
        }
    }
}
