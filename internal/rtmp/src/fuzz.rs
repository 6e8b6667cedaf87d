//! What the parsers in here promise of any bytes at all, for `tests/fuzz`: each function panics where a promise is
//! broken. Behind the feature `fuzz`, so nothing of it is in a server.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a broken promise is a panic here")]

use bytes::Bytes;

use crate::{
    ChunkError,
    amf0::{self, Value},
    chunk::{ChunkReader, ChunkWriter, Limits, Message, kind},
    command::Command,
    metadata, target,
};

mod publisher;

pub use publisher::{session, tags};

/// Small, so that short inputs reach them.
const LIMITS: Limits = Limits { message: 4096, video_message: 8192, buffered: 12_288, chunk_streams: 4 };

/// The chunk reader: the same messages however the bytes are cut, memory within its limits, and what was read can be
/// written and read again. The first byte chooses where one cut is.
pub fn chunks(data: &[u8]) {
    let Some((first, input)) = data.split_first() else { return };
    let whole = read_in([input]);
    assert_eq!(whole, read_in(input.chunks(1)), "cut at every byte");
    let at = usize::from(*first) * input.len() / 256;
    assert_eq!(whole, read_in([&input[..at], &input[at..]]), "cut at {at}");
    let (messages, _) = whole;
    assert!(messages.iter().map(|m| m.payload.len()).sum::<usize>() <= input.len(), "bytes from nowhere");
    let writer = ChunkWriter::new();
    let mut reader = ChunkReader::new(LIMITS);
    for m in messages {
        let written = writer.write(3, &m);
        let again = reader.read(&mut &*written).expect("what we write can be read");
        assert_eq!(again.as_ref(), Some(&m));
    }
}

/// Reads pieces as a session does: a new chunk size holds from the next chunk on.
fn read_in<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = ChunkReader::new(LIMITS);
    let mut messages = Vec::new();
    for mut piece in pieces {
        while let Some(m) = match reader.read(&mut piece) {
            Ok(m) => m,
            Err(e) => return (messages, Some(e)),
        } {
            assert!(reader.buffered() <= LIMITS.buffered, "{} bytes are held", reader.buffered());
            let cap = if m.kind == kind::VIDEO { LIMITS.video_message } else { LIMITS.message };
            assert!(m.payload.len() <= cap, "a message of {} bytes", m.payload.len());
            let number = m.payload.first_chunk().map(|b| u32::from_be_bytes(*b));
            let failed = match (m.kind, number) {
                (kind::SET_CHUNK_SIZE, Some(n)) => reader.set_chunk_size(n).err(),
                (kind::ABORT, Some(n)) => {
                    reader.abort(n);
                    None
                }
                _ => None,
            };
            messages.push(m);
            if failed.is_some() {
                return (messages, failed);
            }
        }
        assert!(piece.is_empty(), "input is left behind");
        assert!(reader.buffered() <= LIMITS.buffered, "{} bytes are held", reader.buffered());
    }
    (messages, None)
}

/// AMF0: values are no larger than what they were read from, and read the same once written.
pub fn amf0(data: &[u8]) {
    // As commands and metadata they are no more than read.
    let _command = Command::read(data);
    let Ok(values) = amf0::decode_all(data) else { return };
    let _metadata = metadata::read(&values);
    let mut seen = Seen::default();
    values.iter().for_each(|v| seen.value(v, 0));
    assert!(seen.values <= 1024, "{} values", seen.values);
    assert!(seen.depth <= 16, "{} deep", seen.depth);
    // A byte that is no UTF-8 becomes three.
    assert!(seen.text <= 3 * data.len(), "{} bytes of text from {}", seen.text, data.len());
    if seen.longest > usize::from(u16::MAX) {
        return;
    }
    let mut written = Vec::new();
    amf0::encode(&mut written, &values);
    let again = amf0::decode_all(&written).expect("what we write can be read");
    let mut twice = Vec::new();
    amf0::encode(&mut twice, &again);
    // Bytes are compared, since NaN is not equal to itself.
    assert_eq!(written, twice);
}

#[derive(Default)]
struct Seen {
    values: usize,
    depth: usize,
    text: usize,
    longest: usize,
}

impl Seen {
    fn value(&mut self, v: &Value, depth: usize) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match v {
            Value::String(s) => self.text(s),
            Value::Array(items) => items.iter().for_each(|v| self.value(v, depth + 1)),
            Value::Object(properties) => {
                for (name, v) in properties {
                    self.text(name);
                    self.value(v, depth + 1);
                }
            }
            Value::Number(_) | Value::Boolean(_) | Value::Null | Value::Undefined => {}
        }
    }

    fn text(&mut self, s: &str) {
        self.text += s.len();
        self.longest = self.longest.max(s.len());
    }
}

/// App, `tcUrl` and stream name (one line each) to a path: credentials stand nowhere but in their place.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (app, url, name) = (line(), line(), line());
    let r = target::request(app, url, name);
    assert!(r.query.len() <= 4096, "a query of {} bytes", r.query.len());
    let left = target::request("", "", &format!("x?{}", r.query)).credentials;
    assert_eq!(left, media::Credentials::default(), "credentials are left in the query");
    if let Ok(path) = &r.path {
        assert!(path.as_str().split('/').all(|p| !p.is_empty() && p != "." && p != ".."), "{path:?}");
        assert_eq!(media::StreamPath::parse(path.as_str()).as_ref(), Ok(path));
    }
    assert!(!target::app_name(app).contains('?'));
}

/// A message's payload without a copy, as the reader gives it.
fn message(kind: u8, stream_id: u32, timestamp: u32, payload: &[u8]) -> Message {
    Message { kind, stream_id, timestamp, payload: Bytes::copy_from_slice(payload) }
}
