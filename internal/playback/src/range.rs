//! Byte ranges (RFC 9110 §14): one range is cut, several are answered with the whole.

use std::ops::Range;

use http::{HeaderMap, header};

/// What to send of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// All of it, 200.
    Whole,
    /// These bytes, 206.
    Part(Range<u64>),
    /// Nothing: the range lies outside, 416.
    Unsatisfiable,
}

impl Slice {
    /// Reads `Range` and `If-Range` of a GET, for a body of `len` bytes with the strong tag `etag`.
    ///
    /// A malformed range and one in other units are ignored (§14.2). `If-Range` with a date never matches:
    /// objects here have tags, no dates.
    pub(crate) fn of(headers: &HeaderMap, len: u64, etag: Option<&str>) -> Self {
        let Some(range) = single(headers, header::RANGE) else { return Self::Whole };
        if headers.contains_key(header::IF_RANGE) {
            let condition = single(headers, header::IF_RANGE);
            if condition.is_none() || condition != etag {
                return Self::Whole;
            }
        }
        Self::parse(range, len).unwrap_or(Self::Whole)
    }

    fn parse(range: &str, len: u64) -> Option<Self> {
        let (unit, set) = range.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        // A set of several fails to parse as one: the whole is sent, as §14.2 allows.
        let (first, last) = set.trim().split_once('-')?;
        if first.is_empty() {
            let suffix = number(last)?;
            let start = len.saturating_sub(suffix);
            return Some(if suffix == 0 || len == 0 { Self::Unsatisfiable } else { Self::Part(start..len) });
        }
        let first = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        if last < first {
            return None;
        }
        if first >= len {
            return Some(Self::Unsatisfiable);
        }
        Some(Self::Part(first..last.saturating_add(1).min(len)))
    }
}

/// A header that occurs once and is text.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?.to_str().ok()?;
    if all.next().is_some() { None } else { Some(value.trim()) }
}

/// Decimal digits only. A number too large for us lies outside every body, so it saturates.
fn number(s: &str) -> Option<u64> {
    let digits = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| s.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TAG: &str = "\"part_1_2.m4s\"";

    fn of(range: &str, if_range: Option<&str>, len: u64) -> Slice {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        if let Some(v) = if_range {
            headers.insert(header::IF_RANGE, HeaderValue::from_str(v).unwrap());
        }
        Slice::of(&headers, len, Some(TAG))
    }

    /// Clause 47, RFC 9110 §14.1.2.
    #[test]
    fn the_range_table() {
        use Slice::{Part, Unsatisfiable, Whole};
        for (range, len, want) in [
            ("bytes=0-0", 10, Part(0..1)),
            ("bytes=0-", 10, Part(0..10)),
            ("bytes=2-5", 10, Part(2..6)),
            ("bytes=5-999", 10, Part(5..10)),
            ("bytes=9-", 10, Part(9..10)),
            ("bytes=-3", 10, Part(7..10)),
            ("bytes=-99", 10, Part(0..10)),
            ("Bytes=0-1", 10, Part(0..2)),
            ("bytes=0-99999999999999999999999", 10, Part(0..10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Unsatisfiable),
            ("bytes=5-2", 10, Whole),
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes 0-1", 10, Whole),
            ("seconds=0-1", 10, Whole),
        ] {
            assert_eq!(of(range, None, len), want, "{range}");
        }
    }

    /// RFC 9110 §13.1.5: a tag that differs, a weak one or a date sends the whole.
    #[test]
    fn if_range_guards_the_range() {
        assert_eq!(of("bytes=0-1", Some(TAG), 10), Slice::Part(0..2));
        for other in ["\"part_1_3.m4s\"", "W/\"part_1_2.m4s\"", "Sat, 21 Nov 2026 08:00:00 GMT", ""] {
            assert_eq!(of("bytes=0-1", Some(other), 10), Slice::Whole, "{other}");
        }
    }
}
