//! How many may watch one stream: those who do go on, those who come too late are told so.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use live::Window;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Seats remembered on a node: 100k × 24 B. Beyond it viewers are let in unseen.
const MAX_SEATS: usize = 100_000;
/// No seat outlives three target durations of the longest segment that the packager makes (10 s).
const LONGEST: Duration = Duration::from_secs(60);

/// Who was let in lately, so that a full stream tells its viewers from newcomers.
#[derive(Debug)]
pub(crate) struct Seats {
    max: usize,
    hasher: RandomState,
    taken: Mutex<HashMap<u64, Instant>>,
}

impl Seats {
    /// At most `max` viewers a stream.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, hasher: RandomState::new(), taken: Mutex::default() }
    }

    /// Lets a viewer in who has a seat, or for whom there is one. A refused viewer is not counted.
    pub(crate) fn admit(&self, window: &Window, viewer: u64, now: Instant) -> bool {
        let seat = self.hasher.hash_one((window.path(), viewer));
        let viewers = window.viewers();
        let mut taken = self.taken.lock();
        let seated =
            taken.get(&seat).is_some_and(|last| now.saturating_duration_since(*last) <= viewers.active_for());
        if !seated && viewers.count(now) >= self.max {
            return false;
        }
        if taken.len() >= MAX_SEATS && !seated {
            taken.retain(|_, last| now.saturating_duration_since(*last) <= LONGEST);
        }
        if seated || taken.len() < MAX_SEATS {
            taken.insert(seat, now);
        }
        note(window, viewer, now);
        true
    }

    /// Keeps a viewer's seat while it loads media. Whoever has none takes none: playlists are the door.
    pub(crate) fn keep(&self, window: &Window, viewer: u64, now: Instant) {
        let seat = self.hasher.hash_one((window.path(), viewer));
        if let Some(last) = self.taken.lock().get_mut(&seat) {
            *last = now;
            note(window, viewer, now);
        }
    }
}

fn note(window: &Window, viewer: u64, now: Instant) {
    if window.viewers().touch(viewer, now) {
        metrics::counter!("rapidrtmp_total_viewers").increment(1);
        metrics::counter!("rapidrtmp_viewer_sessions_total").increment(1);
    }
}
