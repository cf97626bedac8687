//! Development tasks, run as `cargo xtask …`. What is measured here is never a test: it says how fast, a test says whether right.
//! What is checked here needs tools that `cargo test` cannot bring.

mod domain;
mod load;
mod openapi;
mod portfolio;
mod process;
mod python;
mod report;
mod server;
mod servers;
mod soak;
mod spine;
mod times;
mod transcode;

use clap::{Parser, Subcommand};

/// As the product does: what is measured in this process is measured with its allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Checks the OpenAPI documents and that the server does what they say: see docs/openapi.md.
    Openapi(openapi::Args),
    /// Starts and stops Cassandra, Kafka and Redis: see docs/engines.md.
    Servers(servers::Args),
    /// Checks portfolio risk against an independent computation: see docs/portfolio.md.
    Portfolio(portfolio::Args),
    /// Kills and stops engines and processes amid payments and imports, for minutes: see docs/faults.md.
    Soak,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// One process on the embedded store: see docs/benchmarks/spine.md.
    Spine(spine::Args),
    /// The transcoder against its peers: see docs/benchmarks/transcode.md.
    Transcode(transcode::Args),
    /// The upstream of that, which it starts itself.
    #[command(hide = true)]
    TranscodeUpstream,
    /// The risk maths without a server: see docs/benchmarks/domain.md.
    Domain(domain::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Bench { suite: Suite::Spine(args) } => spine::run(&args),
        Task::Bench { suite: Suite::Transcode(args) } => transcode::run(&args),
        Task::Bench { suite: Suite::Domain(args) } => domain::run(&args),
        Task::Bench { suite: Suite::TranscodeUpstream } => transcode::serve_upstream(),
        Task::Openapi(args) => openapi::run(&args),
        Task::Servers(args) => servers::run(&args),
        Task::Portfolio(args) => portfolio::run(&args),
        Task::Soak => soak::run(),
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
        assert!(
            Cli::try_parse_from(["xtask", "bench", "domain", "--only", "kernel", "--rounds", "1"]).is_ok()
        );
        let transcode = ["xtask", "bench", "transcode", "--only", "list_100", "--subject", "grpc-gateway"];
        assert!(Cli::try_parse_from(transcode).is_ok());
    }
}
