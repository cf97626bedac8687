//! A server in its directory: `server.json` says which process it is and where it listens, `output.log` what it printed.

use crate::engine::Engine;
use crate::process::{self, Identity, Lifetime, Signal};
use anyhow::{Context as _, bail, ensure};
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long it may take until it is ready, and until it has stopped.
const START: Duration = Duration::from_mins(3);
const STOP: Duration = Duration::from_secs(30);
/// How often it is asked whether it is ready.
const POLL: Duration = Duration::from_millis(100);
/// Lines of its log that are told where it does not start.
const LAST_LINES: usize = 20;

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    dir: PathBuf,
    record: Record,
    lifetime: Lifetime,
}

/// How things stand with what was started in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was, or it has ended.
    Down,
    /// It lives, and does not answer.
    Silent,
    /// It answers.
    Ready,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Record {
    engine: Engine,
    process: Identity,
    ports: Vec<u16>,
}

impl Server {
    /// Starts an engine in a directory, on the data and the ports that it had there before if it had any, and waits until it
    /// answers. It ends when this is dropped, or this process ends. One that runs there already is given as it is.
    ///
    /// # Errors
    /// It cannot be installed or started, or does not answer in time; the end of its log is told then.
    pub fn start(engine: Engine, dir: &Path) -> anyhow::Result<Self> {
        Self::start_for(engine, dir, Lifetime::Attached)
    }

    /// As [`start`](Self::start), but it runs on until it is stopped.
    ///
    /// # Errors
    /// As there.
    pub fn start_detached(engine: Engine, dir: &Path) -> anyhow::Result<Self> {
        Self::start_for(engine, dir, Lifetime::Detached)
    }

    fn start_for(engine: Engine, dir: &Path, lifetime: Lifetime) -> anyhow::Result<Self> {
        let installed = engine.install().with_context(|| format!("install {engine}"))?;
        std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let before = read(&dir)?;
        if let Some(record) = before.as_ref().filter(|record| record.engine != engine) {
            bail!("{} is the directory of {}", dir.display(), record.engine);
        }
        if let Some(record) = before.as_ref().filter(|record| record.process.is_alive()) {
            let server = Self { engine, dir, record: record.clone(), lifetime: Lifetime::Detached };
            server.wait()?;
            return Ok(server);
        }
        let ports = match before.map(|record| record.ports).filter(|ports| are_free(ports)) {
            Some(ports) => ports,
            None => free(engine.ports())?,
        };
        let command = engine.prepare(&installed, &dir, &ports)?;
        let process = process::start(command, lifetime, &dir.join("output.log"))?;
        let record = Record { engine, process, ports };
        let server = Self { engine, dir, record, lifetime };
        std::fs::write(server.dir.join("server.json"), serde_json::to_vec_pretty(&server.record)?)?;
        server.wait()?;
        Ok(server)
    }

    /// What runs in a directory, started by whomever. It goes on running when this is dropped.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn find(dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(record) = read(dir)?.filter(|record| record.process.is_alive()) else { return Ok(None) };
        let dir = dir.to_owned();
        Ok(Some(Self { engine: record.engine, dir, record, lifetime: Lifetime::Detached }))
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.record.process.pid
    }

    /// How things stand with it.
    pub fn standing(&self) -> Standing {
        if !self.record.process.is_alive() {
            Standing::Down
        } else if self.engine.is_ready(self.port()) {
            Standing::Ready
        } else {
            Standing::Silent
        }
    }

    /// Stops it in order, or by force where that takes too long.
    ///
    /// # Errors
    /// It could not be signalled.
    pub fn stop(self) -> anyhow::Result<()> {
        // A paused process hears nothing else.
        self.record.process.send(Signal::Continue)?;
        self.record.process.send(Signal::Term)?;
        if self.record.process.ends_within(STOP) { Ok(()) } else { self.kill() }
    }

    /// Ends it at once, as a crash would (SIGKILL). It may be started again.
    ///
    /// # Errors
    /// It could not be signalled, or did not end.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.record.process.send(Signal::Kill)?;
        if !self.record.process.ends_within(STOP) {
            bail!("{} does not end", self.engine);
        }
        Ok(())
    }

    /// Stops it from doing anything (SIGSTOP): its connections stay, and nobody answers.
    ///
    /// # Errors
    /// It could not be signalled.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.record.process.send(Signal::Stop)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// It could not be signalled.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.record.process.send(Signal::Continue)
    }

    fn port(&self) -> u16 {
        self.record.ports.first().copied().unwrap_or(0)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while !self.engine.is_ready(self.port()) {
            if !self.record.process.is_alive() {
                bail!("{} has ended: {}", self.engine, self.last_lines());
            }
            if Instant::now() >= deadline {
                bail!("{} does not answer: {}", self.engine, self.last_lines());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read(self.dir.join("output.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Attached {
            // It may have ended, and there is nobody to tell.
            let _ = self.kill();
        }
    }
}

fn read(dir: &Path) -> anyhow::Result<Option<Record>> {
    let file = dir.join("server.json");
    match std::fs::read(&file) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).with_context(|| format!("read {}", file.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

/// Ports of loopback that nobody listens on, all bound at once, so that they differ. They are below those that the system gives to
/// connections (ip_local_port_range of Linux begins at 32768): a server that was killed finds its own again.
fn free(count: usize) -> anyhow::Result<Vec<u16>> {
    const FIRST: u32 = 10_240;
    const PORTS: u32 = 32_768 - FIRST;
    // Whoever else looks for ports begins elsewhere.
    let begin = std::hash::RandomState::new().hash_one(std::process::id()) as u32;
    let ports = (0..PORTS).map(|step| (FIRST + begin.wrapping_add(step) % PORTS) as u16);
    let bound = ports.filter_map(|port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?)));
    let bound: Vec<(u16, TcpListener)> = bound.take(count).collect();
    ensure!(bound.len() == count, "no free ports from {FIRST} on");
    Ok(bound.iter().map(|(port, _)| *port).collect())
}

fn are_free(ports: &[u16]) -> bool {
    ports.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}
