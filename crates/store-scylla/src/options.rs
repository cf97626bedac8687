//! How a cluster is reached.

use std::fmt;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;
use store::Table;
use store::schema::Migration;

/// Settings of a [`Scylla`](crate::Scylla) store.
#[derive(Clone)]
pub struct Options {
    pub(crate) nodes: Vec<String>,
    pub(crate) keyspace: String,
    pub(crate) tables: Vec<&'static Table>,
    pub(crate) migrations: Vec<Migration>,
    pub(crate) migrate: bool,
    pub(crate) replication: NonZeroU8,
    pub(crate) datacenter: Option<String>,
    pub(crate) access: Option<Access>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) timeout: Duration,
}

/// Whom the cluster knows this process as.
#[derive(Clone)]
pub struct Access {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Options {
    /// Nodes to begin with (`host:port`), a keyspace, the declared tables. Otherwise: three replicas, no password, no TLS, 2 s a request,
    /// and the schema is checked, not changed.
    pub fn new(
        nodes: impl IntoIterator<Item = impl Into<String>>,
        keyspace: impl Into<String>,
        tables: impl IntoIterator<Item = &'static Table>,
    ) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            keyspace: keyspace.into(),
            tables: tables.into_iter().collect(),
            migrations: Vec::new(),
            migrate: false,
            replication: NonZeroU8::MIN.saturating_add(2),
            datacenter: None,
            access: None,
            tls: None,
            timeout: Duration::from_secs(2),
        }
    }

    /// With this history of the schema.
    #[must_use]
    pub fn migrations(mut self, migrations: impl Into<Vec<Migration>>) -> Self {
        self.migrations = migrations.into();
        self
    }

    /// Whether what lacks of keyspace and tables is made, and migrations are carried out.
    #[must_use]
    pub const fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// How many replicas in each datacenter a keyspace has that is made.
    #[must_use]
    pub const fn replication(mut self, factor: NonZeroU8) -> Self {
        self.replication = factor;
        self
    }

    /// Requests go to this datacenter first; it is the one that LOCAL_QUORUM is about.
    #[must_use]
    pub fn datacenter(mut self, name: impl Into<String>) -> Self {
        self.datacenter = Some(name.into());
        self
    }

    /// With a user and a password.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Over TLS.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// How long a request may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
