//! Messages of a running publish to tracks and frames.

use std::sync::Arc;

use bytes::Bytes;
use media::{AacConfig, AvcConfig, CodecConfig, Frame, Metadata, Track, TrackKind, Tracks, nal_units};

use crate::{
    Event, SessionError, Warning,
    clock::Clock,
    tag::{self, AudioTag, VideoTag},
};

/// How long an unusable track may run alone before the stream is refused, in media ms and in messages:
/// the other track's configuration comes with its first frame.
const ALONE_MS: u32 = 2_000;
const ALONE_MESSAGES: u32 = 500;
/// Different warnings of one publish; later ones are not worth the memory.
const MAX_WARNINGS: usize = 16;
const VIDEO_FLAGS: &str = "-c:v libx264 -pix_fmt yuv420p";
const AUDIO_FLAGS: &str = "-c:a aac";
const NAL_IDR: u8 = 5;

/// Whether a track can be used.
#[derive(Default)]
enum Usable {
    /// No configuration came yet.
    #[default]
    Unknown,
    Yes,
    No {
        why: String,
        since: u32,
        messages: u32,
    },
}

/// Tracks, clock and warnings of one publish.
#[derive(Default)]
pub(crate) struct Demuxer {
    clock: Clock,
    tracks: Tracks,
    video: Usable,
    audio: Usable,
    warned: Vec<Warning>,
    events: Vec<Event>,
    dropped: u64,
}

impl Demuxer {
    /// What the last calls gave, in order.
    pub(crate) fn events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// Media messages that had no usable track.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn warn(&mut self, w: Warning) {
        if self.warned.len() < MAX_WARNINGS && !self.warned.contains(&w) {
            self.warned.push(w.clone());
            self.events.push(Event::Warning(w));
        }
    }

    pub(crate) fn metadata(&mut self, m: Metadata) {
        if self.tracks.metadata != m {
            self.tracks.metadata = m;
            self.events.push(Event::Tracks(self.tracks.clone()));
        }
    }

    /// # Errors
    /// [`SessionError::Unusable`], with the text for the publisher.
    pub(crate) fn video(&mut self, timestamp: u32, data: &Bytes) -> Result<(), SessionError> {
        match tag::video(data) {
            VideoTag::AvcConfig(record) if record.is_empty() => {
                self.warn(Warning::Empty { what: "H.264 configuration" });
            }
            VideoTag::AvcConfig(record) => self.avc_config(timestamp, &record),
            VideoTag::AvcFrame { composition, data } => self.avc_frame(timestamp, composition, data)?,
            VideoTag::Unsupported(codec) => self.unsupported(TrackKind::Video, timestamp, codec),
            VideoTag::Empty => self.warn(Warning::Empty { what: "video message" }),
            VideoTag::AvcEnd | VideoTag::Ignored => {}
        }
        self.check(TrackKind::Video, timestamp)
    }

    /// # Errors
    /// [`SessionError::Unusable`], with the text for the publisher.
    pub(crate) fn audio(&mut self, timestamp: u32, data: &Bytes) -> Result<(), SessionError> {
        match tag::audio(data) {
            AudioTag::AacConfig(asc) if asc.is_empty() => {
                self.warn(Warning::Empty { what: "AAC configuration" });
            }
            AudioTag::AacConfig(asc) => self.aac_config(timestamp, &asc),
            AudioTag::AacFrame(data) => self.aac_frame(timestamp, data),
            AudioTag::Unsupported(codec) => self.unsupported(TrackKind::Audio, timestamp, codec),
            AudioTag::Empty => self.warn(Warning::Empty { what: "audio message" }),
            AudioTag::Ignored => {}
        }
        self.check(TrackKind::Audio, timestamp)
    }

    fn avc_config(&mut self, timestamp: u32, record: &Bytes) {
        if let Some(CodecConfig::Avc(now)) = self.tracks.video.as_ref().map(|t| &t.config)
            && now.record == record
        {
            return;
        }
        match AvcConfig::parse(&own(record)) {
            Ok(config) => self.set_track(0, CodecConfig::Avc(config)),
            Err(e) => self.bad_config(TrackKind::Video, timestamp, e.to_string()),
        }
    }

    fn aac_config(&mut self, timestamp: u32, asc: &Bytes) {
        if let Some(CodecConfig::Aac(now)) = self.tracks.audio.as_ref().map(|t| &t.config)
            && now.asc == asc
        {
            return;
        }
        match AacConfig::parse(&own(asc)) {
            Ok(config) => self.set_track(1, CodecConfig::Aac(config)),
            Err(e) => self.bad_config(TrackKind::Audio, timestamp, e.to_string()),
        }
    }

    fn set_track(&mut self, id: u8, config: CodecConfig) {
        let kind = config.kind();
        *self.slot(kind) = Usable::Yes;
        *self.track(kind) = Some(Arc::new(Track { id, config }));
        self.events.push(Event::Tracks(self.tracks.clone()));
    }

    fn avc_frame(&mut self, timestamp: u32, composition: i32, data: Bytes) -> Result<(), SessionError> {
        let Some(track) = self.tracks.video.clone() else {
            self.dropped += 1;
            if matches!(self.video, Usable::Unknown) {
                self.warn(Warning::NoConfig { codec: "H.264" });
            }
            return Ok(());
        };
        let Some(units) = nal_units(&data) else {
            return Err(SessionError::Unusable(
                "an H.264 frame's NAL unit lengths overrun it: send NAL units with 4-byte lengths, as \
                 ffmpeg -f flv does"
                    .into(),
            ));
        };
        let (mut picture, mut key) = (false, false);
        for (kind, _) in units {
            picture |= (1..=NAL_IDR).contains(&kind);
            key |= kind == NAL_IDR;
        }
        if !picture {
            // Parameter sets or SEI alone: not a sample of its own.
            if data.is_empty() {
                self.warn(Warning::Empty { what: "H.264 frame" });
            }
            return Ok(());
        }
        self.frame(track, timestamp, composition, key, data);
        Ok(())
    }

    fn aac_frame(&mut self, timestamp: u32, data: Bytes) {
        let Some(track) = self.tracks.audio.clone() else {
            self.dropped += 1;
            if matches!(self.audio, Usable::Unknown) {
                self.warn(Warning::NoConfig { codec: "AAC" });
            }
            return;
        };
        if data.is_empty() {
            // Some encoders send one as a first or last frame.
            return self.warn(Warning::Empty { what: "AAC frame" });
        }
        self.frame(track, timestamp, 0, true, data);
    }

    fn frame(&mut self, track: Arc<Track>, timestamp: u32, composition: i32, key: bool, data: Bytes) {
        let mut warnings = Vec::new();
        let times = self.clock.date(track.kind(), timestamp, composition, &mut |w| warnings.push(w));
        for w in warnings {
            self.warn(w);
        }
        self.events.push(Event::Frame(Frame { track, dts: times.dts, pts: times.pts, key, data }));
    }

    fn unsupported(&mut self, kind: TrackKind, timestamp: u32, codec: String) {
        self.dropped += 1;
        let flags = flags(kind);
        self.drop_track(kind, timestamp, format!("{} codec {codec}", name(kind)));
        self.warn(Warning::Unsupported { codec, flags });
    }

    fn bad_config(&mut self, kind: TrackKind, timestamp: u32, reason: String) {
        self.drop_track(kind, timestamp, reason.clone());
        self.warn(Warning::BadConfig { reason });
    }

    fn drop_track(&mut self, kind: TrackKind, timestamp: u32, why: String) {
        if self.track(kind).take().is_some() {
            self.events.push(Event::Tracks(self.tracks.clone()));
        }
        let slot = self.slot(kind);
        if !matches!(slot, Usable::No { .. }) {
            *slot = Usable::No { why, since: timestamp, messages: 0 };
        }
    }

    /// Whether anything is left to publish, after a message of `kind`.
    fn check(&mut self, kind: TrackKind, timestamp: u32) -> Result<(), SessionError> {
        let (other_kind, expected) = match kind {
            TrackKind::Video => (TrackKind::Audio, self.tracks.metadata.expect_audio),
            TrackKind::Audio => (TrackKind::Video, self.tracks.metadata.expect_video),
        };
        let Usable::No { why, since, messages } = self.slot(kind) else { return Ok(()) };
        *messages += 1;
        let alone = timestamp.wrapping_sub(*since) as i32 >= ALONE_MS as i32 || *messages > ALONE_MESSAGES;
        let mut text = std::mem::take(why);
        text.clone_into(why);
        let mut with = flags(kind).to_owned();
        match self.slot(other_kind) {
            Usable::Yes => return Ok(()),
            Usable::Unknown if expected != Some(false) && !alone => return Ok(()),
            Usable::Unknown => {}
            Usable::No { why, .. } => {
                text = format!("{text} and {why}");
                with = format!("{VIDEO_FLAGS} {AUDIO_FLAGS}");
            }
        }
        Err(SessionError::Unusable(format!(
            "no usable track: {text}; H.264 and AAC work, with ffmpeg: {with}"
        )))
    }

    const fn slot(&mut self, kind: TrackKind) -> &mut Usable {
        match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }

    const fn track(&mut self, kind: TrackKind) -> &mut Option<Arc<Track>> {
        match kind {
            TrackKind::Video => &mut self.tracks.video,
            TrackKind::Audio => &mut self.tracks.audio,
        }
    }
}

/// A configuration lives as long as its track, so it must not hold its message.
fn own(slice: &Bytes) -> Bytes {
    Bytes::copy_from_slice(slice)
}

const fn flags(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => VIDEO_FLAGS,
        TrackKind::Audio => AUDIO_FLAGS,
    }
}

const fn name(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    }
}

#[cfg(test)]
#[path = "demux_tests.rs"]
pub(crate) mod tests;
