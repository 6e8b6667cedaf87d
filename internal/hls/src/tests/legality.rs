//! Reads playlists as a player does, and checks one alone and one against the next. Knows nothing of the timeline.

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Part {
    pub(crate) uri: String,
    pub(crate) duration: f64,
    pub(crate) independent: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Piece {
    pub(crate) uri: String,
    pub(crate) duration: f64,
    pub(crate) gap: bool,
    pub(crate) discontinuity: bool,
    /// The MAP in force.
    pub(crate) map: Option<String>,
    pub(crate) map_written: bool,
    pub(crate) date: Option<String>,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Playlist {
    pub(crate) td: u32,
    /// Every line before the first segment that may never change.
    pub(crate) fixed: Vec<String>,
    pub(crate) control: String,
    pub(crate) part_target: Option<f64>,
    pub(crate) msn: u64,
    pub(crate) dseq: u64,
    pub(crate) skipped: usize,
    pub(crate) segments: Vec<Piece>,
    pub(crate) open: Option<Piece>,
    pub(crate) hints: Vec<String>,
    pub(crate) reports: Vec<String>,
    pub(crate) end: bool,
}

fn attr<'a>(list: &'a str, key: &str) -> Option<&'a str> {
    list.split(',').find_map(|kv| kv.strip_prefix(key)?.strip_prefix('=')).map(|v| v.trim_matches('"'))
}

pub(crate) fn parse(text: &str) -> Playlist {
    let mut p = Playlist::default();
    let mut piece = Piece::default();
    let mut map = None;
    assert!(text.starts_with("#EXTM3U\n") && text.ends_with('\n'), "frame of {text}");
    for line in text.lines() {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXTM3U" => {}
            "#EXT-X-VERSION" => p.fixed.push(line.into()),
            "#EXT-X-TARGETDURATION" => {
                p.td = value.parse().unwrap();
                p.fixed.push(line.into());
            }
            "#EXT-X-SERVER-CONTROL" => {
                p.control = value.into();
                p.fixed.push(line.into());
            }
            "#EXT-X-PART-INF" => {
                p.part_target = Some(attr(value, "PART-TARGET").unwrap().parse().unwrap());
                p.fixed.push(line.into());
            }
            "#EXT-X-MEDIA-SEQUENCE" => p.msn = value.parse().unwrap(),
            "#EXT-X-DISCONTINUITY-SEQUENCE" => p.dseq = value.parse().unwrap(),
            "#EXT-X-SKIP" => p.skipped = attr(value, "SKIPPED-SEGMENTS").unwrap().parse().unwrap(),
            "#EXT-X-DISCONTINUITY" => {
                assert!(piece.parts.is_empty(), "14: DISCONTINUITY after a part");
                piece.discontinuity = true;
            }
            "#EXT-X-MAP" => {
                assert!(piece.parts.is_empty(), "14: MAP after a part");
                map = Some(attr(value, "URI").unwrap().to_owned());
                piece.map_written = true;
            }
            "#EXT-X-PROGRAM-DATE-TIME" => {
                assert!(piece.parts.is_empty(), "14: date after a part");
                piece.date = Some(value.into());
            }
            "#EXT-X-PART" => piece.parts.push(Part {
                uri: attr(value, "URI").unwrap().into(),
                duration: attr(value, "DURATION").unwrap().parse().unwrap(),
                independent: attr(value, "INDEPENDENT") == Some("YES"),
            }),
            "#EXT-X-GAP" => piece.gap = true,
            "#EXTINF" => piece.duration = value.strip_suffix(',').unwrap().parse().unwrap(),
            "#EXT-X-PRELOAD-HINT" => {
                assert_eq!(attr(value, "TYPE"), Some("PART"));
                p.hints.push(attr(value, "URI").unwrap().into());
            }
            "#EXT-X-RENDITION-REPORT" => p.reports.push(value.into()),
            "#EXT-X-ENDLIST" => p.end = true,
            _ if line.starts_with('#') => panic!("unknown tag {line}"),
            uri => {
                piece.uri = uri.into();
                piece.map.clone_from(&map);
                p.segments.push(std::mem::take(&mut piece));
            }
        }
    }
    if piece != Piece::default() {
        piece.map = map;
        p.open = Some(piece);
    }
    p
}

impl Playlist {
    pub(crate) fn duration(&self) -> f64 {
        self.segments.iter().map(|s| s.duration).sum::<f64>() + self.open_duration()
    }

    fn open_duration(&self) -> f64 {
        self.open.iter().flat_map(|o| &o.parts).map(|p| p.duration).sum()
    }

    fn hold(&self) -> f64 {
        3.0 * f64::from(self.td)
    }
}

/// What must hold of every low-latency playlist by itself.
pub(crate) fn check(p: &Playlist) {
    let target = p.part_target.expect("PART-INF");
    for s in p.segments.iter().chain(&p.open) {
        assert!(s.date.is_some(), "11: PROGRAM-DATE-TIME on every segment: {s:?}");
        for part in &s.parts {
            assert!(part.duration <= target + 1e-9, "16: part over PART-TARGET: {part:?}");
        }
    }
    for s in &p.segments {
        assert!(
            s.duration.round() <= f64::from(p.td),
            "1: EXTINF {} over TARGETDURATION {}",
            s.duration,
            p.td
        );
        assert!(!s.gap || s.parts.is_empty(), "a GAP has no parts");
    }
    if let Some(first) = p.segments.first().filter(|_| p.skipped == 0) {
        assert_eq!(first.map.is_some(), first.map_written, "10: the first segment says its MAP");
    }
    let mut after = p.open_duration();
    for s in p.segments.iter().rev() {
        assert!(s.parts.is_empty() || after < p.hold() + 0.001, "6: parts listed {after} s from the end");
        if after < p.hold() - 0.001 && !s.gap {
            let sum: f64 = s.parts.iter().map(|p| p.duration).sum();
            assert!((sum - s.duration).abs() < 0.001 || sum > s.duration, "parts of {s:?} are its media");
        }
        after += s.duration;
    }
    assert_eq!(p.hints.len(), usize::from(!p.end), "25: one hint, none after the end");
    assert!(!p.end || p.open.is_none(), "9: nothing is open after the end");
    assert!(p.open.as_ref().is_none_or(|o| !o.parts.is_empty()), "the open segment has parts");
}

/// What must hold between two playlists that one reader may see one after the other.
pub(crate) fn check_change(old: &Playlist, new: &Playlist) {
    assert_eq!(old.fixed, new.fixed, "1, 2: what is fixed stays");
    assert!(new.msn >= old.msn && new.dseq >= old.dseq, "4: numbers never go back");
    assert!(!old.end || new.end, "9: the end is final");
    let gone = usize::try_from(new.msn - old.msn).unwrap();
    assert!(gone <= old.segments.len(), "3: a segment came and went unseen");
    let (removed, kept) = old.segments.split_at(gone);
    let tags = removed.iter().filter(|s| s.discontinuity).count() as u64;
    assert_eq!(new.dseq, old.dseq + tags, "4: DISCONTINUITY-SEQUENCE counts what left");
    assert!(removed.is_empty() || new.duration() >= new.hold() - 0.001, "5: removed below 3 × TD");
    assert!(new.segments.len() >= kept.len(), "3: only the oldest leave");
    for (a, b) in kept.iter().zip(&new.segments) {
        let same = Piece { map_written: b.map_written, parts: b.parts.clone(), ..a.clone() };
        assert_eq!(&same, b, "3: a listed segment was edited");
        assert!(b.parts == a.parts || b.parts.is_empty(), "3: parts were edited");
    }
    let Some(open) = &old.open else { return };
    let next = new.segments.get(kept.len()).or(new.open.as_ref());
    let Some(next) = next else { panic!("3: the open segment vanished") };
    assert_eq!((&open.date, open.discontinuity, &open.map), (&next.date, next.discontinuity, &next.map));
    let listed = next.parts.get(..open.parts.len());
    assert!(listed == Some(&open.parts) || next.parts.is_empty(), "3: parts were edited");
}
