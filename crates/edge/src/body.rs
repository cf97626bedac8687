//! Request bodies on a leash: so many bytes, in so much time, out of what memory there is.

use crate::budget::Share;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use riskmesh_core::{Error, ErrorCode};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

/// A body that ends with `PAYLOAD_TOO_LARGE` or `REQUEST_TIMEOUT` where it goes on for too long, and with `SERVICE_UNAVAILABLE` where
/// there is no memory for it. All travel as a [`Status`], which the transcoder and [`Messages`](crate::messages::Messages) carry to whoever
/// answers.
pub(crate) struct Guarded {
    inner: Body,
    limit: Option<usize>,
    left: usize,
    /// How much more of it, when it has come, is held by whoever reads it.
    held: usize,
    share: Arc<Share>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The time between two pieces, where it is that which is bounded.
    pause: Option<Duration>,
}

impl Guarded {
    /// A body that is one message, of at most `limit` bytes; all of it has `time` to arrive, from now on. `held` bytes of it are counted.
    pub(crate) fn message(inner: Body, limit: usize, held: usize, time: Duration, share: Arc<Share>) -> Self {
        let timer = (!inner.is_end_stream()).then(|| Box::pin(sleep(time)));
        Self { inner, limit: Some(limit), left: limit, held, share, timer, pause: None }
    }

    /// A body without an end, of which at most `held` bytes are held at any time. It may pause for so long, or for ever.
    pub(crate) fn stream(inner: Body, held: usize, pause: Option<Duration>, share: Arc<Share>) -> Self {
        let timer = pause.filter(|_| !inner.is_end_stream()).map(|pause| Box::pin(sleep(pause)));
        Self { inner, limit: None, left: usize::MAX, held, share, timer, pause }
    }

    /// A piece has come.
    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        match (self.left.checked_sub(bytes), self.limit) {
            (Some(left), Some(_)) => self.left = left,
            (None, Some(limit)) => return Err(too_large(limit)),
            (_, None) => {}
        }
        let held = bytes.min(self.held);
        self.share.take(held)?;
        self.held -= held;
        if let (Some(pause), Some(timer)) = (self.pause, &mut self.timer) {
            timer.as_mut().reset(Instant::now() + pause);
        }
        Ok(())
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
            && let Err(error) = this.count(data.len())
        {
            return Poll::Ready(Some(Err(Status::from(&error))));
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
    use crate::budget::Budget;
    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};
    use telemetry::Metrics;

    const SOON: Duration = Duration::from_secs(10);

    fn share(bytes: usize) -> Arc<Share> {
        let share = Budget::new(bytes, &Metrics::new()).share();
        share.known();
        share
    }

    fn chunks(sizes: &[usize]) -> Body {
        let frames: Vec<_> =
            sizes.iter().map(|size| Ok::<_, Status>(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        Body::new(StreamBody::new(futures::stream::iter(frames)))
    }

    /// A piece each so many milliseconds.
    fn paced(pauses: &'static [u64]) -> Body {
        let pieces = futures::stream::iter(pauses).then(async |pause| {
            sleep(Duration::from_millis(*pause)).await;
            Ok::<_, Status>(Frame::data(Bytes::from_static(b"x")))
        });
        Body::new(StreamBody::new(pieces.boxed()))
    }

    fn code(status: &Status) -> ErrorCode {
        Error::from_status(status).code
    }

    #[tokio::test]
    async fn bytes_are_counted_across_chunks_and_the_limit_is_inclusive() {
        let guarded = |sizes| Guarded::message(chunks(sizes), 10, 10, SOON, share(100));
        assert_eq!(guarded(&[3, 3, 4]).collect().await.unwrap().to_bytes().len(), 10);
        let error = guarded(&[3, 3, 5]).collect().await.unwrap_err();
        assert_eq!(code(&error), ErrorCode::PayloadTooLarge);
        assert!(error.message().contains("10 bytes"));
    }

    #[tokio::test]
    async fn a_body_takes_memory_as_it_comes_and_no_more_than_is_held_of_it() {
        let error =
            Guarded::message(chunks(&[30, 30]), 100, 100, SOON, share(50)).collect().await.unwrap_err();
        assert_eq!(code(&error), ErrorCode::ServiceUnavailable);
        let stream = Guarded::stream(chunks(&[30; 10]), 40, None, share(50));
        assert_eq!(stream.collect().await.unwrap().to_bytes().len(), 300);
    }

    #[tokio::test]
    async fn a_message_has_a_time_in_all_and_a_stream_a_time_to_pause() {
        let time = Duration::from_millis(400);
        let message = |pauses| Guarded::message(paced(pauses), 10, 10, time, share(100)).collect();
        let stream = |pauses| Guarded::stream(paced(pauses), 10, Some(time), share(100)).collect();
        assert!(message(&[10, 10]).await.is_ok());
        assert_eq!(code(&message(&[250, 250]).await.unwrap_err()), ErrorCode::RequestTimeout);
        assert!(stream(&[120; 5]).await.is_ok());
        assert_eq!(code(&stream(&[10, 5000]).await.unwrap_err()), ErrorCode::RequestTimeout);
    }
}
