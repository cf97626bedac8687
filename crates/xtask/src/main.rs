//! Development tasks, run as `cargo xtask …`. What is measured here is never a test: it says how fast, a test says whether right.

mod process;
mod report;
mod spine;

use clap::{Parser, Subcommand};

/// Development tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measures; a goal that is missed is said, and is no failure.
    Bench {
        #[command(subcommand)]
        suite: Suite,
    },
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// One process on the embedded store: see docs/benchmarks/spine.md.
    Spine(spine::Args),
}

fn main() -> anyhow::Result<()> {
    let Task::Bench { suite } = Cli::parse().task;
    match suite {
        Suite::Spine(args) => spine::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cases_are_chosen_by_name() {
        assert!(Cli::try_parse_from(["xtask", "bench", "spine", "--json", "--only", "rest_get"]).is_ok());
        assert!(Cli::try_parse_from(["xtask", "bench", "spine", "--only", "restget"]).is_err());
    }
}
