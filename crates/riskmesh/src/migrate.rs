//! `riskmesh migrate`: the schema of the store and the topics of the log. An embedded store is brought up to date by every start, too; a
//! cluster only by this.

use crate::cli::DataDir;
use crate::config::{Config, StoreEngine};
use crate::node;
use anyhow::Context as _;

/// Brings the engines of a configuration up to date.
pub(crate) async fn run(args: &DataDir) -> anyhow::Result<()> {
    let config = Config::of(args)?;
    let tables = node::migrate(&config).await.context("migrate")?;
    let place = match config.store.engine {
        StoreEngine::Embedded => config.data_dir.display().to_string(),
        StoreEngine::Cql => format!("keyspace {}", config.store.cql.keyspace),
    };
    println!("{tables} tables are up to date in {place}");
    Ok(())
}
