//! How a cluster is reached, and what is asked of it.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

/// Settings of a [`Kafka`](crate::Kafka) bus.
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) brokers: Vec<String>,
    pub(super) prefix: String,
    pub(super) create: bool,
    pub(super) replication: NonZeroU16,
    pub(super) compression: Compression,
    pub(super) batch_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) access: Option<Access>,
}

/// How batches are compressed on their way and in the log. Whatever others chose is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// DEFLATE.
    Gzip,
    /// LZ4: little work.
    Lz4,
    /// Snappy: little work.
    Snappy,
    /// Zstandard: the smallest.
    Zstd,
}

/// Whom the cluster knows this process as (SASL).
#[derive(Clone)]
pub struct Access {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How the password is shown.
    pub mechanism: Mechanism,
}

/// How a password is shown to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// As it is: whoever listens has it.
    Plain,
    /// SCRAM-SHA-256: it does not leave this process.
    ScramSha256,
    /// SCRAM-SHA-512: it does not leave this process.
    ScramSha512,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("user", &self.user)
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Brokers to begin with (`host:port`). Otherwise: topics that lack are made with three replicas, no compression, batches of up to
    /// 1,000,000 bytes, 10 s a request, no password.
    pub fn new(brokers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            brokers: brokers.into_iter().map(Into::into).collect(),
            prefix: String::new(),
            create: true,
            replication: NonZeroU16::MIN.saturating_add(2),
            compression: Compression::None,
            batch_bytes: 1_000_000,
            timeout: Duration::from_secs(10),
            access: None,
        }
    }

    /// What the names of topics begin with on the cluster: several deployments may share one.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Whether topics that lack are made.
    #[must_use]
    pub const fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How many replicas a topic has that is made.
    #[must_use]
    pub const fn replication(mut self, factor: NonZeroU16) -> Self {
        self.replication = factor;
        self
    }

    /// How batches are compressed.
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// How large a batch of several records may be, uncompressed; not above the brokers' `message.max.bytes`.
    #[must_use]
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// How long it may take to reach the broker that a request is for, and then how long until it answers.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With a user and a password.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }
}
