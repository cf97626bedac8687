//! What a layer does holds to the last frame of an answer, not only to its headers: a body with a watcher around each poll.

use crate::status::trailers;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;

/// Polls a body in a layer's way.
pub(crate) trait Watch: Send + Unpin + 'static {
    /// The next frame. An error ends the answer: it becomes its trailers, and the body is dropped.
    fn poll(
        &mut self,
        body: Pin<&mut Body>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>>;
}

/// A body that is polled by a watcher. One that has ended already needs none.
pub(crate) fn watched(body: Body, watch: impl Watch) -> Body {
    if body.is_end_stream() { body } else { Body::new(Watched { state: Some((body, watch)) }) }
}

struct Watched<W> {
    /// `None` once the answer has ended.
    state: Option<(Body, W)>,
}

impl<W: Watch> HttpBody for Watched<W> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some((body, watch)) = &mut self.state else { return Poll::Ready(None) };
        let frame = match watch.poll(Pin::new(body), context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => Some(frame),
            Poll::Ready(Some(Err(status))) => {
                // Trailers, where an error would tear the stream and lose what it says.
                self.state = None;
                Some(Frame::trailers(trailers(&status)))
            }
            Poll::Ready(None) => None,
        };
        if frame.as_ref().is_none_or(Frame::is_trailers) {
            self.state = None;
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.state.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // Trailers may come instead of what is announced: only the upper bound can be promised.
        let mut hint = SizeHint::default();
        if let Some(upper) = self.state.as_ref().and_then(|(body, _)| body.size_hint().upper()) {
            hint.set_upper(upper);
        }
        hint
    }
}
