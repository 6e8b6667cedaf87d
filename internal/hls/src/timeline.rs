//! The timeline: what is listed, in which order, and what has left.

use std::{collections::VecDeque, ops::Range, time::Duration, time::SystemTime};

use media::{Cursor, Epoch, Msn, ObjectName, RenditionName, Ticks};

use crate::{
    Decision, Directives, Edge, Settings, Variant,
    lines::{self, Map},
    settings::{ceil_seconds, round_seconds},
};

/// A complete segment, as it was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its object.
    pub name: ObjectName,
    /// Its media sequence number.
    pub msn: Msn,
    /// Its media time, the sum of its parts.
    pub duration: Ticks,
    /// Its size; 0 for a GAP.
    pub bytes: u64,
    /// A GAP: its object is a placeholder.
    pub gap: bool,
    /// It starts with an IDR picture (or has no video).
    pub independent: bool,
    /// EXTINF would have rounded above a TARGETDURATION that may no longer rise, so less was listed (§4.4.3.1).
    pub over_target: bool,
}

/// An object that has left the playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// A part, a segment or an init.
    pub name: ObjectName,
    /// How long from now on it must stay fetchable (§6.2.2).
    pub keep_for: Duration,
}

/// The parts and segments of one rendition, from which every playlist is rendered.
///
/// Numbers only rise and nothing listed is ever edited, whatever order the calls come in.
#[derive(Debug)]
pub struct Timeline {
    pub(crate) settings: Settings,
    pub(crate) variant: Option<Variant>,
    pub(crate) listed: VecDeque<Entry>,
    pub(crate) open: Option<Open>,
    pub(crate) reports: Vec<(RenditionName, Cursor)>,
    pub(crate) ended: bool,
    /// Some segment has left: a whole window has been measured.
    pub(crate) slid: bool,
    /// Bit/s of the newest segment with media, which may have left; 0 before the first.
    pub(crate) last_rate: u64,
    /// The discontinuity sequence of the first listed segment, its own tag not counted.
    pub(crate) first_dseq: u64,
    next_msn: Msn,
    last_dseq: u64,
    epoch: Option<Epoch>,
    epoch_first_msn: Msn,
    next_seq: u64,
    init: Option<Map>,
    pending_discontinuity: bool,
    target_duration: u32,
    target_fixed: bool,
    /// Index of the first listed segment whose parts are listed, too.
    parts_from: usize,
    total: Ticks,
    longest_total: Ticks,
    retired: Vec<Retired>,
    /// When the newest listed segment ends, as far as its date and duration tell.
    end_date: SystemTime,
}

/// A listed segment, with the lines that never change again.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) segment: Segment,
    pub(crate) listed_duration: Ticks,
    pub(crate) discontinuity: bool,
    pub(crate) map: Option<Map>,
    pub(crate) map_changed: bool,
    /// EXT-X-PROGRAM-DATE-TIME.
    pub(crate) date: String,
    /// The EXT-X-PART lines; emptied when they leave.
    pub(crate) parts: String,
    /// EXT-X-GAP, EXTINF and the URI.
    pub(crate) tail: String,
    seqs: Range<u64>,
}

/// How far the durations of a segment's parts run ahead of its media, in microseconds, from its second part to the last
/// but one: less than a fifth of a tick.
///
/// Shaka (5.2) places a part anew in its buffer, and throws away its pictures up to the next IDR, when the durations
/// before it come out lower than its media time by as little as a rounding error. The last part takes the lead back, so
/// that parts and EXTINF agree; which one is the last is known while segments are as long as the one before.
const LEAD: i64 = 2;

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) duration: Ticks,
    pub(crate) bytes: u64,
    pub(crate) independent: bool,
    pub(crate) discontinuity: bool,
    pub(crate) map: Option<Map>,
    pub(crate) map_changed: bool,
    pub(crate) date: String,
    pub(crate) parts: String,
    /// Sum of the parts' durations as they are written, in microseconds.
    written: i64,
    start: SystemTime,
    epoch: Epoch,
    seqs: Range<u64>,
}

impl Open {
    pub(crate) fn has_parts(&self) -> bool {
        !self.seqs.is_empty()
    }

    /// Writes a part whose end `self.duration` already counts; `last` when the segment is expected to end with it.
    fn write_part(&mut self, name: ObjectName, target: Ticks, independent: bool, last: bool) {
        let lead = if last { 0 } else { LEAD };
        let duration = (lines::micros(self.duration) + lead - self.written).max(0);
        let most = lines::micros(target).max(duration - lead);
        let duration = duration.min(most);
        lines::part_line(&mut self.parts, name, duration, independent);
        self.written += duration;
    }

    fn part_count(&self) -> u32 {
        u32::try_from(self.seqs.end - self.seqs.start).unwrap_or(u32::MAX)
    }
}

impl Timeline {
    /// An empty timeline whose first segment has number `first_msn` and discontinuity sequence `first_dseq`.
    ///
    /// `remembered` is the TARGETDURATION that the path had before, in seconds: this one will not be lower.
    pub fn new(settings: Settings, first_msn: Msn, first_dseq: u64, remembered: Option<u32>) -> Self {
        Self {
            settings,
            variant: None,
            listed: VecDeque::new(),
            open: None,
            reports: Vec::new(),
            ended: false,
            slid: false,
            last_rate: 0,
            first_dseq,
            next_msn: first_msn,
            last_dseq: first_dseq,
            epoch: None,
            epoch_first_msn: first_msn,
            next_seq: 0,
            init: None,
            pending_discontinuity: false,
            target_duration: ceil_seconds(settings.segment_target).max(remembered.unwrap_or(0)).max(1),
            target_fixed: false,
            parts_from: 0,
            total: Ticks::ZERO,
            longest_total: Ticks::ZERO,
            retired: Vec::new(),
            end_date: SystemTime::UNIX_EPOCH,
        }
    }

    /// A new claim publishes: parts count from 0 again, and the next segment of a non-empty timeline is discontinuous.
    ///
    /// An open segment is closed first, and returned when it had parts.
    pub fn begin_epoch(&mut self, epoch: Epoch) -> Option<Segment> {
        let closed = self.close_segment();
        self.epoch = Some(epoch);
        self.epoch_first_msn = self.next_msn;
        self.next_seq = 0;
        self.retire_unused_init();
        self.init = None;
        self.pending_discontinuity |= !self.listed.is_empty();
        closed
    }

    /// Segments opened from now on need this init of the current epoch (EXT-X-MAP).
    pub fn set_init(&mut self, version: u32) {
        let map = Map { epoch: self.current_epoch(), version };
        if self.init != Some(map) {
            self.retire_unused_init();
            self.init = Some(map);
        }
    }

    /// What the multivariant says of the stream from now on.
    pub fn set_variant(&mut self, variant: Variant) {
        self.variant = Some(variant);
    }

    /// Where the other renditions stand (EXT-X-RENDITION-REPORT): `next` of each. Empty for a single rendition.
    pub fn set_reports(&mut self, reports: Vec<(RenditionName, Cursor)>) {
        self.reports = reports;
    }

    /// Opens the next segment, whose first sample plays at `date`. It is listed once it has a part.
    ///
    /// A changed init makes it discontinuous whatever the caller says (§4.4.4.3). An open segment is closed first, and lost
    /// to the caller: call [`Timeline::close_segment`] before. After the end this does nothing.
    pub fn open_segment(&mut self, date: SystemTime, discontinuity: bool) -> Msn {
        if self.ended {
            return self.next_msn;
        }
        self.close_segment();
        let before = self.listed.back().and_then(|e| e.map);
        let map_changed = self.init.is_some() && self.init != before;
        let listed = !self.listed.is_empty();
        let discontinuity =
            self.pending_discontinuity || listed && (discontinuity || before.is_some() && map_changed);
        self.pending_discontinuity = false;
        self.open = Some(Open {
            duration: Ticks::ZERO,
            bytes: 0,
            independent: true,
            discontinuity,
            map: self.init,
            map_changed,
            date: lines::date_line(date),
            parts: String::new(),
            written: 0,
            start: date,
            epoch: self.current_epoch(),
            seqs: self.next_seq..self.next_seq,
        });
        self.next_msn
    }

    /// Lists a part of the open segment and gives its name. The part must be fetchable before readers are told.
    ///
    /// `independent`: it starts with an IDR picture, or has no video. Without an open segment one is opened where the last ended.
    pub fn push_part(&mut self, duration: Ticks, independent: bool, bytes: u64) -> ObjectName {
        let name = ObjectName::Part { epoch: self.current_epoch(), seq: self.next_seq };
        if self.ended {
            return name;
        }
        if self.open.is_none() {
            self.open_segment(self.end_date, false);
        }
        self.next_seq += 1;
        if let Some(open) = &mut self.open {
            if !open.has_parts() {
                open.independent = independent;
            }
            open.duration += duration;
            let last = self.listed.back().is_some_and(|e| e.segment.duration == open.duration);
            open.write_part(name, self.settings.part_target, independent, last);
            open.seqs.end = self.next_seq;
            open.bytes += bytes;
        }
        self.slide();
        name
    }

    /// Completes the open segment. `None` when none is open or it has no part; its number is then not used up.
    pub fn close_segment(&mut self) -> Option<Segment> {
        self.close_segment_after(Ticks::ZERO)
    }

    /// As [`Timeline::close_segment`], for a segment that lasts longer than the sum of its parts because media is missing
    /// in it: EXTINF is `duration`, so that the sum of EXTINF stays the media's time.
    pub fn close_segment_after(&mut self, duration: Ticks) -> Option<Segment> {
        let mut open = self.open.take()?;
        open.duration = open.duration.max(duration);
        if !open.has_parts() {
            self.pending_discontinuity |= open.discontinuity;
            return None;
        }
        let segment = Segment {
            name: ObjectName::Segment { epoch: open.epoch, msn: self.next_msn },
            msn: self.next_msn,
            duration: open.duration,
            bytes: open.bytes,
            gap: false,
            independent: open.independent,
            over_target: false,
        };
        Some(self.list(segment, open))
    }

    /// Lists a GAP of this length, which plays at `date`; for times without media. Closes an open segment first.
    ///
    /// No longer than TARGETDURATION is listed. After the end nothing is, and the number is not used.
    pub fn push_gap(&mut self, duration: Ticks, date: SystemTime) -> Segment {
        self.close_segment();
        let segment = Segment {
            name: ObjectName::Segment { epoch: self.current_epoch(), msn: self.next_msn },
            msn: self.next_msn,
            duration,
            bytes: 0,
            gap: true,
            independent: true,
            over_target: false,
        };
        if self.ended {
            return segment;
        }
        // The discontinuity of a new epoch belongs to its first media; until then the GAP continues what was before.
        let before = self.listed.back().and_then(|e| e.map);
        let map = before.or(self.init);
        let open = Open {
            duration,
            bytes: 0,
            independent: true,
            discontinuity: false,
            map,
            map_changed: before.is_none() && map.is_some(),
            date: lines::date_line(date),
            parts: String::new(),
            written: 0,
            start: date,
            epoch: self.current_epoch(),
            seqs: self.next_seq..self.next_seq,
        };
        self.list(segment, open)
    }

    /// The stream is over: ENDLIST. Closes the open segment, and returns it when it had parts. Later changes do nothing.
    pub fn end(&mut self) -> Option<Segment> {
        let closed = self.close_segment();
        self.ended = true;
        closed
    }

    /// TARGETDURATION in seconds; rises with the longest segment until it is fixed.
    pub fn target_duration(&self) -> u32 {
        self.target_duration
    }

    /// Fixes TARGETDURATION for ever, because a playlist that carries it is about to be served or stored.
    ///
    /// A segment that is already running counts with the part that the muxer may hold.
    pub fn fix_target_duration(&mut self) -> u32 {
        if !self.target_fixed {
            self.target_fixed = true;
            if let Some(open) = self.open.as_ref().filter(|o| o.has_parts()) {
                let running = round_seconds(open.duration + self.settings.part_target);
                self.target_duration = self.target_duration.max(running);
            }
            self.slide();
        }
        self.target_duration
    }

    /// Whether a reader may have seen TARGETDURATION.
    pub fn is_target_duration_fixed(&self) -> bool {
        self.target_fixed
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The current claim, once one began.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The first part that is not there yet.
    pub fn next(&self) -> Cursor {
        Cursor { msn: self.next_msn, part: self.open.as_ref().map_or(0, Open::part_count) }
    }

    /// The number of the first listed segment (EXT-X-MEDIA-SEQUENCE).
    pub fn media_sequence(&self) -> Msn {
        self.listed.front().map_or(self.next_msn, |e| e.segment.msn)
    }

    /// The discontinuity sequence of the newest segment: what a successor must be above.
    pub fn discontinuity_sequence(&self) -> u64 {
        self.last_dseq + u64::from(self.open.as_ref().is_some_and(|o| o.discontinuity))
    }

    /// Whether ENDLIST is written.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the newest thing listed is a GAP.
    pub fn in_gap(&self) -> bool {
        !self.open.as_ref().is_some_and(Open::has_parts) && self.listed.back().is_some_and(|e| e.segment.gap)
    }

    /// The part that comes next, of which readers are told (EXT-X-PRELOAD-HINT); none before the first claim and after the end.
    pub fn preload_hint(&self) -> Option<ObjectName> {
        let epoch = self.epoch.filter(|_| !self.ended)?;
        Some(ObjectName::Part { epoch, seq: self.next_seq })
    }

    /// The `n`-th complete segment of the current publish, from 0; it may have left the playlist.
    pub fn nth_segment(&self, n: u64) -> Option<ObjectName> {
        let msn = self.epoch_first_msn.checked_add(n).filter(|m| *m < self.next_msn)?;
        Some(ObjectName::Segment { epoch: self.epoch?, msn })
    }

    /// The init of the newest segment, or the one that the next will need.
    pub fn current_init(&self) -> Option<ObjectName> {
        let map = self.init.or_else(|| self.listed.back().and_then(|e| e.map))?;
        Some(map.name())
    }

    /// A copy of where it stands, for the blocking rules.
    pub fn edge(&self) -> Edge {
        let last = self.listed.back();
        Edge {
            next: self.next(),
            last_parts: last
                .map(|e| u32::try_from(e.seqs.end - e.seqs.start).unwrap_or(u32::MAX))
                .filter(|n| *n > 0),
            has_media: last.is_some() || self.open.as_ref().is_some_and(Open::has_parts),
            has_segment: last.is_some(),
            ended: self.ended,
            hint: self.preload_hint(),
            advance_part_limit: self.settings.advance_part_limit(),
            target_duration: self.target_duration,
        }
    }

    /// As [`Edge::decide`].
    pub fn decide(&self, d: &Directives) -> Decision {
        self.edge().decide(d)
    }

    /// What left the playlist since the last call, and how long it must stay fetchable.
    pub fn take_retired(&mut self) -> Vec<Retired> {
        std::mem::take(&mut self.retired)
    }

    pub(crate) fn skips(&self) -> bool {
        self.settings.offers_skip()
    }

    /// The media time that the playlist holds, open segment included.
    pub(crate) fn total(&self) -> Ticks {
        self.total + self.open.as_ref().map_or(Ticks::ZERO, |o| o.duration)
    }

    fn current_epoch(&self) -> Epoch {
        self.epoch.unwrap_or_default()
    }

    fn list(&mut self, mut segment: Segment, open: Open) -> Segment {
        let rounded = round_seconds(segment.duration);
        if !self.target_fixed {
            self.target_duration = self.target_duration.max(rounded);
        }
        segment.over_target = rounded > self.target_duration;
        if !segment.gap {
            self.last_rate = bit_rate(segment.bytes, segment.duration);
        }
        let most = Ticks(i64::from(self.target_duration) * Ticks::RATE + Ticks::RATE / 2 - 1);
        let listed_duration = segment.duration.min(most);
        let mut tail = String::new();
        lines::segment_lines(&mut tail, segment.name, listed_duration, segment.gap);
        self.last_dseq += u64::from(open.discontinuity);
        self.total += listed_duration;
        self.next_msn += 1;
        self.end_date = open.start.checked_add(segment.duration.to_duration()).unwrap_or(open.start);
        self.listed.push_back(Entry {
            segment,
            listed_duration,
            discontinuity: open.discontinuity,
            map: open.map,
            map_changed: open.map_changed,
            date: open.date,
            parts: open.parts,
            tail,
            seqs: open.seqs,
        });
        self.slide();
        segment
    }

    /// Takes off what need not be listed any more: old parts, then old segments.
    fn slide(&mut self) {
        self.longest_total = self.longest_total.max(self.total());
        let hold = Ticks(3 * i64::from(self.target_duration) * Ticks::RATE);
        // Before that nobody has seen them, and 3 × TD may still grow.
        if self.target_fixed {
            self.retire_parts(hold);
        }
        while self.listed.len() > self.settings.window {
            let Some(first) = self.listed.front() else { break };
            if self.total - first.listed_duration < hold {
                break;
            }
            self.retire_first();
        }
    }

    fn retire_parts(&mut self, hold: Ticks) {
        let after = |t: &Self| {
            let later: i64 = t.listed.iter().skip(t.parts_from + 1).map(|e| e.listed_duration.0).sum();
            Ticks(later + t.open.as_ref().map_or(0, |o| o.duration.0))
        };
        while self.parts_from < self.listed.len() && after(self) >= hold {
            self.retire_parts_of(self.parts_from, hold);
            self.parts_from += 1;
        }
    }

    fn retire_parts_of(&mut self, index: usize, hold: Ticks) {
        let Some(entry) = self.listed.get_mut(index) else { return };
        entry.parts = String::new();
        let ObjectName::Segment { epoch, .. } = entry.segment.name else { return };
        let keep_for = hold.to_duration();
        self.retired.extend(
            entry.seqs.clone().map(|seq| Retired { name: ObjectName::Part { epoch, seq }, keep_for }),
        );
    }

    fn retire_first(&mut self) {
        if self.parts_from == 0 {
            self.retire_parts_of(0, Ticks(3 * i64::from(self.target_duration) * Ticks::RATE));
        } else {
            self.parts_from -= 1;
        }
        let Some(first) = self.listed.pop_front() else { return };
        self.slid = true;
        self.total -= first.listed_duration;
        self.first_dseq += u64::from(first.discontinuity);
        let keep_for = (first.listed_duration + self.longest_total).to_duration();
        self.retired.push(Retired { name: first.segment.name, keep_for });
        if let Some(map) = first.map.filter(|m| !self.uses(*m) && self.init != Some(*m)) {
            self.retired.push(Retired { name: map.name(), keep_for });
        }
    }

    /// The current init is about to be replaced: it retires now when no segment needs it, else with the last that does.
    fn retire_unused_init(&mut self) {
        if let Some(map) = self.init.filter(|m| !self.uses(*m)) {
            let keep_for = self.longest_total.to_duration();
            self.retired.push(Retired { name: map.name(), keep_for });
        }
    }

    fn uses(&self, map: Map) -> bool {
        self.listed.iter().any(|e| e.map == Some(map))
            || self.open.as_ref().is_some_and(|o| o.map == Some(map))
    }
}

/// Bit/s.
pub(crate) fn bit_rate(bytes: u64, time: Ticks) -> u64 {
    let time = u128::try_from(time.0).unwrap_or(0);
    let bits = u128::from(bytes) * 8 * 90_000;
    bits.checked_div(time).map_or(0, |r| u64::try_from(r).unwrap_or(u64::MAX))
}
