//! A playlist as text, shared by everybody who asked for it.

use std::{
    io::Write as _,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Playlists are small and repeat themselves: level 6 takes tens of microseconds once per change.
const LEVEL: u32 = 6;

/// One rendering of a playlist. Cheap to clone; compressed at most once, when the first reader wants it so.
#[derive(Clone, Debug)]
pub struct Rendered(Arc<Text>);

#[derive(Debug)]
struct Text {
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    etag: String,
    target_duration: u32,
    ended: bool,
}

impl Rendered {
    pub(crate) fn new(text: String, etag: String, target_duration: u32, ended: bool) -> Self {
        Self(Arc::new(Text { plain: text.into(), gzip: OnceLock::new(), etag, target_duration, ended }))
    }

    /// The text.
    pub fn plain(&self) -> Bytes {
        self.0.plain.clone()
    }

    /// The text compressed with gzip. The first caller compresses, which others wait for.
    pub fn gzip(&self) -> Bytes {
        self.0.gzip.get_or_init(|| compress(&self.0.plain)).clone()
    }

    /// A validator of the plain text, without quotes: the epoch and the position. The compressed form needs its own.
    pub fn etag(&self) -> &str {
        &self.0.etag
    }

    /// TARGETDURATION in seconds.
    pub fn target_duration(&self) -> u32 {
        self.0.target_duration
    }

    /// Whether the stream is over.
    pub fn ended(&self) -> bool {
        self.0.ended
    }

    /// Whether both are the same rendering.
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn compress(text: &[u8]) -> Bytes {
    let mut gz = GzEncoder::new(Vec::with_capacity(text.len() / 3 + 64), Compression::new(LEVEL));
    gz.write_all(text).and_then(|()| gz.finish()).expect("writing to a Vec cannot fail").into()
}
