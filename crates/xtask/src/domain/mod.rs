//! `cargo xtask bench domain`: the risk maths without a server. How many transactions a core scores in memory, and what the typologies
//! find of laundering that is labelled, beside what chance and mere volume find; what the tail of a portfolio of a million trades costs.
//! docs/benchmarks/domain.md says how to read it.

mod amlsim;
mod found;
mod kernel;
mod labels;
mod portfolio;

use crate::report::{self, Measurement};
use anyhow::Context as _;
use clap::ValueEnum;
use std::path::PathBuf;

/// Options of the suite.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Prints one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Measures only this; repeat it for more.
    #[arg(long, value_name = "NAME")]
    only: Vec<Case>,
    /// Entries that are scored, of a fiftieth as many accounts.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    entries: u64,
    /// How often the kernel and the portfolio run; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Where AMLSim's labelled sets are: directories with `nodes.csv` and `transactions.csv`. Without it that part is skipped.
    #[arg(long, value_name = "DIR")]
    amlsim: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Case {
    /// Transactions a second and core, in memory.
    Kernel,
    /// What the typologies find of the generator's labels.
    Labels,
    /// The same of AMLSim's.
    Amlsim,
    /// Value at risk and expected shortfall of a million trades, and numpy's.
    Portfolio,
}

/// Measures what was asked for, and prints each measurement as soon as it is there.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    for case in Case::value_variants() {
        if !args.only.is_empty() && !args.only.contains(case) {
            continue;
        }
        let measurements: Vec<Measurement> = match case {
            Case::Kernel => kernel::measure(args),
            Case::Labels => labels::measure(),
            Case::Amlsim => amlsim::measure(args.amlsim.as_deref()),
            Case::Portfolio => portfolio::measure(args),
        }
        .with_context(|| format!("measure {case:?}"))?;
        for measurement in &measurements {
            report::print("domain", measurement, args.json)?;
        }
    }
    Ok(())
}
