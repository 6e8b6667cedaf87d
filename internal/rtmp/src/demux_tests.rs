use media::Ticks;
use proptest::prelude::*;

use super::*;
use crate::amf0::Value;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// An AVC sequence header; `level` makes configurations differ.
pub(crate) fn avc_config(level: u8) -> Bytes {
    let mut b = vec![0x17, 0, 0, 0, 0, 1, 0x64, 0, level, 0xff, 0xe1, 0, SPS.len() as u8];
    b.extend(SPS);
    b.extend([1, 0, PPS.len() as u8]);
    b.extend(PPS);
    b.into()
}

/// One NAL unit of a type in an AVC frame.
pub(crate) fn avc_frame(nal: u8, composition: i32) -> Bytes {
    let mut b = vec![if nal == 5 { 0x17 } else { 0x27 }, 1];
    b.extend(&composition.to_be_bytes()[1..]);
    b.extend([0, 0, 0, 2, nal, 0x80]);
    b.into()
}

const ASC: &[u8] = &[0xaf, 0, 0x12, 0x10];
const AAC: &[u8] = &[0xaf, 1, 0x21, 0x10];
const FLV1: &[u8] = &[0x12, 0, 0];
const MP3: &[u8] = &[0x2f, 0xff, 0xfb];

fn bytes(b: &'static [u8]) -> Bytes {
    Bytes::from_static(b)
}

fn events(d: &mut Demuxer) -> Vec<Event> {
    d.events().collect()
}

fn frames(d: &mut Demuxer) -> Vec<Frame> {
    d.events().filter_map(|e| if let Event::Frame(f) = e { Some(f) } else { None }).collect()
}

fn warnings(d: &mut Demuxer) -> Vec<Warning> {
    d.events().filter_map(|e| if let Event::Warning(w) = e { Some(w) } else { None }).collect()
}

fn expect(video: Option<bool>, audio: Option<bool>) -> Metadata {
    Metadata { expect_video: video, expect_audio: audio, ..Metadata::default() }
}

#[test]
fn configurations_make_tracks_and_frames_follow() {
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(true), Some(true)));
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    let e = events(&mut d);
    assert_eq!(e.len(), 3);
    let Event::Tracks(t) = &e[2] else { panic!("{e:?}") };
    assert_eq!((t.video.as_ref().unwrap().id, t.audio.as_ref().unwrap().id), (0, 1));
    assert_eq!(t.metadata.expect_audio, Some(true));
    d.video(40, &avc_frame(5, 80)).unwrap();
    d.audio(46, &bytes(AAC)).unwrap();
    d.video(80, &avc_frame(1, -40)).unwrap();
    let f = frames(&mut d);
    assert_eq!(f.iter().map(|f| (f.track.id, f.key)).collect::<Vec<_>>(), [(0, true), (1, true), (0, false)]);
    assert_eq!((f[0].dts, f[0].pts), (Ticks(3_600), Ticks(10_800)));
    assert_eq!((f[2].dts, f[2].pts), (Ticks(7_200), Ticks(3_600)));
    assert_eq!(&f[1].data[..], [0x21, 0x10]);
}

#[test]
fn a_configuration_sent_again_is_no_change_and_another_is() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    events(&mut d);
    d.video(10, &avc_config(31)).unwrap();
    d.audio(10, &bytes(ASC)).unwrap();
    d.on_metadata(Metadata::default());
    assert!(events(&mut d).is_empty());
    // End of sequence, then the same configuration: encoders do it when they reconnect inside.
    d.video(20, &bytes(&[0x17, 2, 0, 0, 0])).unwrap();
    d.video(20, &avc_config(31)).unwrap();
    assert!(events(&mut d).is_empty());
    d.video(30, &avc_config(40)).unwrap();
    assert!(matches!(events(&mut d).as_slice(), [Event::Tracks(_)]));
}

#[test]
fn a_frames_data_is_its_message() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    let message = avc_frame(5, 0);
    d.video(0, &message).unwrap();
    assert_eq!(frames(&mut d)[0].data.as_ptr(), message[5..].as_ptr());
}

// limits-and-faults 10.
#[test]
fn nal_lengths_that_overrun_end_the_stream_with_a_reason() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    let e = d.video(0, &bytes(&[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 1])).unwrap_err();
    assert!(e.to_string().contains("NAL unit lengths"), "{e}");
}

// limits-and-faults 10.
#[test]
fn empty_and_early_media_is_dropped_with_one_warning_each() {
    let mut d = Demuxer::default();
    for _ in 0..3 {
        d.video(0, &bytes(&[0x17, 0, 0, 0, 0])).unwrap();
        d.video(0, &avc_frame(5, 0)).unwrap();
        d.video(0, &bytes(&[])).unwrap();
        d.audio(0, &bytes(&[0xaf, 0])).unwrap();
        d.audio(0, &bytes(AAC)).unwrap();
        d.audio(0, &bytes(&[])).unwrap();
    }
    assert_eq!(events(&mut d).len(), 6);
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    events(&mut d);
    d.video(0, &bytes(&[0x17, 1, 0, 0, 0])).unwrap();
    d.video(0, &avc_frame(6, 0)).unwrap();
    d.audio(0, &bytes(&[0xaf, 1])).unwrap();
    assert_eq!(
        warnings(&mut d),
        [Warning::Empty { what: "H.264 frame" }, Warning::Empty { what: "AAC frame" }]
    );
}

#[test]
fn an_unsupported_track_is_dropped_while_the_other_is_used() {
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(true), Some(true)));
    d.video(0, &bytes(FLV1)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    for t in 0..200 {
        d.video(t * 40, &bytes(FLV1)).unwrap();
        d.audio(t * 40, &bytes(AAC)).unwrap();
    }
    let e = events(&mut d);
    let named: Vec<_> =
        e.iter().filter_map(|e| if let Event::Warning(w) = e { Some(w) } else { None }).collect();
    assert_eq!(named.len(), 1);
    assert!(named[0].to_string().contains("flv1") && named[0].to_string().contains("libx264"));
    assert_eq!(e.iter().filter(|e| matches!(e, Event::Frame(_))).count(), 200);
    assert_eq!(d.dropped(), 201);
}

#[test]
fn without_a_usable_track_the_refusal_names_codecs_and_flags() {
    // ffmpeg's defaults for FLV.
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(true), Some(true)));
    d.video(0, &bytes(FLV1)).unwrap();
    let e = d.audio(0, &bytes(MP3)).unwrap_err().to_string();
    for word in ["flv1", "mp3", "-c:v libx264 -pix_fmt yuv420p", "-c:a aac"] {
        assert!(e.contains(word), "{e}");
    }
    // Alone, as the metadata says: at once.
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(true), Some(false)));
    assert!(d.video(0, &bytes(FLV1)).is_err());
    // Nobody said whether the other comes: after two seconds of media, or many messages.
    let mut d = Demuxer::default();
    assert!(d.audio(0, &bytes(MP3)).is_ok());
    assert!(d.audio(1_999, &bytes(MP3)).is_ok());
    assert!(d.audio(2_000, &bytes(MP3)).is_err());
    let mut d = Demuxer::default();
    assert!((0..=ALONE_MESSAGES).any(|_| d.audio(0, &bytes(MP3)).is_err()));
}

#[test]
fn a_bad_configuration_drops_the_track_until_a_good_one_comes() {
    let mut d = Demuxer::default();
    d.audio(0, &bytes(ASC)).unwrap();
    d.video(0, &avc_config(31)).unwrap();
    events(&mut d);
    d.video(40, &bytes(&[0x17, 0, 0, 0, 0, 1, 2, 3])).unwrap();
    let e = events(&mut d);
    assert!(
        matches!(&e[..], [Event::Tracks(t), Event::Warning(Warning::BadConfig { .. })] if t.video.is_none())
    );
    d.video(80, &avc_frame(5, 0)).unwrap();
    assert!(events(&mut d).is_empty());
    d.video(120, &avc_config(31)).unwrap();
    d.video(120, &avc_frame(5, 0)).unwrap();
    assert_eq!(events(&mut d).len(), 2);
}

#[test]
fn warnings_are_bounded() {
    let mut d = Demuxer::default();
    d.audio(0, &bytes(ASC)).unwrap();
    for n in 0..100_u8 {
        let four = [0x90, b'a' + n % 26, b'a' + n / 26, b'x', b'x'];
        d.video(0, &Bytes::copy_from_slice(&four)).unwrap();
    }
    assert_eq!(warnings(&mut d).len(), MAX_WARNINGS);
}

/// x265, 320x180, as ffmpeg 9's flv muxer sends it, without its SEI.
const HVCC: &[u8] = &[
    1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f,
    3, //
    0x20, 0, 1, 0, 24, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0,
    0x3c, 0x95, 0x90, 9, //
    0x21, 0, 1, 0, 43, 0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a,
    0x08, 0x0c, 0x1f, 0x3e, 0x59, 0x59, 0x12, 0x93, 0x0b, 0xc0, 0x5a, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 0x3c,
    0x10, //
    0x22, 0, 1, 0, 6, 0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89,
];
/// SVT-AV1, 320x180: the record, and a keyframe with delimiter and sequence header.
const AV1C: &[u8] =
    &[0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x02, 0x00, 0x00, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
const AV1_KEY: &[u8] = &[
    0x12, 0, 0x0a, 0x0b, 0x02, 0x00, 0x00, 0x05, 0x21, 0xe7, 0xf6, 0x62, 0x57, 0xc8, 0x02, 0x32, 3, 0x10, 0,
    0x86,
];
/// libvpx-vp9, 320x180.
const VPCC: &[u8] = &[1, 0, 0, 0, 0, 0x0b, 0x82, 2, 2, 2, 0, 0];
const VP9_KEY: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x06];
const VP9_INTER: &[u8] = &[0x86, 0, 0x40, 0x92];

fn ex(head: u8, four: &[u8; 4], body: &[u8]) -> Bytes {
    [&[head][..], four, body].concat().into()
}

/// The names of the tracks, once per event.
fn codecs(d: &mut Demuxer) -> Vec<[Option<&'static str>; 2]> {
    let name = |t: &Option<Arc<Track>>| t.as_ref().map(|t| t.config.short_name());
    d.events()
        .filter_map(|e| match e {
            Event::Tracks(t) => Some([name(&t.video), name(&t.audio)]),
            _ => None,
        })
        .collect()
}

#[test]
fn hevc_pictures_say_themselves_what_they_are() {
    let mut d = Demuxer::default();
    d.video(0, &ex(0x90, b"hvc1", HVCC)).unwrap();
    assert_eq!(codecs(&mut d), [[Some("hevc"), None]]);
    // An IDR that the sender calls an inter frame, a trailing picture that it calls a key frame, SEI alone.
    d.video(0, &ex(0xa1, b"hvc1", &[0, 0, 80, 0, 0, 0, 3, 19 << 1, 1, 0x80])).unwrap();
    d.video(40, &ex(0x93, b"hvc1", &[0, 0, 0, 3, 1 << 1, 1, 0x80])).unwrap();
    d.video(80, &ex(0x93, b"hvc1", &[0, 0, 0, 3, 39 << 1, 1, 0x80])).unwrap();
    let f = frames(&mut d);
    assert_eq!(
        f.iter().map(|f| (f.key, f.dts, f.pts)).collect::<Vec<_>>(),
        [(true, Ticks(0), Ticks(7_200)), (false, Ticks(3_600), Ticks(3_600))]
    );
    let overrun = d.video(120, &ex(0x93, b"hvc1", &[0, 0, 0, 9, 2])).unwrap_err().to_string();
    assert!(overrun.contains("H.265") && overrun.contains("NAL unit lengths"), "{overrun}");
}

#[test]
fn open_gops_are_told_once() {
    let mut d = Demuxer::default();
    d.video(0, &ex(0x90, b"hvc1", HVCC)).unwrap();
    for (n, kind) in [21, 9, 8, 1, 21, 8].into_iter().enumerate() {
        d.video(n as u32 * 40, &ex(0xa3, b"hvc1", &[0, 0, 0, 3, kind << 1, 1, 0x80])).unwrap();
    }
    assert_eq!(warnings(&mut d), [Warning::OpenGop]);
}

#[test]
fn av1_goes_without_its_delimiters() {
    let mut d = Demuxer::default();
    d.video(0, &ex(0x90, b"av01", AV1C)).unwrap();
    d.video(0, &ex(0x91, b"av01", AV1_KEY)).unwrap();
    d.video(40, &ex(0xa1, b"av01", &[0x12, 0, 0x32, 1, 9])).unwrap();
    d.video(80, &ex(0xa1, b"av01", &[0x12, 0])).unwrap();
    let f = frames(&mut d);
    assert_eq!(f.iter().map(|f| f.key).collect::<Vec<_>>(), [true, false]);
    assert_eq!((&f[0].data[..], &f[1].data[..]), (&AV1_KEY[2..], &[0x32, 1, 9][..]));
    assert!(d.video(120, &ex(0xa1, b"av01", &[0x32, 9])).unwrap_err().to_string().contains("OBUs"));
}

#[test]
fn what_a_record_does_not_say_the_keyframe_tells() {
    for (four, record, key, inter, name) in
        [(b"vp09", VPCC, VP9_KEY, VP9_INTER, "vp9"), (b"av01", &AV1C[..4], AV1_KEY, &[0x32, 1, 9][..], "av1")]
    {
        let mut d = Demuxer::default();
        d.audio(0, &bytes(ASC)).unwrap();
        d.video(0, &ex(0x90, four, record)).unwrap();
        d.video(0, &ex(0xa1, four, inter)).unwrap();
        assert_eq!(codecs(&mut d), [[None, Some("aac")]]);
        assert_eq!(d.dropped(), 1, "no picture before the keyframe");
        d.video(40, &ex(0x91, four, key)).unwrap();
        d.video(80, &ex(0xa1, four, inter)).unwrap();
        // The same again is no change.
        d.video(120, &ex(0x90, four, record)).unwrap();
        d.video(120, &ex(0x91, four, key)).unwrap();
        let e = events(&mut d);
        let Event::Tracks(t) = &e[0] else { panic!("{e:?}") };
        let config = &t.video.as_ref().unwrap().config;
        let picture = config.picture().unwrap();
        assert_eq!((config.short_name(), picture.width, picture.height), (name, 320, 180));
        assert_eq!(e.iter().filter(|e| matches!(e, Event::Frame(_))).count(), 3);
        assert_eq!(e.len(), 4);
    }
}

#[test]
fn a_vp9_keyframe_of_another_size_is_another_configuration() {
    let mut d = Demuxer::default();
    d.video(0, &ex(0x90, b"vp09", VPCC)).unwrap();
    d.video(0, &ex(0x91, b"vp09", VP9_KEY)).unwrap();
    let mut larger = VP9_KEY.to_vec();
    larger[5] = 0x27;
    d.video(40, &ex(0x91, b"vp09", &larger)).unwrap();
    let widths: Vec<_> = d
        .events()
        .filter_map(
            |e| if let Event::Frame(f) = e { f.track.config.picture().map(|p| p.width) } else { None },
        )
        .collect();
    assert_eq!(widths, [320, 640]);
}

#[test]
fn opus_and_flac_make_audio_tracks() {
    let mut d = Demuxer::default();
    d.audio(0, &ex(0x90, b"Opus", b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0")).unwrap();
    d.audio(0, &ex(0x91, b"Opus", &[0xf8, 1])).unwrap();
    let mut info = [0; 34];
    info[..4].copy_from_slice(&[4, 0, 4, 0]);
    info[10..14].copy_from_slice(&[0x0b, 0xb8, 0x02, 0xf0]);
    d.audio(20, &ex(0x90, b"fLaC", &info)).unwrap();
    // A packet of the codec before it has no configuration any more.
    d.audio(20, &ex(0x91, b"Opus", &[0xf8, 1])).unwrap();
    d.audio(20, &ex(0x91, b"fLaC", &[0xff, 0xf8])).unwrap();
    // Without a header it is stereo.
    d.audio(40, &ex(0x90, b"Opus", &[])).unwrap();
    assert_eq!(codecs(&mut d), [[None, Some("opus")], [None, Some("flac")], [None, Some("opus")]]);
    assert_eq!(d.dropped(), 1);
    d.audio(60, &ex(0x90, b"Opus", b"OpusTail")).unwrap();
    assert!(matches!(&warnings(&mut d)[..], [Warning::BadConfig { reason }] if reason.contains("Opus")));
}

#[test]
fn a_codec_may_change_as_the_stream_runs() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    d.video(0, &avc_frame(5, 0)).unwrap();
    d.video(40, &ex(0x90, b"hvc1", HVCC)).unwrap();
    d.video(40, &avc_frame(5, 0)).unwrap();
    d.video(40, &ex(0x93, b"hvc1", &[0, 0, 0, 3, 19 << 1, 1, 0x80])).unwrap();
    d.video(80, &avc_config(31)).unwrap();
    d.video(80, &avc_frame(5, 0)).unwrap();
    let e = events(&mut d);
    let of = |f: &Frame| f.track.config.short_name();
    let frames: Vec<_> =
        e.iter().filter_map(|e| if let Event::Frame(f) = e { Some(of(f)) } else { None }).collect();
    assert_eq!(frames, ["h264", "hevc", "h264"]);
    assert!(e.iter().any(|e| matches!(e, Event::Warning(Warning::NoConfig { codec: "H.264" }))));
}

// Enhanced RTMP 2, `TimestampOffsetNano`.
#[test]
fn nanoseconds_are_added_to_both_times() {
    let mut d = Demuxer::default();
    d.video(0, &ex(0x90, b"hvc1", HVCC)).unwrap();
    // 33 ms and 333,333 ns, composition 40 ms.
    let message = b"\xa7\x02\x05\x16\x15\x01hvc1\0\0\x28\0\0\0\x03\x26\x01\x80";
    d.video(33, &bytes(message)).unwrap();
    let f = frames(&mut d);
    assert_eq!((f[0].dts, f[0].pts), (Ticks(3_000), Ticks(6_600)));
}

// Enhanced RTMP 2, "Metadata Frame".
#[test]
fn colours_outlive_the_metadata_message() {
    let mut d = Demuxer::default();
    let config = Value::Object(vec![("transferCharacteristics".into(), Value::Number(16.0))]);
    let info = Value::Object(vec![("colorConfig".into(), config)]);
    let mut pairs = Vec::new();
    amf0::encode(&mut pairs, &[Value::String("colorInfo".into()), info]);
    d.video(0, &ex(0xd4, b"hvc1", &pairs)).unwrap();
    d.on_metadata(expect(Some(true), Some(false)));
    d.video(0, &ex(0xd4, b"hvc1", b"\x02\0\x09co")).unwrap();
    let e = events(&mut d);
    let [Event::Tracks(_), Event::Tracks(t), Event::Warning(Warning::BadMetadata)] = &e[..] else {
        panic!("{e:?}")
    };
    assert_eq!(t.metadata.color.unwrap().transfer, Some(16));
    assert_eq!(t.metadata.expect_audio, Some(false));
}

// Enhanced RTMP 2, "Multitrack Streaming": track 0 is carried, the others are dropped, counted and told.
#[test]
fn of_several_tracks_the_main_one_goes_on() {
    let mut d = Demuxer::default();
    d.audio(0, &bytes(ASC)).unwrap();
    d.audio(0, &bytes(b"\x95\x00mp4a\x01\x11\x88")).unwrap();
    d.audio(0, &bytes(AAC)).unwrap();
    for t in 1..50 {
        d.audio(t * 21, &bytes(b"\x95\x11mp4a\x00\0\0\x02\x21\x10\x01\0\0\x01\x21")).unwrap();
    }
    let e = events(&mut d);
    assert_eq!(e.iter().filter(|e| matches!(e, Event::Frame(_))).count(), 50);
    assert_eq!(d.dropped(), 50);
    let told = e.iter().filter(|e| matches!(e, Event::Warning(Warning::ExtraTracks { kind: "audio" })));
    assert_eq!(told.count(), 1);
}

#[test]
fn a_publisher_without_a_track_0_is_refused() {
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(false), Some(true)));
    let error = d.audio(0, &bytes(b"\x95\x00mp4a\x01\x11\x88")).unwrap_err().to_string();
    assert!(error.contains("no audio track 0"), "{error}");
    // Track 1 may come first.
    let mut d = Demuxer::default();
    d.audio(0, &bytes(b"\x95\x00mp4a\x01\x11\x88")).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    d.audio(5_000, &bytes(AAC)).unwrap();
    assert_eq!(frames(&mut d).len(), 1);
}

// `VideoPacketType.MPEG2TSSequenceStart`, and codecs that CMAF would carry but no browser plays.
#[test]
fn what_is_not_carried_is_refused_by_name_with_flags_that_work() {
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(true), Some(false)));
    let e = d.video(0, &ex(0x95, b"av01", &[0x80])).unwrap_err().to_string();
    assert!(e.contains("av1 as in MPEG-2 TS") && e.contains(VIDEO_FLAGS), "{e}");
    for (four, name) in [(b"ac-3", "ac3"), (b"ec-3", "eac3"), (b".mp3", "mp3")] {
        let mut d = Demuxer::default();
        d.on_metadata(expect(Some(false), Some(true)));
        let e = d.audio(0, &ex(0x91, four, &[0x0b, 0x77])).unwrap_err().to_string();
        assert!(e.contains(name) && e.contains(AUDIO_FLAGS), "{e}");
    }
    let mut d = Demuxer::default();
    d.on_metadata(expect(Some(true), Some(false)));
    assert!(d.video(0, &ex(0x90, b"vvc1", &[1])).unwrap_err().to_string().contains("vvc"));
}

proptest! {
    /// Any messages: events or a refusal, and never a panic.
    #[test]
    fn any_messages_are_taken(
        messages in prop::collection::vec(
            (any::<bool>(), 0..16_u8, prop::sample::select(vec![*b"hvc1", *b"av01", *b"vp09", *b"Opus", *b"fLaC"]),
             prop::collection::vec(any::<u8>(), 0..40)),
            0..20,
        ),
    ) {
        let mut d = Demuxer::default();
        for (video, packet, four, body) in messages {
            let message = ex(0x90 | packet, &four, &body);
            let result = if video { d.video(0, &message) } else { d.audio(0, &message) };
            if result.is_err() {
                break;
            }
        }
        prop_assert!(d.events().count() <= 20 * 40);
    }
}
