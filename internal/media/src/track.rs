//! Tracks: what a stream is made of.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    AacConfig, Av1Config, AvcConfig, FlacConfig, HevcConfig, OpusConfig, Vp9Config, flac_frame_samples,
    opus_packet_samples,
};

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
    /// H.265 (ISO/IEC 23008-2), configuration as in `hvcC`.
    Hevc(HevcConfig),
    /// AV1, configuration as in `av1C`.
    Av1(Av1Config),
    /// VP9, configuration as in `vpcC`.
    Vp9(Vp9Config),
    /// AAC (ISO/IEC 14496-3), configuration as an AudioSpecificConfig.
    Aac(AacConfig),
    /// Opus (RFC 6716), configuration as an `OpusHead`.
    Opus(OpusConfig),
    /// FLAC (RFC 9639), configuration as a stream information block.
    Flac(FlacConfig),
}

/// What every video configuration tells of its pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames a second, where the configuration says.
    pub frame_rate: Option<f64>,
    /// `transfer_characteristics` (ITU-T H.273), where the configuration says: 16 is PQ, 18 HLG.
    pub transfer: Option<u8>,
}

/// What every audio configuration tells of its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second: the track's timescale.
    pub sample_rate: u32,
    /// 0 when only the bitstream knows.
    pub channels: u8,
    /// Samples in a frame, as far as the configuration knows; each frame may say otherwise.
    pub frame_samples: u32,
}

impl CodecConfig {
    /// Video or audio.
    pub const fn kind(&self) -> TrackKind {
        match self {
            Self::Avc(_) | Self::Hevc(_) | Self::Av1(_) | Self::Vp9(_) => TrackKind::Video,
            Self::Aac(_) | Self::Opus(_) | Self::Flac(_) => TrackKind::Audio,
        }
    }

    /// The RFC 6381 string for the CODECS attribute.
    pub fn rfc6381(&self) -> String {
        match self {
            Self::Avc(c) => c.rfc6381(),
            Self::Hevc(c) => c.rfc6381(),
            Self::Av1(c) => c.rfc6381(),
            Self::Vp9(c) => c.rfc6381(),
            Self::Aac(c) => c.rfc6381(),
            Self::Opus(_) => "Opus".into(),
            Self::Flac(_) => "fLaC".into(),
        }
    }

    /// The short name that the API shows.
    pub const fn short_name(&self) -> &'static str {
        match self {
            Self::Avc(_) => "h264",
            Self::Hevc(_) => "hevc",
            Self::Av1(_) => "av1",
            Self::Vp9(_) => "vp9",
            Self::Aac(_) => "aac",
            Self::Opus(_) => "opus",
            Self::Flac(_) => "flac",
        }
    }

    /// The configuration as sent, which goes into the sample entry; the same bytes are the same configuration.
    pub const fn record(&self) -> &Bytes {
        match self {
            Self::Avc(c) => &c.record,
            Self::Hevc(c) => &c.record,
            Self::Av1(c) => &c.record,
            Self::Vp9(c) => &c.record,
            Self::Aac(c) => &c.asc,
            Self::Opus(c) => &c.head,
            Self::Flac(c) => &c.stream_info,
        }
    }

    /// Of a video configuration.
    pub fn picture(&self) -> Option<Picture> {
        let (width, height, frame_rate, transfer) = match self {
            Self::Avc(c) => (c.width, c.height, c.frame_rate, None),
            Self::Hevc(c) => (c.width, c.height, c.frame_rate, c.transfer),
            Self::Av1(c) => (c.width, c.height, c.frame_rate, c.color.map(|[_, transfer, _]| transfer)),
            Self::Vp9(c) => (c.width, c.height, None, Some(c.color[1])),
            Self::Aac(_) | Self::Opus(_) | Self::Flac(_) => return None,
        };
        Some(Picture { width, height, frame_rate, transfer })
    }

    /// Of an audio configuration.
    pub const fn sound(&self) -> Option<Sound> {
        let (sample_rate, channels, frame_samples) = match self {
            Self::Aac(c) => (c.sample_rate, c.channels, c.frame_samples),
            Self::Opus(c) => (c.sample_rate(), c.channels, c.usual_packet()),
            Self::Flac(c) => (c.sample_rate, c.channels, c.max_block),
            Self::Avc(_) | Self::Hevc(_) | Self::Av1(_) | Self::Vp9(_) => return None,
        };
        Some(Sound { sample_rate, channels, frame_samples })
    }

    /// Samples in this frame of an audio track: what the frame says, or else what the configuration does.
    pub fn frame_samples(&self, frame: &[u8]) -> u32 {
        let own = match self {
            Self::Opus(_) => opus_packet_samples(frame),
            Self::Flac(_) => flac_frame_samples(frame),
            _ => None,
        };
        own.or_else(|| self.sound().map(|s| s.frame_samples)).unwrap_or(0)
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
    /// The colours of the pictures, as a metadata frame gives them (Enhanced RTMP 2, "Metadata Frame").
    pub color: Option<ColorInfo>,
    /// Every short scalar as text, for the API: at most 32 entries of at most 64 + 256 bytes.
    pub entries: Vec<(String, String)>,
}

/// `colorInfo`, as far as a playlist has use for it. Code points are ITU-T H.273's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColorInfo {
    /// Bits of a sample: 8 to 16.
    pub bit_depth: Option<u8>,
    /// `colorPrimaries`: 9 is BT.2020.
    pub primaries: Option<u8>,
    /// `transferCharacteristics`: 16 is PQ, 18 HLG.
    pub transfer: Option<u8>,
    /// `matrixCoefficients`.
    pub matrix: Option<u8>,
}
