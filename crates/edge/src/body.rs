//! Request bodies on a leash: so many bytes, in so much time.

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use riskmesh_core::{Error, ErrorCode};
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

/// A body that ends with `PAYLOAD_TOO_LARGE` or `REQUEST_TIMEOUT` where it goes on for too long. Both travel as a [`Status`], which
/// the transcoder and tonic alike carry to whoever answers.
pub(crate) struct Guarded {
    inner: Body,
    limit: Option<usize>,
    left: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// `limit` in bytes, `None` for a stream without an end; `time` for all of it to arrive. The time runs from now.
    pub(crate) fn new(inner: Body, limit: Option<usize>, time: Option<Duration>) -> Self {
        let timer = time.filter(|_| !inner.is_end_stream()).map(|time| Box::pin(sleep(time)));
        Self { inner, limit, left: limit.unwrap_or(usize::MAX), timer }
    }
}

/// `PAYLOAD_TOO_LARGE` with the limit.
pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(ErrorCode::PayloadTooLarge).message(format!("The request body is larger than {limit} bytes"))
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Some(timer) = &mut this.timer else { return Poll::Pending };
                ready!(timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Status::from(&Error::new(ErrorCode::RequestTimeout)))));
            }
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let Some(left) = this.left.checked_sub(data.len()) else {
                let error = too_large(this.limit.unwrap_or(usize::MAX));
                return Poll::Ready(Some(Err(Status::from(&error))));
            };
            this.left = left;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    fn chunks(sizes: &[usize]) -> Body {
        let frames: Vec<_> =
            sizes.iter().map(|size| Ok::<_, Status>(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    fn code(status: &Status) -> ErrorCode {
        Error::from_status(status).code
    }

    #[tokio::test]
    async fn bytes_are_counted_across_chunks_and_the_limit_is_inclusive() {
        let whole = Guarded::new(chunks(&[3, 3, 4]), Some(10), None).collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 10);
        let error = Guarded::new(chunks(&[3, 3, 5]), Some(10), None).collect().await.unwrap_err();
        assert_eq!(code(&error), ErrorCode::PayloadTooLarge);
        assert!(error.message().contains("10 bytes"));
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_a_request_timeout() {
        let first = futures::stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(b"x")))]);
        let stalled = Body::new(StreamBody::new(first.chain(futures::stream::pending())));
        let guarded = Guarded::new(stalled, Some(10), Some(Duration::from_millis(5)));
        assert_eq!(code(&guarded.collect().await.unwrap_err()), ErrorCode::RequestTimeout);
    }
}
