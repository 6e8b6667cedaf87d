//! What an answer's status and headers must satisfy.

use std::time::Duration;

use super::{fetch::Reply, finding::Finding};

/// An answer to an error is a line or two.
const MAX_ERROR_BODY: usize = 4096;
/// Media named by epoch never changes; a day is the least that a cache should be told.
const MIN_MEDIA_AGE: u64 = 86_400;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The multivariant playlist.
    Multivariant,
    /// A media playlist; `directive`: with `_HLS_msn`.
    Playlist { directive: bool },
    /// An init section.
    Init,
    /// A part or segment.
    Media,
}

/// Every clause that an answer with status 200 breaks.
pub(crate) fn lint_reply(r: &Reply, asked: Asked, target_duration: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    transport(r, &mut found);
    if r.status == 200 {
        kind(r, asked, &mut found);
        encoding(r, asked, &mut found);
        caching(r, asked, target_duration, &mut found);
    }
    found
}

/// Every clause that an answer with an error status breaks.
pub(crate) fn lint_error(r: &Reply) -> Vec<Finding> {
    let mut found = Vec::new();
    transport(r, &mut found);
    let cache = r.header("cache-control").unwrap_or("");
    let short = cache.contains("no-store") || max_age(cache).is_some_and(|a| a <= 1);
    if !short {
        let at = format!("{}: {} with {cache:?}", r.place(), r.status);
        found.push(Finding::new(51, "an error without no-store or max-age=1", at));
    }
    if r.body.len() > MAX_ERROR_BODY {
        found.push(Finding::new(51, "a long error body", format!("{}: {} bytes", r.place(), r.body.len())));
    }
    if r.status == 503 && r.header("retry-after").is_none() {
        found.push(Finding::new(46, "503 without Retry-After", r.place()));
    }
    found
}

/// A held request is answered within three target durations.
pub(crate) fn lint_hold(took: Duration, target_duration: u64, place: &str) -> Option<Finding> {
    let limit = Duration::from_secs(3 * target_duration) + Duration::from_millis(500);
    (target_duration > 0 && took > limit).then(|| {
        Finding::new(22, "a request was held for over 3 x TARGETDURATION", format!("{place}: {took:.1?}"))
    })
}

fn transport(r: &Reply, found: &mut Vec<Finding>) {
    if (300..400).contains(&r.status) && r.status != 304 {
        found.push(Finding::new(49, "a redirect", r.place()));
    }
    if r.header("set-cookie").is_some() {
        found.push(Finding::new(49, "Set-Cookie", r.place()));
    }
    match r.header("access-control-allow-origin") {
        None => found.push(Finding::new(
            48,
            "no Access-Control-Allow-Origin",
            format!("{} ({})", r.place(), r.status),
        )),
        Some(_) => {
            let exposed = r.header("access-control-expose-headers").unwrap_or("").to_ascii_lowercase();
            let missing: Vec<&str> = ["age", "etag", "date", "content-length", "content-range"]
                .into_iter()
                .filter(|h| !exposed.split(',').any(|e| e.trim() == *h || e.trim() == "*"))
                .collect();
            if !missing.is_empty() && r.status == 200 {
                let at = format!("{}: {}", r.place(), missing.join(", "));
                found.push(Finding::new(48, "Access-Control-Expose-Headers lacks headers", at));
            }
        }
    }
}

fn kind(r: &Reply, asked: Asked, found: &mut Vec<Finding>) {
    let given =
        r.header("content-type").unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let allowed: &[&str] = match asked {
        Asked::Multivariant | Asked::Playlist { .. } => &["application/vnd.apple.mpegurl"],
        Asked::Init => &["video/mp4", "audio/mp4"],
        Asked::Media => &["video/iso.segment", "video/mp4", "audio/mp4"],
    };
    if !allowed.contains(&given.as_str()) {
        found.push(Finding::new(44, format!("Content-Type {given:?} instead of {}", allowed[0]), r.place()));
    }
}

fn encoding(r: &Reply, asked: Asked, found: &mut Vec<Finding>) {
    let gzip = r.header("content-encoding") == Some("gzip");
    match asked {
        Asked::Multivariant | Asked::Playlist { .. } => {
            if !gzip {
                found.push(Finding::new(45, "a playlist without gzip", r.place()));
            }
            let vary = r.header("vary").unwrap_or("").to_ascii_lowercase();
            if !vary.contains("accept-encoding") {
                found.push(Finding::new(45, "a playlist without Vary: Accept-Encoding", r.place()));
            }
        }
        Asked::Init | Asked::Media if r.header("content-encoding").is_some() => {
            found.push(Finding::new(45, "compressed media", r.place()));
        }
        Asked::Init | Asked::Media => {}
    }
}

fn caching(r: &Reply, asked: Asked, target_duration: u64, found: &mut Vec<Finding>) {
    let Some(cache) = r.header("cache-control") else {
        found.push(Finding::new(46, "no Cache-Control", r.place()));
        return;
    };
    let at = || format!("{}: {cache:?}", r.place());
    let age = max_age(cache);
    let target = target_duration.max(1);
    match asked {
        Asked::Multivariant if age.is_none_or(|a| a > target.max(2)) => {
            found.push(Finding::new(46, "a multivariant playlist cached for too long", at()));
        }
        Asked::Playlist { directive: false } if age.is_none_or(|a| a > target) => {
            found.push(Finding::new(46, "a live playlist cached for over a TARGETDURATION", at()));
        }
        Asked::Playlist { directive: true } if age.is_none_or(|a| a > 6 * target) => {
            found.push(Finding::new(46, "a satisfied directive cached for over 6 x TARGETDURATION", at()));
        }
        Asked::Init | Asked::Media
            if age.is_none_or(|a| a < MIN_MEDIA_AGE) || !cache.contains("immutable") =>
        {
            found.push(Finding::new(46, "media that is not cached as immutable", at()));
        }
        _ => {}
    }
    if asked == (Asked::Playlist { directive: false }) && r.header("etag").is_none_or(|e| e.starts_with("W/"))
    {
        found.push(Finding::new(46, "a playlist without a strong ETag", at()));
    }
}

fn max_age(cache: &str) -> Option<u64> {
    cache.split(',').find_map(|d| d.trim().strip_prefix("max-age=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::NONE;

    const PLAYLIST: Asked = Asked::Playlist { directive: false };

    fn reply(status: u16, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "Age, ETag, Date, Content-Length, Content-Range"),
        ];
        all.extend(headers);
        Reply {
            url: "http://h/live/media.m3u8?_HLS_msn=1".into(),
            status,
            headers: all.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            body: bytes::Bytes::new(),
            took: Duration::ZERO,
        }
    }

    fn playlist(change: (&str, &str)) -> Reply {
        reply(
            200,
            &[
                ("content-type", "application/vnd.apple.mpegurl"),
                ("content-encoding", "gzip"),
                ("vary", "Accept-Encoding"),
                ("cache-control", "public, max-age=1"),
                ("etag", "\"7.100.2\""),
                change,
            ],
        )
    }

    fn media(change: (&str, &str)) -> Reply {
        reply(
            200,
            &[
                ("content-type", "video/mp4"),
                ("cache-control", "public, max-age=31536000, immutable"),
                change,
            ],
        )
    }

    fn clauses(found: &[Finding]) -> Vec<u8> {
        found.iter().map(|f| f.clause).collect()
    }

    #[test]
    fn good_answers_are_clean() {
        assert_eq!(lint_reply(&playlist(("date", "x")), PLAYLIST, 2), []);
        assert_eq!(lint_reply(&media(("date", "x")), Asked::Media, 2), []);
        assert_eq!(lint_error(&reply(404, &[("cache-control", "max-age=1")])), []);
    }

    #[test]
    fn clause_22_a_hold_is_bounded() {
        assert!(lint_hold(Duration::from_secs(6), 2, "-").is_none());
        assert_eq!(lint_hold(Duration::from_secs(7), 2, "-").unwrap().clause, 22);
    }

    #[test]
    fn clause_44_types() {
        assert_eq!(
            clauses(&lint_reply(&playlist(("content-type", "application/x-mpegURL")), PLAYLIST, 2)),
            [44]
        );
        assert_eq!(clauses(&lint_reply(&media(("content-type", "video/mp2t")), Asked::Media, 2)), [44]);
    }

    #[test]
    fn clause_45_compression() {
        assert_eq!(clauses(&lint_reply(&playlist(("content-encoding", "identity")), PLAYLIST, 2)), [45]);
        assert_eq!(clauses(&lint_reply(&playlist(("vary", "Origin")), PLAYLIST, 2)), [45]);
        assert_eq!(clauses(&lint_reply(&media(("content-encoding", "gzip")), Asked::Init, 2)), [45]);
    }

    #[test]
    fn clause_46_caching() {
        assert_eq!(clauses(&lint_reply(&playlist(("cache-control", "max-age=60")), PLAYLIST, 2)), [46]);
        assert_eq!(clauses(&lint_reply(&playlist(("etag", "W/\"1\"")), PLAYLIST, 2)), [46]);
        let held = Asked::Playlist { directive: true };
        assert_eq!(clauses(&lint_reply(&playlist(("cache-control", "max-age=13")), held, 2)), [46]);
        assert_eq!(clauses(&lint_reply(&playlist(("cache-control", "max-age=12")), held, 2)), NONE);
        assert_eq!(
            clauses(&lint_reply(&playlist(("cache-control", "max-age=9")), Asked::Multivariant, 2)),
            [46]
        );
        assert_eq!(
            clauses(&lint_reply(&media(("cache-control", "max-age=31536000")), Asked::Media, 2)),
            [46]
        );
        assert_eq!(clauses(&lint_error(&reply(503, &[("cache-control", "no-store")]))), [46]);
    }

    #[test]
    fn clause_48_cross_origin() {
        let mut r = media(("date", "x"));
        r.headers.remove("access-control-allow-origin");
        assert_eq!(clauses(&lint_reply(&r, Asked::Media, 2)), [48]);
        let r = media(("access-control-expose-headers", "ETag"));
        assert_eq!(clauses(&lint_reply(&r, Asked::Media, 2)), [48]);
    }

    #[test]
    fn clause_49_no_redirect_and_no_cookie() {
        assert_eq!(clauses(&lint_reply(&reply(302, &[]), Asked::Media, 2)), [49]);
        assert_eq!(clauses(&lint_reply(&media(("set-cookie", "a=b")), Asked::Media, 2)), [49]);
    }

    #[test]
    fn clause_51_errors_do_not_poison_caches() {
        assert_eq!(clauses(&lint_error(&reply(404, &[]))), [51]);
        assert_eq!(clauses(&lint_error(&reply(404, &[("cache-control", "max-age=300")]))), [51]);
        let mut r = reply(404, &[("cache-control", "no-store")]);
        r.body = vec![b'x'; 5000].into();
        assert_eq!(clauses(&lint_error(&r)), [51]);
    }
}
