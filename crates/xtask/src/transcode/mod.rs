//! `cargo xtask bench transcode`: what a call costs that is transcoded, here and by others before one and the same upstream; the
//! kernel by itself; memory of streams that wait. docs/benchmarks/transcode.md says how to read it.

mod calls;
mod cases;
mod data;
mod idle;
mod kernel;
mod peers;
mod upstream;
mod usage;

use crate::process;
use crate::report::{self, Measurement};
use anyhow::Context as _;
use cases::Call;
use clap::ValueEnum;
use peers::Subject;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use upstream::serve as serve_upstream;

/// The profile of releases.
const DIST: &str = "dist";

/// Threads that each server may work on: Envoy's `--concurrency`, `GOMAXPROCS`, tokio's workers.
const WORKERS: usize = 2;

/// Options of the suite.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Prints one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Measures only this; repeat it for more.
    #[arg(long, value_name = "NAME")]
    only: Vec<Case>,
    /// Measures only these subjects; repeat it for more.
    #[arg(long, value_name = "NAME")]
    subject: Vec<Subject>,
    /// Measures the programs as they were built last.
    #[arg(long)]
    no_build: bool,
    /// Seconds of each loop, closed and open.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// How often the subjects take turns; medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Call(Call),
    /// JSON to wire format and back, of messages of three sizes.
    Kernel,
    /// Server streams that are open and silent.
    IdleStreams,
}

impl ValueEnum for Case {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Call(Call::GetSmall),
            Self::Call(Call::List100),
            Self::Call(Call::Post10k),
            Self::Call(Call::Stream1000),
            Self::Kernel,
            Self::IdleStreams,
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        match self {
            Self::Call(call) => call.to_possible_value(),
            Self::Kernel => Some("kernel".into()),
            Self::IdleStreams => Some("idle_streams".into()),
        }
    }
}

/// What the cases share.
struct Bench<'a> {
    args: &'a Args,
    /// Where cargo puts programs.
    target: PathBuf,
    /// Where peers are installed and files are made.
    dir: PathBuf,
}

impl Bench<'_> {
    fn time(&self) -> Duration {
        Duration::from_secs(self.args.seconds)
    }

    /// The descriptors of the bench service, as a file.
    fn descriptors(&self) -> anyhow::Result<PathBuf> {
        self.file("bench.binpb", upstream::proto::DESCRIPTORS)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// An example of the transcoder, built as releases are.
    fn transcode_example(&self, name: &str) -> anyhow::Result<PathBuf> {
        if !self.args.no_build {
            process::build(DIST, &["--package", "riskmesh-transcode", "--example", name])?;
        }
        // Profiles are neighbours.
        Ok(self.target.with_file_name(DIST).join("examples").join(name))
    }

    /// The subjects asked for.
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        let chosen = &self.args.subject;
        Subject::value_variants()
            .iter()
            .copied()
            .filter(|subject| chosen.is_empty() || chosen.contains(subject))
    }
}

/// Measures what was asked for, and prints each measurement as soon as it is there.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let target = process::target_dir()?;
    let dir = target.join("bench");
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    let bench = Bench { args, target, dir };
    let print = |measurement: &Measurement| report::print("transcode", measurement, args.json);
    print(&machine())?;
    let wanted = |case: &Case| args.only.is_empty() || args.only.contains(case);
    let chosen: Vec<Case> = Case::value_variants().iter().copied().filter(wanted).collect();
    let calls: Vec<Call> = chosen
        .iter()
        .filter_map(|case| match case {
            Case::Call(call) => Some(*call),
            _ => None,
        })
        .collect();
    if !calls.is_empty() {
        calls::measure(&bench, &calls, &print).context("measure calls")?;
    }
    if chosen.contains(&Case::Kernel) {
        kernel::measure(&bench, &print).context("measure the kernel")?;
    }
    if chosen.contains(&Case::IdleStreams) {
        idle::measure(&bench, &print).context("measure idle streams")?;
    }
    Ok(())
}

/// What it is measured on, and against.
fn machine() -> Measurement {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let machine = Measurement::without_goal("machine")
        .with("cpu", model.map_or("unknown", |(_, model)| model))
        .with("cores", cores)
        .with("workers", WORKERS);
    peers::versions().into_iter().fold(machine, |machine, (name, version)| machine.with(name, version))
}
