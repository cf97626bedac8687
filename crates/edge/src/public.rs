//! gRPC services that anybody may call: an explicit list, empty by default.

use http::{Request, Response};
use std::convert::Infallible;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

/// The services behind no token: health, and reflection on the sandbox.
#[derive(Clone, Debug, Default)]
pub struct Public {
    names: Vec<&'static str>,
    routes: Routes,
}

impl Public {
    /// One more.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Whether `/pkg.Service/Method` is a path of one of them.
    pub(crate) fn has(&self, path: &str) -> bool {
        let service =
            path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(service, _)| service);
        service.is_some_and(|service| self.names.contains(&service))
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let Ok(response) = self.routes.clone().oneshot(request).await;
        response
    }
}
