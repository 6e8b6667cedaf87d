//! Reads a media playlist line by line, and judges whether one may follow another
//! (hls-origin.md clauses 1, 3, 4, 9, 11, 13, 14, 16).

use std::collections::BTreeMap;

/// One segment, complete or still open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) uri: Option<String>,
    pub(super) duration: f64,
    pub(super) gap: bool,
    pub(super) discontinuity: bool,
    pub(super) map: Option<String>,
    pub(super) date: Option<String>,
    pub(super) parts: Vec<(String, f64, bool)>,
}

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Playlist {
    pub(super) target: u32,
    pub(super) first: u64,
    pub(super) discontinuities: u64,
    pub(super) part_target: Option<f64>,
    pub(super) entries: Vec<Entry>,
    pub(super) ended: bool,
    pub(super) hint: Option<String>,
}

fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(|v| v.trim_matches('"'))
}

impl Playlist {
    pub(super) fn parse(text: &str) -> Self {
        assert!(text.starts_with("#EXTM3U\n"), "{text}");
        let mut p = Self::default();
        let (mut open, mut map) = (Entry::default(), None);
        for line in text.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => p.target = value.parse().expect("whole seconds"),
                "#EXT-X-MEDIA-SEQUENCE" => p.first = value.parse().expect("a number"),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => p.discontinuities = value.parse().expect("a number"),
                "#EXT-X-PART-INF" => {
                    p.part_target = attribute(value, "PART-TARGET").map(|v| v.parse().expect("seconds"));
                }
                "#EXT-X-ENDLIST" => p.ended = true,
                "#EXT-X-PRELOAD-HINT" => p.hint = attribute(value, "URI").map(Into::into),
                "#EXT-X-DISCONTINUITY" => {
                    assert!(open.parts.is_empty(), "clause 14: {text}");
                    open.discontinuity = true;
                }
                "#EXT-X-MAP" => {
                    assert!(open.parts.is_empty(), "clause 14: {text}");
                    map = attribute(value, "URI").map(str::to_owned);
                }
                "#EXT-X-PROGRAM-DATE-TIME" => {
                    assert!(open.parts.is_empty(), "clause 14: {text}");
                    open.date = Some(value.to_owned());
                }
                "#EXT-X-GAP" => open.gap = true,
                "#EXT-X-PART" => {
                    let duration = attribute(value, "DURATION").expect("a part has one");
                    open.parts.push((
                        attribute(value, "URI").expect("a part has one").to_owned(),
                        duration.parse().expect("seconds"),
                        attribute(value, "INDEPENDENT") == Some("YES"),
                    ));
                }
                "#EXTINF" => open.duration = value.trim_end_matches(',').parse().expect("seconds"),
                _ if line.starts_with('#') => {}
                _ => {
                    open.uri = Some(line.to_owned());
                    open.map.clone_from(&map);
                    p.entries.push(std::mem::take(&mut open));
                }
            }
        }
        if !open.parts.is_empty() {
            open.map = map;
            p.entries.push(open);
        }
        p
    }

    /// The complete segments, by their numbers.
    pub(super) fn complete(&self) -> BTreeMap<u64, &Entry> {
        (self.first..).zip(&self.entries).filter(|(_, e)| e.uri.is_some()).collect()
    }

    /// The number of the last complete segment.
    pub(super) fn last(&self) -> Option<u64> {
        self.complete().keys().last().copied()
    }

    pub(super) fn gaps(&self) -> usize {
        self.entries.iter().filter(|e| e.gap).count()
    }

    /// Neighbouring dates differ by the segment between them, a thousandth and a millisecond aside; a discontinuity
    /// may leave dates out but never goes back.
    pub(super) fn check_dates(&self) {
        for pair in self.entries.windows(2).filter(|p| p[0].uri.is_some()) {
            let (from, to) = (milliseconds(&pair[0]), milliseconds(&pair[1]));
            let off = to - from - (pair[0].duration * 1000.0).round() as i64;
            let most = (pair[0].duration + 1.0).ceil() as i64;
            let fits = if pair[1].discontinuity { off >= -most } else { off.abs() <= most };
            assert!(fits, "clause 11: {off} ms between {pair:?}");
        }
    }

    /// Rules of one playlist.
    pub(super) fn check(&self) {
        for e in self.entries.iter().filter(|e| e.uri.is_some()) {
            assert!(e.duration.round() <= f64::from(self.target), "clause 1: {e:?} over {}", self.target);
            assert!(e.date.is_some(), "clause 11: {e:?}");
            assert!(e.map.is_some() || e.gap, "clause 12: {e:?}");
        }
        for (uri, duration, _) in self.entries.iter().flat_map(|e| &e.parts) {
            let target = self.part_target.expect("parts come with PART-INF");
            assert!(*duration <= target + 0.000_5, "clause 16: {uri} of {duration}");
        }
        assert!(!(self.ended && self.hint.is_some()), "clause 9");
    }

    /// Rules of a change from `self` to `next`.
    pub(super) fn check_next(&self, next: &Self) {
        next.check();
        assert_eq!(self.target, next.target, "clause 1");
        assert!(next.first >= self.first, "clause 4");
        assert!(next.last() >= self.last(), "clause 3");
        assert!(!self.ended || (next.ended && next.last() == self.last()), "clause 9");
        let (old, new) = (self.complete(), next.complete());
        let passed = old.range(..next.first).filter(|(_, e)| e.discontinuity).count() as u64;
        if next.first <= self.last().unwrap_or(0) + 1 {
            assert_eq!(next.discontinuities, self.discontinuities + passed, "clause 4");
        }
        for (msn, entry) in new {
            let Some(before) = old.get(&msn) else { continue };
            let (mut a, mut b) = ((*before).clone(), entry.clone());
            if b.parts.is_empty() {
                a.parts.clear();
            }
            // The first entry of a list always names its MAP.
            a.map = a.map.or_else(|| b.map.clone());
            b.map = b.map.or_else(|| a.map.clone());
            assert_eq!(a, b, "clause 3: entry {msn}");
        }
    }
}

/// The date's milliseconds within its day.
pub(super) fn milliseconds(entry: &Entry) -> i64 {
    let date = entry.date.as_deref().expect("clause 11");
    let (_, time) = date.trim_end_matches('Z').split_once('T').expect("date and time");
    let mut at = 0.0;
    for field in time.split(':') {
        at = at * 60.0 + field.parse::<f64>().expect("a number");
    }
    (at * 1000.0).round() as i64
}
