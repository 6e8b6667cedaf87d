//! What a viewer's URL names. Parsed once, decoded once, refused when it is not plain.

use media::{ObjectName, StreamPath};
use percent_encoding::percent_decode_str;
use thiserror::Error;

/// Four parts of 128 bytes and a file name, each byte escaped, fit; anything longer names nothing here.
const MAX_PATH_BYTES: usize = 2048;

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/`: the page that lists live streams.
    List,
    /// `/{path}/`: the page that plays a stream.
    Player(StreamPath),
    /// `/{path}` without its slash, or a page below `/hls/`: the player page is at `/{path}/`.
    Moved(StreamPath),
    /// `/{path}/{object}`, or the same below `/hls/`.
    Object(StreamPath, ObjectName),
    /// `/assets/{name}`.
    Asset(String),
}

/// Why a URL names nothing. The text never repeats the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadTarget {
    /// Longer than any name here.
    #[error("the URL is too long")]
    TooLong,
    /// An escape, a separator or a dot segment that no client of ours makes.
    #[error("the URL is malformed")]
    Malformed,
    /// A well-formed URL that names neither a stream nor an object of one.
    #[error("not found")]
    Unknown,
}

impl Target {
    /// Reads the path of a request URL, as received.
    pub(crate) fn parse(raw: &str) -> Result<Self, BadTarget> {
        if raw.len() > MAX_PATH_BYTES {
            return Err(BadTarget::TooLong);
        }
        let rest = raw.strip_prefix('/').ok_or(BadTarget::Malformed)?;
        let mut parts = rest.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
        let file = parts.pop().unwrap_or_default();
        // An empty part would make `//host` of a redirect, and two names of one object.
        if parts.iter().any(String::is_empty) {
            return Err(BadTarget::Malformed);
        }
        match parts.first().map(String::as_str) {
            None if file.is_empty() => return Ok(Self::List),
            Some("assets") if parts.len() == 1 => return Ok(Self::Asset(file)),
            Some("hls") => return Self::below_hls(&parts[1..], &file),
            _ => {}
        }
        if file.is_empty() {
            return Ok(Self::Player(stream(&parts)?));
        }
        Self::object(&parts, &file).unwrap_or_else(|| {
            parts.push(file);
            Ok(Self::Moved(stream(&parts)?))
        })
    }

    fn below_hls(parts: &[String], file: &str) -> Result<Self, BadTarget> {
        match Self::object(parts, file) {
            Some(target) => target,
            None if file.is_empty() => Ok(Self::Moved(stream(parts)?)),
            None => {
                let mut parts = parts.to_vec();
                parts.push(file.to_owned());
                Ok(Self::Moved(stream(&parts)?))
            }
        }
    }

    fn object(parts: &[String], file: &str) -> Option<Result<Self, BadTarget>> {
        let name = ObjectName::parse(file)?;
        Some(stream(parts).map(|path| Self::Object(path, name)))
    }
}

/// Undoes percent-encoding once. What is encoded twice still holds a `%`, which no name may.
fn decode(part: &str) -> Result<String, BadTarget> {
    let text = percent_decode_str(part).decode_utf8().map_err(|_| BadTarget::Malformed)?;
    let hostile = text == "."
        || text == ".."
        || text.chars().any(|c| matches!(c, '/' | '\\' | '%' | '\u{fffd}') || c.is_control());
    if hostile { Err(BadTarget::Malformed) } else { Ok(text.into_owned()) }
}

fn stream(parts: &[String]) -> Result<StreamPath, BadTarget> {
    StreamPath::parse(&parts.join("/")).map_err(|_| BadTarget::Unknown)
}

#[cfg(test)]
mod tests {
    use media::{Epoch, RenditionName};

    use super::*;

    fn path(s: &str) -> StreamPath {
        StreamPath::parse(s).expect("a valid path")
    }

    #[test]
    fn every_url_form_of_the_contract() {
        let media = ObjectName::Playlist(RenditionName::Media);
        for (url, want) in [
            ("/", Target::List),
            ("/live/demo/", Target::Player(path("live/demo"))),
            ("/live/demo", Target::Moved(path("live/demo"))),
            ("/live/", Target::Player(path("live"))),
            ("/hls/live", Target::Moved(path("live"))),
            ("/hls/live/demo/", Target::Moved(path("live/demo"))),
            ("/live/demo/index.m3u8", Target::Object(path("live/demo"), ObjectName::Index)),
            ("/hls/live/index.m3u8", Target::Object(path("live"), ObjectName::Index)),
            ("/hls/live/demo/media.m3u8", Target::Object(path("live/demo"), media)),
            ("/a/b/c/d/init.mp4", Target::Object(path("a/b/c/d"), ObjectName::CurrentInit)),
            ("/live/demo/segment_7.m4s", Target::Object(path("live/demo"), ObjectName::NthSegment(7))),
            ("/x/part_5_6.m4s", Target::Object(path("x"), ObjectName::Part { epoch: Epoch(5), seq: 6 })),
            (
                "/x/segment_5_6.m4s",
                Target::Object(path("x"), ObjectName::Segment { epoch: Epoch(5), msn: 6 }),
            ),
            ("/live/de%6do/media.m3u8", Target::Object(path("live/demo"), media)),
            ("/assets/player.js", Target::Asset("player.js".into())),
        ] {
            assert_eq!(Target::parse(url), Ok(want), "{url}");
        }
    }

    /// limits-and-faults.md, row 8: `../`, `%2e%2e`, backslashes, NUL, overlong UTF-8, length.
    #[test]
    fn hostile_urls_are_refused() {
        for url in [
            "",
            "live/demo",
            "*",
            "//live/demo/",
            "/live//index.m3u8",
            "/live/../secret/index.m3u8",
            "/live/./index.m3u8",
            "/live/%2e%2e/index.m3u8",
            "/live/%2E%2E%2Findex.m3u8",
            "/live%2fdemo/index.m3u8",
            "/live/%252e%252e/index.m3u8",
            "/live/..%5c..%5c/index.m3u8",
            "/live/a%00/index.m3u8",
            "/live/%c0%ae%c0%ae/index.m3u8",
            "/live/%ff/index.m3u8",
            "/live/%/index.m3u8",
            "/live/%zz/index.m3u8",
            "/live/x%0d%0aSet-Cookie:a/",
            "/hls//live/index.m3u8",
            "/assets/../Cargo.toml",
            "/assets/%2e%2e",
        ] {
            assert_eq!(Target::parse(url), Err(BadTarget::Malformed), "{url}");
        }
        let long = format!("/{}/index.m3u8", "a".repeat(3000));
        assert_eq!(Target::parse(&long), Err(BadTarget::TooLong));
    }

    #[test]
    fn names_that_are_no_streams_are_unknown() {
        for url in [
            "/index.m3u8",
            "/hls/",
            "/hls/index.m3u8",
            "/hls/hls/index.m3u8",
            "/api/v1/nothing",
            "/v3/paths/",
            "/metrics/x/",
            "/live/demo/whep",
            "/live/demo/other.m3u8",
            "/live/demo/segment_01.m4s",
            "/live/demo/media.ts",
            "/a/b/c/d/e/index.m3u8",
            "/live/a b/",
            "/live/%20/",
            "/live/ä/",
        ] {
            assert_eq!(Target::parse(url), Err(BadTarget::Unknown), "{url}");
        }
        let long = format!("/{}/", "x".repeat(129));
        assert_eq!(Target::parse(&long), Err(BadTarget::Unknown));
    }
}
