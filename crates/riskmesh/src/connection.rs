//! How commands reach the services: through the process that serves a data directory, or, where none does, by starting the roles on
//! it for as long as the command takes.

use crate::admin_socket::{self, AnyChannel};
use crate::config::Config;
use crate::node::{self, Node, Purpose, bearer};
use anyhow::Context as _;
use authn::{Grant, Role};
use riskmesh_core::{SystemClock, TenantId};
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};

/// The longest that a command may take.
const TTL: Duration = Duration::from_hours(24);

/// A way to the services of a data directory.
pub(crate) struct Connection {
    /// Calls to all services.
    pub(crate) channel: AnyChannel,
    /// The token that calls are made with.
    pub(crate) authorization: MetadataValue<Ascii>,
    /// The process started for this command, where nobody serves.
    node: Option<Node>,
}

impl Connection {
    /// Connects for one tenant, on behalf of the command of this name.
    pub(crate) async fn open(config: &Config, tenant: &TenantId, command: &str) -> anyhow::Result<Self> {
        Self::by(config, Role::Admin, format!("cli:{command}"), tenant.clone()).await
    }

    /// Connects as whoever runs the deployment, in the name of no tenant.
    pub(crate) async fn operator(config: &Config) -> anyhow::Result<Self> {
        // Tokens name a tenant; what the operator does goes by none.
        let tenant = TenantId::new("operator")?;
        Self::by(config, Role::Service, "service:operator".to_owned(), tenant).await
    }

    async fn by(config: &Config, role: Role, sub: String, tenant: TenantId) -> anyhow::Result<Self> {
        let (issuer, _) = node::issuer(config, Arc::new(SystemClock))?;
        let grant = Grant { sub, user_id: None, role, tenant, scope: Vec::new(), client_id: None, ttl: TTL };
        let authorization = bearer(&issuer.issue(&grant)?)?;
        if let Some(channel) =
            admin_socket::connect(&config.data_dir).await.context("connect to the admin socket")?
        {
            return Ok(Self { channel, authorization, node: None });
        }
        let node = Box::pin(Node::start(config, Purpose::Command)).await?;
        Ok(Self { channel: node.channel(), authorization, node: Some(node) })
    }

    /// Whether a running server does the work.
    pub(crate) fn is_served(&self) -> bool {
        self.node.is_none()
    }

    /// Lets a process that was started for this command finish its scores and close the store.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        if let Some(node) = self.node {
            let caught_up = node.caught_up().await;
            node.stop().await;
            caught_up?;
        }
        Ok(())
    }

    /// Lets a process that was started for this command close the store: nothing that scores depend on has changed.
    pub(crate) async fn close(self) {
        if let Some(node) = self.node {
            node.stop().await;
        }
    }
}

/// What a service says, in its own words.
#[allow(clippy::needless_pass_by_value, reason = "as `map_err` has it")]
pub(crate) fn told(status: Status) -> riskmesh_core::Error {
    riskmesh_core::Error::from_status(&status)
}
