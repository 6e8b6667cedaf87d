//! rapidrtmp-bench: makes load for an RTMP server and checks what an HLS origin serves. Works against any server.
//!
//! Exit status: 0 all is well; 1 something was found or failed; 2 wrong usage.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod check;
mod held;
mod hls;
mod latency;
mod publish;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publishes one or many streams over RTMP in real time.
    Publish(publish::Options),
    /// Watches a playlist and judges it by the clauses of a good HLS origin.
    Check(check::Options),
    /// Watches a stream with many viewers, who verify what they are given.
    Hls(hls::Options),
    /// Holds many blocking requests and tells how soon one part answers them all.
    Held(held::Options),
    /// Publishes stamped frames and tells when each part of them could be read over LL-HLS.
    Latency(latency::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Publish(o) => publish::run(o).await,
        Command::Check(o) => check::run(o).await,
        Command::Hls(o) => hls::run(o).await,
        Command::Held(o) => held::run(o).await,
        Command::Latency(o) => latency::run(o).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {e:#}\n"));
            ExitCode::from(1)
        }
    }
}
