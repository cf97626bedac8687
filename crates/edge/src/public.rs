//! gRPC methods that anybody may call: an explicit list, empty by default.

use http::{Request, Response};
use std::collections::HashSet;
use std::convert::Infallible;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

/// The services behind no token: health and reflection, which say what there is and nothing of what is in it.
#[derive(Clone, Debug, Default)]
pub struct Public {
    /// `/pkg.Service/Method`.
    paths: HashSet<String>,
    routes: Routes,
}

impl Public {
    /// One more, with these of its methods.
    #[must_use]
    pub fn with<S>(mut self, service: S, methods: &[&str]) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.paths.extend(methods.iter().map(|method| format!("/{}/{method}", S::NAME)));
        self.routes = self.routes.add_service(service);
        self
    }

    /// Whether `/pkg.Service/Method` is one of their methods.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let Ok(response) = self.routes.clone().oneshot(request).await;
        response
    }
}
