//! All services behind one: which role's channel a request takes, by the service in its path.

use crate::channel::Channel;
use crate::server::service_of;
use crate::status::answer;
use http::{Request, Response};
use riskmesh_core::{Error, ErrorCode};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;

/// Which channel leads to which service.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    channels: HashMap<String, Channel>,
}

impl Directory {
    /// With these services, by their full names (`riskmesh.clients.v1.ClientsService`), behind a channel. A name given twice leads
    /// to the later channel.
    #[must_use]
    pub fn with<N: Into<String>>(mut self, services: impl IntoIterator<Item = N>, channel: &Channel) -> Self {
        self.channels.extend(services.into_iter().map(|name| (name.into(), channel.clone())));
        self
    }

    /// The channel to a service.
    pub fn find(&self, service: &str) -> Option<&Channel> {
        self.channels.get(service)
    }

    /// The names of all services, sorted.
    pub fn services(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.channels.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// Sends each request to the service that its path names; `UNIMPLEMENTED` where nobody serves it.
#[derive(Clone, Debug)]
pub struct Routed(Arc<Directory>);

impl Routed {
    /// By this directory.
    pub fn new(directory: Directory) -> Self {
        Self(Arc::new(directory))
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.0
    }
}

impl Service<Request<Body>> for Routed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Channels are always ready: they wait inside the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.0.find(service_of(request.uri().path())) {
            Some(channel) => channel.clone().call(request),
            None => Box::pin(async { Ok(answer(&Error::new(ErrorCode::NotImplemented))) }),
        }
    }
}
