//! FLV audio and video tags (FLV 10.1 §E.4.2, §E.4.3; Enhanced RTMP 2), as messages carry them.
//!
//! Reading takes no copy: the payload is a slice of the message.

use bytes::Bytes;

/// A video message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VideoTag {
    /// A decoder configuration record.
    AvcConfig(Bytes),
    /// NAL units with their lengths; the offset is in ms.
    AvcFrame { composition: i32, data: Bytes },
    /// End of sequence; carries nothing.
    AvcEnd,
    /// A codec that is not supported.
    Unsupported(String),
    /// Nothing to decode: a command frame, metadata, a packet type to come.
    Ignored,
    /// No content at all, or cut off inside its header.
    Empty,
}

/// An audio message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AudioTag {
    /// An AudioSpecificConfig.
    AacConfig(Bytes),
    /// A raw frame.
    AacFrame(Bytes),
    Unsupported(String),
    Ignored,
    Empty,
}

/// Reads a video message.
pub(crate) fn video(data: &Bytes) -> VideoTag {
    let Some(&head) = data.first() else { return VideoTag::Empty };
    if head & 0x80 != 0 {
        return enhanced_video(head, data);
    }
    // Frame type 5 is a command to a player (§E.4.3.1).
    if head >> 4 == 5 {
        return VideoTag::Ignored;
    }
    if head & 0x0f != 7 {
        return VideoTag::Unsupported(video_codec(head & 0x0f));
    }
    let Some(&[_, packet, a, b, c]) = data.get(..5) else { return VideoTag::Empty };
    let rest = data.slice(5..);
    match packet {
        0 => VideoTag::AvcConfig(rest),
        1 => VideoTag::AvcFrame { composition: signed_24(a, b, c), data: rest },
        2 => VideoTag::AvcEnd,
        _ => VideoTag::Ignored,
    }
}

/// An ExVideoTagHeader: packet type and FourCC.
fn enhanced_video(head: u8, data: &Bytes) -> VideoTag {
    if head >> 4 & 7 == 5 {
        return VideoTag::Ignored;
    }
    let Some(&[_, a, b, c, d]) = data.get(..5) else { return VideoTag::Empty };
    let rest = data.slice(5..);
    match (&[a, b, c, d], head & 0x0f) {
        (_, 6 | 7) => VideoTag::Unsupported("multitrack video".into()),
        (_, 4) => VideoTag::Ignored,
        (b"avc1", 0) => VideoTag::AvcConfig(rest),
        (b"avc1", 1) => match rest.get(..3) {
            Some(&[a, b, c]) => VideoTag::AvcFrame { composition: signed_24(a, b, c), data: rest.slice(3..) },
            _ => VideoTag::Empty,
        },
        (b"avc1", 2) => VideoTag::AvcEnd,
        (b"avc1", 3) => VideoTag::AvcFrame { composition: 0, data: rest },
        (b"avc1", _) => VideoTag::Ignored,
        (four, _) => VideoTag::Unsupported(four_cc(*four)),
    }
}

/// Reads an audio message.
pub(crate) fn audio(data: &Bytes) -> AudioTag {
    let Some(&head) = data.first() else { return AudioTag::Empty };
    match head >> 4 {
        9 => return enhanced_audio(head & 0x0f, data),
        10 => {}
        other => return AudioTag::Unsupported(audio_codec(other)),
    }
    let Some(packet) = data.get(1) else { return AudioTag::Empty };
    match packet {
        0 => AudioTag::AacConfig(data.slice(2..)),
        1 => AudioTag::AacFrame(data.slice(2..)),
        _ => AudioTag::Ignored,
    }
}

/// An ExAudioTagHeader: packet type and FourCC.
fn enhanced_audio(packet: u8, data: &Bytes) -> AudioTag {
    let Some(&[_, a, b, c, d]) = data.get(..5) else { return AudioTag::Empty };
    let rest = data.slice(5..);
    match (&[a, b, c, d], packet) {
        (_, 5 | 7) => AudioTag::Unsupported("multitrack audio".into()),
        (b"mp4a", 0) => AudioTag::AacConfig(rest),
        (b"mp4a", 1) => AudioTag::AacFrame(rest),
        (b"mp4a", _) => AudioTag::Ignored,
        (four, _) => AudioTag::Unsupported(four_cc(*four)),
    }
}

/// A composition time: signed, as encoders with B-frames and no delay send it.
fn signed_24(a: u8, b: u8, c: u8) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

/// As ffmpeg calls the codecs of FLV's CodecID.
fn video_codec(id: u8) -> String {
    match id {
        1 => "jpeg".into(),
        2 => "flv1".into(),
        3 => "flashsv".into(),
        4 => "vp6f".into(),
        5 => "vp6a".into(),
        6 => "flashsv2".into(),
        8 => "h263".into(),
        9 => "mpeg4".into(),
        12 => "hevc".into(),
        13 => "av1".into(),
        other => format!("video {other}"),
    }
}

/// As ffmpeg calls the codecs of FLV's SoundFormat.
fn audio_codec(id: u8) -> String {
    match id {
        0 | 3 => "pcm".into(),
        1 => "adpcm_swf".into(),
        2 | 14 => "mp3".into(),
        4..=6 => "nellymoser".into(),
        7 => "pcm_alaw".into(),
        8 => "pcm_mulaw".into(),
        11 => "speex".into(),
        other => format!("audio {other}"),
    }
}

/// A FourCC as text that is safe to show; known ones as ffmpeg calls them.
fn four_cc(four: [u8; 4]) -> String {
    match &four {
        b"hvc1" => "hevc".into(),
        b"av01" => "av1".into(),
        b"vp08" => "vp8".into(),
        b"vp09" => "vp9".into(),
        b"Opus" => "opus".into(),
        b"fLaC" => "flac".into(),
        b".mp3" => "mp3".into(),
        b"ac-3" => "ac3".into(),
        b"ec-3" => "eac3".into(),
        _ => four.iter().map(|b| if b.is_ascii_alphanumeric() { char::from(*b) } else { '?' }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v(data: &'static [u8]) -> VideoTag {
        video(&Bytes::from_static(data))
    }

    fn a(data: &'static [u8]) -> AudioTag {
        audio(&Bytes::from_static(data))
    }

    #[test]
    fn avc_tags_are_read() {
        assert_eq!(v(&[0x17, 0, 0, 0, 0, 1, 2]), VideoTag::AvcConfig(Bytes::from_static(&[1, 2])));
        let frame = |composition, data| VideoTag::AvcFrame { composition, data: Bytes::from_static(data) };
        assert_eq!(v(&[0x27, 1, 0, 0, 80, 9]), frame(80, &[9]));
        // FLV §E.4.3.2: CompositionTime is SI24.
        assert_eq!(v(&[0x27, 1, 0xff, 0xff, 0xd8, 9]), frame(-40, &[9]));
        assert_eq!(v(&[0x27, 1, 0x80, 0, 0, 9]), frame(-0x80_0000, &[9]));
        assert_eq!(v(&[0x17, 2, 0, 0, 0]), VideoTag::AvcEnd);
        assert_eq!(v(&[0x57, 0]), VideoTag::Ignored);
        for cut in [&[][..], &[0x17], &[0x17, 1, 0, 0]] {
            assert_eq!(v(cut), VideoTag::Empty);
        }
    }

    #[test]
    fn enhanced_tags_are_read() {
        assert_eq!(v(b"\x90avc1\x01"), VideoTag::AvcConfig(Bytes::from_static(&[1])));
        let frame = |composition| VideoTag::AvcFrame { composition, data: Bytes::from_static(&[9]) };
        assert_eq!(v(b"\xa1avc1\xff\xff\xfe\x09"), frame(-2));
        assert_eq!(v(b"\xa3avc1\x09"), frame(0));
        assert_eq!(v(b"\xa1avc1\xff"), VideoTag::Empty);
        assert_eq!(v(b"\x90hvc1\x01"), VideoTag::Unsupported("hevc".into()));
        assert_eq!(v(b"\x90\0\xff<x"), VideoTag::Unsupported("???x".into()));
        assert_eq!(a(b"\x90mp4a\x12\x10"), AudioTag::AacConfig(Bytes::from_static(&[0x12, 0x10])));
        assert_eq!(a(b"\x91mp4a\x01"), AudioTag::AacFrame(Bytes::from_static(&[1])));
        assert_eq!(a(b"\x90Opus"), AudioTag::Unsupported("opus".into()));
    }

    #[test]
    fn aac_tags_are_read_and_others_named() {
        assert_eq!(a(&[0xaf, 0, 0x12, 0x10]), AudioTag::AacConfig(Bytes::from_static(&[0x12, 0x10])));
        assert_eq!(a(&[0xaf, 1, 0x21]), AudioTag::AacFrame(Bytes::from_static(&[0x21])));
        assert_eq!(a(&[0xaf]), AudioTag::Empty);
        assert_eq!(a(&[0x2f, 1]), AudioTag::Unsupported("mp3".into()));
        assert_eq!(v(&[0x12, 1]), VideoTag::Unsupported("flv1".into()));
    }

    #[test]
    fn a_payload_shares_the_messages_bytes() {
        let message = Bytes::from(vec![0x27, 1, 0, 0, 0, 1, 2, 3]);
        let VideoTag::AvcFrame { data, .. } = video(&message) else { panic!("not a frame") };
        assert_eq!(data.as_ptr(), message[5..].as_ptr());
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_tag(data in prop::collection::vec(any::<u8>(), 0..40)) {
            let data = Bytes::from(data);
            if let VideoTag::AvcFrame { data: d, composition } = video(&data) {
                prop_assert!(d.len() < data.len() && composition.abs() <= 0x80_0000);
            }
            if let AudioTag::AacFrame(d) = audio(&data) {
                prop_assert!(d.len() < data.len());
            }
        }
    }
}
