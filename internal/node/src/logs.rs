//! Logs: lines on stderr, as text or JSON.

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::config::{ConfigError, LogFormat, LogSettings};

/// Starts logging for the whole process. A second call changes nothing.
///
/// # Errors
/// The filter cannot be read.
pub fn init(settings: &LogSettings) -> Result<(), ConfigError> {
    let filter =
        EnvFilter::try_new(&settings.filter).map_err(|e| ConfigError::Refused(format!("log.filter: {e}")))?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // Only the first call in a process can win; tests start many nodes.
    let _ = match settings.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => {
            use std::io::IsTerminal;
            registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()
        }
    };
    Ok(())
}

/// Reads the filter without starting anything.
///
/// # Errors
/// It cannot be read.
pub fn check(settings: &LogSettings) -> Result<(), ConfigError> {
    filter(settings).map(drop)
}

fn filter(settings: &LogSettings) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(&settings.filter).map_err(|e| ConfigError::Refused(format!("log.filter: {e}")))
}
