//! What Enhanced RTMP adds: FourCC tag headers, modifiers, several tracks in a message, and what both sides say of
//! themselves in `connect`.

use bytes::Bytes;

use crate::{
    amf0::Value,
    tag::{AudioCodec, Tag, Tagged, VideoCodec, signed_24},
};

/// `VideoPacketType` and `AudioPacketType`, where they agree.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const MOD_EX: u8 = 7;
/// `VideoPacketType`.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MPEG2_TS_SEQUENCE_START: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
/// `AudioPacketType`.
const AUDIO_MULTITRACK: u8 = 5;
/// `VideoFrameType`.
const KEY_FRAME: u8 = 1;
const GENERATED_KEY_FRAME: u8 = 4;
const COMMAND: u8 = 5;
/// `AvMultitrackType`.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS_MANY_CODECS: u8 = 2;
/// `ModExType`.
const TIMESTAMP_OFFSET_NANO: u8 = 0;
/// A whole millisecond belongs to the message's timestamp.
const MAX_NANOS: u32 = 999_999;

/// `CapsExMask`.
const RECONNECT: u32 = 0x01;
const UNDERSTANDS_MOD_EX: u32 = 0x04;
const TIMESTAMP_NANO_OFFSET: u32 = 0x08;
/// `FourCcInfoMask.CanForward`: frames go to viewers as they came.
const CAN_FORWARD: f64 = 4.0;
const VIDEO: [&str; 4] = ["avc1", "hvc1", "av01", "vp09"];
const AUDIO: [&str; 3] = ["mp4a", "Opus", "fLaC"];

/// The codecs of one kind of track.
pub(crate) trait Codec: Copy {
    /// By FourCC; `None` when it is not supported.
    fn of(four: [u8; 4]) -> Option<Self>;
    /// Its frames have a composition time.
    fn reorders(self) -> bool;
}

/// What the packets of a kind of track are numbered.
struct Packets {
    multitrack: u8,
    /// Frames of this type are key frames.
    key: bool,
    video: bool,
}

/// Reads what follows the first byte of an ExVideoTagHeader.
pub(crate) fn video(head: u8, rest: Bytes) -> Tagged<VideoCodec> {
    let frame = head >> 4 & 7;
    let key = matches!(frame, KEY_FRAME | GENERATED_KEY_FRAME);
    let packets = Packets { multitrack: VIDEO_MULTITRACK, key, video: true };
    let Some((packet, nanos, rest)) = modifiers(head & 0x0f, rest) else { return Tag::Empty.into() };
    // The frame type means nothing where there is metadata.
    if frame == COMMAND && packet != METADATA {
        return Tag::Ignored.into();
    }
    packets.read(packet, nanos, rest)
}

/// Reads what follows the first byte of an ExAudioTagHeader.
pub(crate) fn audio(head: u8, rest: Bytes) -> Tagged<AudioCodec> {
    let packets = Packets { multitrack: AUDIO_MULTITRACK, key: true, video: false };
    match modifiers(head & 0x0f, rest) {
        Some((packet, nanos, rest)) => packets.read(packet, nanos, rest),
        None => Tag::Empty.into(),
    }
}

/// Takes ModEx packets off: the packet type behind them, the last offset in ns, and the rest. Each takes 3 bytes at
/// least, so the message bounds them.
fn modifiers(mut packet: u8, mut rest: Bytes) -> Option<(u8, u32, Bytes)> {
    let mut nanos = 0;
    while packet == MOD_EX {
        let mut size = usize::from(take::<1>(&mut rest)?[0]) + 1;
        if size == 256 {
            size = usize::from(u16::from_be_bytes(take(&mut rest)?)) + 1;
        }
        if size > rest.len() {
            return None;
        }
        let data = rest.split_to(size);
        let [types] = take(&mut rest)?;
        if types >> 4 == TIMESTAMP_OFFSET_NANO
            && let Some(&[a, b, c]) = data.first_chunk()
        {
            nanos = u32::from_be_bytes([0, a, b, c]).min(MAX_NANOS);
        }
        packet = types & 0x0f;
    }
    Some((packet, nanos, rest))
}

impl Packets {
    fn read<C: Codec>(&self, packet: u8, nanos: u32, rest: Bytes) -> Tagged<C> {
        if packet == self.multitrack {
            let (tag, others) = self.tracks(rest);
            return Tagged { tag, nanos, others };
        }
        Tagged { nanos, ..self.single(packet, rest).into() }
    }

    /// FourCC and body.
    fn single<C: Codec>(&self, packet: u8, mut rest: Bytes) -> Tag<C> {
        match take(&mut rest) {
            Some(four) => self.body(packet, four, rest),
            None => Tag::Empty,
        }
    }

    /// Several tracks, or one of several: track 0 is read, the others are counted. Each track takes 4 bytes at least.
    fn tracks<C: Codec>(&self, mut rest: Bytes) -> (Tag<C>, usize) {
        let (mut main, mut others) = (None, 0);
        let Some([types]) = take(&mut rest) else { return (Tag::Empty, 0) };
        let (form, packet) = (types >> 4, types & 0x0f);
        if form > MANY_TRACKS_MANY_CODECS || packet == self.multitrack {
            return (Tag::Ignored, 0);
        }
        let shared = if form == MANY_TRACKS_MANY_CODECS { None } else { take(&mut rest) };
        while !rest.is_empty() {
            let Some((id, four, body)) = track(form, shared, &mut rest) else {
                return (main.unwrap_or(Tag::Empty), others);
            };
            if id == 0 {
                main.get_or_insert(self.body(packet, four, body));
            } else {
                others += 1;
            }
        }
        let nothing = if others == 0 { Tag::Empty } else { Tag::Ignored };
        (main.unwrap_or(nothing), others)
    }

    fn body<C: Codec>(&self, packet: u8, four: [u8; 4], mut rest: Bytes) -> Tag<C> {
        let has_media = matches!(packet, SEQUENCE_START | CODED_FRAMES)
            || self.video && matches!(packet, CODED_FRAMES_X | MPEG2_TS_SEQUENCE_START);
        if self.video && packet == METADATA {
            return Tag::Metadata(rest);
        }
        if !has_media {
            return Tag::Ignored;
        }
        let Some(codec) = C::of(four) else { return Tag::Unsupported(four_cc(four)) };
        match packet {
            SEQUENCE_START => Tag::Config { codec, record: rest },
            MPEG2_TS_SEQUENCE_START => Tag::Unsupported(format!("{} as in MPEG-2 TS", four_cc(four))),
            CODED_FRAMES if codec.reorders() => match take(&mut rest) {
                Some(offset) => {
                    Tag::Frame { codec, composition: signed_24(offset), key: self.key, data: rest }
                }
                None => Tag::Empty,
            },
            _ => Tag::Frame { codec, composition: 0, key: self.key, data: rest },
        }
    }
}

/// The next track of a message: its number, its codec and its body.
fn track(form: u8, shared: Option<[u8; 4]>, rest: &mut Bytes) -> Option<(u8, [u8; 4], Bytes)> {
    let four = match shared {
        Some(four) => four,
        None => take(rest)?,
    };
    let [id] = take(rest)?;
    if form == ONE_TRACK {
        return Some((id, four, std::mem::take(rest)));
    }
    let [a, b, c] = take(rest)?;
    let size = u32::from_be_bytes([0, a, b, c]) as usize;
    if size > rest.len() {
        return None;
    }
    Some((id, four, rest.split_to(size)))
}

/// The next `N` bytes, taken off.
fn take<const N: usize>(rest: &mut Bytes) -> Option<[u8; N]> {
    let taken = *rest.first_chunk::<N>()?;
    *rest = rest.slice(N..);
    Some(taken)
}

/// A FourCC as text that is safe to show; known ones as ffmpeg calls them.
fn four_cc(four: [u8; 4]) -> String {
    match &four {
        b"avc1" => "h264".into(),
        b"hvc1" => "hevc".into(),
        b"vvc1" => "vvc".into(),
        b"av01" => "av1".into(),
        b"vp08" => "vp8".into(),
        b"vp09" => "vp9".into(),
        b".mp3" => "mp3".into(),
        b"ac-3" => "ac3".into(),
        b"ec-3" => "eac3".into(),
        _ => four.iter().map(|b| if b.is_ascii_alphanumeric() { char::from(*b) } else { '?' }).collect(),
    }
}

/// What a client says of itself in `connect` ("Enhancing NetConnection connect Command").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// It said something, so it understands the answer.
    pub(crate) enhanced: bool,
    /// It connects anew when asked to.
    pub(crate) reconnects: bool,
}

impl Client {
    /// Reads the command object. What codecs it may send is of no use: the stream says what it does send.
    pub(crate) fn read(object: &Value) -> Self {
        let caps = object.get("capsEx").and_then(Value::as_number).unwrap_or(0.0);
        let names = ["fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"];
        Self {
            enhanced: names.iter().any(|n| object.get(n).is_some()),
            // A float that is no such number becomes 0, or bits without a meaning.
            reconnects: caps as u32 & RECONNECT != 0,
        }
    }
}

/// What we say of ourselves. Not `CapsExMask.Multitrack`: more than the main tracks would come in vain.
pub(crate) fn server() -> [(&'static str, Value); 4] {
    let list = VIDEO.iter().chain(&AUDIO).map(|four| Value::String((*four).to_owned())).collect();
    let map = |names: &[&str]| {
        Value::Object(names.iter().map(|four| ((*four).to_owned(), Value::Number(CAN_FORWARD))).collect())
    };
    let caps = RECONNECT | UNDERSTANDS_MOD_EX | TIMESTAMP_NANO_OFFSET;
    [
        ("fourCcList", Value::Array(list)),
        ("videoFourCcInfoMap", map(&VIDEO)),
        ("audioFourCcInfoMap", map(&AUDIO)),
        ("capsEx", Value::Number(f64::from(caps))),
    ]
}
