//! One publisher's media on its way through a muxer.

use std::time::Duration;

use cmaf::{Muxer, MuxerOptions};
use live::{CloseReason, Received, Stream, Subscriber};
use media::{Frame, Ticks, TrackKind};
use metrics::Counter;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    broadcast::{Arrival, Broadcast},
    meters::Meters,
    options::PackagerOptions,
};

/// A publisher's stream being cut into a broadcast.
pub(crate) struct Publish {
    stream: Stream,
    subscriber: Subscriber,
    lagged: Counter,
    muxer: Muxer,
    frames: Vec<Frame>,
    /// The muxer's time 0.
    origin: Instant,
    has_video: bool,
    /// Decode time of the first frame that can be shown, and of the newest one.
    first: Option<(TrackKind, Ticks)>,
    latest: Ticks,
    /// TARGETDURATION as the muxer was told.
    target: Option<u32>,
}

impl Publish {
    pub(crate) fn new(stream: Stream, options: &PackagerOptions) -> Self {
        let cutting = options.cutting.of(stream.path());
        let muxer = Muxer::new(MuxerOptions {
            part_target: cutting.part_target,
            segment_target: cutting.segment_target,
            segment_max: cutting.segment_max,
            track_wait: options.track_wait,
            require_keyframes: cutting.require_keyframes,
        });
        let subscriber = stream.subscribe();
        let lagged = Meters::lagged(stream.path().stream_key(&options.app));
        Self {
            stream,
            subscriber,
            lagged,
            muxer,
            frames: Vec::new(),
            origin: Instant::now(),
            has_video: false,
            first: None,
            latest: Ticks::ZERO,
            target: None,
        }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Whether it is over for good, not to be continued.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.stream.close_reason(), Some(CloseReason::Stopped | CloseReason::Revoked))
    }

    /// When [`Publish::on_time`] is due.
    pub(crate) fn due(&self, broadcast: &Broadcast) -> Option<Instant> {
        let part = self.muxer.deadline().map(|d| self.origin + d);
        part.into_iter().chain(broadcast.gap_due()).min()
    }

    /// Waits for media. Nothing is lost when the wait is given up.
    pub(crate) async fn hear(&mut self) -> Received {
        self.subscriber.recv(&mut self.frames).await
    }

    /// Cuts what was heard. The reason, once the stream is closed and all that it had is cut.
    pub(crate) async fn cut(&mut self, heard: Received, broadcast: &mut Broadcast) -> Option<CloseReason> {
        self.push_all(broadcast).await;
        match heard {
            Received::Frames => None,
            Received::Tracks(tracks) => {
                self.muxer.set_tracks(&tracks);
                self.has_video = tracks.video.is_some();
                None
            }
            Received::Lagged(frames) => {
                self.lagged.increment(frames);
                warn!(frames, "the packager fell behind: frames are left out");
                self.stream.warn("the server could not keep up; frames were left out".into());
                None
            }
            Received::Closed(reason) => {
                self.finish(broadcast).await;
                Some(reason)
            }
        }
    }

    async fn push_all(&mut self, broadcast: &mut Broadcast) {
        let mut frames = std::mem::take(&mut self.frames);
        for frame in frames.drain(..) {
            self.note(&frame);
            self.pass_target_duration(broadcast);
            if let Err(e) = self.muxer.push(frame, self.origin.elapsed()) {
                self.stream.close(CloseReason::Refused(e.to_string()));
                break;
            }
            self.pass_on(broadcast).await;
        }
        self.frames = frames;
    }

    /// A frame's times, for the dates: media starts with the first picture that can be shown, without pictures with
    /// the first sound.
    fn note(&mut self, frame: &Frame) {
        let kind = frame.track.kind();
        let sound_only = kind == TrackKind::Audio && !self.has_video && self.first.is_none();
        let first_picture = kind == TrackKind::Video && self.first.is_none_or(|(k, _)| k == TrackKind::Audio);
        if frame.key && (sound_only || first_picture) {
            self.first = Some((kind, frame.dts));
        }
        self.latest = frame.dts;
    }

    /// A reader may fix TARGETDURATION at any moment, so the muxer is told before each frame.
    fn pass_target_duration(&mut self, broadcast: &Broadcast) {
        if self.target.is_none() {
            self.target = broadcast.target_duration_fixed();
            if let Some(seconds) = self.target {
                self.muxer.fix_target_duration(seconds);
            }
        }
    }

    async fn pass_on(&mut self, broadcast: &mut Broadcast) {
        while let Some(output) = self.muxer.poll_output() {
            let media = self.latest - self.first.map_or(self.latest, |(_, dts)| dts);
            let at = Arrival { wall: broadcast.wall(), media };
            broadcast.take(output, &self.stream, at, self.muxer.frame_rate()).await;
        }
    }

    /// Closes a part that waited long enough; states silence that lasted long enough.
    pub(crate) async fn on_time(&mut self, broadcast: &mut Broadcast) {
        self.pass_target_duration(broadcast);
        let now: Duration = self.origin.elapsed();
        if self.muxer.deadline().is_some_and(|d| d <= now) {
            self.muxer.handle_timeout(now);
            self.pass_on(broadcast).await;
        }
        if broadcast.gap_due().is_some_and(|due| due <= Instant::now()) {
            self.muxer.break_segment();
            self.pass_on(broadcast).await;
            broadcast.write_gap().await;
        }
    }

    /// Closes the stream, and cuts what it still holds.
    pub(crate) async fn close(&mut self, reason: CloseReason, broadcast: &mut Broadcast) {
        self.stream.close(reason);
        // A closed stream gives what is left at once, then its reason.
        loop {
            let heard = self.hear().await;
            if self.cut(heard, broadcast).await.is_some() {
                return;
            }
        }
    }

    /// No more media comes: the open segment ends here.
    async fn finish(&mut self, broadcast: &mut Broadcast) {
        self.pass_target_duration(broadcast);
        self.muxer.finish();
        self.pass_on(broadcast).await;
    }
}
