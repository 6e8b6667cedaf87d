//! Before the first segment: waits for the tracks that may come and for a keyframe, with bounds.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use media::{Frame, Track, TrackKind, Tracks};

/// Frames held at most: more than a second of 120 fps video and two audio frames a picture.
const MAX_FRAMES: usize = 512;
/// Bytes held at most: one second at 256 Mbit/s.
const MAX_BYTES: usize = 32 << 20;
/// Timestamps this far (10 s) from the newest are from elsewhere.
const JUMP: i64 = 900_000;
/// Video without a keyframe for this long (10 s) is worth a warning.
const NO_KEYFRAME: i64 = 900_000;

/// What a stream starts with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) video: Option<Arc<Track>>,
    pub(crate) audio: Option<Arc<Track>>,
}

/// The frames since the first usable one.
#[derive(Debug, Default)]
pub(crate) struct Start {
    frames: VecDeque<(Frame, Duration)>,
    bytes: usize,
    /// Tracks of the frames seen, also of those that were not kept.
    seen: Layout,
    have_key: bool,
    first: Option<i64>,
    last: i64,
    /// When the first frame came.
    pub(crate) since: Option<Duration>,
}

impl Start {
    /// Takes a frame. Pictures before the first keyframe are not kept, nor is sound far older than the newest.
    pub(crate) fn push(&mut self, frame: Frame, now: Duration, wait: i64) {
        self.since.get_or_insert(now);
        let dts = frame.dts.0;
        if self.first.is_none() {
            (self.first, self.last) = (Some(dts), dts);
        }
        // A timestamp from elsewhere starts the waiting over rather than ending it.
        if self.last.abs_diff(dts) > JUMP as u64 {
            *self = Self { since: self.since, first: Some(dts), last: dts, ..Self::default() };
        }
        self.last = self.last.max(dts);
        match frame.track.kind() {
            TrackKind::Video => {
                self.seen.video = Some(Arc::clone(&frame.track));
                if !self.have_key && !frame.key {
                    return;
                }
                self.have_key = true;
            }
            TrackKind::Audio => self.seen.audio = Some(Arc::clone(&frame.track)),
        }
        self.bytes += frame.data.len();
        self.frames.push_back((frame, now));
        if !self.have_key && self.seen.video.is_some() {
            self.forget_before(self.last - wait);
        }
    }

    fn forget_before(&mut self, dts: i64) {
        while self.frames.front().is_some_and(|(f, _)| f.dts.0 < dts) {
            if let Some((f, _)) = self.frames.pop_front() {
                self.bytes -= f.data.len();
            }
        }
    }

    /// Video has been coming for 10 s without a keyframe.
    pub(crate) fn lacks_keyframe(&self) -> bool {
        self.seen.video.is_some() && !self.have_key && self.span() > NO_KEYFRAME
    }

    fn span(&self) -> i64 {
        self.first.map_or(0, |f| self.last - f)
    }

    /// What to start with, if it is time to. `over`: the waiting is over by the caller's clock.
    pub(crate) fn decide(&self, tracks: &Tracks, wait: i64, over: bool) -> Option<Layout> {
        let full = self.frames.len() >= MAX_FRAMES || self.bytes >= MAX_BYTES;
        let over = over || full || self.span() >= wait;
        let held = self.first_of(TrackKind::Audio).map(|f| &f.track);
        let audio = held.or(self.seen.audio.as_ref()).or(tracks.audio.as_ref());
        if self.have_key {
            let settled = audio.is_some() || tracks.metadata.expect_audio == Some(false);
            return (settled || over)
                .then(|| Layout { video: self.first_key_track(), audio: audio.map(Arc::clone) });
        }
        // Pictures that come without a keyframe are waited for; a video track that is only announced is not.
        let none_expected = tracks.video.is_none() && tracks.metadata.expect_video == Some(false);
        let patience = if tracks.video.is_some() { self.span() >= 3 * wait || full } else { over };
        (self.seen.video.is_none() && self.seen.audio.is_some() && (none_expected || patience))
            .then(|| Layout { video: None, audio: audio.map(Arc::clone) })
    }

    fn first_key_track(&self) -> Option<Arc<Track>> {
        self.first_of(TrackKind::Video).map(|f| Arc::clone(&f.track))
    }

    /// The first frame held of a kind.
    pub(crate) fn first_of(&self, kind: TrackKind) -> Option<&Frame> {
        self.frames.iter().map(|(f, _)| f).find(|f| f.track.kind() == kind)
    }

    /// The held frames in the order in which they came.
    pub(crate) fn into_frames(self) -> VecDeque<(Frame, Duration)> {
        self.frames
    }
}
