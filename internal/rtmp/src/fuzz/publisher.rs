//! A publisher that is let in, and then sends anything.

use std::sync::Arc;

use bytes::Bytes;
use media::{CodecConfig, Frame, Ticks, Track, nal_units};

use super::message;
use crate::{
    Event, Output, Session, SessionError, SessionOptions,
    amf0::{self, Value},
    chunk::{ChunkWriter, kind},
};

/// Small, so that short inputs reach them.
const OPTIONS: SessionOptions = SessionOptions {
    max_message: 4096,
    max_video_message: 8192,
    max_buffered: 12_288,
    max_chunk_streams: 8,
    window_ack_size: 4096,
};
/// Steps back by less than this never come out of a session.
const JUMP_BACK: Ticks = Ticks::from_millis(1_000);

/// What a session tells its owner, without what it sends.
#[derive(Debug, PartialEq)]
enum Told {
    Frame { dts: Ticks, pts: Ticks, key: bool, id: u8, data: Bytes },
    Other(String),
}

/// A session after its publish was accepted: the same events however the bytes are cut. The first byte chooses where
/// one cut is.
pub fn session(data: &[u8]) {
    let Some((first, input)) = data.split_first() else { return };
    let whole = told([input]);
    assert_eq!(whole, told(input.chunks(1)), "cut at every byte");
    let at = usize::from(*first) * input.len() / 256;
    assert_eq!(whole, told([&input[..at], &input[at..]]), "cut at {at}");
}

fn told<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Told>, Option<SessionError>) {
    let mut session = accepted();
    let mut all = Vec::new();
    let mut check = Check::default();
    for piece in pieces {
        if let Err(e) = feed(&mut session, piece, &mut all, &mut check) {
            return (all, Some(e));
        }
    }
    (all, None)
}

/// Messages of a publish: media of any kind, each with its time and length. A record is a kind, a time step, a length
/// (two bytes) and the payload.
pub fn tags(data: &[u8]) {
    let mut session = accepted();
    let (mut all, mut check, mut time) = (Vec::new(), Check::default(), 0_u32);
    let (mut rest, mut messages) = (data, 0);
    while let Some((&[what, step, hi, lo], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([hi, lo])) % 2048;
        let (payload, tail) = tail.split_at(len.min(tail.len()));
        rest = tail;
        let kind = match what % 8 {
            0..=2 => kind::VIDEO,
            3..=5 => kind::AUDIO,
            6 => kind::DATA_AMF0,
            _ => kind::AGGREGATE,
        };
        // The high bits let time jump, both ways.
        let step = match what >> 6 {
            0 | 1 => u32::from(step),
            2 => u32::from(step) << 24,
            _ => u32::from(step).wrapping_neg(),
        };
        time = time.wrapping_add(step);
        messages += 1;
        let bytes = ChunkWriter::new().write(4, &message(kind, 1, time, payload));
        if feed(&mut session, &bytes, &mut all, &mut check).is_err() {
            break;
        }
    }
    let frames = all.iter().filter(|t| matches!(t, Told::Frame { .. }));
    let bytes: usize = frames.map(|t| if let Told::Frame { data, .. } = t { data.len() } else { 0 }).sum();
    assert!(bytes <= data.len(), "{bytes} bytes of media from {} of input", data.len());
    // Each kind of warning once, and no more events than messages call for.
    assert!(all.len() <= 2 * data.len() + 2 * messages + 32, "{} events", all.len());
}

/// A session that waits for media.
fn accepted() -> Session {
    let mut session = Session::new(OPTIONS);
    let mut hello = vec![0; 1 + 2 * 1536];
    hello[0] = 3;
    let string = |s: &str| Value::String(s.to_owned());
    let connect = Value::Object(vec![("app".to_owned(), string("live"))]);
    hello.extend(command(0, &[string("connect"), Value::Number(1.0), connect]));
    hello.extend(command(1, &[string("publish"), Value::Number(2.0), Value::Null, string("demo")]));
    session.handle_input(&hello).expect("a usual beginning");
    let mut asked = false;
    while let Some(output) = session.poll_output() {
        asked |= matches!(output, Output::Event(Event::Publish(_)));
    }
    assert!(asked, "it asks to publish");
    session.accept_publish();
    session.handle_input(&[]).expect("nothing came behind it");
    session
}

fn command(stream: u32, values: &[Value]) -> Bytes {
    let mut payload = Vec::new();
    amf0::encode(&mut payload, values);
    ChunkWriter::new().write(3, &message(kind::COMMAND_AMF0, stream, 0, &payload))
}

/// Feeds a piece, and lets in whoever asks to publish.
fn feed(
    session: &mut Session,
    piece: &[u8],
    all: &mut Vec<Told>,
    check: &mut Check,
) -> Result<(), SessionError> {
    let mut result = session.handle_input(piece);
    loop {
        let mut asked = false;
        while let Some(output) = session.poll_output() {
            let Output::Event(event) = output else { continue };
            asked |= matches!(event, Event::Publish(_));
            check.event(&event);
            all.push(match event {
                Event::Frame(Frame { track, dts, pts, key, data }) => {
                    Told::Frame { dts, pts, key, id: track.id, data }
                }
                other => Told::Other(format!("{other:?}")),
            });
        }
        if !asked || result.is_err() {
            return result;
        }
        session.accept_publish();
        result = session.handle_input(&[]);
    }
}

/// What holds of every event after the last one.
#[derive(Default)]
struct Check {
    tracks: Vec<Arc<Track>>,
    last: Vec<(u8, Ticks)>,
}

impl Check {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Tracks(t) => self.tracks = [&t.video, &t.audio].into_iter().flatten().cloned().collect(),
            Event::Frame(frame) => self.frame(frame),
            Event::Publish(_) => *self = Self::default(),
            Event::Warning(w) => assert!(w.to_string().len() <= 512, "{w}"),
            Event::Connected { .. } | Event::Unpublish => {}
        }
    }

    fn frame(&mut self, frame: &Frame) {
        assert!(!frame.data.is_empty(), "a frame without content");
        let known = self.tracks.iter().any(|t| Arc::ptr_eq(t, &frame.track));
        assert!(known, "a frame of a track that was not told");
        if let CodecConfig::Avc(_) = frame.track.config {
            assert!(nal_units(&frame.data).is_some(), "NAL units overrun their frame");
        }
        let id = frame.track.id;
        let before = self.last.iter().position(|l| l.0 == id).map(|at| self.last.swap_remove(at).1);
        if let Some(before) = before {
            let back = before - frame.dts;
            assert!(back < Ticks::ZERO || back >= JUMP_BACK, "{before:?} is followed by {:?}", frame.dts);
        }
        self.last.push((id, frame.dts));
    }
}
