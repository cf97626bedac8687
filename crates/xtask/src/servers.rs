//! `cargo xtask servers`: the real engines, started and stopped by hand.

use ::servers::{Engine, Server, Standing};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// The real engines, on free ports of loopback, each with a directory of its own under `--dir`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts engines, installs them first where they lack, and waits until they answer.
    Up(Which),
    /// Stops engines; their data stays.
    Down {
        #[command(flatten)]
        which: Which,
        /// Removes their data too.
        #[arg(long)]
        delete: bool,
    },
    /// Says how things stand with them.
    Status(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Which engines: cassandra, kafka, redis; all if none is named.
    engines: Vec<Engine>,
    /// Where their directories are.
    #[arg(long, default_value = "target/servers")]
    dir: PathBuf,
}

impl Which {
    fn each(&self) -> impl Iterator<Item = (Engine, PathBuf)> {
        let engines = if self.engines.is_empty() { &Engine::ALL[..] } else { &self.engines };
        engines.iter().copied().map(|engine| (engine, self.dir.join(engine.name())))
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Up(which) => {
            for (engine, dir) in which.each() {
                tell(engine, Some(&Server::start_detached(engine, &dir)?));
            }
            write_config(&which.dir)
        }
        Command::Down { which, delete } => which.each().try_for_each(|(engine, dir)| {
            if let Some(server) = Server::find(&dir)? {
                server.stop()?;
            }
            if *delete {
                remove(&dir)?;
            }
            tell(engine, None);
            Ok(())
        }),
        Command::Status(which) => which.each().try_for_each(|(engine, dir)| {
            tell(engine, Server::find(&dir)?.as_ref());
            Ok(())
        }),
    }
}

/// Writes with what `riskmesh serve --config` uses the engines that are up. Cassandra and Kafka go together.
fn write_config(dir: &Path) -> anyhow::Result<()> {
    let found = |engine: Engine| Server::find(&dir.join(engine.name()));
    let mut text = vec![format!("data-dir = \"{}\"", dir.join("riskmesh").display())];
    if let (Some(cassandra), Some(kafka)) = (found(Engine::Cassandra)?, found(Engine::Kafka)?) {
        text.push("[store]\nengine = \"cql\"\n[store.cql]".to_owned());
        text.push(format!("nodes = [\"{}\"]\nreplication = 1\ntimeout = \"10s\"", cassandra.address()));
        text.push("[bus]\nengine = \"kafka\"\n[bus.kafka]".to_owned());
        text.push(format!("brokers = [\"{}\"]\nreplication = 1", kafka.address()));
    }
    if let Some(redis) = found(Engine::Redis)? {
        text.push(format!("[redis]\naddress = \"{}\"", redis.address()));
    }
    let file = dir.join("riskmesh.toml");
    std::fs::write(&file, text.join("\n") + "\n")?;
    println!("{:<10} {}", "config", file.display());
    Ok(())
}

fn tell(engine: Engine, server: Option<&Server>) {
    match server {
        None => println!("{engine:<10} down"),
        Some(server) => {
            let standing = match server.standing() {
                Standing::Ready => "ready",
                Standing::Silent => "silent",
                Standing::Down => "down",
            };
            println!("{engine:<10} {standing:<6} {} pid {}", server.address(), server.pid());
        }
    }
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
