//! Response bodies.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

use crate::builder::Engine;
use crate::error::{BoxError, Error, Kind, Result};
use crate::plan::{Plans, Raw, Reader, Selection};
use crate::rule::RoutePlan;

/// The body of an answer: bytes at hand, or a stream. Dropping a stream cancels the call behind it.
#[derive(Debug)]
pub struct Body(Inner);

#[derive(Debug)]
enum Inner {
    Full(Option<Bytes>),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self(Inner::Full(None))
    }

    /// Bytes at hand.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes: Bytes = bytes.into();
        Self(Inner::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// The bytes, if they are at hand.
    pub(super) fn as_full(&self) -> Option<&[u8]> {
        match &self.0 {
            Inner::Full(bytes) => Some(bytes.as_deref().unwrap_or_default()),
            Inner::Stream(_) => None,
        }
    }

    /// The bytes, or the stream that it is.
    pub(super) fn into_full(self) -> std::result::Result<Bytes, Self> {
        match self.0 {
            Inner::Full(bytes) => Ok(bytes.unwrap_or_default()),
            Inner::Stream(_) => Err(self),
        }
    }

    pub(super) fn stream(
        body: impl http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
    ) -> Self {
        Self(Inner::Stream(UnsyncBoxBody::new(body)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.is_none(),
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

/// The answer to HEAD: the headers of the answer to GET, and no body.
pub(super) fn without(mut response: Response<Body>) -> Response<Body> {
    let exact = http_body::Body::size_hint(response.body()).exact();
    if let Some(length) = exact.filter(|length| *length > 0) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
    response
}

/// The JSON of a response message, or of its field that is the HTTP body, and of it what is selected.
pub(super) fn append_json(
    engine: &Engine,
    route: &RoutePlan,
    selection: Option<&Selection>,
    message: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let (plans, output, options) = (&engine.plans, route.output, &engine.print);
    let printed = match (route.response, selection) {
        (None, None) => plans.print(output, message, options, out),
        (field, selection) => plans.print_part(output, field, selection, message, options, out),
    };
    printed.map_err(|error| {
        Error::boxed(Kind::BadResponse, "the service's answer is malformed").with_source(error)
    })
}

/// The content type and bytes of an answer that is a `google.api.HttpBody`.
pub(super) fn raw(plans: &Plans, route: &RoutePlan, message: &Bytes) -> Result<(HeaderValue, Bytes)> {
    let bad = || Error::boxed(Kind::BadResponse, "the service's answer is malformed");
    let (mut content_type, mut data): (&[u8], &[u8]) = (&[], &[]);
    let mut body: &[u8] = message;
    if let Some(index) = route.response {
        let number = plans.get(route.output).fields[index as usize].number;
        let mut reader = Reader::new(message);
        body = &[];
        while let Some((of, raw)) = reader.field().map_err(|_| bad())? {
            if let (true, Raw::Len(bytes)) = (of == number, raw) {
                body = bytes;
            }
        }
    }
    let mut reader = Reader::new(body);
    while let Some(field) = reader.field().map_err(|_| bad())? {
        match field {
            (1, Raw::Len(bytes)) => content_type = bytes,
            (2, Raw::Len(bytes)) => data = bytes,
            _ => {}
        }
    }
    let content_type = match content_type {
        [] => HeaderValue::from_static("application/octet-stream"),
        text => HeaderValue::from_bytes(text).map_err(|_| bad())?,
    };
    Ok((content_type, message.slice_ref(data)))
}
