//! Why a stream ends.

use std::fmt;

/// Why a publish is over. The first reason given stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The encoder said so.
    Unpublished,
    /// Its connection broke.
    Disconnected,
    /// It sent nothing for too long.
    Idle,
    /// Another publisher took the path over.
    Replaced,
    /// An operator stopped it.
    Stopped,
    /// Its token was revoked.
    Revoked,
    /// A higher epoch owns the path.
    Fenced,
    /// This node is shutting down.
    Draining,
    /// Its media cannot be served; the text says why, for the encoder.
    Refused(String),
}

impl CloseReason {
    /// One word for metrics and the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unpublished => "unpublished",
            Self::Disconnected => "disconnected",
            Self::Idle => "idle",
            Self::Replaced => "replaced",
            Self::Stopped => "stopped",
            Self::Revoked => "revoked",
            Self::Fenced => "fenced",
            Self::Draining => "draining",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            other => f.write_str(other.as_str()),
        }
    }
}
