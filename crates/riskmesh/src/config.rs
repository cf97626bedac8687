//! Configuration: defaults, then the file, then `RISKMESH_*`, then flags. It is strict: an unknown key or a value out of range ends
//! the process before it binds a port, naming the key, the value and what is allowed.

mod bus;
mod network;
mod redis;
mod store;

pub use bus::{Bus, Engine as BusEngine, Kafka};
pub use network::SetUpError;
pub use redis::Redis;
pub use store::{Cql, Engine as StoreEngine, Store};

use crate::cli::{DataDir, NodeRole, ServeArgs};
use crate::note;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The file in a data directory that says how it was served last.
const SERVED: &str = "served.toml";

/// Every setting with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Where metrics and health are served.
    pub admin_listen: SocketAddr,
    /// Where the embedded store, the keys and the admin socket are.
    pub data_dir: PathBuf,
    /// Which roles this process runs.
    pub roles: Vec<NodeRole>,
    /// The sandbox tenant.
    pub sandbox: Sandbox,
    /// Access tokens.
    pub auth: Auth,
    /// The HTTP front.
    pub edge: edge::Config,
    /// Risk scores.
    pub analytics: analytics::Config,
    /// Reference data.
    pub reference: reference::Config,
    /// Portfolio risk.
    pub market: market::Config,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// Where everything is kept.
    pub store: Store,
    /// Where events go.
    pub bus: Bus,
    /// What replicas share and can do without.
    pub redis: Redis,
}

/// The sandbox tenant, seeded into an empty data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Sandbox {
    /// Whether it is seeded.
    pub enabled: bool,
    /// The generator's seed.
    pub seed: u64,
}

/// Access tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Auth {
    /// Their `iss`.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
}

/// Logs and traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Telemetry {
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// Whether each request is written to standard output, one line a request.
    pub request_log: bool,
    /// Which log lines are written, as tracing's EnvFilter reads it.
    pub log_filter: String,
    /// The OTLP endpoint that spans go to, `http://host:4317`; none where it is empty.
    pub otlp_endpoint: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl From<LogFormat> for telemetry::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9901)),
            data_dir: PathBuf::from("./data"),
            roles: vec![NodeRole::All],
            sandbox: Sandbox::default(),
            auth: Auth::default(),
            edge: edge::Config::default(),
            analytics: analytics::Config::default(),
            reference: reference::Config::default(),
            market: market::Config::default(),
            telemetry: Telemetry::default(),
            store: Store::default(),
            bus: Bus::default(),
            redis: Redis::default(),
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { enabled: true, seed: 1 }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self { issuer: "riskmesh".into(), audience: "riskmesh-api".into() }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Text,
            request_log: true,
            log_filter: "info,fjall=warn,fred=error,lsm_tree=warn,rskafka=warn,scylla=error".into(),
            otlp_endpoint: String::new(),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("read configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not parse, has a key that does not exist, or a value of the wrong type.
    #[error("configuration file {path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A setting of the edge.
    #[error("configuration key {0}")]
    Edge(#[from] edge::Invalid),
    /// A setting of analytics.
    #[error("configuration key {0}")]
    Analytics(#[from] analytics::ConfigError),
    /// The note in the data directory cannot be written.
    #[error("note configuration in {path}")]
    Remember {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A value out of range.
    #[error("configuration key {key}: {value} is not allowed; {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// `RISKMESH_*` variables that something reads, or will read: others are probably misspelt.
const KNOWN_VARIABLES: &[&str] = &[
    "RISKMESH_CONFIG",
    "RISKMESH_LISTEN",
    "RISKMESH_ADMIN_LISTEN",
    "RISKMESH_DATA_DIR",
    "RISKMESH_NO_SANDBOX",
    "RISKMESH_ROLE",
    "RISKMESH_REFERENCE_DIR",
    "RISKMESH_RATE_LIMIT_PER_MINUTE",
    "RISKMESH_IN_FLIGHT_BYTES",
    "RISKMESH_WEBHOOKS_EGRESS_ALLOW",
];

impl Config {
    /// The configuration of `serve` with these arguments.
    pub fn load(args: &ServeArgs) -> Result<Self, Error> {
        let mut config = match &args.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        if let Some(listen) = args.listen {
            config.edge.listen = listen;
        }
        if let Some(listen) = args.admin_listen {
            config.admin_listen = listen;
        }
        if let Some(dir) = &args.data_dir {
            config.data_dir.clone_from(dir);
        }
        if args.no_sandbox {
            config.sandbox.enabled = false;
        }
        if !args.roles.is_empty() {
            config.roles.clone_from(&args.roles);
        }
        if let Some(dir) = &args.reference_dir {
            config.reference.directory = Some(dir.clone());
        }
        if let Some(limit) = args.rate_limit_per_minute {
            config.edge.rate_limit_per_minute = limit;
        }
        if let Some(bytes) = args.in_flight_bytes {
            config.edge.in_flight_bytes = bytes;
        }
        config.validate()?;
        Ok(config)
    }

    /// The configuration of a command on a data directory: of the file that is named, or as the directory was served last.
    pub fn of(args: &DataDir) -> Result<Self, Error> {
        let mut config = if let Some(path) = &args.config {
            Self::read(path)?
        } else {
            let served = args.data_dir.clone().unwrap_or(Self::default().data_dir);
            match Self::read(&served.join(SERVED)) {
                Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    Self::default()
                }
                read => Self { data_dir: served, ..read? },
            }
        };
        if let Some(dir) = &args.data_dir {
            config.data_dir.clone_from(dir);
        }
        config.validate()?;
        Ok(config)
    }

    /// Takes from how the directory was served last what neither arguments nor a configuration name: the engines, models and reference
    /// data, and the keys that they are signed with.
    pub fn as_served(mut self, args: &ServeArgs) -> Result<Self, Error> {
        if args.config.is_some() {
            return Ok(self);
        }
        let served = Self::of(&DataDir { data_dir: Some(self.data_dir.clone()), config: None })?;
        let directory = self.reference.directory.take().or(served.reference.directory);
        self.reference.directory = directory;
        // No argument says anything of these.
        (self.analytics, self.market) = (served.analytics, served.market);
        (self.store, self.bus, self.redis) = (served.store, served.bus, served.redis);
        Ok(self)
    }

    /// The files and directories of others' that are read.
    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let analytics = &mut self.analytics;
        let named = [
            &mut analytics.model,
            &mut analytics.country_risk,
            &mut analytics.fx_rates,
            &mut self.reference.directory,
            &mut self.market.model,
            &mut self.store.cql.password_file,
            &mut self.store.cql.tls_ca,
            &mut self.bus.kafka.password_file,
            &mut self.redis.password_file,
            &mut self.redis.tls_ca,
        ];
        named.into_iter().flatten().chain(&mut analytics.drafts)
    }

    /// Notes in the data directory how it is served, for commands that follow.
    pub fn remember(&self) -> Result<(), Error> {
        let path = self.data_dir.join(SERVED);
        let fail = |source: io::Error| Error::Remember { path: path.clone(), source };
        let mut served = self.clone();
        for file in served.files() {
            // Commands are started elsewhere.
            *file = std::path::absolute(&file).map_err(fail)?;
        }
        note::replace(&path, &served).map_err(fail)
    }

    /// The roles to run, `all` resolved.
    pub fn roles(&self) -> BTreeSet<NodeRole> {
        if self.roles.contains(&NodeRole::All) {
            use NodeRole::{Analytics, Auth, Clients, Edge, Market, Reference};
            [Edge, Clients, Analytics, Reference, Market, Auth].into()
        } else {
            self.roles.iter().copied().collect()
        }
    }

    /// Variables of ours in the environment that nothing reads.
    pub fn unknown_variables() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names
            .filter(|name| name.starts_with("RISKMESH_") && !KNOWN_VARIABLES.contains(&name.as_str()))
            .collect()
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| Error::Parse { path: path.to_owned(), message })
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    fn validate(&self) -> Result<(), Error> {
        let refuse = |key, value: String, allowed| Err(Error::Value { key, value, allowed });
        if self.edge.listen == self.admin_listen && self.edge.listen.port() != 0 {
            return refuse("admin-listen", self.admin_listen.to_string(), "it must differ from edge.listen");
        }
        self.edge.check()?;
        self.analytics.check()?;
        self.store.validate()?;
        self.bus.validate()?;
        self.redis.validate()?;
        // The embedded log is this process's own, and groups on Kafka keep their places in a store that all of them see.
        match (self.store.engine, self.bus.engine) {
            (StoreEngine::Embedded, BusEngine::Embedded) | (StoreEngine::Cql, BusEngine::Kafka) => {}
            (StoreEngine::Embedded, BusEngine::Kafka) => {
                return refuse(
                    "bus.engine",
                    "kafka".into(),
                    "with store.engine = \"embedded\" it is embedded, too",
                );
            }
            (StoreEngine::Cql, BusEngine::Embedded) => {
                return refuse("bus.engine", "embedded".into(), "with store.engine = \"cql\" it is kafka");
            }
        }
        if !self.admin_listen.ip().is_loopback() {
            let allowed =
                "it asks for no token and has no TLS: it must be a loopback address (127.0.0.1:9901)";
            return refuse("admin-listen", self.admin_listen.to_string(), allowed);
        }
        if self.reference.directory.as_ref().is_some_and(|directory| directory.as_os_str().is_empty()) {
            return refuse("reference.directory", String::new(), "the path of a directory");
        }
        if self.auth.issuer.is_empty() || self.auth.audience.is_empty() {
            return refuse("auth.issuer, auth.audience", String::new(), "neither may be empty");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_the_repository_shows_every_default() {
        let text = include_str!("../../../riskmesh.toml");
        assert_eq!(Config::parse(text).unwrap(), Config::default());
        let shown: toml::Table = toml::from_str(text).unwrap();
        let all = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(shown, all, "riskmesh.toml names every key with its default");
    }

    #[test]
    fn the_file_in_the_guide_to_production_is_valid() {
        let guide = include_str!("../../../docs/production.md");
        let (_, from) = guide.split_once("```toml\n").unwrap();
        let (text, _) = from.split_once("```").unwrap();
        let config = Config::parse(text).unwrap();
        config.validate().unwrap();
        assert_eq!(config.store.engine, StoreEngine::Cql);
    }

    #[test]
    fn an_unknown_key_and_a_wrong_value_are_named() {
        let unknown = Config::parse("admin-lisen = \"127.0.0.1:1\"").unwrap_err();
        assert!(unknown.contains("admin-lisen") && unknown.contains("admin-listen"), "{unknown}");
        let config = Config { store: Store { cache_mib: 1, ..Store::default() }, ..Config::default() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "configuration key store.cache-mib: 1 is not allowed; 16 to 1048576"
        );
    }

    #[test]
    fn events_go_where_others_that_share_the_store_see_them() {
        let mut config = Config::default();
        config.store.engine = StoreEngine::Cql;
        config.store.cql.nodes = vec!["127.0.0.1:9042".into()];
        assert!(config.validate().unwrap_err().to_string().contains("bus.engine: embedded is not allowed"));
        config.bus.engine = BusEngine::Kafka;
        config.bus.kafka.brokers = vec!["127.0.0.1:9092".into()];
        config.validate().unwrap();
        config.store.engine = StoreEngine::Embedded;
        assert!(config.validate().unwrap_err().to_string().contains("bus.engine: kafka is not allowed"));
    }

    #[test]
    fn health_and_metrics_stay_on_the_machine() {
        let admin_listen = SocketAddr::from(([0, 0, 0, 0], 9901));
        let error = Config { admin_listen, ..Config::default() }.validate().unwrap_err();
        assert!(error.to_string().starts_with("configuration key admin-listen: 0.0.0.0:9901 is not allowed"));
    }

    #[test]
    fn commands_go_by_how_a_directory_was_served_unless_a_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let on = |config: Option<&Path>| {
            Config::of(&DataDir { data_dir: Some(dir.path().to_owned()), config: config.map(Path::to_owned) })
        };
        assert_eq!(on(None).unwrap(), Config { data_dir: dir.path().to_owned(), ..Config::default() });

        let mut served = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        served.auth.issuer = "bank".into();
        served.analytics.model = Some("models/ours.toml".into());
        served.analytics.drafts = vec!["models/draft.toml".into()];
        served.reference.directory = Some("reference".into());
        served.market.model = Some("models/portfolio.toml".into());
        served.remember().unwrap();
        let found = on(None).unwrap();
        assert_eq!((found.auth.issuer.as_str(), &found.data_dir), ("bank", &served.data_dir));
        assert!(found.reference.directory.unwrap().is_absolute());
        assert!(found.market.model.unwrap().is_absolute());
        assert!(found.analytics.drafts[0].is_absolute());
        let model = found.analytics.model.unwrap();
        assert!(model.is_absolute() && model.ends_with("models/ours.toml"));

        let file = dir.path().join("other.toml");
        std::fs::write(&file, "[auth]\nissuer = \"other\"\n").unwrap();
        assert_eq!(on(Some(&file)).unwrap().auth.issuer, "other");
        std::fs::write(dir.path().join(SERVED), "unknown = 1").unwrap();
        assert!(matches!(on(None), Err(Error::Parse { .. })));
    }

    #[test]
    fn what_a_directory_is_served_with_is_taken_with_the_keys_it_is_signed_with() {
        let dir = tempfile::tempdir().unwrap();
        let mut served = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        served.analytics.model = Some("/models/ours.toml".into());
        served.analytics.signed_by = Some("1".repeat(64).try_into().unwrap());
        served.market.model = Some("/models/portfolio.toml".into());
        served.market.signed_by = Some("2".repeat(64).try_into().unwrap());
        served.reference.directory = Some("/reference".into());
        served.remember().unwrap();
        let on = |args: ServeArgs| {
            let args = ServeArgs { data_dir: Some(dir.path().to_owned()), ..args };
            Config::load(&args).unwrap().as_served(&args).unwrap()
        };
        let found = on(ServeArgs::default());
        assert_eq!((&found.analytics, &found.market), (&served.analytics, &served.market));
        assert_eq!(found.reference, served.reference);
        let named = on(ServeArgs { reference_dir: Some("other".into()), ..ServeArgs::default() });
        assert_eq!((named.reference.directory.unwrap(), named.market), ("other".into(), served.market));
        let file = dir.path().join("other.toml");
        std::fs::write(&file, "").unwrap();
        let configured = on(ServeArgs { config: Some(file), ..ServeArgs::default() });
        assert_eq!(configured.market, market::Config::default(), "a configuration says all of it");
    }

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("riskmesh.toml");
        std::fs::write(&path, "[edge]\nlisten = \"127.0.0.1:1111\"\nrate-limit-per-minute = 5\n").unwrap();
        let args = ServeArgs { config: Some(path), rate_limit_per_minute: Some(0), ..ServeArgs::default() };
        let config = Config::load(&args).unwrap();
        assert_eq!((config.edge.listen.port(), config.edge.rate_limit_per_minute), (1111, 0));
    }
}
