//! `riskmesh doctor`: what a start would trip over, found before it.

use crate::admin_socket;
use crate::backends::{self, Backends};
use crate::cli::ServeArgs;
use crate::config::{Config, StoreEngine};
use crate::deployment::Deployment;
use crate::node;
use crate::secrets::Secrets;
use authn::Keys;
use riskmesh_core::SystemClock;
use std::net::SocketAddr;
use std::sync::Arc;

/// Checks configuration, keys, data directory and ports; fails where one of them would stop a start. Files that nothing names, and the
/// keys that they are signed with, are those that the directory was served with.
pub async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let mut report = Report::default();
    let config = Config::load(args).and_then(|config| config.as_served(args));
    let config = match config {
        Ok(config) => {
            Report::fine("configuration", "is valid");
            config
        }
        Err(error) => {
            report.bad("configuration", &anyhow::Error::from(error));
            return report.end();
        }
    };
    for name in Config::unknown_variables() {
        Report::note("environment", &format!("{name} is not a variable of ours"));
    }
    match config.analytics.check_files() {
        Ok(()) => Report::fine("model and its reference data", "are valid"),
        Err(error) => report.bad("model and its reference data", &error.into()),
    }
    match config.market.check_files() {
        Ok(()) => Report::fine("model of portfolio risk", "is valid"),
        Err(error) => report.bad("model of portfolio risk", &error.into()),
    }
    match refdata::Set::load(config.reference.directory.as_deref()) {
        Ok(set) => {
            let lists = set.lists().len();
            Report::fine("reference data", &format!("are valid, with {lists} publications of risk lists"));
        }
        Err(error) => report.bad("reference data", &error.into()),
    }
    if config.data_dir.exists() && !config.data_dir.is_dir() {
        let path = config.data_dir.display();
        report.bad("data directory", &anyhow::anyhow!("{path} is not a directory"));
        return report.end();
    }
    match config.store.engine {
        StoreEngine::Embedded => report.embedded(&config).await,
        StoreEngine::Cql => report.cluster(&config).await,
    }
    report.end()
}

fn keys(config: &Config) -> anyhow::Result<(Arc<Keys>, Secrets)> {
    // First those that are never made beside others.
    let secrets = Secrets::load(&config.data_dir.join(node::KEYS))?;
    let (_, issuer) = node::issuer(config, Arc::new(SystemClock))?;
    Ok((issuer, secrets))
}

/// Whether a process with these keys may work on a cluster.
async fn joins(config: &Config, backends: &Backends) -> anyhow::Result<&'static str> {
    let deployment = Deployment::new(backends.store.clone());
    if deployment.is_new().await? {
        return Ok("are made by the first start");
    }
    let (issuer, secrets) = keys(config)?;
    deployment.check(&secrets.fingerprints, &issuer).await?;
    Ok("are those of the others")
}

fn bind(address: SocketAddr) -> std::io::Result<()> {
    std::net::TcpListener::bind(address).map(drop)
}

#[derive(Default)]
struct Report {
    bad: usize,
}

impl Report {
    fn fine(what: &str, is: &str) {
        println!("ok    {what} {is}");
    }

    fn note(what: &str, is: &str) {
        println!("note  {what}: {is}");
    }

    fn bad(&mut self, what: &str, error: &anyhow::Error) {
        self.bad += 1;
        println!("BAD   {what}: {error:#}");
    }

    /// The data directory with the store that is in it.
    async fn embedded(&mut self, config: &Config) {
        if backends::is_new(config) {
            Self::note("data directory", &format!("{} is new: a start makes it", config.data_dir.display()));
            return self.ports(config);
        }
        match keys(config) {
            Ok(_) => Self::fine("keys", "are there and private"),
            Err(error) => self.bad("keys", &error),
        }
        match admin_socket::connect(&config.data_dir).await {
            Ok(Some(_)) => return Self::fine("data directory", "is being served"),
            Ok(None) => match node::migrate(config).await {
                Ok(tables) => Self::fine("store", &format!("opens, with {tables} tables")),
                Err(error) => self.bad("store", &error.into()),
            },
            Err(error) => self.bad("admin socket", &error.into()),
        }
        self.ports(config);
    }

    /// The engines that other processes use, too: they are looked at, and not changed.
    async fn cluster(&mut self, config: &Config) {
        match Backends::open(config, Arc::new(SystemClock)).await {
            Ok(backends) => {
                Self::fine("store and log", "answer, with the tables and topics of this release");
                match joins(config, &backends).await {
                    Ok(is) => Self::fine("keys", is),
                    Err(error) => self.bad("keys", &error),
                }
                backends.log.close().await;
            }
            Err(error) => self.bad("store and log", &error.into()),
        }
        match admin_socket::connect(&config.data_dir).await {
            Ok(Some(_)) => Self::fine("data directory", "is being served"),
            Ok(None) => self.ports(config),
            Err(error) => self.bad("admin socket", &error.into()),
        }
    }

    fn ports(&mut self, config: &Config) {
        for (what, address) in [("edge.listen", config.edge.listen), ("admin-listen", config.admin_listen)] {
            match bind(address) {
                Ok(()) => Self::fine(what, &format!("{address} is free")),
                Err(error) => {
                    self.bad(what, &anyhow::Error::from(error).context(format!("listen on {address}")));
                }
            }
        }
    }

    fn end(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.bad == 0, "{} checks failed", self.bad);
        Ok(())
    }
}
