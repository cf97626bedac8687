//! gRPC messages out of a response body: length-prefixed, bounded, coded or not.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;

use super::deadline::Deadline;
use super::status;
use crate::coding::{self, Coding};
use crate::error::{Error, Kind, Result};
use crate::framing::{COMPRESSED, Cutter, PREFIX};

pub(super) struct Frames {
    body: tonic::body::Body,
    buffer: Cutter,
    coding: Option<Coding>,
    limit: usize,
    deadline: Deadline,
    trailers: Option<HeaderMap>,
    ended: bool,
}

impl Frames {
    /// The messages of a body whose headers these are.
    pub(super) fn new(
        body: tonic::body::Body,
        headers: &HeaderMap,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Self> {
        let coding = match headers.get("grpc-encoding").map(|name| name.to_str().unwrap_or("?")) {
            None | Some("identity") => None,
            Some(name) => Some(Coding::of(name).ok_or_else(|| bad("the answer is in an unknown coding"))?),
        };
        Ok(Self { body, buffer: Cutter::default(), coding, limit, deadline, trailers: None, ended: false })
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
                    Err(bad("the answer ends within a message"))
                });
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.deadline.poll(cx));
                return Poll::Ready(Err(Error::late()));
            };
            match frame {
                None => self.ended = true,
                // The body's errors are statuses already: the one that the transport found, or the service's own.
                Some(Err(status)) => return Poll::Ready(Err(Error::transport(Box::new(status)))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.push(data),
                    Err(frame) => {
                        self.trailers = frame.into_trailers().ok();
                        self.ended = true;
                    }
                },
            }
        }
    }

    /// The one message of a unary answer, and the metadata at its end.
    pub(super) async fn one(&mut self, initial: &HeaderMap) -> Result<(Bytes, HeaderMap)> {
        let message = poll_fn(|cx| self.poll_message(cx)).await?;
        let more = match &message {
            Some(_) => poll_fn(|cx| self.poll_message(cx)).await?,
            None => None,
        };
        let wrong = || Error::boxed(Kind::BadResponse, "the service did not answer with one message");
        if more.is_some() {
            return Err(wrong());
        }
        let trailers = self.status(initial)?;
        message.map(|message| (message, trailers)).ok_or_else(wrong)
    }

    fn buffered(&mut self) -> Result<Option<Bytes>> {
        let Some((flag, length)) = self.buffer.head() else { return Ok(None) };
        if flag > COMPRESSED || flag == COMPRESSED && self.coding.is_none() {
            return Err(bad("a message of the answer has an unknown flag, or a coding that was not named"));
        }
        if length > self.limit {
            return Err(bad("a message of the answer is larger than the limit"));
        }
        let Some(message) = self.buffer.cut(length) else { return Ok(None) };
        let message = message.slice(PREFIX..);
        let Some(coding) = self.coding.filter(|_| flag == COMPRESSED) else { return Ok(Some(message)) };
        match coding::decode(coding, message, self.limit) {
            Ok(message) => Ok(Some(message.into())),
            Err(coding::Error::TooLarge(_)) => Err(bad("a message of the answer is larger than the limit")),
            Err(_) => Err(bad("a message of the answer does not decode")),
        }
    }

    /// The metadata at the end of a call that succeeded; the error of one that did not.
    pub(super) fn status(&mut self, initial: &HeaderMap) -> Result<HeaderMap> {
        let trailers = self.trailers.take().unwrap_or_default();
        match status::of(&trailers).or_else(|| status::of(initial)) {
            Some(ended) => ended.map(|()| trailers),
            None => Err(no_status()),
        }
    }
}

/// The error of an answer that ends without a status.
pub(super) fn no_status() -> Box<Error> {
    bad("the answer has no status").with_code(status::of_http(StatusCode::OK))
}

fn bad(what: &'static str) -> Box<Error> {
    Error::boxed(Kind::BadResponse, "the service's answer is malformed").with_source(what)
}
