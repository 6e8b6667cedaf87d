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
    /// Bit/s that the encoder announced for all its tracks.
    pub announced_bitrate: Option<u64>,
}
