//! A handler that panics answers `INTERNAL`; its connection, and every other call on it, goes on.

use crate::body::{Watch, watched};
use crate::layer::Inner;
use crate::status::answer;
use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use riskmesh_core::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

/// Turns a panic into an answer. What was being handled is dropped and never used again, so it may be in any state.
pub(crate) async fn catch<S: Inner>(next: S, request: Request<Body>) -> Response<Body> {
    match AssertUnwindSafe(next.oneshot(request)).catch_unwind().await {
        Ok(Ok(response)) => response.map(|body| watched(body, Caught)),
        Err(_payload) => answer(&panicked()),
    }
}

/// The panic hook has printed where it was; its message may hold anything and goes nowhere else.
fn panicked() -> Error {
    tracing::error!("a handler panicked");
    Error::internal("handle a call")
}

struct Caught;

impl Watch for Caught {
    fn poll(
        &mut self,
        body: Pin<&mut Body>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        catch_unwind(AssertUnwindSafe(|| body.poll_frame(context)))
            .unwrap_or_else(|_payload| Poll::Ready(Some(Err(Status::from(&panicked())))))
    }
}
