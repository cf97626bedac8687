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
use tonic::metadata::{Ascii, MetadataValue};

/// The longest that a command may take.
const TTL: Duration = Duration::from_hours(24);

/// A way to the services of a data directory.
pub(crate) struct Connection {
    /// Calls to all services.
    pub(crate) channel: AnyChannel,
    /// An admin's token of the tenant.
    pub(crate) authorization: MetadataValue<Ascii>,
    /// The process started for this command, where nobody serves.
    node: Option<Node>,
}

impl Connection {
    /// Connects for one tenant, on behalf of the command of this name.
    pub(crate) async fn open(config: &Config, tenant: &TenantId, command: &str) -> anyhow::Result<Self> {
        let (issuer, _) = node::issuer(config, Arc::new(SystemClock))?;
        let grant = Grant {
            sub: format!("cli:{command}"),
            user_id: None,
            role: Role::Admin,
            tenant: tenant.clone(),
            scope: Vec::new(),
            client_id: None,
            ttl: TTL,
        };
        let authorization = bearer(&issuer.issue(&grant)?)?;
        if let Some(channel) =
            admin_socket::connect(&config.data_dir).await.context("connect to the admin socket")?
        {
            return Ok(Self { channel, authorization, node: None });
        }
        let node = Node::start(config, Purpose::Command).await?;
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
