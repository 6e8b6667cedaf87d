//! Stream paths: the one name of a stream, and the one rule that maps every client onto it.

use std::{fmt, sync::Arc};

use thiserror::Error;

const MAX_PARTS: usize = 4;
const MAX_PART_BYTES: usize = 128;
const RESERVED_FIRST: [&str; 9] =
    ["api", "v3", "hls", "streams", "health", "ready", "metrics", "assets", "s"];
const RESERVED_LAST: [&str; 3] = ["whep", "whip", "publish"];
const RESERVED_ENDINGS: [&str; 4] = [".m3u8", ".mp4", ".m4s", ".ts"];

/// A stream's name: 1 to 4 parts of `[0-9A-Za-z_.~-]`, joined by `/`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPath(Arc<str>);

/// Why a name is not a stream path. The text never repeats the name, so it is safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidPath {
    /// No part at all, or an empty one.
    #[error("a stream path has 1 to 4 non-empty parts joined by '/'")]
    Shape,
    /// A part over 128 bytes.
    #[error("a part of a stream path has at most 128 bytes")]
    TooLong,
    /// A character outside the alphabet.
    #[error("a stream path may hold only letters, digits and _ . ~ -")]
    Character,
    /// `.` or `..`.
    #[error("a part of a stream path may not be '.' or '..'")]
    Dots,
    /// A name that routes use.
    #[error("this stream path is reserved: choose another first or last part, or another ending")]
    Reserved,
}

impl StreamPath {
    /// Reads a path that is already decoded, without a leading or trailing slash.
    ///
    /// # Errors
    /// [`InvalidPath`] says which rule of the contract ("Paths") is broken.
    pub fn parse(s: &str) -> Result<Self, InvalidPath> {
        let parts: Vec<&str> = s.split('/').take(MAX_PARTS + 1).collect();
        if parts.len() > MAX_PARTS || parts.iter().any(|p| p.is_empty()) {
            return Err(InvalidPath::Shape);
        }
        for part in &parts {
            check_part(part)?;
        }
        let first_reserved = parts.first().is_some_and(|p| RESERVED_FIRST.contains(p));
        let last_reserved = parts.last().is_some_and(|p| RESERVED_LAST.contains(p));
        if first_reserved || last_reserved {
            return Err(InvalidPath::Reserved);
        }
        Ok(Self(s.into()))
    }

    /// The path of a RapidRTMP stream key: a key holding `/` is a full path, any other lies below `app`.
    ///
    /// # Errors
    /// As [`StreamPath::parse`].
    pub fn from_stream_key(app: &str, key: &str) -> Result<Self, InvalidPath> {
        if key.contains('/') { Self::parse(key) } else { Self::parse(&format!("{app}/{key}")) }
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stream key that the API shows: the part after `{app}/`, or the whole path elsewhere.
    pub fn stream_key<'a>(&'a self, app: &str) -> &'a str {
        match self.0.strip_prefix(app).and_then(|r| r.strip_prefix('/')) {
            Some(key) if !key.contains('/') => key,
            _ => &self.0,
        }
    }
}

fn check_part(part: &str) -> Result<(), InvalidPath> {
    if part.len() > MAX_PART_BYTES {
        return Err(InvalidPath::TooLong);
    }
    if !part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'~' | b'-')) {
        return Err(InvalidPath::Character);
    }
    if part == "." || part == ".." {
        return Err(InvalidPath::Dots);
    }
    if RESERVED_ENDINGS.iter().any(|e| part.ends_with(e)) {
        return Err(InvalidPath::Reserved);
    }
    Ok(())
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_and_the_shape_hold() {
        for ok in ["live", "live/demo", "a/b/c/d", "A-1_2.3~x", "live/whepper"] {
            assert!(StreamPath::parse(ok).is_ok(), "{ok}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a/b/c/d/e",
            "a b",
            "a/../b",
            ".",
            "..",
            "a\\b",
            "a%2eb",
            "ä",
            "a\0",
        ] {
            assert!(StreamPath::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(StreamPath::parse(&"x".repeat(129)), Err(InvalidPath::TooLong));
        assert!(StreamPath::parse(&"x".repeat(128)).is_ok());
    }

    #[test]
    fn reserved_names_are_refused() {
        for bad in [
            "api",
            "api/x",
            "hls/live",
            "v3/x",
            "s/x",
            "live/whep",
            "whip",
            "publish",
            "live/x.m3u8",
            "x.ts/y",
        ] {
            assert_eq!(StreamPath::parse(bad), Err(InvalidPath::Reserved), "{bad}");
        }
    }

    #[test]
    fn keys_map_to_paths_and_back() {
        let p = StreamPath::from_stream_key("live", "demo").unwrap();
        assert_eq!((p.as_str(), p.stream_key("live")), ("live/demo", "demo"));
        let p = StreamPath::from_stream_key("live", "cam/1").unwrap();
        assert_eq!((p.as_str(), p.stream_key("live")), ("cam/1", "cam/1"));
        let p = StreamPath::parse("live").unwrap();
        assert_eq!(p.stream_key("live"), "live");
    }
}
