//! `cargo xtask portfolio`: a running server's portfolio risk against the same computed with numpy, pandas and DuckDB from what the API
//! exports. docs/portfolio.md says what is compared; the computation is in tests/portfolio.

use crate::server::{Server, token};
use crate::{process, python};
use anyhow::{Context as _, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// The versions that the figures were checked with.
pub(crate) const PACKAGES: [(&str, &str); 3] = [("numpy", "2.4.6"), ("pandas", "3.1.1"), ("duckdb", "2.0.1")];
/// Where the computation is.
pub(crate) const SCRIPTS: &str = "tests/portfolio";

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Checks the program as it was built last.
    #[arg(long)]
    no_build: bool,
}

/// Starts a server with its sandbox, and checks every portfolio of it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if !args.no_build {
        process::build("release", &["--package", "riskmesh"])?;
    }
    let python = python::with(&PACKAGES)?;
    let script = script("check.py")?;
    let target = process::target_dir()?;
    let dir = target.join("portfolio");
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    let data = tempfile::tempdir()?;
    let riskmesh = target.join("riskmesh");
    let server = Server::start(&riskmesh, data.path())?;
    println!(
        "server ready after {:.1} s; what it exports is left in {}",
        server.startup.as_secs_f64(),
        dir.display()
    );
    let token = token(&riskmesh, data.path(), "analyst")?;
    let mut command = Command::new(&python);
    command.arg("-B").arg(&script).arg(format!("http://{}", server.address)).arg(&dir);
    command.env("RISKMESH_TOKEN", token).stdin(Stdio::null());
    let status = command.status().with_context(|| format!("start {}", python.display()))?;
    server.stop()?;
    ensure!(status.success(), "portfolio risk is not what numpy, pandas and DuckDB compute");
    println!("portfolio: all figures agree");
    Ok(())
}

/// A script of the computation, wherever it is started.
pub(crate) fn script(name: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = Path::new(SCRIPTS).join(name);
    path.canonicalize()
        .with_context(|| format!("find {}; run this at the root of the repository", path.display()))
}
