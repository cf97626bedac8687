//! The method policy in front of every service's handlers.

use crate::compiled::Policy;
use api::Method;
use authn::Claims;
use futures::future::Either;
use http::{Request, Response};
use riskmesh_core::{Error, ErrorCode, Result};
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Lets a call through when its caller (put there by `authn::AuthnLayer`, which goes before) may call its method. A path outside the
/// contract is `UNIMPLEMENTED`, a call without a caller is unauthenticated.
#[derive(Clone, Debug)]
pub struct MethodPolicyLayer {
    policy: Arc<Policy>,
}

impl MethodPolicyLayer {
    /// A layer that asks this policy.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }
}

impl<S> Layer<S> for MethodPolicyLayer {
    type Service = MethodPolicy<S>;

    fn layer(&self, inner: S) -> MethodPolicy<S> {
        MethodPolicy { inner, policy: Arc::clone(&self.policy) }
    }
}

/// [`MethodPolicyLayer`]'s service.
#[derive(Clone, Debug)]
pub struct MethodPolicy<S> {
    inner: S,
    policy: Arc<Policy>,
}

impl<S> MethodPolicy<S> {
    fn check<B>(&self, request: &Request<B>) -> Result<()> {
        let method =
            Method::find(request.uri().path()).ok_or_else(|| Error::new(ErrorCode::NotImplemented))?;
        let claims =
            request.extensions().get::<Arc<Claims>>().ok_or_else(|| Error::new(ErrorCode::TokenMissing))?;
        self.policy.allows(claims, method)
    }
}

impl<S, B> Service<Request<B>> for MethodPolicy<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.check(&request) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(error) => Either::Left(ready(Ok(Status::from(&error).into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use authn::Role;
    use std::convert::Infallible;
    use tower::ServiceExt as _;

    const GET_CLIENT: &str = "/riskmesh.clients.v1.ClientsService/GetClient";

    async fn code(path: &str, role: Option<Role>) -> Option<ErrorCode> {
        let handler =
            tower::service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let mut request = Request::builder().uri(path).body(()).unwrap();
        if let Some(role) = role {
            request.extensions_mut().insert(Arc::new(Claims {
                sub: "user-7".into(),
                user_id: None,
                role,
                tenant: riskmesh_core::TenantId::new("sandbox").unwrap(),
                scope: Vec::new(),
                client_id: None,
                iss: String::new(),
                aud: Vec::new(),
                iat: 0,
                nbf: 0,
                exp: 0,
                jti: String::new(),
            }));
        }
        let policy = Arc::new(Policy::new().unwrap());
        let response = MethodPolicyLayer::new(policy).layer(handler).oneshot(request).await.unwrap();
        let status = Status::from_header_map(response.headers())?;
        Some(Error::from_status(&status).code)
    }

    #[tokio::test]
    async fn only_a_caller_who_may_call_gets_through() {
        assert_eq!(code(GET_CLIENT, Some(Role::Analyst)).await, None);
        assert_eq!(code(GET_CLIENT, Some(Role::Auditor)).await, Some(ErrorCode::PermissionDenied));
        assert_eq!(code(GET_CLIENT, None).await, Some(ErrorCode::TokenMissing));
    }

    #[tokio::test]
    async fn a_path_outside_the_contract_is_unimplemented_for_everybody() {
        for path in
            ["/", "/grpc.health.v1.Health/Check", "/riskmesh.clients.v1.ClientsService/", "/x/GetClient"]
        {
            assert_eq!(code(path, Some(Role::Admin)).await, Some(ErrorCode::NotImplemented), "{path}");
        }
    }
}
