//! Streams made by rule, muxed, read back.

mod chaos;
mod codecs;
mod cutting;
mod long;
mod real;
mod round_trip;
mod timing;
mod tracks;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use media::{AacConfig, AvcConfig, CodecConfig, Frame, Metadata, Ticks, Track, TrackKind, Tracks};

use crate::{MuxError, MuxWarning, Muxer, MuxerOptions, Output, read};

/// x264, 1280x720, High@3.1.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
pub(crate) const PART: i64 = 18_900;

/// A video track without a rate in its SPS; `variant` makes configurations differ.
pub(crate) fn video(variant: u8) -> Arc<Track> {
    let mut b = vec![1, 0x64, variant, 0x1f, 0xff, 0xe1];
    b.extend((SPS.len() as u16).to_be_bytes());
    b.extend(SPS);
    b.push(1);
    b.extend((PPS.len() as u16).to_be_bytes());
    b.extend(PPS);
    let mut config = AvcConfig::parse(&b.into()).unwrap();
    config.frame_rate = None;
    Arc::new(Track { id: 0, config: CodecConfig::Avc(config) })
}

pub(crate) fn audio(asc: &'static [u8]) -> Arc<Track> {
    Arc::new(Track { id: 1, config: CodecConfig::Aac(AacConfig::parse(&Bytes::from_static(asc)).unwrap()) })
}

/// AAC-LC, 48 kHz, stereo.
pub(crate) const AAC_48: &[u8] = &[0x11, 0x90];
pub(crate) const AAC_44: &[u8] = &[0x12, 0x10];

/// A frame at `dts` milliseconds whose payload is unique to it.
pub(crate) fn frame(track: &Arc<Track>, dts: i64, cts: i64, key: bool) -> Frame {
    let data = Bytes::from(format!("{} {dts} {cts}", track.id));
    let (dts, pts) = (Ticks::from_millis(dts), Ticks::from_millis(dts + cts));
    Frame { track: Arc::clone(track), dts, pts, key, data }
}

/// `n` pictures at `rate` a second, timestamps rounded down to milliseconds, a keyframe each `gop`.
pub(crate) fn pictures(track: &Arc<Track>, rate: f64, n: usize, gop: usize) -> Vec<Frame> {
    (0..n).map(|i| frame(track, (i as f64 * 1000.0 / rate).floor() as i64, 0, i % gop == 0)).collect()
}

/// `secs` of sound, timestamps rounded down.
pub(crate) fn sound(track: &Arc<Track>, secs: f64) -> Vec<Frame> {
    let CodecConfig::Aac(c) = &track.config else { unreachable!() };
    let step = f64::from(c.frame_samples) / f64::from(c.sample_rate);
    (0..(secs / step) as usize)
        .map(|i| frame(track, (i as f64 * step * 1000.0).floor() as i64, 0, true))
        .collect()
}

/// Frames of several tracks in the order of their decode times.
pub(crate) fn interleave(lists: impl IntoIterator<Item = Vec<Frame>>) -> Vec<Frame> {
    let mut all: Vec<Frame> = lists.into_iter().flatten().collect();
    all.sort_by_key(|f| f.dts);
    all
}

pub(crate) fn tracks(video: Option<&Arc<Track>>, audio: Option<&Arc<Track>>) -> Tracks {
    let metadata = Metadata {
        expect_video: Some(video.is_some()),
        expect_audio: Some(audio.is_some()),
        ..Metadata::default()
    };
    Tracks { video: video.cloned(), audio: audio.cloned(), metadata }
}

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) data: Bytes,
    pub(crate) duration: i64,
    pub(crate) independent: bool,
    pub(crate) fragment: read::Fragment,
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) start: i64,
    pub(crate) discontinuity: bool,
    pub(crate) independent: bool,
    pub(crate) init: usize,
    pub(crate) parts: Vec<Part>,
    /// EXTINF and `forced`, once it ended.
    pub(crate) ended: Option<(i64, bool)>,
}

impl Segment {
    pub(crate) fn duration(&self) -> i64 {
        self.ended.unwrap().0
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|p| p.data.iter().copied()).collect()
    }
}

/// A muxer whose outputs are checked as they come and kept.
pub(crate) struct Rig {
    pub(crate) mux: Muxer,
    pub(crate) inits: Vec<(Bytes, Vec<read::InitTrack>, Vec<Arc<Track>>)>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) warnings: Vec<MuxWarning>,
}

impl Rig {
    pub(crate) fn new(tracks: &Tracks) -> Self {
        Self::with(MuxerOptions::default(), tracks)
    }

    pub(crate) fn with(options: MuxerOptions, tracks: &Tracks) -> Self {
        let mut mux = Muxer::new(options);
        mux.set_tracks(tracks);
        Self { mux, inits: Vec::new(), segments: Vec::new(), warnings: Vec::new() }
    }

    /// Pushes frames at the moment that their decode time says.
    pub(crate) fn push(&mut self, frames: impl IntoIterator<Item = Frame>) -> &mut Self {
        for f in frames {
            self.push_one(f).unwrap();
        }
        self
    }

    pub(crate) fn push_one(&mut self, f: Frame) -> Result<(), MuxError> {
        let now = f.dts.max(Ticks::ZERO).to_duration();
        let result = self.mux.push(f, now);
        self.drain();
        result
    }

    /// As the packager drives it: the timer fires before a frame that comes too late.
    pub(crate) fn push_timed(&mut self, f: Frame, now: Duration) {
        while let Some(due) = self.mux.deadline().filter(|d| *d <= now) {
            self.mux.handle_timeout(due);
        }
        self.mux.push(f, now).unwrap();
        self.drain();
    }

    pub(crate) fn finish(&mut self) -> &mut Self {
        self.mux.finish();
        self.drain();
        self
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.mux.poll_output() {
            match output {
                Output::Init { version, data, tracks } => {
                    assert_eq!(version as usize, self.inits.len(), "versions count from 0");
                    let read = read::init(&data).unwrap();
                    self.inits.push((data, read, tracks));
                }
                Output::SegmentStart { start, discontinuity, independent } => {
                    assert!(self.segments.last().is_none_or(|s| s.ended.is_some()), "one segment at a time");
                    let (init, parts) = (self.inits.len() - 1, Vec::new());
                    let start = start.0;
                    let s = Segment { start, discontinuity, independent, init, parts, ended: None };
                    self.segments.push(s);
                }
                Output::Part { data, duration, independent } => self.part(data, duration.0, independent),
                Output::SegmentEnd { duration, forced } => {
                    let segment = self.segments.last_mut().unwrap();
                    assert!(!segment.parts.is_empty(), "no segment without parts");
                    assert!(segment.ended.replace((duration.0, forced)).is_none());
                }
                Output::Warning(w) => self.warnings.push(w),
            }
        }
    }

    fn part(&mut self, data: Bytes, duration: i64, independent: bool) {
        let tracks = &self.inits.last().unwrap().1;
        let mut fragments = read::fragments(&data, tracks).unwrap();
        assert_eq!(fragments.len(), 1, "clause 35: one moof a part");
        let fragment = fragments.remove(0);
        let segment = self.segments.last_mut().unwrap();
        assert!(segment.ended.is_none());
        assert_eq!(fragment.has_styp, segment.parts.is_empty(), "styp opens each segment and nothing else");
        assert!(duration > 0);
        segment.parts.push(Part { data, duration, independent, fragment });
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.segments.iter().flat_map(|s| &s.parts)
    }

    /// The runs of a track through all parts.
    pub(crate) fn runs(&self, track: u32) -> impl Iterator<Item = (&Part, &read::TrackRun)> {
        self.parts().filter_map(move |p| p.fragment.run(track).map(|r| (p, r)))
    }

    /// The decode times of all IDRs.
    pub(crate) fn idrs(&self) -> impl Iterator<Item = i64> {
        self.runs(1).flat_map(|(_, r)| &r.samples).filter(|s| s.is_sync()).map(|s| s.dts as i64)
    }

    /// Clause 33: tfdt continuous, and the sum of EXTINF exact. `tracks` are the ids to look at.
    pub(crate) fn check_continuous(&self, tracks: &[u32]) {
        for &track in tracks {
            let mut end = None;
            for (_, run) in self.runs(track) {
                if let Some(end) = end.replace(run.end()) {
                    assert_eq!(run.tfdt, end, "track {track}: tfdt continuous");
                }
            }
            assert!(end.is_some());
        }
        for pair in self.segments.windows(2) {
            assert_eq!(pair[0].start + pair[0].duration(), pair[1].start, "EXTINFs add up");
        }
        for s in self.segments.iter().filter(|s| s.ended.is_some()) {
            assert_eq!(s.parts.iter().map(|p| p.duration).sum::<i64>(), s.duration(), "parts add up");
        }
    }

    /// Clause 16: parts are 85–100 % of PART-TARGET, save the last of each segment.
    pub(crate) fn check_part_durations(&self, skip: usize) {
        for (i, p) in self.parts().enumerate() {
            assert!(p.duration <= PART, "part {i} takes {} of {PART}", p.duration);
        }
        let full = self.segments.iter().flat_map(|s| s.parts.split_last().map_or(&[][..], |(_, rest)| rest));
        for (i, p) in full.enumerate().skip(skip) {
            assert!(p.duration * 100 >= PART * 85, "part {i} takes {} of {PART}", p.duration);
        }
    }

    pub(crate) fn warned(&self, which: impl Fn(&MuxWarning) -> bool) -> usize {
        self.warnings.iter().filter(|w| which(w)).count()
    }
}
