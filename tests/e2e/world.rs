//! Two processes on one Cassandra, Kafka and Redis, as a user would run them with `--config`. The engines are real ones, and shared by
//! the tests of a program, which therefore run one after the other.

#![allow(dead_code, reason = "the tests of faults use all of it")]

use crate::support::{Server, output};
use servers::Engine;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// The engines with a keyspace that `riskmesh migrate` has made, and two replicas of the product.
pub struct World {
    cassandra: servers::Server,
    kafka: servers::Server,
    redis: servers::Server,
    pub config: PathBuf,
    pub one: Server,
    pub two: Server,
    pub dir: TempDir,
}

static WORLD: Mutex<Option<World>> = Mutex::const_new(None);

/// Whoever has it has the engines to himself.
pub struct Held(MutexGuard<'static, Option<World>>);

impl std::ops::Deref for Held {
    type Target = World;

    fn deref(&self) -> &World {
        self.0.as_ref().unwrap()
    }
}

impl std::ops::DerefMut for Held {
    fn deref_mut(&mut self) -> &mut World {
        self.0.as_mut().unwrap()
    }
}

/// The engines and the replicas, for one test at a time.
pub async fn world() -> Held {
    let mut held = WORLD.lock().await;
    if held.is_none() {
        *held = Some(tokio::task::block_in_place(World::start));
    }
    Held(held)
}

impl World {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |engine: Engine| dir.path().join(engine.name());
        let cassandra = servers::Server::start(Engine::Cassandra, &at(Engine::Cassandra)).unwrap();
        let kafka = servers::Server::start(Engine::Kafka, &at(Engine::Kafka)).unwrap();
        let redis = servers::Server::start(Engine::Redis, &at(Engine::Redis)).unwrap();
        let config = dir.path().join("riskmesh.toml");
        let addresses = (cassandra.address(), kafka.address(), redis.address());
        std::fs::write(&config, configuration(addresses)).unwrap();

        let file = config.to_str().unwrap();
        let (done, _, complained) =
            output(&["migrate", "--config", file, "--data-dir", file_in(&dir, "one")]);
        assert!(done, "{complained}");
        let one = replica(&dir.path().join("one"), &config);
        // The same deployment has the same keys.
        copy(&dir.path().join("one/keys"), &dir.path().join("two/keys"));
        let two = replica(&dir.path().join("two"), &config);
        Self { cassandra, kafka, redis, config, one, two, dir }
    }

    /// The engine of this name.
    pub fn engine(&self, engine: Engine) -> &servers::Server {
        match engine {
            Engine::Cassandra => &self.cassandra,
            Engine::Kafka => &self.kafka,
            Engine::Redis => &self.redis,
        }
    }

    /// Kills an engine, and starts it on what it had synced.
    pub fn crash(&mut self, engine: Engine) {
        self.engine(engine).kill().unwrap();
        let again = servers::Server::start(engine, &self.dir.path().join(engine.name())).unwrap();
        assert_eq!(again.address(), self.engine(engine).address());
        *match engine {
            Engine::Cassandra => &mut self.cassandra,
            Engine::Kafka => &mut self.kafka,
            Engine::Redis => &mut self.redis,
        } = again;
    }

    /// One more replica.
    pub fn third(&self) -> Server {
        let data = self.dir.path().join("three");
        if !data.exists() {
            copy(&self.one.data.join("keys"), &data.join("keys"));
        }
        replica(&data, &self.config)
    }
}

fn configuration((cassandra, kafka, redis): (SocketAddr, SocketAddr, SocketAddr)) -> String {
    format!(
        "[store]\nengine = \"cql\"\n[store.cql]\nnodes = [\"{cassandra}\"]\nkeyspace = \"e2e\"\nreplication = 1\ntimeout = \"5s\"\n\
         [bus]\nengine = \"kafka\"\n[bus.kafka]\nbrokers = [\"{kafka}\"]\nprefix = \"e2e.\"\nreplication = 1\n\
         [redis]\naddress = \"{redis}\"\n"
    )
}

fn file_in(dir: &TempDir, name: &str) -> &'static str {
    // A few bytes a test program.
    Box::leak(dir.path().join(name).to_str().unwrap().to_owned().into_boxed_str())
}

/// A process on the engines.
pub fn replica(data: &Path, config: &Path) -> Server {
    Server::start(data, &["--no-sandbox", "--config", config.to_str().unwrap()])
}

/// Copies the files of a directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
