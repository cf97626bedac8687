//! What each engine is, and how it is started.

mod cassandra;
mod kafka;
mod redis;

pub use kafka::kafka_client;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// An engine that Riskmesh runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Apache Cassandra: the store.
    Cassandra,
    /// Apache Kafka: the bus.
    Kafka,
    /// Redis: the cache and the rate limits.
    Redis,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cassandra, Self::Kafka, Self::Redis];

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cassandra => "cassandra",
            Self::Kafka => "kafka",
            Self::Redis => "redis",
        }
    }

    /// How many ports it listens on. The first is the one that clients use.
    pub(crate) fn ports(self) -> usize {
        match self {
            Self::Cassandra | Self::Kafka => 2,
            Self::Redis => 1,
        }
    }

    /// Brings what it is made of onto this machine, and gives where that is.
    pub(crate) fn install(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Cassandra => cassandra::install(),
            Self::Kafka => kafka::install(),
            Self::Redis => redis::install(),
        }
    }

    /// Writes its configuration into its directory, and gives the command that runs it there.
    pub(crate) fn prepare(self, installed: &Path, dir: &Path, ports: &[u16]) -> anyhow::Result<Command> {
        match self {
            Self::Cassandra => cassandra::prepare(installed, dir, ports),
            Self::Kafka => kafka::prepare(installed, dir, ports),
            Self::Redis => redis::prepare(installed, dir, ports),
        }
    }

    /// Whether it answers requests.
    pub(crate) fn is_ready(self, port: u16) -> bool {
        match self {
            Self::Cassandra => cassandra::is_ready(port),
            Self::Kafka => kafka::is_ready(port),
            Self::Redis => redis::is_ready(port),
        }
    }
}

impl FromStr for Engine {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|engine| engine.name() == name).ok_or("cassandra, kafka or redis")
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Fills in a configuration: `@NAME@` becomes its value.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

/// A path that a configuration can hold.
fn text(path: &Path) -> anyhow::Result<&str> {
    let text = path.to_str().filter(|path| !path.contains(['"', '\n', '@']));
    text.ok_or_else(|| anyhow::anyhow!("{} cannot be written into a configuration", path.display()))
}

/// One of the ports asked for.
fn port(ports: &[u16], at: usize) -> anyhow::Result<String> {
    ports.get(at).map(u16::to_string).ok_or_else(|| anyhow::anyhow!("too few ports"))
}
