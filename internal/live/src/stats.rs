//! Counters of one publish: written by its publisher, read by anybody, without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use media::{Frame, TrackKind};
use tokio::time::Instant;

/// Seconds that the bit rate is taken over.
const RATE_SECONDS: u64 = 5;
/// One more than the seconds read, and the one being written.
const SLOTS: usize = 8;

/// What a stream has carried so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Payload bytes.
    pub bytes: u64,
    /// Video frames.
    pub video_frames: u64,
    /// Audio frames.
    pub audio_frames: u64,
    /// Video frames that decoding can start at.
    pub keyframes: u64,
    /// Bit/s over about the last 5 s (over the stream's life while it is younger).
    pub bitrate: u64,
}

#[derive(Debug)]
pub(crate) struct Counters {
    start: Instant,
    bytes: AtomicU64,
    video_frames: AtomicU64,
    audio_frames: AtomicU64,
    keyframes: AtomicU64,
    /// Milliseconds after `start` of the last frame.
    last: AtomicU64,
    slots: [Slot; SLOTS],
}

/// Bytes of one second, counted from the start.
#[derive(Debug, Default)]
struct Slot {
    second: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            bytes: AtomicU64::new(0),
            video_frames: AtomicU64::new(0),
            audio_frames: AtomicU64::new(0),
            keyframes: AtomicU64::new(0),
            last: AtomicU64::new(0),
            slots: Default::default(),
        }
    }

    /// Only the one publisher calls this, so plain loads and stores are enough.
    pub(crate) fn count(&self, frame: &Frame, now: Instant) {
        let len = frame.data.len() as u64;
        self.bytes.fetch_add(len, Relaxed);
        match frame.track.kind() {
            TrackKind::Video => {
                self.video_frames.fetch_add(1, Relaxed);
                self.keyframes.fetch_add(u64::from(frame.key), Relaxed);
            }
            TrackKind::Audio => {
                self.audio_frames.fetch_add(1, Relaxed);
            }
        }
        let since = now.saturating_duration_since(self.start);
        self.last.store(since.as_millis() as u64, Relaxed);
        let second = since.as_secs();
        let slot = &self.slots[second as usize % SLOTS];
        if slot.second.swap(second, Relaxed) == second {
            slot.bytes.fetch_add(len, Relaxed);
        } else {
            slot.bytes.store(len, Relaxed);
        }
    }

    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let last = Duration::from_millis(self.last.load(Relaxed));
        now.saturating_duration_since(self.start).saturating_sub(last)
    }

    pub(crate) fn read(&self, now: Instant) -> StreamStats {
        StreamStats {
            bytes: self.bytes.load(Relaxed),
            video_frames: self.video_frames.load(Relaxed),
            audio_frames: self.audio_frames.load(Relaxed),
            keyframes: self.keyframes.load(Relaxed),
            bitrate: self.bitrate(now),
        }
    }

    fn bitrate(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        let second = since.as_secs();
        let whole = second.min(RATE_SECONDS);
        if whole == 0 {
            let millis = (since.as_millis() as u64).max(1);
            return self.bytes.load(Relaxed).saturating_mul(8000) / millis.max(200);
        }
        let bytes: u64 = self
            .slots
            .iter()
            .filter(|s| (second - whole..second).contains(&s.second.load(Relaxed)))
            .map(|s| s.bytes.load(Relaxed))
            .sum();
        bytes * 8 / whole
    }
}
