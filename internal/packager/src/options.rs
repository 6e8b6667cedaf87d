//! What a path's packaging can be set to.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use media::{PerPath, Ticks};

/// Reads the wall clock. A seam, because tests run in virtual time.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How a path's streams are cut and listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutting {
    /// PART-TARGET (contract "Time, cuts and parts"): 0.21 s.
    pub part_target: Ticks,
    /// A segment ends at the first IDR at or past this: 2 s.
    pub segment_target: Ticks,
    /// How long a segment may run to its IDR while TARGETDURATION is open: 10 s.
    pub segment_max: Ticks,
    /// Segments in the playlist: 10.
    pub window: usize,
    /// Close publishers whose keyframes are further apart than TARGETDURATION.
    pub require_keyframes: bool,
}

impl Default for Cutting {
    fn default() -> Self {
        Self {
            part_target: Ticks::from_millis(210),
            segment_target: Ticks::from_millis(2_000),
            segment_max: Ticks::from_millis(10_000),
            window: 10,
            require_keyframes: false,
        }
    }
}

/// How streams are cut, and how long they outlive their publishers.
#[derive(Clone)]
pub struct PackagerOptions {
    /// The app whose paths have short stream keys, in metrics: `live`.
    pub app: String,
    /// Cuts and windows, path by path. A path keeps its own for the whole life of the packager.
    pub cutting: PerPath<Cutting>,
    /// How long the first segment waits for a track that is announced: 1 s.
    pub track_wait: Ticks,
    /// How long a playlist waits for its publisher to come back: 30 s.
    pub reconnect_window: Duration,
    /// How long a shutdown may take to flush the store: 5 s.
    pub flush_deadline: Duration,
    /// Where PROGRAM-DATE-TIME comes from.
    pub wall_clock: WallClock,
}

impl Default for PackagerOptions {
    fn default() -> Self {
        Self {
            app: "live".into(),
            cutting: PerPath::default(),
            track_wait: Ticks::from_millis(1_000),
            reconnect_window: Duration::from_secs(30),
            flush_deadline: Duration::from_secs(5),
            wall_clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for PackagerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackagerOptions")
            .field("app", &self.app)
            .field("cutting", &self.cutting)
            .field("track_wait", &self.track_wait)
            .field("reconnect_window", &self.reconnect_window)
            .field("flush_deadline", &self.flush_deadline)
            .finish_non_exhaustive()
    }
}
