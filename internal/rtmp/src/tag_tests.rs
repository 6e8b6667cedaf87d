use proptest::prelude::*;

use super::*;

type Video = Tag<VideoCodec>;
type Audio = Tag<AudioCodec>;

fn v(data: &'static [u8]) -> Video {
    video(&Bytes::from_static(data)).tag
}

fn a(data: &'static [u8]) -> Audio {
    audio(&Bytes::from_static(data)).tag
}

fn config<C>(codec: C, record: &'static [u8]) -> Tag<C> {
    Tag::Config { codec, record: Bytes::from_static(record) }
}

fn frame<C>(codec: C, composition: i32, key: bool, data: &'static [u8]) -> Tag<C> {
    Tag::Frame { codec, composition, key, data: Bytes::from_static(data) }
}

#[test]
fn avc_tags_are_read() {
    assert_eq!(v(&[0x17, 0, 0, 0, 0, 1, 2]), config(VideoCodec::Avc, &[1, 2]));
    assert_eq!(v(&[0x27, 1, 0, 0, 80, 9]), frame(VideoCodec::Avc, 80, false, &[9]));
    // FLV §E.4.3.2: CompositionTime is SI24.
    assert_eq!(v(&[0x17, 1, 0xff, 0xff, 0xd8, 9]), frame(VideoCodec::Avc, -40, true, &[9]));
    assert_eq!(v(&[0x27, 1, 0x80, 0, 0, 9]), frame(VideoCodec::Avc, -0x80_0000, false, &[9]));
    assert_eq!(v(&[0x17, 2, 0, 0, 0]), Tag::Ignored);
    assert_eq!(v(&[0x57, 0]), Tag::Ignored);
    for cut in [&[][..], &[0x17], &[0x17, 1, 0, 0]] {
        assert_eq!(v(cut), Tag::Empty);
    }
    assert_eq!(v(&[0x1c, 0, 0, 0, 0, 1]), config(VideoCodec::Hevc, &[1]));
}

// Enhanced RTMP 2, "ExVideoTagBody".
#[test]
fn every_codecs_video_packets_are_read() {
    let codecs = [
        (*b"avc1", VideoCodec::Avc),
        (*b"hvc1", VideoCodec::Hevc),
        (*b"av01", VideoCodec::Av1),
        (*b"vp09", VideoCodec::Vp9),
    ];
    for (four, codec) in codecs {
        let read = |head: u8, body: &[u8]| video(&[&[head][..], &four, body].concat().into()).tag;
        assert_eq!(read(0x90, &[1]), config(codec, &[1]));
        let (composition, data) =
            if codec.reorders() { (-2, &[9][..]) } else { (0, &[0xff, 0xff, 0xfe, 9][..]) };
        assert_eq!(
            read(0xa1, &[0xff, 0xff, 0xfe, 9]),
            Tag::Frame { codec, composition, key: false, data: Bytes::copy_from_slice(data) }
        );
        assert_eq!(read(0x93, &[9]), frame(codec, 0, true, &[9]));
        assert_eq!(read(0x92, &[]), Tag::Ignored, "SequenceEnd");
        // Metadata overrules the frame type of a command.
        assert_eq!(read(0xd4, &[2, 0]), Tag::Metadata(Bytes::from_static(&[2, 0])));
        assert_eq!(read(0xd1, &[0]), Tag::Ignored, "a command to a player");
        assert!(matches!(read(0x95, &[1]), Tag::Unsupported(s) if s.ends_with("as in MPEG-2 TS")));
        assert_eq!(read(0x98, &[1]), Tag::Ignored, "a packet type to come");
    }
    assert_eq!(v(b"\xa1avc1\xff"), Tag::Empty);
    assert_eq!(v(b"\x90vvc1\x01"), Tag::Unsupported("vvc".into()));
    assert_eq!(v(b"\x90\0\xff<x"), Tag::Unsupported("???x".into()));
    assert_eq!(v(b"\x92vp08"), Tag::Ignored);
}

#[test]
fn every_codecs_audio_packets_are_read() {
    assert_eq!(a(b"\x90mp4a\x12\x10"), config(AudioCodec::Aac, &[0x12, 0x10]));
    assert_eq!(a(b"\x91mp4a\x01"), frame(AudioCodec::Aac, 0, true, &[1]));
    assert_eq!(a(b"\x90Opus"), config(AudioCodec::Opus, &[]));
    assert_eq!(a(b"\x91Opus\xf8"), frame(AudioCodec::Opus, 0, true, &[0xf8]));
    assert_eq!(a(b"\x90fLaCfLaC"), config(AudioCodec::Flac, b"fLaC"));
    assert_eq!(a(b"\x92fLaC"), Tag::Ignored);
    assert_eq!(a(b"\x94Opus\x01\x02\0\0\0\x03"), Tag::Ignored, "MultichannelConfig");
    assert_eq!(a(b"\x91ac-3\x0b"), Tag::Unsupported("ac3".into()));
    assert_eq!(a(b"\x91ec-3\x0b"), Tag::Unsupported("eac3".into()));
    assert_eq!(a(b"\x91.mp3\xff"), Tag::Unsupported("mp3".into()));
    assert_eq!(a(b"\x91Op"), Tag::Empty);
}

#[test]
fn aac_tags_are_read_and_others_named() {
    assert_eq!(a(&[0xaf, 0, 0x12, 0x10]), config(AudioCodec::Aac, &[0x12, 0x10]));
    assert_eq!(a(&[0xaf, 1, 0x21]), frame(AudioCodec::Aac, 0, true, &[0x21]));
    assert_eq!(a(&[0xaf]), Tag::Empty);
    assert_eq!(a(&[0x2f, 1]), Tag::Unsupported("mp3".into()));
    assert_eq!(v(&[0x12, 1]), Tag::Unsupported("flv1".into()));
}

// Enhanced RTMP 2, "ExVideoTagHeader": ModEx with TimestampOffsetNano.
#[test]
fn nanosecond_offsets_are_taken_off() {
    let nanos = |t: Tagged<VideoCodec>| (t.nanos, t.tag);
    let read = |b: &'static [u8]| nanos(video(&Bytes::from_static(b)));
    // 3 bytes of data, 333,333 ns, then CodedFramesX.
    assert_eq!(read(b"\x97\x02\x05\x16\x15\x03hvc1\x09"), (333_333, frame(VideoCodec::Hevc, 0, true, &[9])));
    // A modifier that is not known, with a size in 16 bits, before it.
    let mut long = vec![0x97, 0xff, 0, 0xff];
    long.extend([0; 256]);
    long.extend(b"\x17\x02\x05\x16\x15\x03hvc1\x09");
    assert_eq!(nanos(video(&long.clone().into())), (333_333, frame(VideoCodec::Hevc, 0, true, &[9])));
    for n in 0..long.len() - 5 {
        assert_eq!(video(&Bytes::copy_from_slice(&long[..n])).tag, Tag::Empty, "{n}");
    }
    // A whole millisecond and more is clamped, too little data says nothing.
    assert_eq!(read(b"\x97\x02\xff\xff\xff\x03hvc1\x09").0, 999_999);
    assert_eq!(read(b"\x97\x01\xff\xff\x03hvc1\x09").0, 0);
    let sound = audio(&Bytes::from_static(b"\x97\x02\x00\x00\x07\x01Opus\xf8"));
    assert_eq!((sound.nanos, sound.tag), (7, frame(AudioCodec::Opus, 0, true, &[0xf8])));
}

// Enhanced RTMP 2, "Multitrack Streaming".
#[test]
fn of_several_tracks_the_first_is_read_and_the_others_counted() {
    let read = |b: &'static [u8]| {
        let t = audio(&Bytes::from_static(b));
        (t.tag, t.others)
    };
    // OneTrack, as ffmpeg 9 sends its second sound track.
    assert_eq!(read(b"\x95\x00mp4a\x01\x11\x88"), (Tag::Ignored, 1));
    assert_eq!(read(b"\x95\x00mp4a\x00\x11\x88"), (config(AudioCodec::Aac, &[0x11, 0x88]), 0));
    // ManyTracks: two of one codec, whichever comes first.
    assert_eq!(
        read(b"\x95\x11Opus\x00\0\0\x02\xf8\x01\x01\0\0\x01\xf8"),
        (frame(AudioCodec::Opus, 0, true, &[0xf8, 1]), 1)
    );
    assert_eq!(
        read(b"\x95\x11Opus\x01\0\0\x02\xf8\x01\x00\0\0\x01\xf8"),
        (frame(AudioCodec::Opus, 0, true, &[0xf8]), 1)
    );
    // ManyTracksManyCodecs.
    assert_eq!(
        read(b"\x95\x21ac-3\x02\0\0\x01\x0bfLaC\x00\0\0\x01\xffmp4a\x01\0\0\x00"),
        (frame(AudioCodec::Flac, 0, true, &[0xff]), 2)
    );
    let t = video(&Bytes::from_static(b"\x96\x11hvc1\x00\0\0\x04\0\0\x05\x09\x01\0\0\x04\0\0\x06\x08"));
    assert_eq!((t.tag, t.others), (frame(VideoCodec::Hevc, 5, true, &[9]), 1));
    // Cut off, a form to come, and several tracks within several tracks.
    assert_eq!(read(b"\x95\x11Opus\x00\0\0\x09\xf8"), (Tag::Empty, 0));
    assert_eq!(read(b"\x95\x11Opus\x00\0\0\x01\xf8\x01\0"), (frame(AudioCodec::Opus, 0, true, &[0xf8]), 0));
    assert_eq!(read(b"\x95\x31Opus"), (Tag::Ignored, 0));
    assert_eq!(read(b"\x95\x05Opus\x00"), (Tag::Ignored, 0));
    assert_eq!(read(b"\x95"), (Tag::Empty, 0));
}

#[test]
fn a_payload_shares_the_messages_bytes() {
    for head in [&[0x27, 1, 0, 0, 0][..], b"\xa1hvc1\0\0\0", b"\x96\x01hvc1\0\0\0\0"] {
        let message = Bytes::from([head, &[1, 2, 3]].concat());
        let Tag::Frame { data, .. } = video(&message).tag else { panic!("not a frame") };
        assert_eq!(data.as_ptr(), message[head.len()..].as_ptr());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_some_tag(
        data in prop::collection::vec(any::<u8>(), 0..60),
        head in prop::sample::select(vec![&[][..], b"\x97", b"\x96", b"\x95", b"\x97\x02\0\0\0\x06", b"\x91av01"]),
    ) {
        let data = Bytes::from([head, &data].concat());
        let t = video(&data);
        prop_assert!(t.nanos <= 999_999 && t.others < data.len().max(1));
        if let Tag::Frame { data: d, composition, .. } = t.tag {
            prop_assert!(d.len() < data.len() && composition.abs() <= 0x80_0000);
        }
        if let Tag::Frame { data: d, .. } = audio(&data).tag {
            prop_assert!(d.len() < data.len());
        }
    }
}
