//! What the bytes of parts and segments must satisfy.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::{
    boxes::{InitTrack, Moof, Traf, read_init, read_media},
    finding::Finding,
};

/// Parts kept to compare with their segment: more than any playlist lists within three target durations.
const MAX_PARTS: usize = 400;

/// A part or segment as listed, with its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) msn: u64,
    /// Place in its segment; 0 for a whole segment.
    pub(crate) index: usize,
    pub(crate) uri: String,
    pub(crate) map: String,
    pub(crate) duration: f64,
    /// INDEPENDENT=YES, of a segment's first part when this is a segment.
    pub(crate) independent: bool,
    /// It opens a discontinuity.
    pub(crate) discontinuity: bool,
    pub(crate) bytes: Bytes,
    /// URIs of a segment's parts, if they are listed.
    pub(crate) parts: Vec<String>,
}

/// Follows the media of one rendition in the order of its playlist.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    inits: HashMap<String, Vec<InitTrack>>,
    part_bytes: HashMap<String, Bytes>,
    part_order: VecDeque<String>,
    parts: Continuity,
    segments: Continuity,
    drift: Option<Drift>,
    /// Segments compared with their parts.
    pub(crate) compared: u64,
    /// Times that decode time jumped forward by more than a frame without a discontinuity.
    pub(crate) jumps: u64,
    /// Segments that do not open with a sync sample.
    pub(crate) dependent: u64,
}

/// Where each track must go on.
#[derive(Debug, Default)]
struct Continuity {
    next: HashMap<u32, u64>,
    /// (msn, index + 1) of the last entry.
    last: Option<(u64, usize)>,
}

/// Sum of EXTINF against decode time since the last discontinuity.
#[derive(Debug)]
struct Drift {
    start: f64,
    sum: f64,
    next_msn: u64,
}

impl Verifier {
    /// Whether the init section of that name was read.
    pub(crate) fn has_init(&self, uri: &str) -> bool {
        self.inits.contains_key(uri)
    }

    /// Takes an init section.
    pub(crate) fn init(&mut self, uri: &str, data: &[u8]) -> Vec<Finding> {
        match read_init(data) {
            Ok(tracks) => {
                self.inits.insert(uri.to_owned(), tracks);
                Vec::new()
            }
            Err(e) => vec![Finding::new(33, format!("unreadable init section: {e}"), uri)],
        }
    }

    /// Takes a part.
    pub(crate) fn part(&mut self, p: &Listed) -> Vec<Finding> {
        if self.part_bytes.insert(p.uri.clone(), p.bytes.clone()).is_none() {
            self.part_order.push_back(p.uri.clone());
        }
        if self.part_order.len() > MAX_PARTS
            && let Some(old) = self.part_order.pop_front()
        {
            self.part_bytes.remove(&old);
        }
        let Some(tracks) = self.inits.get(&p.map) else { return Vec::new() };
        let moofs = match read_media(&p.bytes, tracks) {
            Ok(m) => m,
            Err(e) => return vec![Finding::new(33, format!("unreadable part: {e}"), &p.uri)],
        };
        let mut found = Vec::new();
        if moofs.len() != 1 {
            found.push(Finding::new(
                35,
                "a part has not exactly one moof",
                format!("{}: {}", p.uri, moofs.len()),
            ));
        }
        form(&moofs, tracks, &p.uri, &mut found);
        if p.independent && !opens_with_sync(&moofs, tracks) {
            found.push(Finding::new(
                18,
                "INDEPENDENT=YES on a part that does not open with a sync sample",
                &p.uri,
            ));
        }
        length(&moofs, tracks, p, &mut found);
        let follows = self.parts.last.is_some_and(|(msn, index)| {
            (p.msn, p.index) == (msn, index) || (p.msn == msn + 1 && p.index == 0)
        });
        self.jumps += self.parts.step(&moofs, tracks, p, follows, &mut found);
        self.parts.last = Some((p.msn, p.index + 1));
        found
    }

    /// Takes a whole segment.
    pub(crate) fn segment(&mut self, s: &Listed) -> Vec<Finding> {
        let mut found = Vec::new();
        self.compare(s, &mut found);
        let Some(tracks) = self.inits.get(&s.map) else { return found };
        let moofs = match read_media(&s.bytes, tracks) {
            Ok(m) => m,
            Err(e) => return vec![Finding::new(33, format!("unreadable segment: {e}"), &s.uri)],
        };
        if moofs.is_empty() {
            self.segments = Continuity::default();
            self.drift = None;
            found.push(Finding::new(33, "a segment without media that is not marked as a gap", &s.uri));
            return found;
        }
        form(&moofs, tracks, &s.uri, &mut found);
        if !opens_with_sync(&moofs, tracks) {
            self.dependent += 1;
            if s.independent {
                found.push(Finding::new(33, "a segment does not open with a sync sample", &s.uri));
            }
        }
        length(&moofs, tracks, s, &mut found);
        let follows = self.segments.last.is_some_and(|(msn, _)| s.msn == msn + 1);
        self.segments.step(&moofs, tracks, s, follows, &mut found);
        self.segments.last = Some((s.msn, 1));
        drift(&mut self.drift, &moofs, tracks, s, &mut found);
        found
    }

    fn compare(&mut self, s: &Listed, found: &mut Vec<Finding>) {
        let parts: Option<Vec<&Bytes>> = s.parts.iter().map(|p| self.part_bytes.get(p)).collect();
        let Some(parts) = parts.filter(|p| !p.is_empty()) else { return };
        self.compared += 1;
        let total: usize = parts.iter().map(|p| p.len()).sum();
        let same = total == s.bytes.len() && parts.iter().flat_map(|p| p.iter()).eq(s.bytes.iter());
        if !same {
            let at = format!("{}: {} bytes, its parts {total}", s.uri, s.bytes.len());
            found.push(Finding::new(35, "a segment is not the concatenation of its parts", at));
        }
    }
}

impl Continuity {
    /// Checks each track's first decode time and moves on; returns the number of jumps forward.
    fn step(
        &mut self,
        moofs: &[Moof],
        tracks: &[InitTrack],
        l: &Listed,
        follows: bool,
        found: &mut Vec<Finding>,
    ) -> u64 {
        if !follows || (l.discontinuity && l.index == 0) {
            self.next.clear();
        }
        let mut jumps = 0;
        for t in moofs.iter().flat_map(|m| &m.trafs) {
            let frame = u64::from(longest(t));
            if let Some(&due) = self.next.get(&t.track) {
                let at = || format!("{} track {}: tfdt {}, due {due}", l.uri, t.track, t.time);
                if t.time < due {
                    found.push(Finding::new(33, "tfdt overlaps the samples before it", at()));
                } else if t.time > due && t.time - due <= frame {
                    found.push(Finding::new(33, "tfdt drifts from the samples before it", at()));
                } else if t.time > due {
                    jumps += u64::from(tracks.iter().any(|i| i.id == t.track && i.video));
                }
            }
            self.next.insert(t.track, t.time + t.duration());
        }
        jumps
    }
}

/// Everything that a fragment must satisfy by itself.
fn form(moofs: &[Moof], tracks: &[InitTrack], uri: &str, found: &mut Vec<Finding>) {
    for m in moofs {
        let sizes: u64 = m.trafs.iter().flat_map(|t| &t.samples).map(|s| u64::from(s.size)).sum();
        if sizes != m.mdat {
            let at = format!("{uri}: samples {sizes}, mdat {}", m.mdat);
            found.push(Finding::new(34, "the sample sizes do not add up to the mdat", at));
        }
        for t in &m.trafs {
            if !t.base_is_moof {
                found.push(Finding::new(34, "default-base-is-moof is not set", uri));
            }
            if t.wrapped_offset {
                found.push(Finding::new(34, "a negative composition offset in a version 0 trun", uri));
            }
            if !tracks.iter().any(|i| i.id == t.track) {
                found.push(Finding::new(
                    33,
                    "a fragment of a track that the init lacks",
                    format!("{uri}: {}", t.track),
                ));
            }
            samples(t, uri, found);
        }
    }
}

fn samples(t: &Traf, uri: &str, found: &mut Vec<Finding>) {
    let mut time = i128::from(t.time);
    for s in &t.samples {
        if time + i128::from(s.offset) < 0 {
            found.push(Finding::new(34, "a presentation time below 0", uri));
        }
        if (s.sync() && s.depends_on() == 1) || (!s.sync() && s.depends_on() == 2) {
            found.push(Finding::new(34, "sample_depends_on contradicts the sync flag", uri));
        }
        time += i128::from(s.duration);
    }
}

fn main_track(tracks: &[InitTrack]) -> Option<&InitTrack> {
    tracks.iter().find(|t| t.video).or(tracks.first())
}

fn opens_with_sync(moofs: &[Moof], tracks: &[InitTrack]) -> bool {
    let Some(main) = main_track(tracks) else { return false };
    let first = moofs.iter().flat_map(|m| &m.trafs).find(|t| t.track == main.id);
    first.and_then(|t| t.samples.first()).is_some_and(super::boxes::Sample::sync)
}

fn longest(t: &Traf) -> u32 {
    t.samples.iter().map(|s| s.duration).max().unwrap_or(0)
}

/// DURATION and EXTINF are within one frame of the media of the main track.
fn length(moofs: &[Moof], tracks: &[InitTrack], l: &Listed, found: &mut Vec<Finding>) {
    let Some(main) = main_track(tracks) else { return };
    let runs: Vec<&Traf> = moofs.iter().flat_map(|m| &m.trafs).filter(|t| t.track == main.id).collect();
    if runs.is_empty() {
        return;
    }
    let scale = f64::from(main.timescale);
    let media = runs.iter().map(|t| t.duration()).sum::<u64>() as f64 / scale;
    let frame = runs.iter().map(|t| longest(t)).max().map_or(0.0, f64::from) / scale;
    if (media - l.duration).abs() > frame + 0.001 {
        let at = format!("{}: {:.5} s listed, {media:.5} s of media", l.uri, l.duration);
        found.push(Finding::new(33, "a listed duration is off by more than a frame", at));
    }
}

fn drift(
    state: &mut Option<Drift>,
    moofs: &[Moof],
    tracks: &[InitTrack],
    s: &Listed,
    found: &mut Vec<Finding>,
) {
    let Some(main) = main_track(tracks) else { return };
    let Some(first) = moofs.iter().flat_map(|m| &m.trafs).find(|t| t.track == main.id) else { return };
    let now = first.time as f64 / f64::from(main.timescale);
    let frame = f64::from(longest(first)) / f64::from(main.timescale);
    match state {
        Some(d) if d.next_msn == s.msn && !s.discontinuity => {
            let off = (now - d.start) - d.sum;
            if off.abs() > frame + 0.001 {
                let at = format!("{}: {off:.5} s", s.uri);
                found.push(Finding::new(
                    33,
                    "the sum of EXTINF drifts from the media by more than a frame",
                    at,
                ));
            }
            d.sum += s.duration;
            d.next_msn += 1;
        }
        _ => *state = Some(Drift { start: now, sum: s.duration, next_msn: s.msn + 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::boxes::made;
    use crate::check::samples::NONE;

    const SYNC: u32 = 0x0200_0000;
    const DELTA: u32 = 0x0101_0000;
    const FRAMES: [(u32, u32, i32); 2] = [(3000, SYNC, 0), (3000, DELTA, 0)];

    fn listed(msn: u64, index: usize, bytes: Vec<u8>) -> Listed {
        Listed {
            msn,
            index,
            uri: format!("{msn}.{index}"),
            map: "init".into(),
            duration: 6000.0 / 90_000.0,
            independent: true,
            discontinuity: false,
            bytes: bytes.into(),
            parts: Vec::new(),
        }
    }

    fn verifier() -> Verifier {
        let mut v = Verifier::default();
        assert!(v.init("init", &made::init()).is_empty());
        v
    }

    fn clauses(found: &[Finding]) -> Vec<u8> {
        found.iter().map(|f| f.clause).collect()
    }

    #[test]
    fn good_parts_and_their_segment_are_clean() {
        let mut v = verifier();
        let (a, b) = (made::part(0, &FRAMES), made::part(6000, &FRAMES));
        assert_eq!(v.part(&listed(1, 0, a.clone())), []);
        assert_eq!(v.part(&listed(1, 1, b.clone())), []);
        let mut s = listed(1, 0, [a, b].concat());
        s.parts = vec!["1.0".into(), "1.1".into()];
        s.duration *= 2.0;
        assert_eq!(v.segment(&s), []);
        assert_eq!((v.compared, v.jumps), (1, 0));
    }

    #[test]
    fn clause_18_independent_parts_open_with_a_sync_sample() {
        let mut p = listed(1, 0, made::part(0, &[(3000, DELTA, 0), (3000, SYNC, 0)]));
        assert_eq!(clauses(&verifier().part(&p)), [18]);
        p.independent = false;
        assert_eq!(clauses(&verifier().part(&p)), NONE);
    }

    #[test]
    fn clause_33_decode_time_is_continuous() {
        for (time, expected, jumps) in
            [(6000, &[][..], 0), (5999, &[33], 0), (6001, &[33], 0), (12_000, &[], 1)]
        {
            let mut v = verifier();
            v.part(&listed(1, 0, made::part(0, &FRAMES)));
            assert_eq!(clauses(&v.part(&listed(2, 0, made::part(time, &FRAMES)))), expected, "{time}");
            assert_eq!(v.jumps, jumps);
        }
        let mut v = verifier();
        v.part(&listed(1, 0, made::part(0, &FRAMES)));
        let mut p = listed(2, 0, made::part(5, &FRAMES));
        p.discontinuity = true;
        assert_eq!(v.part(&p), []);
    }

    #[test]
    fn clause_33_durations_match_the_media() {
        let mut p = listed(1, 0, made::part(0, &FRAMES));
        p.duration += 0.035;
        assert_eq!(clauses(&verifier().part(&p)), [33]);
        let mut v = verifier();
        for i in 0..4 {
            let mut s = listed(i, 0, made::part(i * 6000, &FRAMES));
            s.duration += 0.012;
            // 12 ms each: within a frame one by one, over a frame after the third.
            assert_eq!(clauses(&v.segment(&s)), if i < 3 { vec![] } else { vec![33] }, "{i}");
        }
    }

    #[test]
    fn clause_33_a_segment_opens_with_a_sync_sample_and_has_media() {
        let mut s = listed(1, 0, made::part(0, &[(3000, DELTA, 0), (3000, DELTA, 0)]));
        assert_eq!(clauses(&verifier().segment(&s)), [33]);
        s.independent = false;
        let mut v = verifier();
        assert_eq!((v.segment(&s), v.dependent), (vec![], 1), "a cut without a keyframe, said to be one");
        assert_eq!(clauses(&verifier().segment(&listed(1, 0, made::mp4(b"styp", &[b"msdh"])))), [33]);
        assert_eq!(clauses(&verifier().segment(&listed(1, 0, vec![0, 0, 0, 99]))), [33]);
        assert_eq!(clauses(&verifier().init("x", &[])), [33]);
    }

    #[test]
    fn clause_34_the_form_of_a_fragment() {
        let part = |bytes| clauses(&verifier().part(&listed(1, 0, bytes)));
        assert_eq!(part(made::traf_part(1, 0, 0, 1, &FRAMES)), [34]);
        assert_eq!(part(made::traf_part(1, 0x02_0000, 9000, 0, &[(6000, SYNC, -3000)])), [34]);
        assert_eq!(part(made::part(0, &[(6000, SYNC, -1)])), [34]);
        assert_eq!(part(made::part(0, &[(6000, 0x0100_0000, 0)])), [34]);
        let mut short = made::part(0, &FRAMES);
        let n = short.len();
        short.truncate(n - 2);
        short.extend([0, 0]);
        short.extend(made::mp4(b"mdat", &[b"xyz"]));
        assert_eq!(part(short), [34]);
    }

    #[test]
    fn clause_35_a_part_is_one_moof_and_a_segment_its_parts() {
        let twice = [made::part(0, &FRAMES[..1]), made::part(3000, &FRAMES[1..])].concat();
        assert_eq!(clauses(&verifier().part(&listed(1, 0, twice))), [35]);
        let mut v = verifier();
        v.part(&listed(1, 0, made::part(0, &FRAMES)));
        let mut s = listed(1, 0, made::part(0, &[FRAMES[0], (3000, DELTA, 1)]));
        s.parts = vec!["1.0".into()];
        assert_eq!(clauses(&v.segment(&s)), [35]);
    }
}
