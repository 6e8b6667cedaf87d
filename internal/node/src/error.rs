//! What keeps a node from running.

use std::io;

use thiserror::Error;

use crate::tls::TlsError;

/// Why a node did not start, or could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A listener could not be bound.
    #[error("cannot listen for {what} on {addr}")]
    Bind {
        /// `http`, `rtmp`, `https` or `rtmps`.
        what: &'static str,
        /// As configured.
        addr: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The state directory cannot be used.
    #[error("STATE_DIR {dir} cannot be used")]
    State {
        /// As configured.
        dir: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("STORAGE_DIR {dir} cannot be used")]
    Store {
        /// As configured.
        dir: String,
        /// Its reason.
        source: store::StoreError,
    },
    /// The certificate of RTMPS and HTTPS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A setting passed the checks and cannot be used all the same.
    #[error("{0}")]
    Settings(String),
    /// The HTTP listener ended though nobody stopped it.
    #[error("the HTTP listener ended")]
    HttpEnded,
}

impl NodeError {
    /// The configuration is at fault, not the machine: what is to be changed stands in it.
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Settings(_))
    }
}
