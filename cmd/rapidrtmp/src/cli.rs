//! The command line (docs/operations.md lists it for people).

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// RTMP in, low-latency HLS out.
#[derive(Debug, Parser)]
#[command(
    name = "rapidrtmp",
    version,
    about,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where settings come from, for every command.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// A configuration file (TOML).
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// What this process does: all-in-one, ingest or edge.
    #[arg(long, value_name = "ROLE", global = true)]
    pub(crate) role: Option<String>,
}

/// What to do; nothing given means `serve`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take streams and serve them (the default).
    Serve,
    /// Print a publish token for a stream path, such as live/demo.
    Mint {
        /// The full stream path; the stream key `demo` of the API is the path live/demo.
        path: String,
        /// How long the token lasts, such as 1h; the configured default when absent.
        #[arg(long, value_name = "DURATION", value_parser = node::config::parse_duration)]
        expires: Option<Duration>,
    },
    /// Read the configuration, say what is wrong with it, and exit.
    CheckConfig,
    /// Ask the server of this configuration whether it lives; exit 0 if so (container probe).
    Healthcheck,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_of_the_contract_parses() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for line in [
            "rapidrtmp",
            "rapidrtmp serve",
            "rapidrtmp --config f --role edge",
            "rapidrtmp serve --config f --role all-in-one",
            "rapidrtmp mint live/demo",
            "rapidrtmp mint demo --expires 1h --config f",
            "rapidrtmp check-config",
            "rapidrtmp healthcheck",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
        let cli = parse("rapidrtmp serve --config f").unwrap();
        assert_eq!(cli.settings.config, Some("f".into()));
        for (line, status) in [
            ("rapidrtmp --version", 0),
            ("rapidrtmp --help", 0),
            ("rapidrtmp --nonsense", 2),
            ("rapidrtmp mint", 2),
            ("rapidrtmp mint x --expires soon", 2),
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), status, "{line}");
        }
    }
}
