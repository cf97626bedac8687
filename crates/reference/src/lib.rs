//! Reference data for everybody: countries, currencies, exchange rates, risk lists.
//!
//! What there is to know is in [`refdata`], which reads it and keeps it current; here it is told. Every answer is made of one set, and
//! carries a tag that changes with what it says.

mod config;
mod domain;
mod error;
mod paging;
mod rpc;

pub use config::Config;

use api::reference::v1::reference_service_server::ReferenceServiceServer;
use refdata::Live;
use riskmesh_core::Clock;
use riskmesh_core::cursor::Cursors;
use rpc::ReferenceRpc;
use std::sync::Arc;
use tonic::service::Routes;

/// What the service works with.
pub struct Deps {
    /// The reference data in force.
    pub data: Arc<Live>,
    /// Seals page cursors.
    pub cursors: Cursors,
    /// The time: what is in force depends on the day.
    pub clock: Arc<dyn Clock>,
}

/// The role `reference`.
pub struct Service {
    rpc: ReferenceRpc,
}

impl Service {
    /// The service on these dependencies.
    pub fn new(deps: Deps) -> Self {
        let Deps { data, cursors, clock } = deps;
        Self { rpc: ReferenceRpc { data, cursors, clock } }
    }

    /// The gRPC service, for a server stack.
    pub fn routes(&self) -> Routes {
        Routes::new(ReferenceServiceServer::new(self.rpc.clone()))
    }
}
