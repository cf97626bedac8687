//! `riskmesh doctor`: what a start would trip over, found before it.

use crate::admin_socket;
use crate::cli::ServeArgs;
use crate::config::Config;
use crate::node;
use crate::secrets::Secrets;
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
    if node::is_new(&config) {
        Report::note("data directory", &format!("{} is new: a start makes it", config.data_dir.display()));
        report.ports(&config);
        return report.end();
    }
    let keys = node::issuer(&config, Arc::new(SystemClock)).map_err(anyhow::Error::from);
    let keys = keys.and_then(|_| Ok(Secrets::load(&config.data_dir.join(node::KEYS))?));
    match keys {
        Ok(_) => Report::fine("keys", "are there and private"),
        Err(error) => report.bad("keys", &error),
    }
    match admin_socket::connect(&config.data_dir).await {
        Ok(Some(_)) => {
            Report::fine("data directory", "is being served");
            return report.end();
        }
        Ok(None) => match node::migrate(&config) {
            Ok(tables) => Report::fine("store", &format!("opens, with {tables} tables")),
            Err(error) => report.bad("store", &error.into()),
        },
        Err(error) => report.bad("admin socket", &error.into()),
    }
    report.ports(&config);
    report.end()
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
