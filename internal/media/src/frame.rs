//! One coded picture or audio frame.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Ticks, Track};

/// One access unit as it travels through the server. Cloning it copies no payload.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The track, with the codec configuration that this frame needs.
    pub track: Arc<Track>,
    /// Decode time.
    pub dts: Ticks,
    /// Presentation time; may be before or after `dts`.
    pub pts: Ticks,
    /// Decoding can start here (an IDR, or another random access point; every audio frame).
    pub key: bool,
    /// The payload in the form that MP4 samples have: for H.264 and H.265 NAL units with 4-byte lengths, for AV1 a
    /// temporal unit without delimiters, for VP9 a frame or superframe, for sound one frame or packet.
    pub data: Bytes,
}
