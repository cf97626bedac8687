//! Envelopes: a byte of flags, four of length, and a message; as gRPC's frames, but for what the flags say.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tonic::{Code, Status};

use super::{Call, Codec};
use crate::coding::{self, Coding};
use crate::error::{BoxError, Error, Kind, Result};
use crate::framing::{COMPRESSED, Cutter, PREFIX};
use crate::service::upload::Fault;

/// It is not a message but the end of the stream.
pub(super) const END: u8 = 2;

/// Adds an envelope around what `put` adds.
pub(super) fn seal<T>(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    let given = put(out);
    // Messages are within limits far below four gigabytes.
    let length = (out.len() - start - PREFIX) as u32;
    out[start + 1..start + PREFIX].copy_from_slice(&length.to_be_bytes());
    given
}

/// The messages of a request body, however its bytes arrive.
pub(super) struct Envelopes<B> {
    body: B,
    buffer: Cutter,
    coding: Option<Coding>,
    limit: usize,
    ended: bool,
}

impl<B> Envelopes<B>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    pub(super) fn new(body: B, coding: Option<Coding>, limit: usize) -> Self {
        Self { body, buffer: Cutter::default(), coding, limit, ended: false }
    }

    /// The next message; `None` at the end of the body.
    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            if let Some(message) = self.buffered()? {
                return Poll::Ready(Ok(Some(message)));
            }
            if self.ended {
                let whole = self.buffer.is_empty();
                return Poll::Ready(if whole {
                    Ok(None)
                } else {
                    Err(bad("the body ends within a message"))
                });
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.ended = true,
                Some(Err(source)) => return Poll::Ready(Err(Error::body_read(source))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.push(data);
                    }
                }
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>> {
        let Some((flags, length)) = self.buffer.head() else { return Ok(None) };
        if flags == END || flags == END | COMPRESSED {
            return Err(bad("only an answer has an envelope that ends the stream"));
        }
        if flags > COMPRESSED {
            return Err(bad("an envelope has unknown flags"));
        }
        if length > self.limit {
            return Err(self.too_large());
        }
        let Some(message) = self.buffer.cut(length) else { return Ok(None) };
        let message = message.slice(PREFIX..);
        if flags == 0 {
            return Ok(Some(message));
        }
        let Some(coding) = self.coding else {
            let mut error = bad("a message is compressed, and the headers name no compression");
            // As gRPC has it (doc/compression.md), and Connect's conformance suite.
            error.code = Code::Internal;
            return Err(error);
        };
        match coding::decode(coding, message, self.limit) {
            Ok(message) => Ok(Some(message.into())),
            Err(coding::Error::TooLarge(_)) => Err(self.too_large()),
            Err(error) => Err(Error::boxed(Kind::Body, format!("a message does not decode: {error}"))),
        }
    }

    fn too_large(&self) -> Box<Error> {
        Error::boxed(Kind::BodyTooLarge, format!("a message is larger than {} bytes", self.limit))
    }
}

fn bad(message: &'static str) -> Box<Error> {
    Error::boxed(Kind::Body, message)
}

/// The request body of a client-streaming call: frames as the service takes them.
pub(super) struct Upload<B> {
    call: Arc<Call>,
    codec: Codec,
    envelopes: Envelopes<B>,
    fault: Fault,
    ended: bool,
}

impl<B> Upload<B> {
    pub(super) fn new(call: Arc<Call>, codec: Codec, envelopes: Envelopes<B>) -> Self {
        Self { call, codec, envelopes, fault: Fault::default(), ended: false }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl<B> http_body::Body for Upload<B>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.envelopes.poll_message(cx));
        let next =
            next.and_then(|next| next.map(|message| self.call.frame(self.codec, &message)).transpose());
        self.ended = !matches!(next, Ok(Some(_)));
        Poll::Ready(self.fault.pass(next))
    }
}
