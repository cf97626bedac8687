//! `riskmesh`: see `riskmesh --help`.

use clap::Parser as _;
use riskmesh::cli::Cli;
use std::process::ExitCode;

/// Many small, short-lived values on every core: what the system's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    riskmesh::run(Cli::parse())
}
