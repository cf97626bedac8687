//! `[store]`: where everything is kept.

use super::Error;
use super::network::{Secured, SetUpError, check_user, trusting};
use crate::secrets;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;
use store_scylla::{Access, Options};

/// The store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Store {
    /// Which one.
    pub engine: Engine,
    /// Memory of the embedded one for blocks read from disk, in MiB.
    pub cache_mib: u64,
    /// The cluster of the other one.
    pub cql: Cql,
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// In this process, in the data directory.
    #[default]
    Embedded,
    /// A cluster that speaks CQL: ScyllaDB or Apache Cassandra. Many processes may work on it.
    Cql,
}

/// A cluster of ScyllaDB or Apache Cassandra.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Cql {
    /// Nodes to begin with, `host:port`; the others are learned from them.
    pub nodes: Vec<String>,
    /// The keyspace; `riskmesh migrate` makes it.
    pub keyspace: String,
    /// How many replicas in each datacenter a keyspace has that is made.
    pub replication: NonZeroU8,
    /// The datacenter that requests go to first, the one that LOCAL_QUORUM is about.
    pub datacenter: Option<String>,
    /// How long a request may take.
    #[serde(with = "edge::duration")]
    pub timeout: Duration,
    /// The role to log in as.
    pub user: Option<String>,
    /// The file with its password; the owner's alone to read.
    pub password_file: Option<PathBuf>,
    /// The authorities of the nodes' certificates, PEM: requests go over TLS then.
    pub tls_ca: Option<PathBuf>,
    /// Lets requests go without TLS to hosts that are not this machine: only on a network that others cannot read.
    pub plaintext_network: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self { engine: Engine::default(), cache_mib: 256, cql: Cql::default() }
    }
}

impl Default for Cql {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            keyspace: "riskmesh".into(),
            replication: NonZeroU8::MIN.saturating_add(2),
            datacenter: None,
            timeout: Duration::from_secs(2),
            user: None,
            password_file: None,
            tls_ca: None,
            plaintext_network: false,
        }
    }
}

impl Store {
    pub(super) fn validate(&self) -> Result<(), Error> {
        if !(16..=1 << 20).contains(&self.cache_mib) {
            return Err(Error::Value {
                key: "store.cache-mib",
                value: self.cache_mib.to_string(),
                allowed: "16 to 1048576",
            });
        }
        match self.engine {
            Engine::Embedded => Ok(()),
            Engine::Cql => self.cql.validate(),
        }
    }
}

impl Cql {
    fn validate(&self) -> Result<(), Error> {
        let refuse = |key, value: String, allowed| Err(Error::Value { key, value, allowed });
        if self.nodes.is_empty() {
            return refuse("store.cql.nodes", "[]".into(), "at least one host:port");
        }
        let secured = Secured::new(self.tls_ca.as_ref(), self.plaintext_network);
        self.nodes.iter().try_for_each(|node| secured.check("store.cql.nodes", node))?;
        if !(Duration::from_millis(100)..=Duration::from_mins(1)).contains(&self.timeout) {
            return refuse("store.cql.timeout", format!("{:?}", self.timeout), "100ms to 1m");
        }
        check_user("store.cql.user", self.user.as_ref(), self.password_file.as_ref())
    }

    /// How the cluster is reached, for these tables.
    pub fn options(
        &self,
        tables: impl IntoIterator<Item = &'static store::Table>,
    ) -> Result<Options, SetUpError> {
        let mut options = Options::new(&self.nodes, &self.keyspace, tables)
            .replication(self.replication)
            .timeout(self.timeout);
        if let Some(name) = &self.datacenter {
            options = options.datacenter(name);
        }
        if let (Some(user), Some(file)) = (&self.user, &self.password_file) {
            options = options.access(Access { user: user.clone(), password: secrets::password(file)? });
        }
        if let Some(file) = &self.tls_ca {
            options = options.tls(trusting(file)?);
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_nodes() {
        let store = |nodes: &[&str]| Store {
            engine: Engine::Cql,
            cql: Cql { nodes: nodes.iter().map(ToString::to_string).collect(), ..Cql::default() },
            ..Store::default()
        };
        let refused = store(&[]).validate().unwrap_err().to_string();
        assert_eq!(refused, "configuration key store.cql.nodes: [] is not allowed; at least one host:port");
        assert!(store(&["127.0.0.1:9042", "db.bank:9042"]).validate().is_err(), "TLS is not given");
        store(&["127.0.0.1:9042"]).validate().unwrap();
    }
}
