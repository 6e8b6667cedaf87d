//! FLV audio and video tags (FLV 10.1 §E.4.2, §E.4.3; Enhanced RTMP 2), as messages carry them.
//!
//! Reading takes no copy: the payload is a slice of the message.

use bytes::Bytes;

use crate::enhanced::{self, Codec};

/// A codec that pictures may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VideoCodec {
    Avc,
    Hevc,
    Av1,
    Vp9,
}

/// A codec that sound may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AudioCodec {
    Aac,
    Opus,
    Flac,
}

/// What a message holds of the main track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag<C> {
    /// The codec's configuration, as its sequence header has it.
    Config { codec: C, record: Bytes },
    /// One frame or packet. The offset is in ms; `key` is the sender's word, and says nothing of sound.
    Frame { codec: C, composition: i32, key: bool, data: Bytes },
    /// `[name, value]` pairs in AMF0 (Enhanced RTMP 2, "Metadata Frame").
    Metadata(Bytes),
    /// A codec, or a form of one, that is not supported.
    Unsupported(String),
    /// Nothing to decode: the end of a sequence, a command frame, a packet type to come.
    Ignored,
    /// No content at all, or cut off inside its header.
    Empty,
}

/// A message, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tagged<C> {
    pub(crate) tag: Tag<C>,
    /// To be added to the message's timestamp; below 1,000,000.
    pub(crate) nanos: u32,
    /// How many tracks other than track 0 the message has.
    pub(crate) others: usize,
}

impl<C> From<Tag<C>> for Tagged<C> {
    fn from(tag: Tag<C>) -> Self {
        Self { tag, nanos: 0, others: 0 }
    }
}

/// Reads a video message.
pub(crate) fn video(data: &Bytes) -> Tagged<VideoCodec> {
    let Some(&head) = data.first() else { return Tag::Empty.into() };
    if head & 0x80 != 0 {
        return enhanced::video(head, data.slice(1..));
    }
    // Frame type 5 is a command to a player (§E.4.3.1).
    if head >> 4 == 5 {
        return Tag::Ignored.into();
    }
    // 12 is no standard; encoders that knew H.265 before Enhanced RTMP send it with the layout of H.264.
    let codec = match head & 0x0f {
        7 => VideoCodec::Avc,
        12 => VideoCodec::Hevc,
        other => return Tag::Unsupported(video_codec(other)).into(),
    };
    let Some(&[_, packet, a, b, c]) = data.get(..5) else { return Tag::Empty.into() };
    let rest = data.slice(5..);
    match packet {
        0 => Tag::Config { codec, record: rest },
        1 => Tag::Frame { codec, composition: signed_24([a, b, c]), key: head >> 4 == 1, data: rest },
        _ => Tag::Ignored,
    }
    .into()
}

/// Reads an audio message.
pub(crate) fn audio(data: &Bytes) -> Tagged<AudioCodec> {
    let Some(&head) = data.first() else { return Tag::Empty.into() };
    match head >> 4 {
        9 => return enhanced::audio(head, data.slice(1..)),
        10 => {}
        other => return Tag::Unsupported(audio_codec(other)).into(),
    }
    let (Some(packet), codec) = (data.get(1), AudioCodec::Aac) else { return Tag::Empty.into() };
    let rest = data.slice(2..);
    match packet {
        0 => Tag::Config { codec, record: rest },
        1 => Tag::Frame { codec, composition: 0, key: true, data: rest },
        _ => Tag::Ignored,
    }
    .into()
}

impl Codec for VideoCodec {
    fn of(four: [u8; 4]) -> Option<Self> {
        match &four {
            b"avc1" => Some(Self::Avc),
            b"hvc1" => Some(Self::Hevc),
            b"av01" => Some(Self::Av1),
            b"vp09" => Some(Self::Vp9),
            _ => None,
        }
    }

    fn reorders(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc)
    }
}

impl VideoCodec {
    /// As people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Avc => "H.264",
            Self::Hevc => "H.265",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
        }
    }

    /// Its configuration, in a warning.
    pub(crate) const fn config_name(self) -> &'static str {
        match self {
            Self::Avc => "H.264 configuration",
            Self::Hevc => "H.265 configuration",
            Self::Av1 => "AV1 configuration",
            Self::Vp9 => "VP9 configuration",
        }
    }

    /// A frame of it, in a warning.
    pub(crate) const fn frame_name(self) -> &'static str {
        match self {
            Self::Avc => "H.264 frame",
            Self::Hevc => "H.265 frame",
            Self::Av1 => "AV1 frame",
            Self::Vp9 => "VP9 frame",
        }
    }
}

impl Codec for AudioCodec {
    fn of(four: [u8; 4]) -> Option<Self> {
        match &four {
            b"mp4a" => Some(Self::Aac),
            b"Opus" => Some(Self::Opus),
            b"fLaC" => Some(Self::Flac),
            _ => None,
        }
    }

    fn reorders(self) -> bool {
        false
    }
}

impl AudioCodec {
    /// As people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aac => "AAC",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
        }
    }

    /// Its configuration, in a warning.
    pub(crate) const fn config_name(self) -> &'static str {
        match self {
            Self::Aac => "AAC configuration",
            Self::Opus => "Opus configuration",
            Self::Flac => "FLAC configuration",
        }
    }

    /// A frame of it, in a warning.
    pub(crate) const fn frame_name(self) -> &'static str {
        match self {
            Self::Aac => "AAC frame",
            Self::Opus => "Opus packet",
            Self::Flac => "FLAC frame",
        }
    }
}

/// A composition time: signed, as encoders with B-frames and no delay send it.
pub(crate) fn signed_24([a, b, c]: [u8; 3]) -> i32 {
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
        13 => "av1 without a FourCC".into(),
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

#[cfg(test)]
#[path = "tag_tests.rs"]
mod tests;
