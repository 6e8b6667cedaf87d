//! Tracks: what a stream is made of.

use std::sync::Arc;

use crate::{AacConfig, AvcConfig};

/// Video or audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A codec and its out-of-band configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum CodecConfig {
    /// H.264 (ISO/IEC 14496-10), configuration as in `avcC`.
    Avc(AvcConfig),
    /// AAC (ISO/IEC 14496-3), configuration as an AudioSpecificConfig.
    Aac(AacConfig),
}

impl CodecConfig {
    /// Video or audio.
    pub const fn kind(&self) -> TrackKind {
        match self {
            Self::Avc(_) => TrackKind::Video,
            Self::Aac(_) => TrackKind::Audio,
        }
    }

    /// The RFC 6381 string for the CODECS attribute.
    pub fn rfc6381(&self) -> String {
        match self {
            Self::Avc(c) => c.rfc6381(),
            Self::Aac(c) => c.rfc6381(),
        }
    }

    /// The short name that the API shows.
    pub const fn short_name(&self) -> &'static str {
        match self {
            Self::Avc(_) => "h264",
            Self::Aac(_) => "aac",
        }
    }
}

/// A track of a stream. A new configuration is a new `Arc<Track>` with the same `id`.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Position in the stream: 0 for the main video, 1 for the main audio, extra audio from 2.
    pub id: u8,
    /// Codec and configuration.
    pub config: CodecConfig,
}

impl Track {
    /// Video or audio.
    pub const fn kind(&self) -> TrackKind {
        self.config.kind()
    }
}

/// The tracks known so far, and those that the encoder's metadata announces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracks {
    /// The main video track, once its configuration came.
    pub video: Option<Arc<Track>>,
    /// The main audio track, once its configuration came.
    pub audio: Option<Arc<Track>>,
    /// What `onMetaData` said; `expect_*` tells whether a track is worth waiting for.
    pub metadata: Metadata,
}

/// What an encoder says about its stream (`onMetaData`), read with bounds. Nothing here is trusted for timing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// A video track is announced (`videocodecid` present and not 0), or not; `None`: nothing was said.
    pub expect_video: Option<bool>,
    /// The same for audio (`audiocodecid`).
    pub expect_audio: Option<bool>,
    /// Frames a second, if a sane number was given (0 < rate ≤ 1000).
    pub frame_rate: Option<f64>,
    /// Video bit/s as announced.
    pub video_bitrate: Option<u64>,
    /// Audio bit/s as announced.
    pub audio_bitrate: Option<u64>,
    /// Every short scalar as text, for the API: at most 32 entries of at most 64 + 256 bytes.
    pub entries: Vec<(String, String)>,
}
