//! `[bus]`: where events go.

use super::Error;
use super::network::{Secured, SetUpError, check_user};
use crate::secrets;
use bus::kafka::{Access, Compression, Mechanism, Options};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

/// The log of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Bus {
    /// Which one.
    pub engine: Engine,
    /// The cluster of the other one.
    pub kafka: Kafka,
}

/// Which log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// In the embedded store.
    #[default]
    Embedded,
    /// A Kafka cluster.
    Kafka,
}

/// A Kafka cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Kafka {
    /// Brokers to begin with, `host:port`; the others are learned from them.
    pub brokers: Vec<String>,
    /// What the names of topics begin with there.
    pub prefix: String,
    /// How many replicas a topic has that is made; `riskmesh migrate` makes them.
    pub replication: NonZeroU16,
    /// How records are compressed.
    pub compression: Compressed,
    /// How long a request may take.
    #[serde(with = "edge::duration")]
    pub timeout: Duration,
    /// The user to log in as (SASL).
    pub user: Option<String>,
    /// The file with its password; the owner's alone to read.
    pub password_file: Option<PathBuf>,
    /// How the password is shown.
    pub mechanism: Sasl,
    /// Lets requests go to hosts that are not this machine, without TLS: only on a network that others cannot read.
    pub plaintext_network: bool,
}

/// How records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "names of formats")]
pub enum Compressed {
    #[default]
    None,
    Gzip,
    Lz4,
    Snappy,
    Zstd,
}

/// How a password is shown to a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "names of mechanisms")]
pub enum Sasl {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            prefix: String::new(),
            replication: NonZeroU16::MIN.saturating_add(2),
            compression: Compressed::default(),
            timeout: Duration::from_secs(10),
            user: None,
            password_file: None,
            mechanism: Sasl::default(),
            plaintext_network: false,
        }
    }
}

impl Bus {
    pub(super) fn validate(&self) -> Result<(), Error> {
        match self.engine {
            Engine::Embedded => Ok(()),
            Engine::Kafka => self.kafka.validate(),
        }
    }
}

impl Kafka {
    fn validate(&self) -> Result<(), Error> {
        let refuse = |key, value: String, allowed| Err(Error::Value { key, value, allowed });
        if self.brokers.is_empty() {
            return refuse("bus.kafka.brokers", "[]".into(), "at least one host:port");
        }
        let secured = Secured::new(None, self.plaintext_network);
        self.brokers.iter().try_for_each(|broker| secured.check("bus.kafka.brokers", broker))?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if self.prefix.len() > 100 || !self.prefix.bytes().all(legal) {
            return refuse("bus.kafka.prefix", self.prefix.clone(), "up to 100 of A-Z a-z 0-9 . _ -");
        }
        if !(Duration::from_secs(1)..=Duration::from_mins(1)).contains(&self.timeout) {
            return refuse("bus.kafka.timeout", format!("{:?}", self.timeout), "1s to 1m");
        }
        check_user("bus.kafka.user", self.user.as_ref(), self.password_file.as_ref())
    }

    /// How the cluster is reached.
    pub fn options(&self) -> Result<Options, SetUpError> {
        let compression = match self.compression {
            Compressed::None => Compression::None,
            Compressed::Gzip => Compression::Gzip,
            Compressed::Lz4 => Compression::Lz4,
            Compressed::Snappy => Compression::Snappy,
            Compressed::Zstd => Compression::Zstd,
        };
        let options = Options::new(&self.brokers)
            .prefix(&self.prefix)
            .replication(self.replication)
            .compression(compression)
            .timeout(self.timeout);
        let (Some(user), Some(file)) = (&self.user, &self.password_file) else { return Ok(options) };
        let mechanism = match self.mechanism {
            Sasl::Plain => Mechanism::Plain,
            Sasl::ScramSha256 => Mechanism::ScramSha256,
            Sasl::ScramSha512 => Mechanism::ScramSha512,
        };
        let password = secrets::password(file)?;
        Ok(options.access(Access { user: user.clone(), password, mechanism }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_brokers_and_a_prefix_that_topics_may_have() {
        let bus = |brokers: &[&str], prefix: &str| Bus {
            engine: Engine::Kafka,
            kafka: Kafka {
                brokers: brokers.iter().map(ToString::to_string).collect(),
                prefix: prefix.into(),
                ..Kafka::default()
            },
        };
        assert!(bus(&[], "").validate().unwrap_err().to_string().contains("at least one"));
        assert!(bus(&["kafka.bank:9092"], "").validate().is_err(), "it is on a network");
        assert!(bus(&["127.0.0.1:9092"], "a/b").validate().unwrap_err().to_string().contains("prefix"));
        bus(&["127.0.0.1:9092"], "staging.").validate().unwrap();
    }
}
