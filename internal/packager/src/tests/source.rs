//! An encoder made of arithmetic: frames with true times and no pictures in them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use live::Publisher;
use media::{AacConfig, AvcConfig, CodecConfig, Frame, Ticks, Track, Tracks};
use tokio::time::{Instant, sleep_until};

/// x264's parameter sets for 1280x720 at 30 fps.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
/// Another one, as an encoder sends it whose settings were changed.
const OTHER_PPS: &[u8] = &[0x68, 0xeb, 0xec, 0xb2, 0x2c];
/// AAC-LC, 48 kHz, stereo.
const ASC: &[u8] = &[0x11, 0x90];

fn video_track(pps: &[u8]) -> Arc<Track> {
    let mut record = vec![1, 0x64, 0, 0x1f, 0xff, 0xe1];
    record.extend((SPS.len() as u16).to_be_bytes());
    record.extend(SPS);
    record.push(1);
    record.extend((pps.len() as u16).to_be_bytes());
    record.extend(pps);
    let config = AvcConfig::parse(&record.into()).expect("the record is x264's");
    Arc::new(Track { id: 0, config: CodecConfig::Avc(config) })
}

fn audio_track() -> Arc<Track> {
    let config = AacConfig::parse(&Bytes::from_static(ASC)).expect("plain AAC-LC");
    Arc::new(Track { id: 1, config: CodecConfig::Aac(config) })
}

/// 30 fps with a keyframe every `gop` frames, and 48 kHz AAC. Its media time starts at `base`.
pub(super) struct Source {
    video: Option<Arc<Track>>,
    audio: Option<Arc<Track>>,
    gop: i64,
    base: Ticks,
    next_video: i64,
    next_audio: i64,
    /// When media time `base` is due.
    start: Instant,
}

impl Source {
    pub(super) fn new(gop: i64) -> Self {
        Self {
            video: Some(video_track(PPS)),
            audio: Some(audio_track()),
            gop,
            base: Ticks::ZERO,
            next_video: 0,
            next_audio: 0,
            start: Instant::now(),
        }
    }

    pub(super) fn audio_only() -> Self {
        Self { video: None, ..Self::new(1) }
    }

    pub(super) fn starting_at(base: Ticks) -> Self {
        Self { base, ..Self::new(60) }
    }

    /// The encoder is set anew: from the next frame on, a keyframe, another configuration holds.
    pub(super) fn change_video(&mut self) {
        self.video = Some(video_track(OTHER_PPS));
        self.next_video = (self.next_video / self.gop + 1) * self.gop;
    }

    pub(super) fn tracks(&self) -> Tracks {
        Tracks { video: self.video.clone(), audio: self.audio.clone(), ..Tracks::default() }
    }

    /// The next frame in decode order, and when it is due after the start.
    fn next(&mut self) -> (Frame, Duration) {
        let video_at = Ticks::from_millis((self.next_video * 1000 + 15) / 30);
        let audio_at = Ticks::from_millis((self.next_audio * 1024 * 1000 + 24_000) / 48_000);
        let video_first = self.audio.is_none() || video_at <= audio_at;
        if let Some(track) = self.video.clone().filter(|_| video_first) {
            let key = self.next_video % self.gop == 0;
            self.next_video += 1;
            let dts = self.base + video_at;
            let nal: &[u8] =
                if key { &[0, 0, 0, 3, 0x65, 0x88, 0x80] } else { &[0, 0, 0, 3, 0x41, 0x9a, 0x80] };
            let frame = Frame { track, dts, pts: dts, key, data: Bytes::from_static(nal) };
            return (frame, video_at.to_duration());
        }
        self.next_audio += 1;
        let track = self.audio.clone().expect("a source has a track");
        let dts = self.base + audio_at;
        let data = Bytes::from_static(&[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]);
        (Frame { track, dts, pts: dts, key: true, data }, audio_at.to_duration())
    }

    /// As [`Source::next`], with the moment it is due, if that is before `end`.
    fn next_before(&mut self, end: Instant) -> Option<(Frame, Instant)> {
        let (video, audio) = (self.next_video, self.next_audio);
        let (frame, due) = self.next();
        let due = self.start + due;
        if due < end {
            return Some((frame, due));
        }
        (self.next_video, self.next_audio) = (video, audio);
        None
    }

    /// Sends `length` of media at the pace of an encoder. False once the stream is closed.
    pub(super) async fn send(&mut self, to: &mut Publisher, length: Duration) -> bool {
        let end = Instant::now() + length;
        while let Some((frame, due)) = self.next_before(end) {
            sleep_until(due).await;
            if to.push(frame).is_err() {
                return false;
            }
        }
        sleep_until(end).await;
        true
    }

    /// Sends `length` of media at once. How many frames that was.
    pub(super) fn burst(&mut self, to: &mut Publisher, length: Duration) -> u64 {
        let end = Instant::now() + length;
        let mut sent = 0;
        while let Some((frame, _)) = self.next_before(end) {
            to.push(frame).expect("the stream is open");
            sent += 1;
        }
        self.start -= length;
        sent
    }

    /// The encoder's clock stands still while nothing is sent: what follows goes on where it left off.
    pub(super) fn hold_clock(&mut self, length: Duration) {
        self.start += length;
    }

    /// The encoder drops what it would have sent in `length`.
    pub(super) fn drop_frames(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while self.next_before(end).is_some() {}
    }
}
