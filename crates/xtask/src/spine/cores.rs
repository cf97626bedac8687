//! Who runs on which cores. A load generator that takes turns with the server on the same cores measures the scheduler: with both busy, a
//! request waits for a time slice of several milliseconds now and then. So each gets half of the machine.

use anyhow::Context as _;
use std::process::{Command, Stdio};

/// The halves of the machine.
pub(super) struct Cores {
    /// The server's, as taskset lists them.
    pub(super) server: String,
    /// The load generator's.
    pub(super) load: String,
}

impl Cores {
    /// Splits the machine; an error where it has one core.
    pub(super) fn split() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        anyhow::ensure!(cores > 1, "the server and its load need a core each");
        let half = cores / 2;
        Ok(Self { server: format!("0-{}", half - 1), load: format!("{half}-{}", cores - 1) })
    }
}

/// Puts a process, with all its threads and those that they will start, on some cores.
pub(super) fn pin(process: u32, cores: &str) -> anyhow::Result<()> {
    let mut taskset = Command::new("taskset");
    let status = taskset.args(["-apc", cores, &process.to_string()]).stdout(Stdio::null()).status();
    let status = status.context("run taskset (Debian: util-linux)")?;
    anyhow::ensure!(status.success(), "taskset ended with {status}");
    Ok(())
}
