//! `riskmesh`: see `riskmesh --help`.

use clap::Parser as _;
use riskmesh::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    riskmesh::run(Cli::parse())
}
