//! What can be wrong with a configuration.

use thiserror::Error;

/// Why a configuration is refused; the process then ends with status 2.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("unknown setting {given} in {layer}: did you mean {nearest}?")]
    Unknown {
        /// As written.
        given: String,
        /// Where.
        layer: String,
        /// The known one that is nearest.
        nearest: String,
    },
    /// A setting's value cannot be used.
    #[error("{key} in {layer} {reason}")]
    Value {
        /// As written in that layer.
        key: String,
        /// Where.
        layer: String,
        /// What it takes.
        reason: String,
    },
    /// The file is no TOML, or cannot be read.
    #[error("{file}: {reason}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// Settings that read well but cannot work.
    #[error("{0}")]
    Refused(String),
}
