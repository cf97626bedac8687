//! `riskmesh migrate`: the embedded store's schema. Opening the store brings it up to date; this does only that, and says so.

use crate::cli::DataDir;
use crate::config::Config;
use crate::node;
use anyhow::Context as _;

/// Opens the store of a data directory that nobody serves, and closes it again.
pub(crate) fn run(args: &DataDir) -> anyhow::Result<()> {
    let config = Config::of(args)?;
    let tables = node::migrate(&config).context("migrate the store")?;
    println!("{} tables are up to date in {}", tables, config.data_dir.display());
    Ok(())
}
