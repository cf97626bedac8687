//! gRPC methods that anybody may call: an explicit list, empty by default.

use http::{Request, Response};
use prost::Message;
use std::collections::HashMap;
use std::convert::Infallible;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

/// Whether these bytes are a message of the method.
pub type Reads = fn(&[u8]) -> bool;

/// The [`Reads`] of a method that takes `M`.
pub fn reads<M: Message + Default>(bytes: &[u8]) -> bool {
    M::decode(bytes).is_ok()
}

/// The services behind no token: health and reflection, which say what there is and nothing of what is in it.
#[derive(Clone, Debug, Default)]
pub struct Public {
    /// By `/pkg.Service/Method`.
    methods: HashMap<String, Reads>,
    routes: Routes,
}

impl Public {
    /// One more, with these of its methods. What is no message of theirs does not come to them: a caller is told so, whatever they
    /// would make of it.
    #[must_use]
    pub fn with<S>(mut self, service: S, methods: &[(&str, Reads)]) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.methods.extend(methods.iter().map(|(method, reads)| (format!("/{}/{method}", S::NAME), *reads)));
        self.routes = self.routes.add_service(service);
        self
    }

    /// What reads the messages to `/pkg.Service/Method`, if it is one of their methods.
    pub(crate) fn reads(&self, path: &str) -> Option<Reads> {
        self.methods.get(path).copied()
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let Ok(response) = self.routes.clone().oneshot(request).await;
        response
    }
}
