//! Rings, windows and the directory, on paused time.

mod directory;
mod streams;
mod waiting;
mod windows;

use std::{sync::Arc, time::Duration, time::SystemTime};

use bytes::Bytes;
use hls::{Settings, Timeline, Variant};
use media::{AacConfig, AvcConfig, CodecConfig, Epoch, Frame, ObjectName, StreamPath, Ticks, Track, Tracks};

use crate::{Blob, Object, Window, WindowOptions, WindowWriter, window};

pub(crate) const PART: Ticks = Ticks::from_millis(200);
pub(crate) const FIRST: u64 = 100;

pub(crate) fn path(s: &str) -> StreamPath {
    StreamPath::parse(s).expect("a valid path")
}

pub(crate) fn video_track() -> Arc<Track> {
    let config = AvcConfig {
        record: Bytes::new(),
        profile: [100, 0, 31],
        width: 1280,
        height: 720,
        frame_rate: None,
        max_reorder: None,
    };
    Arc::new(Track { id: 0, config: CodecConfig::Avc(config) })
}

pub(crate) fn audio_track() -> Arc<Track> {
    let config = AacConfig::parse(&Bytes::from_static(&[0x11, 0x90])).expect("AAC-LC, 48 kHz, stereo");
    Arc::new(Track { id: 1, config: CodecConfig::Aac(config) })
}

pub(crate) fn tracks() -> Tracks {
    Tracks { video: Some(video_track()), audio: Some(audio_track()), ..Tracks::default() }
}

/// A frame of 1000 bytes at `ms`.
pub(crate) fn frame(track: &Arc<Track>, ms: i64, key: bool) -> Frame {
    let dts = Ticks::from_millis(ms);
    Frame { track: Arc::clone(track), dts, pts: dts, key, data: Bytes::from(vec![0; 1000]) }
}

/// A window of three segments that has begun epoch 9, and has its init and variant.
pub(crate) fn new_window(options: WindowOptions) -> (WindowWriter, Window) {
    let settings = Settings { window: 3, ..Settings::default() };
    let (mut w, r) = window(path("live/demo"), Timeline::new(settings, FIRST, 0, None), options);
    begin(&mut w, 9);
    w.set_variant(Variant {
        codecs: vec!["avc1.64001F".into()],
        resolution: Some((1280, 720)),
        frame_rate: Some(30.0),
        video_range: None,
        announced_bitrate: Some(1_000_000),
    });
    (w, r)
}

pub(crate) fn begin(w: &mut WindowWriter, epoch: u64) {
    w.begin_epoch(Epoch(epoch));
    w.set_init(0, Bytes::from_static(b"init"));
}

pub(crate) fn date() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

pub(crate) fn push(w: &mut WindowWriter, text: &str) -> ObjectName {
    w.push_part(PART, true, Bytes::copy_from_slice(text.as_bytes()))
}

/// A segment of ten parts of 200 ms and 4 bytes.
pub(crate) fn segment(w: &mut WindowWriter) -> ObjectName {
    w.open_segment(date(), false);
    for _ in 0..10 {
        push(w, "part");
    }
    w.close_segment().expect("it has parts").name
}

pub(crate) fn part_name(epoch: u64, seq: u64) -> ObjectName {
    ObjectName::Part { epoch: Epoch(epoch), seq }
}

pub(crate) fn segment_name(epoch: u64, msn: u64) -> ObjectName {
    ObjectName::Segment { epoch: Epoch(epoch), msn }
}

pub(crate) fn ready(o: Object) -> Blob {
    match o {
        Object::Ready(blob) => blob,
        other => panic!("expected an object, got {other:?}"),
    }
}
