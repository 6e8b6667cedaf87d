//! A media playlist as a value, low-latency tags included (RFC 8216bis §4.4).

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::attributes::Attributes;

/// A media playlist. What is missing in the text is `None` here: the lints judge, not the reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Media {
    pub(crate) version: Option<u32>,
    pub(crate) target_duration: Option<u64>,
    pub(crate) media_sequence: Option<u64>,
    pub(crate) discontinuity_sequence: Option<u64>,
    pub(crate) part_target: Option<f64>,
    pub(crate) control: Option<Control>,
    pub(crate) playlist_type: Option<String>,
    pub(crate) endlists: usize,
    /// SKIPPED-SEGMENTS of a delta update.
    pub(crate) skipped: Option<u64>,
    /// Complete segments, in order.
    pub(crate) segments: Vec<Segment>,
    /// Parts after the last complete segment, with the tags that stand before them.
    pub(crate) open: Segment,
    pub(crate) hints: Vec<Hint>,
    pub(crate) reports: Vec<Attributes>,
}

/// EXT-X-SERVER-CONTROL.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Control {
    pub(crate) can_block_reload: bool,
    pub(crate) part_hold_back: Option<f64>,
    pub(crate) hold_back: Option<f64>,
    pub(crate) can_skip_until: Option<f64>,
}

/// A complete segment, or (without `uri`) the one that is still growing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Segment {
    pub(crate) msn: u64,
    pub(crate) uri: Option<String>,
    pub(crate) duration: f64,
    pub(crate) gap: bool,
    /// It carries EXT-X-DISCONTINUITY itself.
    pub(crate) discontinuity: bool,
    /// Its discontinuity sequence number.
    pub(crate) dsn: u64,
    /// URI of the EXT-X-MAP in force.
    pub(crate) map: Option<String>,
    /// It carries EXT-X-PROGRAM-DATE-TIME itself.
    pub(crate) date: Option<OffsetDateTime>,
    pub(crate) parts: Vec<Part>,
    /// Tags of this segment that came after its first part.
    pub(crate) late: Vec<&'static str>,
}

/// EXT-X-PART.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) uri: String,
    pub(crate) duration: f64,
    pub(crate) independent: bool,
    pub(crate) gap: bool,
}

/// EXT-X-PRELOAD-HINT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hint {
    pub(crate) kind: String,
    pub(crate) uri: String,
}

impl Media {
    /// Reads a playlist; `None` when the text does not begin with `#EXTM3U`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()?.trim_end() != "#EXTM3U" {
            return None;
        }
        let mut reader = Reader::default();
        lines.map(str::trim_end).filter(|l| !l.is_empty()).for_each(|l| reader.line(l));
        Some(reader.finish())
    }

    /// MSN of the first segment listed (or skipped).
    pub(crate) fn first_msn(&self) -> u64 {
        self.media_sequence.unwrap_or(0)
    }

    /// The segments, the growing one included, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().chain((!self.open.parts.is_empty()).then_some(&self.open))
    }

    /// The segment with that number.
    pub(crate) fn at(&self, msn: u64) -> Option<&Segment> {
        self.all().find(|s| s.msn == msn)
    }

    /// What a client asks for next: media sequence number and part.
    pub(crate) fn next(&self) -> (u64, usize) {
        (self.open.msn, self.open.parts.len())
    }

    /// Whether the stream is over.
    pub(crate) fn ended(&self) -> bool {
        self.endlists > 0
    }

    /// Seconds of all segments and parts listed.
    pub(crate) fn seconds(&self) -> f64 {
        self.segments.iter().map(|s| s.duration).sum::<f64>()
            + self.open.parts.iter().map(|p| p.duration).sum::<f64>()
    }

    /// Whether it uses partial segments.
    pub(crate) fn is_low_latency(&self) -> bool {
        self.part_target.is_some() || self.all().any(|s| !s.parts.is_empty())
    }

    /// The URI of the part to come.
    pub(crate) fn hinted_part(&self) -> Option<&str> {
        self.hints.iter().find(|h| h.kind == "PART").map(|h| h.uri.as_str())
    }
}

#[derive(Default)]
struct Reader {
    media: Media,
    discontinuities: u64,
    map: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let Some(tag) = line.strip_prefix('#') else { return self.uri(line) };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        if !self.header(name, value) {
            self.segment_tag(name, value);
        }
    }

    fn header(&mut self, name: &str, value: &str) -> bool {
        let m = &mut self.media;
        match name {
            "EXT-X-VERSION" => m.version = value.parse().ok(),
            "EXT-X-TARGETDURATION" => m.target_duration = value.parse().ok(),
            "EXT-X-MEDIA-SEQUENCE" => m.media_sequence = value.parse().ok(),
            "EXT-X-DISCONTINUITY-SEQUENCE" => m.discontinuity_sequence = value.parse().ok(),
            "EXT-X-PLAYLIST-TYPE" => m.playlist_type = Some(value.to_owned()),
            "EXT-X-ENDLIST" => m.endlists += 1,
            "EXT-X-PART-INF" => m.part_target = Attributes::parse(value).number("PART-TARGET"),
            "EXT-X-SKIP" => {
                m.skipped = Attributes::parse(value).get("SKIPPED-SEGMENTS").and_then(|n| n.parse().ok());
            }
            "EXT-X-SERVER-CONTROL" => {
                let a = Attributes::parse(value);
                m.control = Some(Control {
                    can_block_reload: a.yes("CAN-BLOCK-RELOAD"),
                    part_hold_back: a.number("PART-HOLD-BACK"),
                    hold_back: a.number("HOLD-BACK"),
                    can_skip_until: a.number("CAN-SKIP-UNTIL"),
                });
            }
            "EXT-X-PRELOAD-HINT" => {
                let a = Attributes::parse(value);
                let text = |n| a.get(n).unwrap_or_default().to_owned();
                m.hints.push(Hint { kind: text("TYPE"), uri: text("URI") });
            }
            "EXT-X-RENDITION-REPORT" => m.reports.push(Attributes::parse(value)),
            _ => return false,
        }
        true
    }

    fn segment_tag(&mut self, name: &str, value: &str) {
        let late = !self.media.open.parts.is_empty();
        let s = &mut self.media.open;
        let mut state = |tag| {
            if late {
                s.late.push(tag);
            }
        };
        match name {
            "EXTINF" => {
                s.duration = value.split(',').next().and_then(|d| d.trim().parse().ok()).unwrap_or(f64::NAN);
            }
            "EXT-X-GAP" => s.gap = true,
            "EXT-X-DISCONTINUITY" => {
                state("EXT-X-DISCONTINUITY");
                s.discontinuity = true;
                self.discontinuities += 1;
            }
            "EXT-X-MAP" => {
                state("EXT-X-MAP");
                self.map = Attributes::parse(value).get("URI").map(ToOwned::to_owned);
            }
            "EXT-X-PROGRAM-DATE-TIME" => {
                state("EXT-X-PROGRAM-DATE-TIME");
                s.date = OffsetDateTime::parse(value, &Rfc3339).ok();
            }
            "EXT-X-PART" => {
                let a = Attributes::parse(value);
                s.parts.push(Part {
                    uri: a.get("URI").unwrap_or_default().to_owned(),
                    duration: a.number("DURATION").unwrap_or(f64::NAN),
                    independent: a.yes("INDEPENDENT"),
                    gap: a.yes("GAP"),
                });
            }
            _ => {}
        }
    }

    fn uri(&mut self, uri: &str) {
        let mut segment = std::mem::take(&mut self.media.open);
        segment.uri = Some(uri.to_owned());
        self.number(&mut segment);
        self.media.segments.push(segment);
    }

    fn number(&self, segment: &mut Segment) {
        let m = &self.media;
        segment.msn = m.first_msn() + m.skipped.unwrap_or(0) + m.segments.len() as u64;
        segment.dsn = m.discontinuity_sequence.unwrap_or(0) + self.discontinuities;
        segment.map = self.map.clone();
    }

    fn finish(mut self) -> Media {
        let mut open = std::mem::take(&mut self.media.open);
        self.number(&mut open);
        self.media.open = open;
        self.media
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    #[test]
    fn a_low_latency_playlist_is_read() {
        let m = Media::parse(GOOD).unwrap();
        assert_eq!((m.first_msn(), m.target_duration, m.version), (100, Some(2), Some(9)));
        assert_eq!(m.segments.len(), 4);
        assert_eq!(m.next(), (104, 2));
        assert_eq!(m.hinted_part(), Some("part_7_42.m4s"));
        let s = m.at(103).unwrap();
        assert_eq!((s.parts.len(), s.map.as_deref(), s.dsn), (10, Some("init_7_0.mp4"), 5));
        assert!(s.parts[0].independent && !s.parts[1].independent);
        assert!((m.seconds() - 8.4).abs() < 1e-9);
        assert!(m.is_low_latency() && !m.ended());
    }

    #[test]
    fn other_text_is_no_playlist() {
        assert!(Media::parse("<html>").is_none());
        assert!(Media::parse("").is_none());
    }
}
