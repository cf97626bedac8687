//! Users of a tenant: who they are, what they may do, and how they prove it.
//!
//! A user has an id, made of the user's name by a keyed function: it stands in tokens and logs, and nobody can tell the name from it. What
//! is personal is sealed before the store sees it, and so is the password's hash. Nobody is ever shown a password.

mod domain;
mod error;
pub mod password;
mod repo;
mod rpc;
mod tables;
#[cfg(test)]
mod tests;
mod users;

pub use tables::ALL as TABLES;

use api::users::v1::users_service_server::UsersServiceServer;
use bus::{Outbox, PendingSource};
use riskmesh_core::Clock;
use riskmesh_core::cipher::ColumnCipher;
use riskmesh_core::cursor::Cursors;
use rpc::UsersRpc;
use std::sync::Arc;
use store::Store;
use store::list::Lists;
use tonic::service::Routes;
use users::Users;

/// What the service works with.
pub struct Deps {
    /// Where its tables are.
    pub store: Arc<dyn Store>,
    /// Lists in constant time at any offset; one for all services of a process.
    pub lists: Lists,
    /// Pointers to what is under way.
    pub outbox: Outbox,
    /// Seals personal data.
    pub cipher: ColumnCipher,
    /// Seals page cursors.
    pub cursors: Cursors,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The role `auth`.
pub struct Service {
    rpc: UsersRpc,
}

impl Service {
    /// The service on these dependencies.
    pub fn new(deps: Deps) -> Self {
        let Deps { store, lists, outbox, cipher, cursors, clock } = deps;
        let rows = repo::users::Users::new(store, lists, cipher);
        let users = Users { rows, outbox, hashing: password::Hashing::default(), clock };
        Self { rpc: UsersRpc { users, cursors } }
    }

    /// The gRPC service, for a server stack.
    pub fn routes(&self) -> Routes {
        Routes::new(UsersServiceServer::new(self.rpc.clone()))
    }

    /// What finishes what a crash cut off, for the relay.
    pub fn sources(&self) -> Vec<Arc<dyn PendingSource>> {
        vec![Arc::new(self.rpc.users.clone())]
    }
}
