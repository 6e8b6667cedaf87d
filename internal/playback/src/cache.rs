//! `Cache-Control`, per object (hls-origin.md, table A3).

use http::HeaderValue;

/// The multivariant, whatever the segments' length: it changes with the codecs only.
const INDEX: &str = "public, max-age=2, s-maxage=2, stale-if-error=30";
/// A player page and its list: always asked again, answered 304.
const REVALIDATE: &str = "no-cache";

/// What may be kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// `index.m3u8`.
    Index,
    /// A media playlist without directive, or one that has ended.
    Playlist {
        /// TARGETDURATION in seconds.
        target: u32,
    },
    /// A media playlist that satisfies the directives in its URL. It never changes for those who wait for it.
    Satisfied {
        /// TARGETDURATION in seconds.
        target: u32,
    },
    /// Parts, segments and inits: their names hold the epoch, so their bytes never change.
    Immutable,
    /// RapidRTMP's names, which mean other bytes after each publish.
    Never,
    /// 400, 404, 405, 410: short, so that a cache asks again once a stream starts.
    Refusal,
    /// 503, with `Retry-After`.
    Unavailable,
    /// Pages: asked again each time, 304 while unchanged.
    Page,
    /// Assets whose URL holds a hash of their bytes, and redirects that never change.
    Asset,
}

impl CachePolicy {
    pub(crate) fn value(self) -> HeaderValue {
        let text = match self {
            Self::Index => return HeaderValue::from_static(INDEX),
            Self::Playlist { target } => format!("public, max-age=1, stale-if-error={target}"),
            Self::Satisfied { target } => format!("public, max-age={}", u64::from(target) * 6),
            Self::Immutable => return HeaderValue::from_static("public, max-age=31536000, immutable"),
            Self::Never => return HeaderValue::from_static("no-cache, no-store, must-revalidate"),
            Self::Refusal => return HeaderValue::from_static("max-age=1"),
            Self::Unavailable => return HeaderValue::from_static("no-store"),
            Self::Page => return HeaderValue::from_static(REVALIDATE),
            Self::Asset => return HeaderValue::from_static("public, max-age=3600"),
        };
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(REVALIDATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table A3 with its own numbers: segment 4 s.
    #[test]
    fn the_table_as_written() {
        for (policy, want) in [
            (CachePolicy::Index, "public, max-age=2, s-maxage=2, stale-if-error=30"),
            (CachePolicy::Playlist { target: 4 }, "public, max-age=1, stale-if-error=4"),
            (CachePolicy::Satisfied { target: 4 }, "public, max-age=24"),
            (CachePolicy::Immutable, "public, max-age=31536000, immutable"),
            (CachePolicy::Refusal, "max-age=1"),
            (CachePolicy::Unavailable, "no-store"),
        ] {
            assert_eq!(policy.value(), want);
        }
    }
}
