//! Uploads of `google.api.HttpBody` as streams: each piece that arrives is a message, so that memory does not grow with
//! the body. The first one carries what path and query set, and the content type.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::Frame;
use tonic::Status;

use super::upload::Fault;
use crate::builder::Engine;
use crate::error::{BoxError, Error, Result};
use crate::request::Woven;
use crate::rule::RoutePlan;

/// Bytes of one message at the most.
const PIECE: usize = 64 << 10;

/// The request body of a client-streaming call whose messages are a body in pieces.
pub(super) struct Upload<B> {
    engine: Arc<Engine>,
    route: Arc<RoutePlan>,
    /// Until the first message was sent.
    first: Option<(Woven, Bytes)>,
    body: B,
    piece: Bytes,
    fault: Fault,
    ended: bool,
}

impl<B> Upload<B> {
    pub(super) fn new(
        engine: Arc<Engine>,
        route: Arc<RoutePlan>,
        woven: Woven,
        body: B,
        content_type: &[u8],
    ) -> Self {
        let first = Some((woven, Bytes::copy_from_slice(content_type)));
        Self { engine, route, first, body, piece: Bytes::new(), fault: Fault::default(), ended: false }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }

    fn frame(&mut self) -> Result<Bytes> {
        let piece = self.piece.split_to(self.piece.len().min(PIECE));
        let (woven, content_type) = self.first.take().unwrap_or_default();
        let frame = woven.raw_frame(&self.engine.plans, &self.route, &piece, &content_type)?;
        Ok(self.engine.pack(frame))
    }
}

impl<B> Upload<B>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            if !self.piece.is_empty() {
                return Poll::Ready(self.frame().map(Some));
            }
            if self.ended {
                // An empty body is a message too: the call has its path and its query.
                let empty = self.first.is_some().then(|| self.frame());
                return Poll::Ready(empty.transpose());
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.ended = true,
                Some(Ok(frame)) => {
                    if let Ok(mut data) = frame.into_data() {
                        self.piece = data.copy_to_bytes(data.remaining());
                    }
                }
                Some(Err(source)) => return Poll::Ready(Err(Error::body_read(source))),
            }
        }
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
        let next = ready!(self.poll_next(cx));
        self.ended |= next.is_err();
        Poll::Ready(self.fault.pass(next))
    }
}
