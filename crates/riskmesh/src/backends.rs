//! The engines under a process. Nothing else knows which they are.

use crate::config::{Config, SetUpError, StoreEngine};
use crate::deployment::DEPLOYMENT;
use crate::migrations::MIGRATIONS;
use bus::{Bus, Takeover};
use cache::Cache;
use cache::redis::{Redis, SharedCache};
use idempotency::Sharing;
use riskmesh_core::Clock;
use std::sync::Arc;
use store::{Store, Table};

/// The directory of the embedded store in a data directory.
const STORE: &str = "store";
/// Memory for values that are asked for often.
const CACHE_BYTES: u64 = 64 << 20;

/// Why the engines cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// How they are reached.
    #[error("set up the connection")]
    SetUp(#[from] SetUpError),
    /// The store.
    #[error("open the store")]
    Store(#[from] store::Error),
    /// The log of events.
    #[error("open the bus")]
    Bus(#[from] bus::Error),
    /// The embedded store's thread.
    #[error("open the embedded store")]
    Task(#[from] tokio::task::JoinError),
}

/// Every table, by the crate that declares it.
pub(crate) fn tables() -> Vec<&'static Table> {
    let all: [&[&'static Table]; 8] = [
        &[&DEPLOYMENT],
        store::list::TABLES,
        bus::TABLES,
        idempotency::TABLES,
        auth::TABLES,
        clients::TABLES,
        analytics::TABLES,
        market::TABLES,
    ];
    all.concat()
}

/// The engines of one process.
pub(crate) struct Backends {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Log,
    pub(crate) cache: Arc<dyn Cache>,
    /// What replicas share and can do without.
    pub(crate) redis: Option<Arc<Redis>>,
    /// Whether other processes may work on the same store.
    shared: bool,
}

/// The log of events, to use and to close.
pub(crate) enum Log {
    Embedded(Arc<bus::Embedded>),
    Kafka(Arc<bus::Kafka>),
}

impl Log {
    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        match self {
            Self::Embedded(log) => log.clone(),
            Self::Kafka(log) => log.clone(),
        }
    }

    /// Refuses further records, and finishes those that were accepted.
    pub(crate) async fn close(&self) {
        match self {
            Self::Embedded(log) => log.close().await,
            Self::Kafka(log) => log.close().await,
        }
    }
}

impl Backends {
    /// Opens them. A cluster is used as it is; [`migrate`] brings it up to date.
    pub(crate) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let redis = config.redis.connect()?.map(Arc::new);
        match config.store.engine {
            StoreEngine::Embedded => {
                let options = embedded(config, clock.clone());
                let opened = tokio::task::spawn_blocking(|| store_embedded::Embedded::open(options)).await?;
                let store: Arc<dyn Store> = Arc::new(opened?);
                let log = bus::Embedded::open(store.clone(), clock.clone(), bus::topic::ALL).await?;
                let cache = Arc::new(cache::Memory::new(clock, CACHE_BYTES));
                Ok(Self { store, log: Log::Embedded(log), cache, redis, shared: false })
            }
            StoreEngine::Cql => {
                let store: Arc<dyn Store> = Arc::new(Box::pin(cluster(config, false)).await?);
                let log = kafka(config, clock.clone(), false).await?;
                // One of its own would not hear what the others change.
                let cache: Arc<dyn Cache> = match &redis {
                    Some(redis) => Arc::new(SharedCache::new(redis.clone(), clock, CACHE_BYTES)),
                    None => Arc::new(cache::Off),
                };
                Ok(Self { store, log: Log::Kafka(log), cache, redis, shared: true })
            }
        }
    }

    /// Whether work that lies there may be another process's.
    pub(crate) fn takeover(&self) -> Takeover {
        if self.shared { Takeover::WhenExpired } else { Takeover::Immediate }
    }

    /// Whether a request that is under way may be another process's.
    pub(crate) fn sharing(&self) -> Sharing {
        if self.shared { Sharing::Shared } else { Sharing::Alone }
    }
}

/// Whether nothing is stored in the data directory yet. What is in a cluster, it tells itself.
pub(crate) fn is_new(config: &Config) -> bool {
    match config.store.engine {
        StoreEngine::Embedded => store_embedded::is_new(&config.data_dir.join(STORE)),
        StoreEngine::Cql => true,
    }
}

/// Brings the store to the declared tables, and makes the topics that lack.
pub(crate) async fn migrate(config: &Config, clock: Arc<dyn Clock>) -> Result<(), Error> {
    match config.store.engine {
        StoreEngine::Embedded => {
            let options = embedded(config, clock);
            let opened = tokio::task::spawn_blocking(|| store_embedded::Embedded::open(options)).await?;
            opened?.close();
        }
        StoreEngine::Cql => {
            Box::pin(cluster(config, true)).await?;
            kafka(config, clock, true).await?.close().await;
        }
    }
    Ok(())
}

fn embedded(config: &Config, clock: Arc<dyn Clock>) -> store_embedded::Options {
    store_embedded::Options::new(config.data_dir.join(STORE), tables())
        .migrations(MIGRATIONS.iter().copied())
        .clock(clock)
        .block_cache_bytes(config.store.cache_mib << 20)
}

async fn cluster(config: &Config, migrate: bool) -> Result<store_scylla::Scylla, Error> {
    let options = config.store.cql.options(tables())?.migrations(MIGRATIONS).migrate(migrate);
    Ok(store_scylla::Scylla::open(options).await?)
}

async fn kafka(config: &Config, clock: Arc<dyn Clock>, create: bool) -> Result<Arc<bus::Kafka>, Error> {
    let options = config.bus.kafka.options()?.create(create);
    Ok(bus::Kafka::open(options, clock, bus::topic::ALL).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_to_production_names_every_table() {
        let guide = include_str!("../../../docs/production.md");
        let lacking: Vec<_> = tables()
            .iter()
            .map(|table| table.name)
            .filter(|name| !guide.contains(&format!("`{name}`")))
            .collect();
        assert!(lacking.is_empty(), "{lacking:?}");
    }
}
