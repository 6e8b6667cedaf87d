//! Names of a stream's objects, alike in URLs and in the store (contract: "Objects").

use std::fmt;

use crate::{Epoch, Msn};

/// A media playlist of a stream: the main one, or an extra audio rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RenditionName {
    /// `media.m3u8`: the muxed audio and video rendition.
    Media,
    /// `audio_{k}.m3u8`.
    Audio(u8),
}

/// One object below a stream's path. `Display` gives the file name, [`ObjectName::parse`] reads it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// `index.m3u8`: the multivariant playlist.
    Index,
    /// A media playlist.
    Playlist(RenditionName),
    /// `init_{epoch}_{v}.mp4`.
    Init {
        /// The claim it was made under.
        epoch: Epoch,
        /// Its version within the epoch, from 0.
        version: u32,
    },
    /// `segment_{epoch}_{msn}.m4s`.
    Segment {
        /// The claim it was made under.
        epoch: Epoch,
        /// Its media sequence number.
        msn: Msn,
    },
    /// `part_{epoch}_{seq}.m4s`, in memory only.
    Part {
        /// The claim it was made under.
        epoch: Epoch,
        /// Counts parts through the whole epoch, from 0.
        seq: u64,
    },
    /// RapidRTMP's `init.mp4`: the current init.
    CurrentInit,
    /// RapidRTMP's `segment_{n}.m4s`: the n-th segment of the current publish, from 0.
    NthSegment(u64),
}

impl ObjectName {
    /// Reads a file name; anything but the exact form that `Display` writes is `None`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "index.m3u8" => return Some(Self::Index),
            "media.m3u8" => return Some(Self::Playlist(RenditionName::Media)),
            "init.mp4" => return Some(Self::CurrentInit),
            _ => {}
        }
        if let Some(k) = name.strip_prefix("audio_").and_then(|r| r.strip_suffix(".m3u8")) {
            return Some(Self::Playlist(RenditionName::Audio(number(k)?.try_into().ok()?)));
        }
        if let Some((epoch, v)) =
            name.strip_prefix("init_").and_then(|r| r.strip_suffix(".mp4")).and_then(|r| r.split_once('_'))
        {
            return Some(Self::Init { epoch: Epoch(number(epoch)?), version: number(v)?.try_into().ok()? });
        }
        let stem = name.strip_suffix(".m4s")?;
        if let Some((epoch, seq)) = stem.strip_prefix("part_").and_then(|r| r.split_once('_')) {
            return Some(Self::Part { epoch: Epoch(number(epoch)?), seq: number(seq)? });
        }
        let rest = stem.strip_prefix("segment_")?;
        match rest.split_once('_') {
            Some((epoch, msn)) => Some(Self::Segment { epoch: Epoch(number(epoch)?), msn: number(msn)? }),
            None => Some(Self::NthSegment(number(rest)?)),
        }
    }
}

/// A decimal number without sign or leading zeros, so that each object has one name only.
fn number(s: &str) -> Option<u64> {
    let canonical =
        s == "0" || (!s.starts_with('0') && !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()));
    if canonical { s.parse().ok() } else { None }
}

impl fmt::Display for RenditionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Media => f.write_str("media.m3u8"),
            Self::Audio(k) => write!(f, "audio_{k}.m3u8"),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index => f.write_str("index.m3u8"),
            Self::Playlist(r) => r.fmt(f),
            Self::Init { epoch, version } => write!(f, "init_{epoch}_{version}.mp4"),
            Self::Segment { epoch, msn } => write!(f, "segment_{epoch}_{msn}.m4s"),
            Self::Part { epoch, seq } => write!(f, "part_{epoch}_{seq}.m4s"),
            Self::CurrentInit => f.write_str("init.mp4"),
            Self::NthSegment(n) => write!(f, "segment_{n}.m4s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let e = Epoch(1_795_000_000_123);
        for n in [
            ObjectName::Index,
            ObjectName::Playlist(RenditionName::Media),
            ObjectName::Playlist(RenditionName::Audio(3)),
            ObjectName::Init { epoch: e, version: 0 },
            ObjectName::Segment { epoch: e, msn: 42 },
            ObjectName::Part { epoch: e, seq: 0 },
            ObjectName::CurrentInit,
            ObjectName::NthSegment(7),
        ] {
            assert_eq!(ObjectName::parse(&n.to_string()), Some(n));
        }
    }

    #[test]
    fn other_spellings_are_no_objects() {
        for bad in [
            "",
            "segment_.m4s",
            "segment_01.m4s",
            "segment_+1.m4s",
            "part_1.m4s",
            "init_1.mp4",
            "part_1_2_3.m4s",
            "audio_256.m3u8",
            "x.m4s",
            "segment_99999999999999999999_1.m4s",
        ] {
            assert_eq!(ObjectName::parse(bad), None, "{bad}");
        }
    }
}
