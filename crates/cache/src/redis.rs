//! Redis: what the replicas of a service share and can do without.
//!
//! It is asked once, for a short time, and never waited for while it is not there: after a request that failed, others fail at once, until
//! one a second has tried again and got an answer. Whoever calls must have another way.

mod cache;
mod gate;
mod options;
mod quota;

pub use cache::SharedCache;
pub use options::{Access, Options};
pub use quota::{Quota, Taken};

use crate::Error;
use fred::interfaces::{ClientLike as _, EventInterface as _};
use fred::types::config::{
    Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, ServerConfig, TcpConfig, UnresponsiveConfig,
};
use fred::types::{Builder, RespVersion};
use gate::Gate;
use std::time::Duration;

/// How many requests may wait to be sent.
const QUEUE: usize = 10_000;
/// How long after a failure the next request is made.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long the server may be silent before the connection is made anew.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(1);
/// How many milliseconds after one that failed the next connection is tried.
const RECONNECT_AFTER: u32 = 100;
/// How many news of changes may wait to be read.
const NEWS: usize = 1024;

/// A connection to one server, which many tasks share.
pub struct Redis {
    client: fred::clients::Client,
    gate: Gate,
    timeout: Duration,
}

impl Redis {
    /// Connects, in the background: a server that is not there now is used as soon as it is.
    pub fn new(options: Options) -> Result<Self, Error> {
        let (host, port) = options.host_and_port()?;
        let (username, password) =
            options.access.map_or((None, None), |access| (access.user, Some(access.password)));
        let config = Config {
            fail_fast: false,
            server: ServerConfig::new_centralized(host, port),
            version: RespVersion::RESP3,
            database: (options.database > 0).then_some(options.database),
            tls: options.tls.map(|tls| fred::types::config::TlsConnector::from((*tls).clone()).into()),
            username,
            password,
            ..Config::default()
        };
        let connection = ConnectionConfig {
            connection_timeout: CONNECTING,
            internal_command_timeout: CONNECTING,
            // A script that takes from a quota takes twice when it is sent twice.
            max_command_attempts: 1,
            max_command_buffer_len: QUEUE,
            auto_client_setname: false,
            reconnect_on_auth_error: true,
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            unresponsive: UnresponsiveConfig { max_timeout: Some(SILENCE), interval: SILENCE / 4 },
            ..ConnectionConfig::default()
        };
        let performance = PerformanceConfig {
            default_command_timeout: options.timeout,
            broadcast_channel_capacity: NEWS,
            ..PerformanceConfig::default()
        };
        let client = Builder::from_config(config)
            .set_connection_config(connection)
            .set_performance_config(performance)
            // For ever, and all replicas about as soon: who is back early waits for the others (`cache::contact`).
            .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_AFTER))
            .build()
            .map_err(|source| error("connect", source))?;
        drop(client.on_error(|(error, _)| async move {
            tracing::debug!(%error, "Redis connection failed");
            Ok::<_, fred::error::Error>(())
        }));
        drop(client.connect());
        Ok(Self { client, gate: Gate::new(AGAIN_AFTER), timeout: options.timeout })
    }

    /// Makes a request, unless one has just failed.
    async fn ask<T>(
        &self,
        doing: &'static str,
        request: impl Future<Output = Result<T, fred::error::Error>>,
    ) -> Result<T, Error> {
        if !self.gate.enter() {
            return Err(Error { doing, source: "Redis did not answer a moment ago".into() });
        }
        // The client's own timeout begins when a command is sent.
        let answer = tokio::time::timeout(self.timeout, request).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(fred::error::Error::new(fred::error::ErrorKind::Timeout, "no answer in time"))
        });
        match answer {
            Ok(answer) => {
                if self.gate.succeeded() {
                    tracing::info!("Redis answers again");
                }
                Ok(answer)
            }
            Err(source) => {
                if self.gate.failed() {
                    tracing::warn!(error = %source, doing, "Redis does not answer");
                }
                Err(error(doing, source))
            }
        }
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

fn error(doing: &'static str, source: fred::error::Error) -> Error {
    Error { doing, source: Box::new(source) }
}
