//! Decode times of pictures: the declared end of one part is where the next begins.

use bytes::Bytes;

use crate::cadence::{Cadence, DEFAULT_FRAME};

/// Decode times rise by at least this (1 ms), whatever the sender says.
const MIN_STEP: i64 = 90;
/// Kept free in a part for millisecond rounding (contract "Time, cuts and parts").
const ROUNDING: i64 = 90;

/// A picture in the part that is being filled.
#[derive(Debug)]
pub(crate) struct VideoSample {
    /// The decode time that is written.
    pub(crate) time: i64,
    /// Presentation time, exact.
    pub(crate) pts: i64,
    /// An IDR.
    pub(crate) key: bool,
    /// The access unit.
    pub(crate) data: Bytes,
}

/// The pictures of the open part and what is known of the rate. All times are on the epoch's timeline.
#[derive(Debug)]
pub(crate) struct VideoTimeline {
    pub(crate) cadence: Cadence,
    part_target: i64,
    pub(crate) samples: Vec<VideoSample>,
    /// The true decode time of the last picture.
    last: i64,
}

impl VideoTimeline {
    pub(crate) fn new(part_target: i64) -> Self {
        Self { cadence: Cadence::default(), part_target, samples: Vec::new(), last: 0 }
    }

    /// One frame in ticks, a guess at first.
    pub(crate) fn frame(&self) -> i64 {
        self.cadence.frame().map_or(DEFAULT_FRAME, |f| (f.round() as i64).max(1))
    }

    /// Frames in a whole part: floor((PART-TARGET − 1 ms) / frame), at least one.
    fn frames_per_part(&self) -> i64 {
        let frame = self.cadence.frame().unwrap_or(DEFAULT_FRAME as f64).max(1.0);
        (((self.part_target - ROUNDING) as f64 / frame).floor() as i64).max(1)
    }

    /// The length of a whole part if it cannot be 85–100 % of PART-TARGET.
    pub(crate) fn misfit(&self) -> Option<f64> {
        self.cadence.rate()?;
        let frame = self.cadence.frame()?;
        let part = frame * self.frames_per_part() as f64;
        let target = self.part_target as f64;
        (part < 0.85 * target || part > target).then_some(frame)
    }

    /// Where the open part begins.
    pub(crate) fn start(&self) -> Option<i64> {
        self.samples.first().map(|s| s.time)
    }

    /// The decode time that a part opening with `dts` gets when the previous one was declared to end at `end`:
    /// that end, unless the picture is more than a frame later.
    pub(crate) fn opening(&self, end: i64, dts: i64) -> i64 {
        if dts - end > self.frame() { dts } else { end }
    }

    /// Adds a picture; `end` is the previous part's declared end.
    pub(crate) fn push(&mut self, end: i64, dts: i64, pts: i64, key: bool, data: Bytes) {
        let time = match self.samples.last() {
            Some(last) => dts.max(last.time + MIN_STEP),
            None => self.opening(end, dts),
        };
        self.last = dts;
        self.samples.push(VideoSample { time, pts, key, data });
    }

    /// Frames' worth of time from the part's start to `end`.
    fn frames_until(&self, end: i64) -> i64 {
        let frame = self.cadence.frame().unwrap_or(DEFAULT_FRAME as f64).max(1.0);
        self.start().map_or(0, |s| ((end - s) as f64 / frame).round() as i64)
    }

    /// The part's last frame has arrived.
    pub(crate) fn is_full(&self) -> bool {
        !self.samples.is_empty()
            && self.cadence.frame().is_some()
            && self.frames_until(self.last + self.frame()) >= self.frames_per_part()
    }

    /// A picture at `dts` would make the part longer than PART-TARGET.
    pub(crate) fn would_pass(&self, dts: i64) -> bool {
        !self.samples.is_empty() && self.frames_until(dts + self.frame()) > self.frames_per_part()
    }

    /// Where the open part ends by the cadence, at most at `limit`.
    pub(crate) fn declared_end(&self, limit: i64) -> i64 {
        self.bounded(self.last + self.frame(), limit)
    }

    /// Where the open part ends when the next picture is known to be at `next`.
    pub(crate) fn end_before(&self, next: i64, limit: i64) -> i64 {
        self.bounded(next, limit)
    }

    fn bounded(&self, end: i64, limit: i64) -> i64 {
        let Some(start) = self.start() else { return end };
        let longest = match self.samples.as_slice() {
            [_] => self.part_target.max(self.frame()),
            _ => self.part_target,
        };
        let floor = self.samples.last().map_or(start, |s| s.time) + MIN_STEP;
        end.min(start + longest).min(limit).max(floor)
    }
}
