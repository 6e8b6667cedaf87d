//! A running publish: what comes out of the session goes into the stream.

use live::{CloseReason, Publisher, Stream};
use media::{Frame, TrackKind};
use rtmp::{Event, Refusal};
use tokio::time::Instant;

use crate::{
    IngestOptions,
    admission::Admitted,
    meters::{Meters, StreamMeters},
    pace::Pace,
    running::Place,
};

/// A publish and what is counted of it. Dropped, it is counted as stopped.
pub(crate) struct Publishing {
    publisher: Option<Publisher>,
    pub(crate) stream: Stream,
    _place: Place,
    pub(crate) pace: Pace,
    /// When the last frame came, or the publish began.
    pub(crate) last_media: Instant,
    started: Instant,
    meters: Meters,
    counts: StreamMeters,
    no_track: u64,
}

impl Publishing {
    pub(crate) fn new(admitted: Admitted, o: &IngestOptions, meters: &Meters) -> Self {
        let Admitted { publisher, stream, place } = admitted;
        let now = Instant::now();
        meters.total_streams.increment(1);
        meters.started.increment(1);
        meters.active.increment(1.0);
        let counts = StreamMeters::new(stream.path().stream_key(&o.app));
        tracing::info!(path = %stream.path(), epoch = %stream.epoch(), "publishing");
        Self {
            publisher: Some(publisher),
            stream,
            _place: place,
            pace: Pace::new(o.max_ahead),
            last_media: now,
            started: now,
            meters: meters.clone(),
            counts,
            no_track: 0,
        }
    }

    /// Takes an event; the reason once the publish is over.
    pub(crate) fn take(&mut self, event: Event) -> Result<(), CloseReason> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        match event {
            Event::Frame(frame) => return self.frame(frame),
            Event::Tracks(tracks) => publisher.set_tracks(tracks),
            Event::Warning(warning) => {
                tracing::warn!(path = %self.stream.path(), %warning, "the encoder's stream");
                publisher.warn(warning.to_string());
            }
            Event::Unpublish => return Err(CloseReason::Unpublished),
            Event::Connected { .. } | Event::Publish(_) => {}
        }
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), CloseReason> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        let size = frame.data.len() as f64;
        match frame.track.kind() {
            TrackKind::Video => {
                self.counts.video.increment(1);
                self.meters.video_size.record(size);
                self.meters.keyframes.increment(u64::from(frame.key));
            }
            TrackKind::Audio => {
                self.counts.audio.increment(1);
                self.meters.audio_size.record(size);
            }
        }
        self.last_media = Instant::now();
        self.pace.frame(frame.dts, self.last_media);
        publisher.push(frame).inspect_err(|_| self.counts.closed.increment(1))
    }

    /// Counts media that had no usable track; `total` is the session's count.
    pub(crate) fn count_no_track(&mut self, total: u64) {
        self.counts.no_track.increment(total.saturating_sub(self.no_track));
        self.no_track = total;
    }

    /// Ends the stream; the first reason given by anybody stays.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if let Some(publisher) = self.publisher.take() {
            publisher.close(reason);
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let lasted = self.started.elapsed();
        self.meters.active.decrement(1.0);
        self.meters.stopped.increment(1);
        self.meters.duration.record(lasted);
        self.close(CloseReason::Disconnected);
        let reason = self.stream.close_reason().map(|r| r.to_string()).unwrap_or_default();
        let (path, epoch) = (self.stream.path(), self.stream.epoch());
        tracing::info!(%path, %epoch, reason, seconds = lasted.as_secs(), "publish ended");
    }
}

/// What the encoder is told when its publish is over (contract "Tokens", refusals).
pub(crate) fn farewell(reason: &CloseReason) -> (Option<Refusal>, String) {
    let (refusal, text) = match reason {
        CloseReason::Unpublished | CloseReason::Disconnected => (None, "Publishing ended."),
        CloseReason::Idle => (Some(Refusal::Rejected), "nothing was received for too long"),
        CloseReason::Replaced => (Some(Refusal::BadName), "another publisher has taken this stream over"),
        CloseReason::Fenced => (Some(Refusal::BadName), "this stream is published elsewhere now"),
        CloseReason::Stopped => (Some(Refusal::Rejected), "the stream was stopped by the operator"),
        CloseReason::Revoked => (Some(Refusal::Unauthorized), "the token was revoked"),
        CloseReason::Draining => (None, "the server is shutting down, connect again"),
        CloseReason::Refused(why) => (Some(Refusal::Rejected), why.as_str()),
    };
    (refusal, text.to_owned())
}
