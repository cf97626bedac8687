//! The JWT interceptor in front of every service.
//!
//! A tower layer rather than a tonic interceptor: those are synchronous for good, and fetching an issuer's keys is not.

use crate::claims::Claims;
use crate::verifier::Verifier;
use futures::future::Either;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use riskmesh_core::{Error, ErrorCode, Result};
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Lets only requests with a valid token through, with `Arc<Claims>` in their extensions; answers the others with the gRPC status
/// (`UNAUTHENTICATED` with our details), trailers only.
#[derive(Clone, Debug)]
pub struct AuthnLayer {
    verifier: Arc<Verifier>,
}

impl AuthnLayer {
    /// A layer that asks this verifier.
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier }
    }
}

impl<S> Layer<S> for AuthnLayer {
    type Service = Authn<S>;

    fn layer(&self, inner: S) -> Authn<S> {
        Authn { inner, verifier: Arc::clone(&self.verifier) }
    }
}

/// [`AuthnLayer`]'s service.
#[derive(Clone, Debug)]
pub struct Authn<S> {
    inner: S,
    verifier: Arc<Verifier>,
}

impl<S, B> Service<Request<B>> for Authn<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let verified = bearer(request.headers()).and_then(|token| self.verifier.verify(token));
        match verified {
            Ok(claims) => {
                request.extensions_mut().insert(claims);
                Either::Right(self.inner.call(request))
            }
            Err(error) => {
                tracing::debug!(code = error.code.name(), cause = error.cause(), "token refused");
                Either::Left(ready(Ok(Status::from(&error).into_http())))
            }
        }
    }
}

/// The token of `Authorization: Bearer <token>` (RFC 6750): `AUTH_TOKEN_MISSING` where there is none, `AUTH_TOKEN_INVALID` where it
/// is not one header of that form.
pub fn bearer(headers: &HeaderMap) -> Result<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Error::new(ErrorCode::TokenMissing)) };
    let invalid = |reason: &'static str| Error::new(ErrorCode::TokenInvalid).because(reason);
    if values.next().is_some() {
        return Err(invalid("two Authorization headers"));
    }
    let text = value.to_str().map_err(|_| invalid("an Authorization header that is not ASCII"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start_matches(' ')),
        // Another scheme is no token of ours.
        _ => Err(Error::new(ErrorCode::TokenMissing)),
    }
}

/// The caller of a handler: `AUTH_TOKEN_MISSING` where [`AuthnLayer`] did not run, so a handler cannot be reached without it.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<&Arc<Claims>, Status> {
    request
        .extensions()
        .get::<Arc<Claims>>()
        .ok_or_else(|| Status::from(&Error::new(ErrorCode::TokenMissing)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::verifier::tests::World;
    use std::convert::Infallible;
    use tower::ServiceExt as _;

    async fn ask(world: &World, authorization: &[&str]) -> Response<Body> {
        let handler = tower::service_fn(|request: Request<()>| async move {
            let claims = request.extensions().get::<Arc<Claims>>().cloned();
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(claims.map(|claims| claims.sub.clone()));
            Ok::<_, Infallible>(response)
        });
        let mut request = Request::new(());
        for value in authorization {
            request.headers_mut().append(AUTHORIZATION, value.parse().unwrap());
        }
        AuthnLayer::new(Arc::new(world.verifier())).layer(handler).oneshot(request).await.unwrap()
    }

    fn refusal(response: &Response<Body>) -> ErrorCode {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        Error::from_status(&status).code
    }

    #[tokio::test]
    async fn a_valid_token_reaches_the_handler_as_claims() {
        let world = World::new();
        for scheme in ["Bearer", "bearer", "BEARER "] {
            let response = ask(&world, &[&format!("{scheme} {}", world.token())]).await;
            assert_eq!(response.extensions().get::<Option<String>>().unwrap().as_deref(), Some("user-7"));
        }
    }

    #[tokio::test]
    async fn anything_else_is_answered_with_a_grpc_status() {
        let world = World::new();
        let good = format!("Bearer {}", world.token());
        assert_eq!(refusal(&ask(&world, &[]).await), ErrorCode::TokenMissing);
        assert_eq!(refusal(&ask(&world, &["Basic dXNlcjpwYXNz"]).await), ErrorCode::TokenMissing);
        assert_eq!(refusal(&ask(&world, &[&good, &good]).await), ErrorCode::TokenInvalid);
        assert_eq!(refusal(&ask(&world, &["Bearer "]).await), ErrorCode::TokenInvalid);
        assert_eq!(refusal(&ask(&world, &[&format!("{good} x")]).await), ErrorCode::TokenInvalid);
    }

    #[test]
    fn a_handler_without_the_layer_in_front_has_no_caller() {
        assert_eq!(caller(&tonic::Request::new(())).unwrap_err().code(), tonic::Code::Unauthenticated);
    }
}
