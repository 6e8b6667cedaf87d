//! What the multivariant playlist says of a stream.

use std::sync::Arc;

use hls::{Variant, VideoRange};
use media::{Metadata, Track};

/// Describes the tracks of an init. `frame_rate` is what the muxer measured; until it has, the encoder's word counts.
pub(crate) fn describe(tracks: &[Arc<Track>], metadata: &Metadata, frame_rate: Option<f64>) -> Variant {
    let video = tracks.iter().find_map(|t| t.config.picture());
    // A metadata frame is the encoder's last word on colours.
    let transfer = metadata.color.and_then(|c| c.transfer).or(video.and_then(|v| v.transfer));
    Variant {
        codecs: tracks.iter().map(|t| t.config.rfc6381()).collect(),
        resolution: video.map(|v| (v.width, v.height)),
        frame_rate: video.and_then(|v| frame_rate.or(v.frame_rate).or(metadata.frame_rate)),
        video_range: video.and(transfer).and_then(VideoRange::from_transfer),
        announced_bitrate: announced(metadata, video.is_some()),
    }
}

/// The sum of what was announced; nothing if the video, which is most of it, was not.
fn announced(metadata: &Metadata, has_video: bool) -> Option<u64> {
    if has_video {
        metadata.video_bitrate.map(|v| v.saturating_add(metadata.audio_bitrate.unwrap_or(0)))
    } else {
        metadata.audio_bitrate
    }
}
