//! The one product binary as a library: configuration, wiring, command line. Everything that serves or computes lives in the service
//! crates; what knows which backends there are lives here.

pub mod admin_socket;
pub mod cli;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod http_client;
pub mod import;
pub mod node;
pub mod secrets;
pub mod seed;
pub mod serve;

mod backends;
mod connection;
mod deployment;
mod events_command;
mod generate_command;
mod import_command;
mod lag;
mod migrate;
mod migrations;
mod note;
mod operator;
mod token;
mod user_command;

use cli::{Cli, Command, ImportCommand};
use std::process::ExitCode;

/// Runs a command line to its end.
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        None => block_on(serve::run(&cli.serve)),
        Some(Command::Serve(args)) => block_on(serve::run(&args)),
        Some(Command::Token(args)) => block_on(token::run(&args)),
        Some(Command::User { what }) => block_on(user_command::run(what)),
        Some(Command::Import { what: ImportCommand::Transactions(args) }) => {
            block_on(import_command::run(args))
        }
        Some(Command::Events { what }) => block_on(events_command::run(what)),
        Some(Command::Generate(args)) => generate_command::run(&args),
        Some(Command::Demo) => block_on(demo::run()),
        Some(Command::Migrate(args)) => block_on(migrate::run(&args)),
        Some(Command::Doctor(args)) => block_on(doctor::run(&args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("riskmesh: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(task: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(task)
}
