//! Who is watching, as far as requests tell.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Viewers remembered for a stream: 100k × 16 B. Beyond it new ones are served but not counted.
const MAX_VIEWERS: usize = 100_000;
/// Contract, "HTTP": a viewer is active for max(3 × TARGETDURATION, 10 s).
const MIN_ACTIVE: Duration = Duration::from_secs(10);

/// The viewers of one stream. A key is a hash of the session id, else of address and User-Agent.
#[derive(Debug, Default)]
pub struct Viewers {
    seen: Mutex<HashMap<u64, Instant>>,
    sessions: AtomicU64,
    /// Three target durations in milliseconds.
    active_ms: AtomicU64,
}

impl Viewers {
    /// Notes a request; `true` when it begins a session.
    pub fn touch(&self, key: u64, now: Instant) -> bool {
        let active = self.active_for();
        let mut seen = self.seen.lock();
        if let Some(last) = seen.get_mut(&key) {
            let begins = now.saturating_duration_since(*last) > active;
            *last = now;
            self.sessions.fetch_add(u64::from(begins), Relaxed);
            return begins;
        }
        if seen.len() >= MAX_VIEWERS {
            seen.retain(|_, last| now.saturating_duration_since(*last) <= active);
            if seen.len() >= MAX_VIEWERS {
                return false;
            }
        }
        seen.insert(key, now);
        self.sessions.fetch_add(1, Relaxed);
        true
    }

    /// Viewers that asked lately; forgets the others.
    pub fn count(&self, now: Instant) -> usize {
        let active = self.active_for();
        let mut seen = self.seen.lock();
        seen.retain(|_, last| now.saturating_duration_since(*last) <= active);
        seen.len()
    }

    /// Sessions begun so far.
    pub fn sessions(&self) -> u64 {
        self.sessions.load(Relaxed)
    }

    /// How long after a request its viewer counts.
    pub fn active_for(&self) -> Duration {
        Duration::from_millis(self.active_ms.load(Relaxed)).max(MIN_ACTIVE)
    }

    pub(crate) fn set_target_duration(&self, seconds: u32) {
        self.active_ms.store(3000 * u64::from(seconds), Relaxed);
    }
}
