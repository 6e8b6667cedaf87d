//! Messages of a running publish to tracks and frames.

use std::sync::Arc;

use bytes::Bytes;
use media::{CodecConfig, Frame, Metadata, Track, TrackKind, Tracks};

use crate::{
    Event, SessionError, Warning, amf0,
    clock::{Clock, Stamp},
    config::{self, Sample},
    metadata,
    tag::{self, AudioCodec, Tag, VideoCodec},
};

/// How long an unusable track may run alone before the stream is refused, in media ms and in messages:
/// the other track's configuration comes with its first frame.
const ALONE_MS: u32 = 2_000;
const ALONE_MESSAGES: u32 = 500;
/// Different warnings of one publish; later ones are not worth the memory.
const MAX_WARNINGS: usize = 16;
const VIDEO_FLAGS: &str = "-c:v libx264 -pix_fmt yuv420p";
const AUDIO_FLAGS: &str = "-c:a aac";

/// Whether a track can be used.
#[derive(Default)]
enum Usable {
    /// No configuration came yet.
    #[default]
    Unknown,
    /// A configuration came that a keyframe must complete.
    Waiting,
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
    /// The last configurations, as sent.
    video_sent: Option<(VideoCodec, Bytes)>,
    audio_sent: Option<(AudioCodec, Bytes)>,
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

    /// Takes `onMetaData`; colours come otherwise.
    pub(crate) fn on_metadata(&mut self, m: Metadata) {
        self.metadata(Metadata { color: self.tracks.metadata.color, ..m });
    }

    fn metadata(&mut self, m: Metadata) {
        if self.tracks.metadata != m {
            self.tracks.metadata = m;
            self.events.push(Event::Tracks(self.tracks.clone()));
        }
    }

    /// # Errors
    /// [`SessionError::Unusable`], with the text for the publisher.
    pub(crate) fn video(&mut self, timestamp: u32, data: &Bytes) -> Result<(), SessionError> {
        let message = tag::video(data);
        let stamp = Stamp { timestamp, composition: 0, nanos: message.nanos };
        match message.tag {
            Tag::Config { codec, record } => self.video_config(timestamp, codec, &record),
            Tag::Frame { codec, composition, key, data } => {
                self.video_frame(Stamp { composition, ..stamp }, codec, key, data)?;
            }
            Tag::Metadata(pairs) => self.video_metadata(&pairs),
            Tag::Unsupported(codec) => self.unsupported(TrackKind::Video, timestamp, codec),
            Tag::Empty => self.warn(Warning::Empty { what: "video message" }),
            Tag::Ignored => {}
        }
        self.leave_out(TrackKind::Video, timestamp, message.others);
        self.check(TrackKind::Video, timestamp)
    }

    /// # Errors
    /// [`SessionError::Unusable`], with the text for the publisher.
    pub(crate) fn audio(&mut self, timestamp: u32, data: &Bytes) -> Result<(), SessionError> {
        let message = tag::audio(data);
        let stamp = Stamp { timestamp, composition: 0, nanos: message.nanos };
        match message.tag {
            Tag::Config { codec, record } => self.audio_config(timestamp, codec, &record),
            Tag::Frame { codec, data, .. } => self.audio_frame(stamp, codec, data),
            Tag::Unsupported(codec) => self.unsupported(TrackKind::Audio, timestamp, codec),
            Tag::Empty => self.warn(Warning::Empty { what: "audio message" }),
            Tag::Metadata(_) | Tag::Ignored => {}
        }
        self.leave_out(TrackKind::Audio, timestamp, message.others);
        self.check(TrackKind::Audio, timestamp)
    }

    fn video_config(&mut self, timestamp: u32, codec: VideoCodec, record: &Bytes) {
        if record.is_empty() {
            return self.warn(Warning::Empty { what: codec.config_name() });
        }
        let again = self.video_sent.as_ref().is_some_and(|(c, r)| *c == codec && r == record);
        if again && self.tracks.video.is_some() {
            return;
        }
        self.video_sent = Some((codec, own(record)));
        self.read_video_config(timestamp, None);
    }

    /// Makes a track of the configuration sent last, with the help of a keyframe where it does not say all.
    fn read_video_config(&mut self, timestamp: u32, keyframe: Option<&Bytes>) {
        let Some((codec, record)) = &self.video_sent else { return };
        match config::video(*codec, record, keyframe) {
            Ok(Some(config)) => {
                if self.tracks.video.as_ref().is_none_or(|t| t.config != config) {
                    self.set_track(0, config);
                }
            }
            Ok(None) => {
                // The frames from here on belong to what the keyframe is going to tell.
                self.tracks.video = None;
                self.video = Usable::Waiting;
            }
            Err(reason) => self.bad_config(TrackKind::Video, timestamp, reason),
        }
    }

    fn audio_config(&mut self, timestamp: u32, codec: AudioCodec, record: &Bytes) {
        if record.is_empty() && codec != AudioCodec::Opus {
            return self.warn(Warning::Empty { what: codec.config_name() });
        }
        let again = self.audio_sent.as_ref().is_some_and(|(c, r)| *c == codec && r == record);
        if again && self.tracks.audio.is_some() {
            return;
        }
        let record = own(record);
        match config::audio(codec, &record) {
            Ok(config) => self.set_track(1, config),
            Err(reason) => self.bad_config(TrackKind::Audio, timestamp, reason),
        }
        self.audio_sent = Some((codec, record));
    }

    fn set_track(&mut self, id: u8, config: CodecConfig) {
        let kind = config.kind();
        *self.slot(kind) = Usable::Yes;
        *self.track(kind) = Some(Arc::new(Track { id, config }));
        self.events.push(Event::Tracks(self.tracks.clone()));
    }

    fn video_frame(
        &mut self,
        stamp: Stamp,
        codec: VideoCodec,
        key: bool,
        data: Bytes,
    ) -> Result<(), SessionError> {
        let configured = self.video_sent.as_ref().is_some_and(|(c, _)| *c == codec)
            && (self.tracks.video.is_some() || matches!(self.video, Usable::Waiting));
        if !configured {
            self.dropped += 1;
            if matches!(self.video, Usable::Unknown | Usable::Yes) {
                self.warn(Warning::NoConfig { codec: codec.name() });
            }
            return Ok(());
        }
        let sample = Sample::read(codec, key, data).map_err(|e| SessionError::Unusable(e.to_string()))?;
        if sample.open_gop {
            self.warn(Warning::OpenGop);
        }
        if !sample.picture {
            // Parameter sets or SEI alone: not a sample of its own.
            if sample.data.is_empty() {
                self.warn(Warning::Empty { what: codec.frame_name() });
            }
            return Ok(());
        }
        // VP9's size is nowhere else, and may change with each keyframe.
        if sample.key && (codec == VideoCodec::Vp9 || matches!(self.video, Usable::Waiting)) {
            self.read_video_config(stamp.timestamp, Some(&sample.data));
        }
        match self.tracks.video.clone() {
            Some(track) => self.frame(track, stamp, sample.key, sample.data),
            None => self.dropped += 1,
        }
        Ok(())
    }

    fn audio_frame(&mut self, stamp: Stamp, codec: AudioCodec, data: Bytes) {
        let configured = self.audio_sent.as_ref().is_some_and(|(c, _)| *c == codec);
        let Some(track) = self.tracks.audio.clone().filter(|_| configured) else {
            self.dropped += 1;
            if matches!(self.audio, Usable::Unknown | Usable::Yes) {
                self.warn(Warning::NoConfig { codec: codec.name() });
            }
            return;
        };
        if data.is_empty() {
            // Some encoders send one as a first or last frame.
            return self.warn(Warning::Empty { what: codec.frame_name() });
        }
        self.frame(track, stamp, true, data);
    }

    fn frame(&mut self, track: Arc<Track>, stamp: Stamp, key: bool, data: Bytes) {
        let mut warnings = Vec::new();
        let times = self.clock.date(track.kind(), stamp, &mut |w| warnings.push(w));
        for w in warnings {
            self.warn(w);
        }
        self.events.push(Event::Frame(Frame { track, dts: times.dts, pts: times.pts, key, data }));
    }

    /// A metadata frame: only colours are known to be sent so.
    fn video_metadata(&mut self, pairs: &[u8]) {
        match amf0::decode_all(pairs) {
            Ok(values) => {
                if let Some(color) = metadata::color(&values) {
                    self.metadata(Metadata { color, ..self.tracks.metadata.clone() });
                }
            }
            Err(_) => self.warn(Warning::BadMetadata),
        }
    }

    /// Drops what a message has of other tracks than the main one.
    fn leave_out(&mut self, kind: TrackKind, timestamp: u32, tracks: usize) {
        if tracks == 0 {
            return;
        }
        self.dropped += tracks as u64;
        if matches!(self.slot(kind), Usable::Unknown) {
            self.drop_track(kind, timestamp, format!("no {} track 0", name(kind)));
        }
        self.warn(Warning::ExtraTracks { kind: name(kind) });
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
            Usable::Yes | Usable::Waiting => return Ok(()),
            Usable::Unknown if expected != Some(false) && !alone => return Ok(()),
            Usable::Unknown => {}
            Usable::No { why, .. } => {
                text = format!("{text} and {why}");
                with = format!("{VIDEO_FLAGS} {AUDIO_FLAGS}");
            }
        }
        Err(SessionError::Unusable(format!(
            "no usable track: {text}; H.264, H.265, AV1 and VP9 work, and AAC, Opus and FLAC, with ffmpeg: {with}"
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
