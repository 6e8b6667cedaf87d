//! The server's program: reads the command line, and hands over.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

/// The system's allocator keeps what bursts leave behind; this one gives it back and is faster for small blocks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = commands::configure(&cli.settings).and_then(|config| match cli.command {
        None | Some(Command::Serve) => commands::serve(&config),
        Some(Command::Mint { path, expires }) => commands::mint(&config, &path, expires),
        Some(Command::CheckConfig) => commands::check_config(&config),
        Some(Command::Healthcheck) => commands::healthcheck(&config),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => commands::report(&e),
    }
}
