//! What the multivariant playlist says of a stream.

/// The attributes of EXT-X-STREAM-INF (RFC 8216bis §4.4.6.2) that the media itself does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variant {
    /// RFC 6381 strings of every track, in track order; empty means not known yet, so no multivariant.
    pub codecs: Vec<String>,
    /// Displayed width and height in pixels; `None` without video.
    pub resolution: Option<(u32, u32)>,
    /// Frames a second; `None` without video, or while unknown.
    pub frame_rate: Option<f64>,
    /// How light is coded, where it is not the ordinary way (VIDEO-RANGE).
    pub video_range: Option<VideoRange>,
    /// Bit/s that the encoder announced for all its tracks.
    pub announced_bitrate: Option<u64>,
}

/// High dynamic range, by transfer function (RFC 8216bis §4.4.6.2, VIDEO-RANGE). SDR goes without saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoRange {
    /// Hybrid log-gamma (ITU-R BT.2100; ITU-T H.273 transfer characteristics 18).
    Hlg,
    /// Perceptual quantizer (SMPTE ST 2084; transfer characteristics 16).
    Pq,
}

impl VideoRange {
    /// By `transfer_characteristics` of ITU-T H.273.
    pub const fn from_transfer(code: u8) -> Option<Self> {
        match code {
            16 => Some(Self::Pq),
            18 => Some(Self::Hlg),
            _ => None,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hlg => "HLG",
            Self::Pq => "PQ",
        }
    }
}
