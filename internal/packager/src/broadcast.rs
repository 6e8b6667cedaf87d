//! One playlist, from its first segment to its ENDLIST: what the muxer gives goes into the window and the store.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cmaf::Output;
use hls::Variant;
use live::{ClosedSegment, StopSignal, Stream, Window, WindowWriter};
use media::{Epoch, Ticks, Track};
use registry::Checkpoint;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::{
    checkpoints::Checkpoints,
    equipment::Equipment,
    reach::{Reach, arrival},
    shelf::Shelf,
    variant::describe,
};

/// Clause 7 allows 1.5 target durations between two updates; this much of it is left for the way to the viewer.
const MARGIN: Duration = Duration::from_millis(50);
/// GAP segments written at once where media goes on. Silence is stated as it passes, so at most two are due; more
/// would mean that a clock was set.
const MOST_FILLS: u32 = 4;

/// When the frames that the muxer is cutting came.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// The wall clock now.
    pub(crate) wall: SystemTime,
    /// Media time since the first frame of this publish that can be shown.
    pub(crate) media: Ticks,
}

/// An init that the next segment needs.
struct Init {
    version: u32,
    data: Bytes,
    tracks: Vec<Arc<Track>>,
}

/// How far a broadcast's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Ended,
    /// This process goes; the window is left as it is.
    Drained,
}

/// The owner of a path's window and of its place in the store.
pub(crate) struct Broadcast {
    shared: Arc<Equipment>,
    window: WindowWriter,
    stop: StopSignal,
    phase: Phase,
    pub(crate) shelf: Shelf,
    pub(crate) checkpoints: Checkpoints,
    reach: Reach,
    /// The claim that numbers are reported under.
    epoch: Epoch,
    /// It has not opened a segment yet.
    fresh: bool,
    init: Option<Init>,
    tracks: Vec<Arc<Track>>,
    variant: Option<Variant>,
    /// When the playlist last changed; `None` while it is empty.
    updated: Option<Instant>,
    /// When the last part was listed.
    last_part: Option<Instant>,
    /// No part was listed since a GAP: the pause is no cadence.
    silent: bool,
}

impl Broadcast {
    /// An empty playlist in `window`, which the directory shows under the path.
    pub(crate) fn new(
        shared: Arc<Equipment>,
        (window, stop): (WindowWriter, StopSignal),
        shelf: Shelf,
        checkpoints: Checkpoints,
    ) -> Self {
        Self {
            shared,
            window,
            stop,
            phase: Phase::Open,
            shelf,
            checkpoints,
            reach: Reach::default(),
            epoch: Epoch::default(),
            fresh: true,
            init: None,
            tracks: Vec::new(),
            variant: None,
            updated: None,
            last_part: None,
            silent: false,
        }
    }

    /// A new playlist in the place of this one, which has ended. What was stored for it stays for one window.
    pub(crate) fn restart(&mut self, (window, stop): (WindowWriter, StopSignal)) {
        self.shelf.replace(self.length(), Instant::now());
        (self.window, self.stop, self.phase) = (window, stop, Phase::Open);
        self.reach = Reach::default();
        self.init = None;
        self.tracks = Vec::new();
        self.variant = None;
        (self.updated, self.last_part, self.silent) = (None, None, false);
    }

    /// The window's shared end.
    pub(crate) fn window(&self) -> &Window {
        self.window.window()
    }

    /// Tells when an operator stops the path.
    pub(crate) fn stop_signal(&self) -> StopSignal {
        self.stop.clone()
    }

    /// Whether an operator stopped the path.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    /// Whether ENDLIST is written.
    pub(crate) fn ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// How long a full window plays.
    pub(crate) fn length(&self) -> Duration {
        let window = self.shared.options.cutting.of(self.window().path()).window;
        let segments = u32::try_from(window).unwrap_or(u32::MAX);
        Duration::from_secs(self.window.target_duration().into()).saturating_mul(segments)
    }

    /// The number of the next segment, the discontinuity sequence and TARGETDURATION.
    pub(crate) fn numbers(&self) -> Checkpoint {
        Checkpoint {
            msn: self.window.next().msn,
            dseq: self.window.discontinuity_sequence(),
            target_duration: self.window.target_duration_fixed(),
        }
    }

    /// The wall clock.
    pub(crate) fn wall(&self) -> SystemTime {
        (self.shared.options.wall_clock)()
    }

    /// Another publisher's media follows.
    pub(crate) fn begin(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.fresh = true;
        self.init = None;
    }

    /// TARGETDURATION in seconds, once a reader or the store has it.
    pub(crate) fn target_duration_fixed(&self) -> Option<u32> {
        self.window.target_duration_fixed()
    }

    /// Lists and stores what the muxer gave. A slow registry may hold this up for 50 ms a segment, nothing else does.
    pub(crate) async fn take(&mut self, output: Output, stream: &Stream, at: Arrival, rate: Option<f64>) {
        match output {
            Output::Init { version, data, tracks } => self.init = Some(Init { version, data, tracks }),
            Output::SegmentStart { start, discontinuity, .. } => {
                self.open_segment(start, discontinuity, at).await;
            }
            Output::Part { data, duration, independent } => {
                self.describe(stream, rate);
                self.push_part(data, duration, independent);
            }
            Output::SegmentEnd { duration, forced } => {
                self.reach.close(duration);
                if forced {
                    self.shared.meters.gop_too_long.increment(1);
                }
                if let Some(segment) = self.window.close_segment_after(duration) {
                    self.complete(segment);
                }
            }
            Output::Warning(warning) => {
                info!(%warning, "the encoder's stream is odd");
                stream.warn(warning.to_string());
            }
        }
    }

    async fn open_segment(&mut self, start: Ticks, jump: bool, at: Arrival) {
        let jump = jump || self.fresh;
        let wall = if self.fresh { arrival(at.wall, at.media, start) } else { at.wall };
        let silent = self.last_part.map_or(Duration::ZERO, |p| p.elapsed());
        let bridge = self.reach.bridge(start, jump, wall, silent);
        self.fill(bridge.fill).await;
        if std::mem::take(&mut self.fresh) {
            // The muxer before closed its last segment, so nothing is left open here.
            self.window.begin_epoch(self.epoch);
        }
        if let Some(init) = self.init.take() {
            self.window.set_init(init.version, init.data.clone());
            self.shelf.init(self.epoch, init.version, init.data);
            self.tracks = init.tracks;
            self.variant = None;
        }
        let date = self.reach.open(start, bridge.discontinuity, wall);
        self.window.open_segment(date, bridge.discontinuity);
        self.checkpoint().await;
    }

    /// States silence of this length, in GAP segments that TARGETDURATION allows.
    async fn fill(&mut self, silence: Ticks) {
        if silence <= Ticks::ZERO || self.updated.is_none() {
            return;
        }
        let most = Ticks::RATE * i64::from(self.window.target_duration());
        let pieces = (silence.0 + most - 1) / most;
        if pieces > i64::from(MOST_FILLS) {
            return;
        }
        for n in 0..pieces {
            let piece = silence.0 * (n + 1) / pieces - silence.0 * n / pieces;
            self.gap(Ticks(piece)).await;
        }
    }

    fn describe(&mut self, stream: &Stream, rate: Option<f64>) {
        let known = self.variant.as_ref().and_then(|v| v.frame_rate);
        let changed = match (known, rate) {
            (Some(known), Some(rate)) => (known - rate).abs() > known / 100.0,
            (known, rate) => known.is_none() && rate.is_some(),
        };
        if self.variant.is_some() && !changed {
            return;
        }
        let variant = describe(&self.tracks, &stream.tracks().metadata, rate);
        self.window.set_variant(variant.clone());
        self.variant = Some(variant);
    }

    fn push_part(&mut self, data: Bytes, duration: Ticks, independent: bool) {
        self.window.push_part(duration, independent, data);
        let now = Instant::now();
        if let Some(last) = self.last_part.replace(now).filter(|_| !self.silent) {
            self.shared.meters.part_interval.record(now - last);
        }
        self.silent = false;
        self.updated = Some(now);
    }

    fn complete(&mut self, segment: ClosedSegment) {
        let meters = &self.shared.meters;
        meters.segments_created.increment(1);
        meters.segment_duration.record(segment.duration.secs_f64());
        meters.segment_size.record(segment.data.iter().map(Bytes::len).sum::<usize>() as f64);
        if segment.segment.over_target {
            warn!(msn = segment.msn, "a segment is longer than TARGETDURATION allows; less of it is listed");
        }
        self.shelf.segment(segment.name, segment.data);
        self.publish();
    }

    /// Stores the playlists as they are now, and forgets what has left them long enough ago.
    fn publish(&mut self) {
        let now = Instant::now();
        self.updated = Some(now);
        if let Some(playlists) = self.window.plain_playlists() {
            self.shelf.playlists(playlists);
        }
        let due = self.window.take_due();
        self.shelf.delete(due, now);
        for done in self.shelf.take_completed() {
            if done.stored {
                self.window.mark_stored(done.name);
            } else {
                self.window.mark_lost(done.name);
            }
        }
    }

    /// When the playlist must change next, media or not (clause 7); `None` while nothing is listed.
    pub(crate) fn gap_due(&self) -> Option<Instant> {
        let target = Duration::from_secs(self.window.target_duration().into());
        let wait = if self.reach.in_gap() { target } else { target + target / 2 - MARGIN };
        self.updated.map(|u| u + wait)
    }

    /// States one target duration of silence. The muxer's segment must have been broken off before.
    pub(crate) async fn write_gap(&mut self) {
        debug!("no media: GAP");
        let target = i64::from(self.window.target_duration());
        self.gap(Ticks(target * Ticks::RATE)).await;
    }

    async fn gap(&mut self, duration: Ticks) {
        self.checkpoint().await;
        let date = self.reach.gap(duration, self.wall());
        let segment = self.window.push_gap(duration, date, cmaf::gap_segment());
        self.shared.meters.gaps.increment(1);
        self.silent = true;
        self.shelf.segment(segment.name, segment.data);
        self.publish();
    }

    /// Reports the segment that comes next, before anything of it is announced.
    async fn checkpoint(&mut self) {
        self.checkpoints.send(self.epoch, self.numbers()).await;
    }

    /// ENDLIST, in the window and in the store.
    pub(crate) fn end(&mut self) {
        if let Some(segment) = self.window.end() {
            self.complete(segment);
        } else {
            self.publish();
        }
        self.phase = Phase::Ended;
    }

    /// Everything answers 410 from now on, and the store gives the path's objects back.
    pub(crate) fn expire(&mut self) {
        self.window.expire();
        self.shelf.clear();
    }

    /// The process stops. Held requests are answered as things stand; the window gets no ENDLIST, the store does, as
    /// nobody else would write it.
    pub(crate) fn drain(&mut self) {
        self.window.window().release();
        if self.phase != Phase::Open {
            return;
        }
        self.phase = Phase::Drained;
        if let Some(mut playlists) = self.window.plain_playlists() {
            playlists.media = [&playlists.media[..], b"#EXT-X-ENDLIST\n"].concat().into();
            self.shelf.playlists(playlists);
        }
    }
}

impl Drop for Broadcast {
    /// A lane that panicked must not leave players waiting for ever.
    fn drop(&mut self) {
        if self.phase == Phase::Open {
            // The panic may have come from the very thing that is called here.
            let ended = catch_unwind(AssertUnwindSafe(|| self.end()));
            if ended.is_err() {
                self.window.window().release();
            }
        }
    }
}
