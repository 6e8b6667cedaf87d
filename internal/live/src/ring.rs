//! The last frames of a stream: the cache of the newest GOP and the slack of its readers.

use std::{collections::VecDeque, time::Duration};

use media::{Frame, Ticks, TrackKind, Tracks};

use crate::CloseReason;

/// A subscriber to sound alone starts this far back.
const AUDIO_START: Ticks = Ticks(Ticks::RATE);

/// Bounds of a stream's ring.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Payload bytes held at most, one frame apart.
    pub max_bytes: usize,
    /// Frames held at most.
    pub max_frames: usize,
    /// How far a reader may fall behind the newest frame before it lags, when the GOP is shorter than this.
    pub slack: Duration,
}

impl Default for StreamOptions {
    /// 32 MiB hold 10 s of 25 Mbit/s; 8192 frames hold 60 s of 60 fps with sound; 2 s outlast any healthy pause of a lane
    /// (a registry that does not answer holds it up for 1 s).
    fn default() -> Self {
        Self { max_bytes: 32 << 20, max_frames: 8192, slack: Duration::from_secs(2) }
    }
}

/// What [`Subscriber::recv`](crate::Subscriber::recv) brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// Frames were appended to `out`: at least one.
    Frames,
    /// The reader was too slow: this many frames are lost to it, and the next ones start at a keyframe.
    Lagged(u64),
    /// The tracks are these from here on.
    Tracks(Tracks),
    /// The stream is over and everything was read. Every further call says so again.
    Closed(CloseReason),
}

/// Where a reader stands.
#[derive(Debug)]
pub(crate) struct Position {
    next: u64,
    tracks_seen: u64,
    /// Pictures are of no use before the next keyframe.
    needs_key: bool,
    /// Nothing was read yet: the tracks come first, whichever frame they apply from.
    fresh: bool,
}

#[derive(Debug)]
pub(crate) struct Ring {
    frames: VecDeque<Frame>,
    /// Number of the first frame in `frames`.
    base: u64,
    bytes: usize,
    /// Number of the newest video keyframe, as long as it is held.
    last_key: Option<u64>,
    has_video: bool,
    tracks: Tracks,
    /// Counts the changes of `tracks`.
    tracks_version: u64,
    /// The first frame that the newest `tracks` apply to.
    tracks_at: u64,
    max_bytes: usize,
    max_frames: usize,
    slack: Ticks,
    pub(crate) closed: Option<CloseReason>,
}

impl Ring {
    pub(crate) fn new(o: &StreamOptions) -> Self {
        Self {
            frames: VecDeque::new(),
            base: 0,
            bytes: 0,
            last_key: None,
            has_video: false,
            tracks: Tracks::default(),
            tracks_version: 0,
            tracks_at: 0,
            max_bytes: o.max_bytes,
            max_frames: o.max_frames.max(1),
            slack: Ticks::from_duration(o.slack.min(Duration::from_secs(3600))),
            closed: None,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    pub(crate) fn set_tracks(&mut self, tracks: Tracks) {
        if self.tracks != tracks {
            self.tracks = tracks;
            self.tracks_version += 1;
            self.tracks_at = self.head();
        }
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        if frame.track.kind() == TrackKind::Video {
            self.has_video = true;
            if frame.key {
                self.last_key = Some(self.head());
            }
        }
        self.bytes += frame.data.len();
        let newest = frame.dts;
        self.frames.push_back(frame);
        while self.frames.len() > 1 && self.front_may_go(newest) {
            if let Some(old) = self.frames.pop_front() {
                self.bytes -= old.data.len();
                self.base += 1;
            }
        }
        self.last_key = self.last_key.filter(|k| *k >= self.base);
    }

    /// A new reader: from the newest keyframe on; without video, a second of sound back.
    pub(crate) fn start(&self) -> Position {
        let next = match self.last_key {
            Some(key) => key,
            None if self.has_video => self.head(),
            None => self.recent_audio(),
        };
        // Version 0 is "nothing known": a reader is told of everything later.
        let needs_key = self.has_video && self.last_key.is_none();
        Position { next, tracks_seen: 0, needs_key, fresh: true }
    }

    /// What this reader gets next; `None` when it must wait.
    pub(crate) fn read(&self, at: &mut Position, out: &mut Vec<Frame>) -> Option<Received> {
        if at.next < self.base {
            return Some(self.skip(at));
        }
        let mut until = self.head();
        if at.tracks_seen != self.tracks_version {
            if at.fresh || at.next >= self.tracks_at {
                at.fresh = false;
                at.tracks_seen = self.tracks_version;
                return Some(Received::Tracks(self.tracks.clone()));
            }
            until = self.tracks_at;
        }
        at.fresh = false;
        let before = out.len();
        let (from, to) = ((at.next - self.base) as usize, (until - self.base) as usize);
        for frame in self.frames.range(from..to) {
            if at.needs_key && frame.track.kind() == TrackKind::Video {
                if !frame.key {
                    continue;
                }
                at.needs_key = false;
            }
            out.push(frame.clone());
        }
        at.next = until;
        if out.len() > before {
            return Some(Received::Frames);
        }
        if at.tracks_seen != self.tracks_version {
            return self.read(at, out);
        }
        self.closed.clone().map(Received::Closed)
    }

    fn skip(&self, at: &mut Position) -> Received {
        let to = self.start();
        let lost = to.next - at.next;
        at.next = to.next;
        at.needs_key = to.needs_key;
        Received::Lagged(lost)
    }

    fn head(&self) -> u64 {
        self.base + self.frames.len() as u64
    }

    /// Over a bound always; else only what is both before the newest keyframe and older than the slack.
    fn front_may_go(&self, newest: Ticks) -> bool {
        if self.frames.len() > self.max_frames || self.bytes > self.max_bytes {
            return true;
        }
        let before_key = self.last_key.is_none_or(|k| self.base < k);
        // Either way: a clock that jumped back must not keep old frames for ever.
        before_key && self.frames.front().is_some_and(|f| (newest - f.dts).abs() > self.slack)
    }

    fn recent_audio(&self) -> u64 {
        let Some(newest) = self.frames.back() else { return self.head() };
        let recent =
            self.frames.iter().rev().take_while(|f| (newest.dts - f.dts).abs() <= AUDIO_START).count();
        self.head() - recent as u64
    }
}
