//! What goes into the muxer as settings and comes out of it.

use std::sync::Arc;

use bytes::Bytes;
use media::{Ticks, Track};
use thiserror::Error;

/// The muxer's settings, all from the path's configuration, none from the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct MuxerOptions {
    /// PART-TARGET; no part with more than one frame is longer.
    pub part_target: Ticks,
    /// A segment ends at the first IDR at or past this.
    pub segment_target: Ticks,
    /// How long a segment may wait for its IDR while the target duration is not fixed.
    pub segment_max: Ticks,
    /// How much media time may pass at the start while an expected track is missing.
    pub track_wait: Ticks,
    /// Refuse ([`MuxError::KeyframesTooRare`]) a publisher whose segments cannot be cut at an IDR.
    pub require_keyframes: bool,
}

impl Default for MuxerOptions {
    /// PART-TARGET 210 ms, segments of 2 s and at most 10 s, 1 s for late tracks.
    fn default() -> Self {
        Self {
            part_target: Ticks::from_millis(210),
            segment_target: Ticks::from_millis(2_000),
            segment_max: Ticks::from_millis(10_000),
            track_wait: Ticks::from_millis(1_000),
            require_keyframes: false,
        }
    }
}

/// What [`crate::Muxer::poll_output`] gives, in the order in which it is to be listed.
///
/// `Init` comes before the `SegmentStart` that uses it; then one or more `Part`s; then `SegmentEnd`.
#[derive(Clone, Debug)]
pub enum Output {
    /// A new initialisation segment; segments that start from here on need it.
    Init {
        /// Counts from 0 through the epoch.
        version: u32,
        /// `ftyp` and `moov`.
        data: Bytes,
        /// The tracks in it, video first; `track_ID` is [`Track::id`] + 1.
        tracks: Vec<Arc<Track>>,
    },
    /// A segment opens. Its first part follows at once or as soon as it is whole.
    SegmentStart {
        /// Decode time of its first sample on the epoch's timeline, which starts near 0 and never goes back.
        start: Ticks,
        /// A new init or a timestamp jump lies between the previous segment of this epoch and this one.
        discontinuity: bool,
        /// It opens with an IDR (or is audio only).
        independent: bool,
    },
    /// A part is whole.
    Part {
        /// `styp` (in the first of a segment), `moof`, `mdat`.
        data: Bytes,
        /// As it must be listed.
        duration: Ticks,
        /// Decoding can start at it: it opens with an IDR, or the stream is audio only.
        independent: bool,
    },
    /// The segment is the concatenation of the parts since its start.
    SegmentEnd {
        /// EXTINF: from its first decode time to its declared end, or to the picture that opens the next segment where
        /// the media had a hole before that. It equals the sum of its parts unless there was a hole.
        duration: Ticks,
        /// It was cut before a picture that is no IDR, as EXTINF would have passed the limit.
        forced: bool,
    },
    /// For the publisher and the log; each kind comes once, those about events once an event.
    Warning(MuxWarning),
}

/// What is odd about a stream but does not stop it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MuxWarning {
    /// A segment had to be cut without an IDR.
    #[error(
        "keyframes are too far apart: a segment had to be cut after {limit_ms} ms without one; set the encoder's keyframe interval to {advice_ms} ms"
    )]
    GopTooLong {
        /// The longest allowed segment.
        limit_ms: i64,
        /// The segment target.
        advice_ms: i64,
    },
    /// Parts of this rate cannot be 85–100 % of PART-TARGET (RFC 8216bis §4.4.4.9).
    #[error("parts cannot fill 85 % of PART-TARGET with frames of {frame_us} µs; {advice_ms} ms would fit")]
    PartTargetUnreachable {
        /// One frame.
        frame_us: i64,
        /// A PART-TARGET at which the rule holds.
        advice_ms: i64,
    },
    /// Timestamps jumped by more than 10 s; the stream goes on after a discontinuity.
    #[error("timestamps jumped by {by_ms} ms")]
    TimestampJump {
        /// Negative: back.
        by_ms: i64,
    },
    /// A track was not there when the stream started.
    #[error("the {0} track came late; the stream was started without it")]
    LateTrack(&'static str),
    /// A track has had no frames for a while.
    #[error("the {0} track has stopped; the stream goes on without it")]
    LostTrack(&'static str),
    /// A track changed its configuration; a discontinuity follows.
    #[error("the {0} track changed its configuration")]
    NewConfiguration(&'static str),
    /// Outside [`crate::Muxer::push`] something failed that would end the stream there.
    #[error("{0}")]
    Failed(MuxError),
    /// Video has been coming without any keyframe.
    #[error("no keyframe has come yet; nothing can be shown before one does")]
    NoKeyframe,
    /// Audio timestamps do not belong to the video's; they were moved.
    #[error("audio and video timestamps are {by_ms} ms apart; audio was moved")]
    AudioMoved {
        /// How far.
        by_ms: i64,
    },
}

/// Why a stream cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MuxError {
    /// `require_keyframes` is set and no IDR came in time.
    #[error("keyframes are too far apart: none within {0} ms")]
    KeyframesTooRare(i64),
    /// Time or configuration changed again and again, with hardly any media in between.
    #[error("timestamps or codec configurations change all the time")]
    Unstable,
    /// The frame's payload is larger than MP4 or our bounds take (64 MiB).
    #[error("a frame of {0} bytes is too large")]
    FrameTooLarge(usize),
    /// An init segment could not be written.
    #[error("cannot write the init segment: {0}")]
    Init(String),
}
