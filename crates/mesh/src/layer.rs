//! A layer as an async function: request in, answer out, `next` in between.

use http::{Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};

/// What a layer can wrap: a gRPC service whose every outcome is an answer, errors included.
pub(crate) trait Inner:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> Inner for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Makes a layer of a function.
pub(crate) fn around<F>(function: F) -> Around<F> {
    Around(function)
}

#[derive(Clone)]
pub(crate) struct Around<F>(F);

impl<S, F: Clone> Layer<S> for Around<F> {
    type Service = Wrapped<S, F>;

    fn layer(&self, inner: S) -> Wrapped<S, F> {
        Wrapped { inner, function: self.0.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Wrapped<S, F> {
    inner: S,
    function: F,
}

impl<S, F, R> Service<Request<Body>> for Wrapped<S, F>
where
    S: Inner,
    F: Fn(S, Request<Body>) -> R,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Readiness is waited for inside the call, on the clone that takes it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = (self.function)(self.inner.clone(), request);
        Box::pin(async move { Ok(answer.await) })
    }
}
