//! What comes out of a session.

use std::fmt;

use bytes::Bytes;
use media::{Credentials, Frame, InvalidPath, StreamPath, Tracks};

/// One thing to do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write these bytes to the peer.
    Send(Bytes),
    /// Something happened.
    Event(Event),
    /// Close the connection, once everything before it is written.
    Close,
}

/// What a publisher did.
#[derive(Clone, Debug)]
pub enum Event {
    /// `connect` was accepted.
    Connected {
        /// The application name, its query taken off; as sent, so not checked, at most 256 bytes.
        app: String,
        /// What the encoder calls itself; at most 256 bytes.
        flash_ver: String,
    },
    /// It wants to publish. Input is held back until [`crate::Session::accept_publish`] or
    /// [`crate::Session::reject_publish`] is called.
    Publish(PublishRequest),
    /// All tracks as they are now; comes after each change and before the first frame of the change.
    Tracks(Tracks),
    /// One picture or audio frame.
    Frame(Frame),
    /// Something is wrong that does not end the stream. Each kind is reported once a publish.
    Warning(Warning),
    /// The publisher ended its stream by command. The connection may live on.
    Unpublish,
}

/// The stream that a peer asks to publish.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The path that app and name form (design: "One stream, one name").
    pub path: Result<StreamPath, InvalidPath>,
    /// Taken off the queries of name, app and `tcUrl`, in this order of precedence.
    pub credentials: Credentials,
    /// What is left of the queries, still percent-encoded, at most 4 KiB. Holds no credentials.
    pub query: String,
}

/// Why a publish is refused or ended, as `NetStream.Publish.*` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credentials do not allow it.
    Unauthorized,
    /// The name is bad, or somebody publishes it.
    BadName,
    /// A limit, or a codec.
    Rejected,
}

impl Refusal {
    /// The `code` of the onStatus message.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "NetStream.Publish.Unauthorized",
            Self::BadName => "NetStream.Publish.BadName",
            Self::Rejected => "NetStream.Publish.Rejected",
        }
    }
}

/// Something wrong that does not end the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A track in a codec that is not supported; its data is dropped.
    Unsupported {
        /// The codec's name, as ffmpeg calls it.
        codec: String,
        /// What to pass to ffmpeg instead.
        flags: &'static str,
    },
    /// A codec configuration that cannot be read; the track is dropped until a good one comes.
    BadConfig {
        /// The reason, never the bytes.
        reason: String,
    },
    /// Media came before the configuration that it needs, and was dropped.
    NoConfig {
        /// The codec.
        codec: &'static str,
    },
    /// A sequence header or a frame without content.
    Empty {
        /// What was empty.
        what: &'static str,
    },
    /// Tracks beside the main one of a kind; their data is dropped.
    ExtraTracks {
        /// `video` or `audio`.
        kind: &'static str,
    },
    /// Pictures behind a keyframe need pictures before it (H.265, RASL): whoever starts there does not see them.
    OpenGop,
    /// `onMetaData`, or a metadata frame, could not be read.
    BadMetadata,
    /// The encoder's timestamps wrap at 24 bits; unwrapped.
    Wraps24,
    /// Timestamps went back a little, and were clamped.
    Backwards,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { codec, flags } => {
                write!(f, "codec {codec} is not supported, the track is dropped; ffmpeg: {flags}")
            }
            Self::BadConfig { reason } => write!(f, "the track is dropped: {reason}"),
            Self::NoConfig { codec } => write!(f, "{codec} came before its configuration and was dropped"),
            Self::Empty { what } => write!(f, "an empty {what} was ignored"),
            Self::ExtraTracks { kind } => write!(
                f,
                "only {kind} track 0 is used, the other {kind} tracks are dropped; send one {kind} track"
            ),
            Self::OpenGop => f.write_str(
                "the encoder's GOPs are open: viewers who start at a keyframe miss the pictures that lean on the \
                 GOP before it; ffmpeg: -x265-params open-gop=0",
            ),
            Self::BadMetadata => f.write_str("metadata could not be read and was ignored"),
            Self::Wraps24 => f.write_str("the encoder's timestamps wrap at 24 bits; they were unwrapped"),
            Self::Backwards => f.write_str("the encoder's timestamps went backwards and were clamped"),
        }
    }
}
