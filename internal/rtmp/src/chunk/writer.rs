//! Messages to chunks.

use bytes::Bytes;

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, Message};

/// Cuts messages into chunks, each message with a full (type 0) header: replies are few and small.
pub(crate) struct ChunkWriter {
    chunk_size: usize,
}

impl ChunkWriter {
    pub(crate) const fn new() -> Self {
        Self { chunk_size: DEFAULT_CHUNK_SIZE }
    }

    /// From the next message on; the peer must have been told.
    pub(crate) const fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size;
    }

    /// `chunk_stream` is 2 to 63: one byte holds it.
    pub(crate) fn write(&self, chunk_stream: u8, m: &Message) -> Bytes {
        let len = m.payload.len();
        let field = m.timestamp.min(EXTENDED);
        let mut out = Vec::with_capacity(len + 16 + len / self.chunk_size * 5);
        out.push(chunk_stream & 0x3f);
        out.extend(field.to_be_bytes().iter().skip(1));
        out.extend((len as u32).to_be_bytes().iter().skip(1));
        out.push(m.kind);
        out.extend(m.stream_id.to_le_bytes());
        let mut chunks = m.payload.chunks(self.chunk_size);
        if field == EXTENDED {
            out.extend(m.timestamp.to_be_bytes());
        }
        out.extend(chunks.next().unwrap_or_default());
        for chunk in chunks {
            out.push(0xc0 | chunk_stream & 0x3f);
            if field == EXTENDED {
                out.extend(m.timestamp.to_be_bytes());
            }
            out.extend(chunk);
        }
        out.into()
    }
}
