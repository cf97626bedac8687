//! Content codings of answers, and of gRPC messages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body as _, Frame};

use super::{Body, negotiate};
use crate::builder::Engine;
use crate::coding::{self, Coding, Encoder};
use crate::error::BoxError;
use crate::framing::PREFIX;

/// gRPC messages from this size on are sent coded, where that is wanted: below it there is nothing to gain.
const SMALLEST_MESSAGE: usize = 1 << 10;

/// Codes an answer as the request's `Accept-Encoding` likes best, if it is text of so many bytes; a stream at any size, each
/// message as it comes. A strong `ETag` names the bytes of an answer, so that one that has it stays as it is.
///
/// The transcoder does this by itself ([`Compression::answers_from`](crate::Compression::answers_from)); it is here for those
/// who look into answers before they go.
pub fn compress(asked: &HeaderMap, mut response: Response<Body>, smallest: usize) -> Response<Body> {
    if !depends_on_codings(&response, smallest) {
        return response;
    }
    let vary = HeaderValue::from_name(header::ACCEPT_ENCODING);
    if !response.headers().get_all(header::VARY).iter().any(|value| *value == vary) {
        response.headers_mut().append(header::VARY, vary);
    }
    let Some(coding) = negotiate::answer_coding(asked) else { return response };
    let body = std::mem::replace(response.body_mut(), Body::empty());
    *response.body_mut() = match body.into_full() {
        Err(stream) => Body::stream(Encoded { body: stream, encoder: Some(Encoder::new(coding)) }),
        Ok(bytes) => {
            let Ok(coded) = coding::encode(coding, &bytes) else {
                // What a codec cannot do is not the client's trouble.
                return response.map(|_| Body::full(bytes));
            };
            Body::full(coded)
        }
    };
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    response
}

/// The coding that the answer to a request with these headers may have, by `Accept-Encoding` (RFC 9110, section 12.5.3): the one that the
/// client likes best; of those that it likes equally, the one that we do.
pub fn accepted_coding(asked: &HeaderMap) -> Option<Coding> {
    negotiate::answer_coding(asked)
}

/// Whether an answer is such that it is coded for those who accept that.
pub(super) fn depends_on_codings(response: &Response<Body>, smallest: usize) -> bool {
    let headers = response.headers();
    let strong = headers.get(header::ETAG).is_some_and(|tag| !tag.as_bytes().starts_with(b"W/"));
    let exact = response.body().size_hint().exact();
    let small = exact.is_some_and(|length| length < smallest as u64);
    !strong && !small && !headers.contains_key(header::CONTENT_ENCODING) && is_text(headers)
}

fn is_text(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = text.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.starts_with(b"text/")
        || essence.ends_with(b"+json")
        || matches!(essence, b"application/json" | b"application/x-ndjson")
}

/// A stream that is coded piece by piece: whatever has come can be decoded.
struct Encoded {
    body: Body,
    encoder: Option<Encoder>,
}

impl http_body::Body for Encoded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
        let mut out = Vec::new();
        match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Err(error)) => {
                // Without its end the coded text is seen to be cut short.
                this.encoder = None;
                return Poll::Ready(Some(Err(error)));
            }
            Some(Ok(frame)) => {
                let mut data = frame.into_data().unwrap_or_default();
                encoder.flush(&data.copy_to_bytes(data.remaining()), &mut out)?;
            }
            None => {
                encoder.finish(b"", &mut out)?;
                this.encoder = None;
            }
        }
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}

impl Engine {
    /// A frame on its way to the service: its message is coded, where that is wanted and pays.
    pub(super) fn pack(&self, frame: Vec<u8>) -> Bytes {
        let message = &frame[PREFIX..];
        let Some(coding) = self.compression.messages.filter(|_| message.len() >= SMALLEST_MESSAGE) else {
            return frame.into();
        };
        match packed(coding, message) {
            Some(packed) if packed.len() < frame.len() => packed.into(),
            _ => frame.into(),
        }
    }
}

fn packed(coding: Coding, message: &[u8]) -> Option<Vec<u8>> {
    let coded = coding::encode(coding, message).ok()?;
    let length = u32::try_from(coded.len()).ok()?;
    Some([&[1], &length.to_be_bytes()[..], &coded].concat())
}
