//! What may change from one version of a media playlist to the next (RFC 8216bis §6.2.1, §6.2.2).

use super::{
    finding::Finding,
    playlist::{Media, Segment},
};

/// Every clause that the step from `old` to `new` breaks. Both are full playlists.
pub(crate) fn lint_update(old: &Media, new: &Media) -> Vec<Finding> {
    let mut found = Vec::new();
    constants(old, new, &mut found);
    numbers(old, new, &mut found);
    entries(old, new, &mut found);
    removal(old, new, &mut found);
    hint(old, new, &mut found);
    if old.ended() && !new.ended() && new.first_msn() <= old.open.msn {
        found.push(Finding::new(9, "a playlist goes on after EXT-X-ENDLIST", step(old, new)));
    }
    found
}

fn constants(old: &Media, new: &Media, found: &mut Vec<Finding>) {
    if old.target_duration != new.target_duration {
        let at = format!("{:?} to {:?}", old.target_duration, new.target_duration);
        found.push(Finding::new(1, "EXT-X-TARGETDURATION changed", at));
    }
    // The last version may drop what only matters to a live stream.
    if new.ended() {
        return;
    }
    if old.part_target != new.part_target {
        found.push(Finding::new(
            2,
            "PART-TARGET changed",
            format!("{:?} to {:?}", old.part_target, new.part_target),
        ));
    }
    if old.control != new.control {
        let at = format!("{:?} to {:?}", old.control, new.control);
        found.push(Finding::new(2, "EXT-X-SERVER-CONTROL changed", at));
    }
    if old.version != new.version {
        found.push(Finding::new(
            10,
            "EXT-X-VERSION changed",
            format!("{:?} to {:?}", old.version, new.version),
        ));
    }
}

fn numbers(old: &Media, new: &Media, found: &mut Vec<Finding>) {
    if new.first_msn() < old.first_msn() {
        found.push(Finding::new(4, "EXT-X-MEDIA-SEQUENCE went back", step(old, new)));
    }
    if new.discontinuity_sequence < old.discontinuity_sequence {
        let at = format!("{:?} to {:?}", old.discontinuity_sequence, new.discontinuity_sequence);
        found.push(Finding::new(4, "EXT-X-DISCONTINUITY-SEQUENCE went back", at));
    }
    if new.next() < old.next() {
        found.push(Finding::new(4, "the end of the playlist went back", step(old, new)));
    }
}

fn entries(old: &Media, new: &Media, found: &mut Vec<Finding>) {
    for before in &old.segments {
        if before.msn < new.first_msn() {
            continue;
        }
        match new.segments.iter().find(|s| s.msn == before.msn) {
            None => found.push(Finding::new(3, "a listed segment vanished from the middle", place(before))),
            Some(after) => segment(before, after, found),
        }
    }
    if old.open.parts.is_empty() {
        return;
    }
    match new.at(old.open.msn) {
        Some(after) => parts(&old.open, after, found),
        None if new.first_msn() <= old.open.msn => {
            found.push(Finding::new(3, "announced parts vanished", place(&old.open)));
        }
        None => {}
    }
}

fn segment(before: &Segment, after: &Segment, found: &mut Vec<Finding>) {
    let mut changed = |what: &str, a: String, b: String| {
        if a != b {
            let at = format!("{}: {a} to {b}", place(before));
            found.push(Finding::new(3, format!("{what} of a listed segment changed"), at));
        }
    };
    changed("the URI", format!("{:?}", before.uri), format!("{:?}", after.uri));
    changed("EXTINF", before.duration.to_string(), after.duration.to_string());
    changed("EXT-X-GAP", before.gap.to_string(), after.gap.to_string());
    changed("EXT-X-MAP", format!("{:?}", before.map), format!("{:?}", after.map));
    changed("EXT-X-DISCONTINUITY", before.discontinuity.to_string(), after.discontinuity.to_string());
    changed("EXT-X-PROGRAM-DATE-TIME", format!("{:?}", before.date), format!("{:?}", after.date));
    if before.dsn != after.dsn {
        let at = format!("{}: {} to {}", place(before), before.dsn, after.dsn);
        found.push(Finding::new(4, "the discontinuity number of a listed segment changed", at));
    }
    // A segment's parts go together; as long as some are listed they are the same ones.
    if !before.parts.is_empty() && !after.parts.is_empty() && before.parts != after.parts {
        found.push(Finding::new(3, "the parts of a complete segment changed", place(before)));
    }
}

/// The growing segment: what was announced stays at its place, until all parts of the segment leave.
fn parts(before: &Segment, after: &Segment, found: &mut Vec<Finding>) {
    if after.uri.is_some() && after.parts.is_empty() {
        return;
    }
    let kept =
        after.parts.len() >= before.parts.len() && before.parts.iter().zip(&after.parts).all(|(a, b)| a == b);
    if !kept {
        let at = format!("{}: {} parts, then {}", place(before), before.parts.len(), after.parts.len());
        found.push(Finding::new(3, "announced parts changed", at));
    }
    if before.discontinuity != after.discontinuity || before.map != after.map || before.date != after.date {
        found.push(Finding::new(3, "the state tags of a growing segment changed", place(before)));
    }
}

fn removal(old: &Media, new: &Media, found: &mut Vec<Finding>) {
    let target = new.target_duration.unwrap_or(0) as f64;
    if new.first_msn() <= old.first_msn() || new.ended() {
        return;
    }
    let left: f64 = new.segments.iter().map(|s| s.duration).sum();
    // One more segment may be growing; it counts for nobody who reads whole segments.
    if left + 0.01 < 3.0 * target {
        let at = format!("{}: {left:.3} s left, TARGETDURATION {target}", step(old, new));
        found.push(Finding::new(5, "a removal left less than 3 x TARGETDURATION", at));
    }
}

/// The part that was hinted is the part that comes, unless an epoch (a discontinuity) ends in between.
fn hint(old: &Media, new: &Media, found: &mut Vec<Finding>) {
    let Some(hinted) = old.hinted_part() else { return };
    let (msn, part) = old.next();
    let came = match new.at(msn).and_then(|s| s.parts.get(part)) {
        Some(p) => Some((p, new.at(msn).is_some_and(|s| s.discontinuity))),
        // The segment ended with the parts it had: the hinted one is the first of the next.
        None => new.at(msn + 1).and_then(|s| s.parts.first().map(|p| (p, s.discontinuity))),
    };
    let Some((came, discontinuity)) = came else { return };
    let over = part > 0 && new.at(msn + 1).is_some_and(|s| s.discontinuity);
    if came.uri != hinted
        && !discontinuity
        && !over
        && !old.ended()
        && !new.all().any(|s| s.gap && s.msn >= msn)
    {
        found.push(Finding::new(
            25,
            "another part came than was hinted",
            format!("{} instead of {hinted}", came.uri),
        ));
    }
}

fn place(s: &Segment) -> String {
    format!("msn {}", s.msn)
}

fn step(old: &Media, new: &Media) -> String {
    format!("msn {}..{} to {}..{}", old.first_msn(), old.open.msn, new.first_msn(), new.open.msn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::{GOOD, NONE};

    fn clauses(old: &str, new: &str) -> Vec<u8> {
        let read = |t: &str| Media::parse(t).unwrap();
        let mut c: Vec<u8> = lint_update(&read(old), &read(new)).iter().map(|f| f.clause).collect();
        c.sort_unstable();
        c.dedup();
        c
    }

    fn with(from: &str, to: &str) -> Vec<u8> {
        assert!(GOOD.contains(from), "{from}");
        clauses(GOOD, &GOOD.replacen(from, to, 1))
    }

    const HINT: &str = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part_7_42.m4s\"";

    /// GOOD after one more part.
    fn one_part_later() -> String {
        GOOD.replace(
            HINT,
            "#EXT-X-PART:DURATION=0.2,URI=\"part_7_42.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part_7_43.m4s\"",
        )
    }

    /// GOOD after the oldest segment left, its map now before the next.
    fn without_the_oldest() -> String {
        let (head, rest) = GOOD.split_once("#EXT-X-MAP").unwrap();
        let (_, rest) = rest.split_once("segment_7_100.m4s\n").unwrap();
        format!("{}#EXT-X-MAP:URI=\"init_7_0.mp4\"\n{rest}", head.replace("SEQUENCE:100", "SEQUENCE:101"))
    }

    #[test]
    fn legal_steps_are_clean() {
        assert_eq!(clauses(GOOD, GOOD), NONE);
        assert_eq!(clauses(GOOD, &one_part_later()), NONE);
        assert_eq!(clauses(GOOD, &without_the_oldest()), NONE);
        assert_eq!(
            clauses(GOOD, &GOOD.replace(HINT, "#EXTINF:0.4,\nsegment_7_104.m4s\n#EXT-X-ENDLIST")),
            NONE
        );
    }

    #[test]
    fn clause_1_the_target_duration_stays() {
        assert_eq!(with("TARGETDURATION:2", "TARGETDURATION:3"), [1]);
    }

    #[test]
    fn clause_2_part_target_and_control_stay() {
        assert_eq!(with("PART-TARGET=0.21", "PART-TARGET=0.2"), [2]);
        assert_eq!(with("PART-HOLD-BACK=0.63", "PART-HOLD-BACK=0.65"), [2]);
    }

    #[test]
    fn clause_3_listed_entries_stay() {
        assert_eq!(with("segment_7_102.m4s", "segment_8_102.m4s"), [3]);
        assert_eq!(with("#EXTINF:2.0,", "#EXTINF:1.9,"), [3]);
        assert_eq!(with("08:00:04.000Z", "08:00:04.001Z"), [3]);
        assert_eq!(with("URI=\"part_7_41.m4s\"", "URI=\"part_8_41.m4s\""), [3]);
        assert_eq!(with("URI=\"part_7_31.m4s\"", "URI=\"part_8_31.m4s\""), [3]);
        assert_eq!(with("08:00:08.000Z", "08:00:08.100Z"), [3]);
    }

    #[test]
    fn clause_4_numbers_never_go_back() {
        assert_eq!(clauses(&without_the_oldest(), GOOD), [4]);
        assert!(with("DISCONTINUITY-SEQUENCE:5", "DISCONTINUITY-SEQUENCE:4").contains(&4));
        assert!(clauses(&one_part_later(), GOOD).contains(&4));
    }

    #[test]
    fn clause_5_three_target_durations_stay_listed() {
        let small = without_the_oldest();
        let (head, rest) = small.split_once("#EXT-X-MAP").unwrap();
        let (_, rest) = rest.split_once("segment_7_101.m4s\n").unwrap();
        let smaller = format!(
            "{}#EXT-X-MAP:URI=\"init_7_0.mp4\"\n{rest}",
            head.replace("SEQUENCE:101", "SEQUENCE:102")
        );
        assert_eq!(clauses(GOOD, &smaller), [5]);
    }

    #[test]
    fn clause_9_the_end_is_the_end() {
        let over = GOOD.replace(HINT, "#EXT-X-ENDLIST");
        assert_eq!(clauses(&over, GOOD), [9]);
    }

    #[test]
    fn clause_25_the_hinted_part_comes() {
        let other = one_part_later().replace("URI=\"part_7_42.m4s\"", "URI=\"part_7_99.m4s\"");
        assert_eq!(clauses(GOOD, &other), [25]);
        let next = "#EXTINF:0.4,\nsegment_7_104.m4s\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:08.400Z\n#EXT-X-PART:DURATION=0.2,URI=\"part_7_42.m4s\",INDEPENDENT=YES";
        assert_eq!(clauses(GOOD, &GOOD.replace(HINT, next)), NONE);
        assert_eq!(clauses(GOOD, &GOOD.replace(HINT, &next.replace("part_7_42", "part_8_0"))), [25]);
        let epoch = next
            .replace("part_7_42", "part_8_0")
            .replace("#EXT-X-PROGRAM", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM");
        assert_eq!(clauses(GOOD, &GOOD.replace(HINT, &epoch)), NONE);
    }

    #[test]
    fn clause_12_and_14_are_held_by_the_map_of_an_entry() {
        assert_eq!(with("init_7_0.mp4", "init_7_1.mp4"), [3]);
    }
}
