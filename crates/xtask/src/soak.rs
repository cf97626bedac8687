//! `cargo xtask soak`: the tests that take too long for every commit.

use anyhow::ensure;
use std::process::Command;

/// Builds and runs them; what they print goes to the terminal.
pub(crate) fn run() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tests = ["test", "--release", "-p", "riskmesh", "--test", "soak"];
    ensure!(Command::new(cargo).args(tests).status()?.success(), "a fault did harm: see above");
    Ok(())
}
