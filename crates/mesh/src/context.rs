//! What a handler was called with, kept beside its task: the calls that it makes carry it on without passing it around.
//!
//! The server stack sets it around a handler and around the polls of its answer's stream; the client stack reads it. A task that a
//! handler spawns does not inherit it: take [`Inbound::current`] along and [`Inbound::scope`] the task, or leave it behind on
//! purpose, for work that must outlive the caller's deadline.

use crate::body::Watch;
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body as _, Frame};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use telemetry::{RequestId, TraceContext, trace};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

/// The call that is being answered. Prints without the caller's token.
#[derive(Clone)]
pub struct Inbound {
    /// When it must be answered.
    pub deadline: Option<Instant>,
    /// The caller's `authorization`, to call others in its name.
    pub authorization: Option<HeaderValue>,
    /// The trace, and in it the span that serves the call.
    pub trace: TraceContext,
    /// The id that its first hop gave it.
    pub request_id: RequestId,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("remaining", &self.remaining())
            .field("trace", &self.trace)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

tokio::task_local! {
    static INBOUND: Inbound;
}

impl Inbound {
    /// The context of this task, `None` outside of any call.
    pub fn current() -> Option<Self> {
        INBOUND.try_with(Clone::clone).ok()
    }

    /// Runs a future in this context; the trace becomes `telemetry`'s current one.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        let trace = self.trace.clone();
        INBOUND.scope(self, trace::scope(trace, future)).await
    }

    /// Runs a closure in this context.
    pub fn sync_scope<T>(self, run: impl FnOnce() -> T) -> T {
        let trace = self.trace.clone();
        INBOUND.sync_scope(self, || trace::sync_scope(trace, run))
    }

    /// How much time is left; zero when it is over.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// Polls a body in a context.
pub(crate) struct InContext(pub(crate) Inbound);

impl Watch for InContext {
    fn poll(
        &mut self,
        body: Pin<&mut Body>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.clone().sync_scope(|| body.poll_frame(context))
    }
}
