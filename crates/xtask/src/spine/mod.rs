//! `cargo xtask bench spine`: the numbers of one process on the embedded store, each with its goal. Every case makes its own data in
//! a directory of its own, removes it, and talks to loopback only. docs/benchmarks/spine.md says how to read them.

mod cold_start;
mod cores;
mod import;
mod rest_get;
mod storage;

use crate::process;
use crate::report::{self, Measurement};
use anyhow::Context as _;
use clap::ValueEnum;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Options of the suite.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Prints one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Measures only this; repeat it for more.
    #[arg(long, value_name = "NAME")]
    only: Vec<Case>,
    /// Measures the programs as they were built last, without asking cargo.
    #[arg(long)]
    no_build: bool,
    /// Where the data are made: on the disk that is meant. A memory file system has no syncs to measure [default: bench in the
    /// target directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Members of the list that deep_page reads at four fifths of its length.
    #[arg(long, default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    rows: u64,
    /// Entries that import imports.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    transactions: u64,
    /// Starts that cold_start measures.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Seconds of each phase of durable_writes and rest_get.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
}

impl Args {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Case {
    /// Durable writes of 64 clients against one-at-a-time syncs.
    DurableWrites,
    /// A page of 100 clients deep in a long list against the first one.
    DeepPage,
    /// From start to `ready` where the sandbox is.
    ColdStart,
    /// `riskmesh import transactions` into a directory that nobody serves.
    Import,
    /// `GET /v1/analytics/{clientId}` at half of what the server can do.
    RestGet,
}

/// What the cases share.
struct Bench<'a> {
    args: &'a Args,
    /// Where cargo puts programs.
    target: PathBuf,
    /// Where data are made.
    dir: PathBuf,
}

impl Bench<'_> {
    /// A directory that is removed when it is dropped.
    fn scratch(&self) -> anyhow::Result<TempDir> {
        let made = tempfile::Builder::new().prefix("spine-").tempdir_in(&self.dir);
        made.with_context(|| format!("make a directory in {}", self.dir.display()))
    }

    fn build(&self, args: &[&str]) -> anyhow::Result<()> {
        if self.args.no_build { Ok(()) } else { process::build("release", args) }
    }

    /// The product's binary, built.
    fn riskmesh(&self) -> anyhow::Result<PathBuf> {
        self.build(&["--package", "riskmesh", "--bin", "riskmesh"])?;
        Ok(self.target.join("riskmesh"))
    }

    /// An example of the embedded store, built.
    fn storage_example(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.build(&["--package", "riskmesh-store-embedded", "--example", name])?;
        Ok(self.target.join("examples").join(name))
    }
}

/// Measures what was asked for, and prints each measurement as soon as it is there.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let target = process::target_dir()?;
    let dir = args.dir.clone().unwrap_or_else(|| target.join("bench"));
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    let bench = Bench { args, target, dir };
    for case in Case::value_variants() {
        if !args.only.is_empty() && !args.only.contains(case) {
            continue;
        }
        let measurements: Vec<Measurement> = match case {
            Case::DurableWrites => storage::durable_writes(&bench),
            Case::DeepPage => storage::deep_page(&bench),
            Case::ColdStart => cold_start::measure(&bench),
            Case::Import => import::measure(&bench),
            Case::RestGet => rest_get::measure(&bench),
        }
        .with_context(|| format!("measure {case:?}"))?;
        for measurement in &measurements {
            report::print("spine", measurement, args.json)?;
        }
    }
    Ok(())
}
