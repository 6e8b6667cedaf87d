//! Why a session ends.

use thiserror::Error;

/// What is wrong with the chunk stream (RTMP §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// A chunk of type 1–3 on a chunk stream that had no header before.
    #[error("a chunk refers to a header that never came")]
    NoHeader,
    /// A new message header inside an unfinished message.
    #[error("a message began before the last one on its chunk stream ended")]
    Unfinished,
    /// Set Chunk Size outside 1–16,777,215.
    #[error("chunk size {0} is out of bounds")]
    ChunkSize(u32),
    /// A message longer than its kind may be.
    #[error("a message of {0} bytes is over the limit")]
    MessageTooLong(usize),
    /// Unfinished messages hold more than the connection may.
    #[error("unfinished messages pass the connection's memory limit")]
    TooMuchBuffered,
    /// More chunk streams than allowed.
    #[error("too many chunk streams")]
    TooManyChunkStreams,
}

/// Why a session cannot go on. The text holds nothing that the peer sent but codec names.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    /// No RTMP handshake.
    #[error("the handshake failed")]
    Handshake,
    /// The chunk stream is broken.
    #[error("chunk stream: {0}")]
    Chunk(#[from] ChunkError),
    /// A control message of the wrong length.
    #[error("a control message is malformed")]
    Control,
    /// A command that cannot be read (RTMP §7.2, AMF0).
    #[error("a command could not be read")]
    Command,
    /// A command out of order, such as publish before connect.
    #[error("{0}")]
    Order(&'static str),
    /// The peer wants to play.
    #[error("playing over RTMP is not supported")]
    Play,
    /// No track can be used. The peer has been told.
    #[error("{0}")]
    Unusable(String),
    /// More input came than may be held while a publish is being decided.
    #[error("too much input before the publish was answered")]
    Flood,
    /// Input after the session ended.
    #[error("the session has ended")]
    Ended,
}

impl SessionError {
    /// A short constant name, for a metric's label.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Chunk(_) => "chunk",
            Self::Control => "control",
            Self::Command => "command",
            Self::Order(_) => "order",
            Self::Play => "play",
            Self::Unusable(_) => "media",
            Self::Flood => "flood",
            Self::Ended => "ended",
        }
    }
}
