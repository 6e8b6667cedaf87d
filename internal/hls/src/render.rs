//! Playlists as text.

use std::fmt::Write;

use media::{RenditionName, Ticks};

use crate::{
    lines::{Map, Seconds, map_line, put},
    timeline::{Entry, Timeline, bit_rate},
};

/// Peaks of a passed-through stream are a guess before they are measured; AAS allows live peaks 25 % over.
const HEADROOM_PERCENT: u64 = 125;
/// Room for the header, the hint, the reports and one MAP line.
const FIXED_TEXT: usize = 640;
/// Room for the lines that an entry does not hold ready.
const ENTRY_TEXT: usize = 96;

impl Timeline {
    /// The media playlist for readers; `skip` asks for a delta update, which is given only where it is offered and the
    /// playlist holds something past the skip boundary.
    ///
    /// Whoever serves the text must have called [`Timeline::fix_target_duration`] before.
    pub fn render_media(&self, skip: bool) -> String {
        let mut out = String::with_capacity(self.text_len());
        self.header(&mut out, true);
        let skipped = if skip { self.skippable() } else { 0 };
        if skipped > 0 {
            put!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n");
        }
        for (i, entry) in self.listed.iter().skip(skipped).enumerate() {
            entry.render(&mut out, i == 0, true);
        }
        if let Some(open) = self.open.as_ref().filter(|o| o.has_parts()) {
            let first = self.listed.is_empty();
            lead(&mut out, open.discontinuity, open.map.filter(|_| first || open.map_changed), &open.date);
            out.push_str(&open.parts);
        }
        self.footer(&mut out);
        out
    }

    /// The media playlist for storage: complete segments only, and no low-latency tags.
    ///
    /// As with [`Timeline::render_media`], fix TARGETDURATION first.
    pub fn render_plain(&self) -> String {
        let mut out = String::with_capacity(self.text_len());
        self.header(&mut out, false);
        for (i, entry) in self.listed.iter().enumerate() {
            entry.render(&mut out, i == 0, false);
        }
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
        }
        out
    }

    /// The multivariant playlist; `None` until codecs and some bit rate are known.
    pub fn render_index(&self) -> Option<String> {
        let variant = self.variant.as_ref().filter(|v| !v.codecs.is_empty())?;
        let (peak, average) = self.bandwidth()?;
        let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
        if self.is_independent() {
            out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        let codecs = variant.codecs.join(",");
        put!(out, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\"");
        if let Some((w, h)) = variant.resolution {
            put!(out, ",RESOLUTION={w}x{h}");
        }
        if let Some(rate) = variant.frame_rate.filter(|r| r.is_finite() && *r > 0.0) {
            put!(out, ",FRAME-RATE={rate:.3}");
        }
        if let Some(range) = variant.video_range {
            put!(out, ",VIDEO-RANGE={}", range.as_str());
        }
        put!(out, "\n{}\n", RenditionName::Media);
        Some(out)
    }

    /// Whether [`Timeline::render_index`] has something to say.
    pub fn has_index(&self) -> bool {
        self.variant.as_ref().is_some_and(|v| !v.codecs.is_empty()) && self.bandwidth().is_some()
    }

    fn header(&self, out: &mut String, low_latency: bool) {
        let td = self.target_duration();
        put!(out, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{td}\n");
        if low_latency {
            let part = self.settings.part_target;
            let hold = Ticks(part.0.saturating_mul(3));
            put!(
                out,
                "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},HOLD-BACK={}.0",
                Seconds(hold),
                3 * u64::from(td)
            );
            if self.skips() {
                put!(out, ",CAN-SKIP-UNTIL={}.0", 6 * u64::from(td));
            }
            put!(out, "\n#EXT-X-PART-INF:PART-TARGET={}\n", Seconds(part));
        }
        put!(
            out,
            "#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
            self.media_sequence(),
            self.first_dseq
        );
    }

    fn footer(&self, out: &mut String) {
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
            return;
        }
        if let Some(hint) = self.preload_hint() {
            put!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\"\n");
        }
        for (name, next) in &self.reports {
            put!(out, "#EXT-X-RENDITION-REPORT:URI=\"{name}\",LAST-MSN={}", next.last_msn());
            match next.part {
                0 => out.push('\n'),
                part => put!(out, ",LAST-PART={}\n", part - 1),
            }
        }
    }

    /// How many segments lie wholly past the skip boundary (§6.2.5.1), counted from the end of the playlist.
    fn skippable(&self) -> usize {
        if !self.skips() || self.ended {
            return 0;
        }
        let boundary = Ticks(6 * i64::from(self.target_duration()) * Ticks::RATE);
        let mut after = self.total();
        let old = self.listed.iter().take_while(|e| {
            after -= e.listed_duration;
            after >= boundary
        });
        old.count()
    }

    /// Peak and average bit rate: announced with headroom first, as measured once a window was.
    fn bandwidth(&self) -> Option<(u64, u64)> {
        let least = Ticks(i64::from(self.target_duration()) * Ticks::RATE / 2);
        let media = || self.listed.iter().filter(|e| !e.segment.gap);
        let peak = media()
            .filter(|e| e.segment.duration >= least)
            .map(|e| bit_rate(e.segment.bytes, e.segment.duration))
            .max();
        let bytes: u64 = media().map(|e| e.segment.bytes).sum();
        let time: i64 = media().map(|e| e.segment.duration.0).sum();
        let average = bit_rate(bytes, Ticks(time));
        if let Some(peak) = peak.filter(|_| self.slid || self.listed.len() >= self.settings.window) {
            return Some((peak.max(average).max(1), average.max(1)));
        }
        let running = self.open.as_ref().map_or(0, |o| bit_rate(o.bytes, o.duration));
        // A window of nothing but GAPs goes on with what was known last.
        let known = [average, running, self.last_rate].into_iter().find(|r| *r > 0).unwrap_or(0);
        let measured = peak.unwrap_or(0).max(known);
        let announced = self.variant.as_ref().and_then(|v| v.announced_bitrate).filter(|b| *b > 0);
        match announced {
            Some(b) => Some((with_headroom(b).max(measured), b)),
            None if measured > 0 => {
                Some((with_headroom(measured), if average > 0 { average } else { measured }))
            }
            None => None,
        }
    }

    fn is_independent(&self) -> bool {
        self.listed.iter().all(|e| e.segment.independent) && self.open.as_ref().is_none_or(|o| o.independent)
    }

    fn text_len(&self) -> usize {
        let listed: usize =
            self.listed.iter().map(|e| ENTRY_TEXT + e.date.len() + e.parts.len() + e.tail.len()).sum();
        listed + self.open.as_ref().map_or(0, |o| ENTRY_TEXT + o.date.len() + o.parts.len()) + FIXED_TEXT
    }
}

impl Entry {
    fn render(&self, out: &mut String, first: bool, parts: bool) {
        lead(out, self.discontinuity, self.map.filter(|_| first || self.map_changed), &self.date);
        if parts {
            out.push_str(&self.parts);
        }
        out.push_str(&self.tail);
    }
}

/// What comes before the first EXT-X-PART of a segment (clause 14).
fn lead(out: &mut String, discontinuity: bool, map: Option<Map>, date: &str) {
    if discontinuity {
        out.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if let Some(map) = map {
        map_line(out, map);
    }
    out.push_str(date);
}

trait LastMsn {
    fn last_msn(&self) -> u64;
}

impl LastMsn for media::Cursor {
    /// The segment that the newest listed part belongs to.
    fn last_msn(&self) -> u64 {
        if self.part == 0 { self.msn.saturating_sub(1) } else { self.msn }
    }
}

fn with_headroom(rate: u64) -> u64 {
    rate.saturating_mul(HEADROOM_PERCENT) / 100
}
