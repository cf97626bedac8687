//! Redis, as the system has it.

use super::{filled, port, text};
use crate::{install, probe};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn install() -> anyhow::Result<PathBuf> {
    install::program("redis-server", "redis-server")
}

pub(super) fn prepare(program: &Path, dir: &Path, ports: &[u16]) -> anyhow::Result<Command> {
    let values = [("DIR", text(dir)?), ("PORT", &port(ports, 0)?)];
    let conf = dir.join("redis.conf");
    std::fs::write(&conf, filled(include_str!("../../config/redis.conf"), &values))?;
    let mut command = Command::new(program);
    command.arg(conf);
    Ok(command)
}

/// While it reads its data it answers with an error.
pub(super) fn is_ready(port: u16) -> bool {
    probe::ask(port, b"PING\r\n", 7).is_some_and(|answer| answer == b"+PONG\r\n")
}
