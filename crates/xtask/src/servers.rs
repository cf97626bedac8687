//! `cargo xtask servers`: the real engines, started and stopped by hand.

use ::servers::{Engine, Server, Standing};
use clap::{Subcommand, ValueEnum};
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
    /// Which engines; all if none is named.
    #[arg(value_enum)]
    engines: Vec<Name>,
    /// Where their directories are.
    #[arg(long, default_value = "target/servers")]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Cassandra,
    Kafka,
    Redis,
}

impl Which {
    fn each(&self) -> impl Iterator<Item = (Engine, PathBuf)> {
        let named = self.engines.iter().map(|name| match name {
            Name::Cassandra => Engine::Cassandra,
            Name::Kafka => Engine::Kafka,
            Name::Redis => Engine::Redis,
        });
        let mut engines: Vec<Engine> = named.collect();
        if engines.is_empty() {
            engines.extend(Engine::ALL);
        }
        engines.into_iter().map(|engine| (engine, self.dir.join(engine.name())))
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Up(which) => which.each().try_for_each(|(engine, dir)| {
            tell(engine, Some(&Server::start_detached(engine, &dir)?));
            Ok(())
        }),
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
