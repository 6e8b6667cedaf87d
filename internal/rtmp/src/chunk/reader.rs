//! Chunks to messages.

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, Message, kind};
use crate::ChunkError;

/// Basic header 3, message header 11, extended timestamp 4 bytes.
const MAX_HEADER: usize = 18;
/// A message's first allocation: whole frames of ordinary size are copied once.
const FIRST_ALLOCATION: usize = 64 * 1024;
/// RTMP §5.4.1: larger sizes are equivalent to this one; and a set bit 31 is forbidden.
const MAX_CHUNK_SIZE: u32 = 0xff_ffff;
/// A type 3 message after a type 0 one takes its timestamp as delta (RTMP §5.3.1.2.4). That holds near
/// the start of a stream only; later it is a sender that means "the same time".
const MAX_DELTA_OF_TYPE_0: u32 = 10_000;

/// What a peer may make the reader hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) message: usize,
    pub(crate) video_message: usize,
    pub(crate) buffered: usize,
    pub(crate) chunk_streams: usize,
}

/// Whether type 3 chunks repeat the extended timestamp, as RTMP §5.3.1.3 says, or omit it, as some
/// senders do. Learnt once a connection, from the first such chunk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Unknown,
    Yes,
    No,
}

/// Puts messages together from interleaved chunk streams.
pub(crate) struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Bytes taken from the input that are not a whole header yet.
    head: Head,
    /// The chunk whose payload is being read: index in `streams`, bytes to come.
    chunk: Option<(usize, usize)>,
    repeats: Repeats,
    /// Capacity of all partial messages.
    buffered: usize,
}

#[derive(Default)]
struct ChunkStream {
    id: u32,
    timestamp: u32,
    delta: u32,
    length: usize,
    kind: u8,
    stream_id: u32,
    /// The extended timestamp field of the last header of type 0–2, if it had one.
    extended: Option<u32>,
    partial: Option<Vec<u8>>,
}

/// A chunk's header as it stands on the wire.
struct Header {
    format: u8,
    id: u32,
    /// Absolute or delta; from the extended field if there is one. Not given by type 3.
    time: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream_id: u32,
    /// How many bytes of the head it took.
    size: usize,
}

enum Parsed {
    /// The head must hold this many bytes to go on.
    Need(usize),
    Header(Header),
}

impl ChunkReader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
            head: Head::default(),
            chunk: None,
            repeats: Repeats::Unknown,
            buffered: 0,
        }
    }

    /// What the peer may make the reader hold from now on.
    pub(crate) const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Set Chunk Size from the peer (RTMP §5.4.1).
    pub(crate) fn set_chunk_size(&mut self, size: u32) -> Result<(), ChunkError> {
        if !(1..=MAX_CHUNK_SIZE).contains(&size) {
            return Err(ChunkError::ChunkSize(size));
        }
        self.chunk_size = size as usize;
        Ok(())
    }

    /// Abort Message (RTMP §5.4.2): drops what came of a chunk stream's message.
    pub(crate) fn abort(&mut self, id: u32) {
        if let Some(s) = self.streams.iter_mut().find(|s| s.id == id)
            && let Some(partial) = s.partial.take()
        {
            self.buffered -= partial.capacity();
        }
    }

    /// Bytes held for unfinished messages.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Takes input until a message is whole. `None`: all input is taken.
    ///
    /// # Errors
    /// [`ChunkError`]; the stream cannot be read on.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        loop {
            if self.chunk.is_none() && !self.read_header(input)? {
                return Ok(None);
            }
            let Some((index, left)) = self.chunk else { continue };
            let left = self.read_payload(index, left, input)?;
            if left > 0 {
                self.chunk = Some((index, left));
                return Ok(None);
            }
            self.chunk = None;
            if let Some(message) = self.finish(index) {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a chunk's header and prepares its payload; `false` when the input ran out.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, ChunkError> {
        let header = loop {
            match self.parse() {
                Parsed::Header(h) => break h,
                Parsed::Need(n) => {
                    if !self.head.fill(n, input) {
                        return Ok(false);
                    }
                }
            }
        };
        self.head.take(header.size);
        let index = self.begin_chunk(&header)?;
        if let Some(s) = self.streams.get(index) {
            let rest = s.length - s.partial.as_ref().map_or(0, Vec::len);
            self.chunk = Some((index, rest.min(self.chunk_size)));
        }
        Ok(true)
    }

    /// RTMP §5.3.1, from the bytes in `head`.
    fn parse(&mut self) -> Parsed {
        let bytes = self.head.bytes();
        let (format, id, basic) = match *bytes {
            [] => return Parsed::Need(1),
            [b, ..] if b & 0x3f > 1 => (b >> 6, u32::from(b & 0x3f), 1),
            [b, lo, ..] if b & 0x3f == 0 => (b >> 6, 64 + u32::from(lo), 2),
            [b, lo, hi, ..] => (b >> 6, 64 + u32::from(lo) + 256 * u32::from(hi), 3),
            [b, ..] => return Parsed::Need(if b & 0x3f == 0 { 2 } else { 3 }),
        };
        if format == 3 {
            return self.parse_type_3(id, basic);
        }
        let size = basic + [11, 7, 3].get(usize::from(format)).copied().unwrap_or(0);
        let Some(fields) = bytes.get(basic..size) else { return Parsed::Need(size) };
        let mut h = Header { format, id, time: 0, extended: false, length: 0, kind: 0, stream_id: 0, size };
        if let [a, b, c, rest @ ..] = fields {
            h.time = u32::from_be_bytes([0, *a, *b, *c]);
            if let [a, b, c, kind, rest @ ..] = rest {
                h.length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                h.kind = *kind;
                if let [a, b, c, d] = rest {
                    h.stream_id = u32::from_le_bytes([*a, *b, *c, *d]);
                }
            }
        }
        if h.time == EXTENDED {
            h.size += 4;
            let Some(&[a, b, c, d]) = bytes.get(size..h.size) else { return Parsed::Need(h.size) };
            h.time = u32::from_be_bytes([a, b, c, d]);
            h.extended = true;
        }
        Parsed::Header(h)
    }

    /// A type 3 header has an extended timestamp if the last one of another type had one, from senders
    /// that repeat it.
    fn parse_type_3(&mut self, id: u32, basic: usize) -> Parsed {
        let mut h =
            Header { format: 3, id, time: 0, extended: false, length: 0, kind: 0, stream_id: 0, size: basic };
        let Some(s) = self.streams.iter().find(|s| s.id == id) else { return Parsed::Header(h) };
        let Some(extended) = s.extended else { return Parsed::Header(h) };
        if self.repeats == Repeats::Unknown {
            let have = self.head.bytes().get(basic..).unwrap_or_default();
            let have = have.get(..4).unwrap_or(have);
            // Some repeat the field, some write the absolute time where the field was a delta.
            let fits = [extended, s.timestamp].iter().any(|t| t.to_be_bytes().starts_with(have));
            self.repeats = match (fits, have.len()) {
                (false, _) => Repeats::No,
                (true, 4) => Repeats::Yes,
                (true, n) => return Parsed::Need(basic + n + 1),
            };
        }
        if self.repeats == Repeats::Yes {
            h.size += 4;
            if self.head.bytes().len() < h.size {
                return Parsed::Need(h.size);
            }
        }
        Parsed::Header(h)
    }

    /// Applies a header to its chunk stream, and begins a message if none is going on.
    fn begin_chunk(&mut self, h: &Header) -> Result<usize, ChunkError> {
        let index = self.index_of(h)?;
        let limits = self.limits;
        let Some(s) = self.streams.get_mut(index) else { return Err(ChunkError::NoHeader) };
        if h.format < 3 {
            s.extended = h.extended.then_some(h.time);
        }
        if s.partial.is_some() {
            // RTMP §5.3.1.2.4: continuations SHOULD be of type 3, so 1 and 2 may stand there too.
            let same = h.format >= 2 || h.format == 1 && h.length == s.length && h.kind == s.kind;
            return if same { Ok(index) } else { Err(ChunkError::Unfinished) };
        }
        match h.format {
            0 => {
                s.timestamp = h.time;
                s.delta = if h.time <= MAX_DELTA_OF_TYPE_0 { h.time } else { 0 };
                s.stream_id = h.stream_id;
            }
            1 | 2 => {
                s.delta = h.time;
                s.timestamp = s.timestamp.wrapping_add(h.time);
            }
            _ => s.timestamp = s.timestamp.wrapping_add(s.delta),
        }
        if h.format < 2 {
            (s.length, s.kind) = (h.length, h.kind);
        }
        let cap = if s.kind == kind::VIDEO { limits.video_message } else { limits.message };
        if s.length > cap {
            return Err(ChunkError::MessageTooLong(s.length));
        }
        s.partial = Some(Vec::new());
        Ok(index)
    }

    fn index_of(&mut self, h: &Header) -> Result<usize, ChunkError> {
        if let Some(index) = self.streams.iter().position(|s| s.id == h.id) {
            return Ok(index);
        }
        // Type 1 gives all but the message stream; librtmp opens the control stream with it.
        if h.format > 1 {
            return Err(ChunkError::NoHeader);
        }
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(ChunkError::TooManyChunkStreams);
        }
        self.streams.push(ChunkStream { id: h.id, ..ChunkStream::default() });
        Ok(self.streams.len() - 1)
    }

    /// Copies payload to its message; returns what is still to come of the chunk.
    fn read_payload(&mut self, index: usize, left: usize, input: &mut &[u8]) -> Result<usize, ChunkError> {
        let Some(s) = self.streams.get_mut(index) else { return Ok(0) };
        let length = s.length;
        let Some(partial) = &mut s.partial else { return Ok(0) };
        let from_head = left.min(self.head.bytes().len());
        let from_input = (left - from_head).min(input.len());
        let need = partial.len() + from_head + from_input;
        if need > partial.capacity() {
            let old = partial.capacity();
            let new = need.max(old * 2).max(FIRST_ALLOCATION).min(length);
            if self.buffered - old + new > self.limits.buffered {
                return Err(ChunkError::TooMuchBuffered);
            }
            partial.reserve_exact(new - partial.len());
            self.buffered = self.buffered - old + partial.capacity();
        }
        partial.extend_from_slice(self.head.bytes().get(..from_head).unwrap_or_default());
        self.head.take(from_head);
        let (now, rest) = input.split_at(from_input);
        partial.extend_from_slice(now);
        *input = rest;
        Ok(left - from_head - from_input)
    }

    /// The message, if its last chunk came.
    fn finish(&mut self, index: usize) -> Option<Message> {
        let s = self.streams.get_mut(index)?;
        if s.partial.as_ref()?.len() < s.length {
            return None;
        }
        let payload = s.partial.take()?;
        self.buffered -= payload.capacity();
        Some(Message {
            kind: s.kind,
            stream_id: s.stream_id,
            timestamp: s.timestamp,
            payload: payload.into(),
        })
    }
}

/// A few bytes that came too early.
#[derive(Default)]
struct Head {
    buf: [u8; MAX_HEADER],
    len: usize,
}

impl Head {
    fn bytes(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// Takes input until `n` bytes are there; `false` if there is too little.
    fn fill(&mut self, n: usize, input: &mut &[u8]) -> bool {
        while self.len < n {
            let (Some((&byte, rest)), Some(slot)) = (input.split_first(), self.buf.get_mut(self.len)) else {
                return false;
            };
            *slot = byte;
            self.len += 1;
            *input = rest;
        }
        true
    }

    /// Drops the first `n` bytes.
    fn take(&mut self, n: usize) {
        let n = n.min(self.len);
        self.buf.copy_within(n..self.len, 0);
        self.len -= n;
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
