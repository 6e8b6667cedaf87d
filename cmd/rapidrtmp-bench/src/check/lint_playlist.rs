//! What one media playlist must satisfy by itself.

use std::collections::HashSet;

use super::{
    finding::Finding,
    playlist::{Media, Segment},
};

/// Playlists write durations with at least three decimals; half a millisecond a value is lost to rounding.
const ROUNDING: f64 = 0.000_51;
/// The share of PART-TARGET that an ordinary part must reach.
const MIN_PART: f64 = 0.85;
/// hls.js keeps an array indexed by discontinuity number and copies it at each new one: 27 ms at a million on a desktop,
/// and at the unix time in seconds (1.8 billion) the page hangs for good.
const MAX_DISCONTINUITY_SEQUENCE: u64 = 1_000_000;

/// Every clause that one playlist breaks. `prompt`: the URIs of parts that were seen to come in time; only these can be told
/// to be cut short by the server, others may lack media that its publisher sent late.
pub(crate) fn lint_playlist(m: &Media, prompt: &HashSet<String>) -> Vec<Finding> {
    let mut found = Vec::new();
    header(m, &mut found);
    durations(m, &mut found);
    dates(m, &mut found);
    maps(m, &mut found);
    end(m, &mut found);
    names(m, &mut found);
    if m.is_low_latency() && !m.ended() {
        control(m, &mut found);
        hints(m, &mut found);
    }
    parts(m, prompt, &mut found);
    found
}

fn header(m: &Media, found: &mut Vec<Finding>) {
    let maps = m.segments.iter().any(|s| s.map.is_some());
    let needed = if m.skipped.is_some() {
        9
    } else if maps {
        6
    } else {
        1
    };
    match m.version {
        None => found.push(Finding::new(10, "EXT-X-VERSION is missing", "header")),
        Some(v) if v < needed || v > 12 => {
            found.push(Finding::new(
                10,
                "EXT-X-VERSION does not cover the tags in use",
                format!("{v}, needs {needed}"),
            ));
        }
        Some(_) => {}
    }
    if m.media_sequence.is_none() {
        found.push(Finding::new(4, "EXT-X-MEDIA-SEQUENCE is missing", "header"));
    }
    match m.discontinuity_sequence {
        None => found.push(Finding::new(13, "EXT-X-DISCONTINUITY-SEQUENCE is missing", "header")),
        Some(n) if n > MAX_DISCONTINUITY_SEQUENCE => {
            let what = "EXT-X-DISCONTINUITY-SEQUENCE is so high that hls.js hangs";
            found.push(Finding::new(13, what, format!("{n}, at most {MAX_DISCONTINUITY_SEQUENCE}")));
        }
        Some(_) => {}
    }
    if m.playlist_type.is_some() {
        found.push(Finding::new(9, "EXT-X-PLAYLIST-TYPE in a live playlist", "header"));
    }
}

fn durations(m: &Media, found: &mut Vec<Finding>) {
    let Some(target) = m.target_duration else {
        found.push(Finding::new(1, "EXT-X-TARGETDURATION is missing", "header"));
        return;
    };
    for s in &m.segments {
        if !s.duration.is_finite() || s.duration <= 0.0 {
            found.push(Finding::new(1, "EXTINF is missing or not positive", place(s)));
        } else if s.duration.round() > target as f64 {
            let at = format!("{}: {} s over {target}", place(s), s.duration);
            found.push(Finding::new(1, "EXTINF rounds above EXT-X-TARGETDURATION", at));
        }
        if s.map.is_none() {
            found.push(Finding::new(33, "a segment without EXT-X-MAP", place(s)));
        }
    }
}

fn dates(m: &Media, found: &mut Vec<Finding>) {
    for s in m.all() {
        if s.date.is_none() {
            let what = if s.discontinuity {
                "no EXT-X-PROGRAM-DATE-TIME at a discontinuity"
            } else {
                "a segment without EXT-X-PROGRAM-DATE-TIME"
            };
            found.push(Finding::new(11, what, place(s)));
        }
        for tag in &s.late {
            found.push(Finding::new(14, format!("{tag} after the first part of its segment"), place(s)));
        }
    }
}

/// A new initialization section means a change of encoding, which is a discontinuity.
fn maps(m: &Media, found: &mut Vec<Finding>) {
    let all: Vec<&Segment> = m.all().collect();
    for (before, after) in all.iter().zip(all.iter().skip(1)) {
        if before.map != after.map && !after.discontinuity {
            found.push(Finding::new(12, "EXT-X-MAP changed without EXT-X-DISCONTINUITY", place(after)));
        }
    }
}

fn end(m: &Media, found: &mut Vec<Finding>) {
    if m.endlists > 1 {
        found.push(Finding::new(9, "more than one EXT-X-ENDLIST", "end"));
    }
    if m.ended() && !m.hints.is_empty() {
        found.push(Finding::new(9, "EXT-X-PRELOAD-HINT in an ended playlist", "end"));
    }
}

fn names(m: &Media, found: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    let uris = m.all().flat_map(|s| s.parts.iter().map(|p| p.uri.as_str()).chain(s.uri.as_deref()));
    for uri in uris {
        if uri.is_empty() || !seen.insert(uri) {
            found.push(Finding::new(3, "one URI names two entries, or none", format!("{uri:?}")));
        }
    }
}

fn control(m: &Media, found: &mut Vec<Finding>) {
    let Some(c) = &m.control else {
        found.push(Finding::new(17, "parts without EXT-X-SERVER-CONTROL", "header"));
        return;
    };
    let target = m.target_duration.unwrap_or(0) as f64;
    if !c.can_block_reload {
        found.push(Finding::new(19, "parts without CAN-BLOCK-RELOAD=YES", "EXT-X-SERVER-CONTROL"));
    }
    if let Some(part_target) = m.part_target {
        match c.part_hold_back {
            None => found.push(Finding::new(17, "PART-HOLD-BACK is missing", "EXT-X-SERVER-CONTROL")),
            Some(h) if h + ROUNDING < 3.0 * part_target => {
                let at = format!("{h} with PART-TARGET {part_target}");
                found.push(Finding::new(17, "PART-HOLD-BACK is below 3 x PART-TARGET", at));
            }
            Some(_) => {}
        }
    }
    if c.hold_back.is_some_and(|h| h + ROUNDING < 3.0 * target) {
        found.push(Finding::new(17, "HOLD-BACK is below 3 x TARGETDURATION", format!("{:?}", c.hold_back)));
    }
    if c.can_skip_until.is_some_and(|s| s + ROUNDING < 6.0 * target) {
        found.push(Finding::new(
            24,
            "CAN-SKIP-UNTIL is below 6 x TARGETDURATION",
            format!("{:?}", c.can_skip_until),
        ));
    }
}

fn hints(m: &Media, found: &mut Vec<Finding>) {
    for kind in ["PART", "MAP"] {
        if m.hints.iter().filter(|h| h.kind == kind).count() > 1 {
            found.push(Finding::new(25, format!("more than one EXT-X-PRELOAD-HINT of TYPE={kind}"), "end"));
        }
    }
    match m.hinted_part() {
        None => found.push(Finding::new(25, "no EXT-X-PRELOAD-HINT for the next part", "end")),
        Some(uri) if m.all().any(|s| s.parts.iter().any(|p| p.uri == uri)) => {
            found.push(Finding::new(25, "the hinted part is already listed", uri));
        }
        Some(_) => {}
    }
    for r in &m.reports {
        if r.get("URI").is_none_or(|u| u.contains("://")) {
            found.push(Finding::new(26, "EXT-X-RENDITION-REPORT without a relative URI", "end"));
        }
        if r.get("LAST-MSN").is_none() || r.get("LAST-PART").is_none() {
            found.push(Finding::new(26, "EXT-X-RENDITION-REPORT without LAST-MSN and LAST-PART", "end"));
        }
    }
}

fn parts(m: &Media, prompt: &HashSet<String>, found: &mut Vec<Finding>) {
    if !m.all().any(|s| !s.parts.is_empty()) {
        return;
    }
    let Some(target) = m.part_target else {
        found.push(Finding::new(16, "EXT-X-PART without EXT-X-PART-INF", "header"));
        return;
    };
    for s in m.all() {
        part_durations(s, target, prompt, found);
    }
    let mut first = true;
    for s in m.segments.iter().filter(|s| !s.parts.is_empty()) {
        // The oldest segment with parts may have lost some of them already.
        if !std::mem::take(&mut first) {
            part_sum(s, found);
        }
    }
    old_parts(m, found);
}

fn part_durations(s: &Segment, target: f64, prompt: &HashSet<String>, found: &mut Vec<Finding>) {
    for (i, p) in s.parts.iter().enumerate() {
        let at = || format!("{} part {i} ({}): {} s of {target}", place(s), p.uri, p.duration);
        if !p.duration.is_finite() || p.duration <= 0.0 {
            found.push(Finding::new(16, "a part without a positive DURATION", at()));
        } else if p.duration > target + ROUNDING {
            found.push(Finding::new(16, "a part is longer than PART-TARGET", at()));
        }
        let last = i + 1 == s.parts.len();
        let before_gap = s.parts.get(i + 1).is_some_and(|n| n.gap);
        let excused = p.independent || p.gap || last || before_gap || !prompt.contains(&p.uri);
        if p.duration + ROUNDING < MIN_PART * target && !excused {
            found.push(Finding::new(16, "a part is shorter than 85 % of PART-TARGET", at()));
        }
    }
}

/// EXTINF may be longer than the parts where media is missing; whether it is, the media itself tells (`samples`).
fn part_sum(s: &Segment, found: &mut Vec<Finding>) {
    let sum: f64 = s.parts.iter().map(|p| p.duration).sum();
    let allowed = ROUNDING * (s.parts.len() + 1) as f64;
    if sum - s.duration > allowed {
        let at = format!("{}: parts {sum:.5} s, EXTINF {:.5} s", place(s), s.duration);
        found.push(Finding::new(33, "the parts of a segment last longer than its EXTINF", at));
    }
}

/// Parts leave the playlist once their segment is older than three target durations from its end.
fn old_parts(m: &Media, found: &mut Vec<Finding>) {
    let Some(target) = m.target_duration else { return };
    // A server may drop them with the next part only.
    let limit = 3.0 * target as f64 + 0.3;
    let mut after: f64 = m.open.parts.iter().map(|p| p.duration).sum();
    for s in m.segments.iter().rev() {
        if after > limit && !s.parts.is_empty() {
            let at = format!("{}: {after:.3} s from the end", place(s));
            found.push(Finding::new(6, "parts listed beyond three target durations from the end", at));
            return;
        }
        after += s.duration;
    }
}

fn place(s: &Segment) -> String {
    format!("msn {}", s.msn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::{GOOD, NONE};

    fn clauses(text: &str) -> Vec<u8> {
        let m = Media::parse(text).unwrap();
        let prompt = m.all().flat_map(|s| &s.parts).map(|p| p.uri.clone()).collect();
        let mut c: Vec<u8> = lint_playlist(&m, &prompt).iter().map(|f| f.clause).collect();
        c.dedup();
        c
    }

    /// GOOD with one replacement, which must be there to be replaced.
    fn with(from: &str, to: &str) -> Vec<u8> {
        assert!(GOOD.contains(from), "{from}");
        clauses(&GOOD.replacen(from, to, 1))
    }

    #[test]
    fn a_good_playlist_is_clean() {
        assert_eq!(clauses(GOOD), NONE);
    }

    #[test]
    fn clause_1_extinf_rounds_to_the_target_at_most() {
        assert_eq!(with("#EXTINF:2.0,", "#EXTINF:2.49,"), NONE);
        assert_eq!(with("#EXTINF:2.0,", "#EXTINF:2.51,"), [1]);
        assert_eq!(with("#EXT-X-TARGETDURATION:2\n", ""), [1]);
        assert_eq!(with("#EXTINF:2.0,", "#EXTINF:x,"), [1]);
    }

    #[test]
    fn clause_3_a_uri_names_one_entry() {
        assert_eq!(with("segment_7_101.m4s", "segment_7_100.m4s"), [3]);
    }

    #[test]
    fn clause_4_and_13_the_sequence_numbers_are_written() {
        assert_eq!(with("#EXT-X-MEDIA-SEQUENCE:100\n", ""), [4]);
        assert_eq!(with("#EXT-X-DISCONTINUITY-SEQUENCE:5\n", ""), [13]);
    }

    #[test]
    fn clause_13_the_discontinuity_sequence_fits_an_array_of_hls_js() {
        assert_eq!(with("DISCONTINUITY-SEQUENCE:5", "DISCONTINUITY-SEQUENCE:1795252999"), [13]);
        assert_eq!(with("DISCONTINUITY-SEQUENCE:5", "DISCONTINUITY-SEQUENCE:1000000"), NONE);
    }

    #[test]
    fn clause_6_old_parts_leave() {
        let part = "#EXTINF:2.0,\nsegment_7_100.m4s";
        assert_eq!(with(part, &format!("#EXT-X-PART:DURATION=0.2,URI=\"old.m4s\"\n{part}")), [6]);
    }

    #[test]
    fn clause_9_the_end() {
        assert_eq!(with("#EXT-X-PART-INF", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-PART-INF"), [9]);
        assert_eq!(with("#EXT-X-PRELOAD-HINT", "#EXT-X-ENDLIST\n#EXT-X-PRELOAD-HINT"), [9]);
        let over = GOOD.lines().filter(|l| !l.contains("HINT")).collect::<Vec<_>>().join("\n");
        assert_eq!(clauses(&format!("{over}\n#EXT-X-ENDLIST\n")), NONE);
        assert_eq!(clauses(&format!("{over}\n#EXT-X-ENDLIST\n#EXT-X-ENDLIST\n")), [9]);
    }

    #[test]
    fn clause_10_the_version_covers_the_tags() {
        assert_eq!(with("VERSION:9", "VERSION:5"), [10]);
        assert_eq!(with("#EXT-X-VERSION:9\n", ""), [10]);
        assert_eq!(
            clauses(&GOOD.replace("VERSION:9", "VERSION:8\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3")),
            [10],
            "EXT-X-SKIP needs 9"
        );
    }

    #[test]
    fn clause_11_every_segment_has_a_date() {
        assert_eq!(with("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:02.000Z\n", ""), [11]);
    }

    #[test]
    fn clause_12_a_new_map_is_a_discontinuity() {
        let date = "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:08.000Z";
        let map = format!("#EXT-X-MAP:URI=\"init_7_1.mp4\"\n{date}");
        assert_eq!(with(date, &map), [12]);
        assert_eq!(with(date, &format!("#EXT-X-DISCONTINUITY\n{map}")), NONE);
    }

    #[test]
    fn clause_14_state_tags_come_before_the_first_part() {
        let line = "#EXT-X-PART:DURATION=0.2,URI=\"part_7_21.m4s\"\n";
        assert_eq!(with(line, &format!("{line}#EXT-X-DISCONTINUITY\n")), [14]);
        assert_eq!(with(line, &format!("{line}#EXT-X-MAP:URI=\"init_7_0.mp4\"\n")), [14]);
    }

    #[test]
    fn clause_16_part_durations() {
        let second = "#EXT-X-PART:DURATION=0.2,URI=\"part_7_41.m4s\"";
        assert_eq!(with(second, "#EXT-X-PART:DURATION=0.22,URI=\"part_7_41.m4s\""), [16]);
        let first = "#EXT-X-PART:DURATION=0.2,URI=\"part_7_40.m4s\",INDEPENDENT=YES";
        assert_eq!(with(first, "#EXT-X-PART:DURATION=0.1,URI=\"part_7_40.m4s\",INDEPENDENT=YES"), NONE);
        assert_eq!(with(first, "#EXT-X-PART:DURATION=0.1,URI=\"part_7_40.m4s\""), [16]);
        assert_eq!(
            with(second, "#EXT-X-PART:DURATION=0.1,URI=\"part_7_41.m4s\""),
            NONE,
            "may be the last of its parent"
        );
        assert_eq!(with("#EXT-X-PART-INF:PART-TARGET=0.21\n", ""), [16]);
    }

    #[test]
    fn clause_16_a_part_that_came_late_may_be_short() {
        let first = "#EXT-X-PART:DURATION=0.2,URI=\"part_7_40.m4s\",INDEPENDENT=YES";
        let text = GOOD.replace(first, "#EXT-X-PART:DURATION=0.1,URI=\"part_7_40.m4s\"");
        let m = Media::parse(&text).unwrap();
        assert!(lint_playlist(&m, &HashSet::new()).is_empty());
        assert_eq!(lint_playlist(&m, &HashSet::from(["part_7_40.m4s".to_owned()])).len(), 1);
    }

    #[test]
    fn clause_17_hold_back() {
        assert_eq!(with("PART-HOLD-BACK=0.63", "PART-HOLD-BACK=0.5"), [17]);
        assert_eq!(with("PART-HOLD-BACK=0.63,", ""), [17]);
        assert_eq!(with(",HOLD-BACK=6.0", ",HOLD-BACK=4.0"), [17]);
        assert_eq!(with("#EXT-X-SERVER-CONTROL", "#EXT-X-NOTHING"), [17]);
    }

    #[test]
    fn clause_19_parts_need_blocking_reload() {
        assert_eq!(with("CAN-BLOCK-RELOAD=YES", "CAN-BLOCK-RELOAD=NO"), [19]);
    }

    #[test]
    fn clause_24_skip_boundary() {
        assert_eq!(with("HOLD-BACK=6.0", "HOLD-BACK=6.0,CAN-SKIP-UNTIL=11.9"), [24]);
        assert_eq!(with("HOLD-BACK=6.0", "HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0"), NONE);
    }

    #[test]
    fn clause_25_one_hint_for_the_next_part() {
        let hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part_7_42.m4s\"\n";
        assert_eq!(with(hint, ""), [25]);
        assert_eq!(with(hint, &hint.repeat(2)), [25]);
        assert_eq!(with(hint, &hint.replace("42", "41")), [25]);
    }

    #[test]
    fn clause_26_rendition_reports() {
        let hint = "#EXT-X-PRELOAD-HINT";
        let report = "#EXT-X-RENDITION-REPORT:URI=\"audio_1.m3u8\",LAST-MSN=104,LAST-PART=1\n";
        assert_eq!(with(hint, &format!("{report}{hint}")), NONE);
        assert_eq!(with(hint, &format!("{}{hint}", report.replace("audio", "http://x/audio"))), [26]);
        assert_eq!(with(hint, &format!("{}{hint}", report.replace(",LAST-PART=1", ""))), [26]);
    }

    #[test]
    fn clause_33_parts_add_up_and_a_map_is_there() {
        let last = "#EXT-X-PART:DURATION=0.2,URI=\"part_7_39.m4s\"";
        assert_eq!(with(last, "#EXT-X-PART:DURATION=0.21,URI=\"part_7_39.m4s\""), [33]);
        assert_eq!(
            with(last, "#EXT-X-PART:DURATION=0.19,URI=\"part_7_39.m4s\""),
            NONE,
            "a hole in the media"
        );
        assert_eq!(with("#EXT-X-MAP:URI=\"init_7_0.mp4\"\n", ""), [33]);
    }
}
