//! When a playlist grew, and how far its end is behind the wall clock.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use super::{finding::Finding, playlist::Media};

/// Samples kept of each measure: ten minutes of parts at five a second, with room.
const MAX_SAMPLES: usize = 10_000;
/// Scheduling and network on top of what the clause allows.
const SLACK: Duration = Duration::from_millis(500);
/// A part that took longer than this share of PART-TARGET to come was waiting for its publisher.
const PROMPT: f64 = 1.2;

/// Growth of one playlist.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    grown_at: Option<Instant>,
    target_duration: u64,
    /// Milliseconds between parts.
    pub(crate) part_intervals: Vec<f64>,
    /// Milliseconds from the end of the newest part, by its PROGRAM-DATE-TIME, to its arrival here.
    pub(crate) ages: Vec<f64>,
    /// The URIs of listed parts that came alone and in time.
    pub(crate) prompt: HashSet<String>,
}

impl Timing {
    /// Takes a version of the playlist as it arrived.
    pub(crate) fn take(&mut self, old: Option<&Media>, new: &Media, now: Instant) -> Option<Finding> {
        self.target_duration = new.target_duration.unwrap_or(0);
        let grown = old.is_none_or(|o| new.next() > o.next());
        if !grown {
            return None;
        }
        let silence = self.silence(now);
        if let (Some(old), Some(before)) = (old, self.grown_at) {
            let next = |(msn, part)| [(msn, part + 1), (msn + 1, 1)];
            if next(old.next()).contains(&new.next()) {
                self.part(new, now - before);
            }
            if let Some(end) = end_date(new)
                && self.ages.len() < MAX_SAMPLES
            {
                self.ages.push((OffsetDateTime::now_utc() - end).as_seconds_f64() * 1000.0);
            }
        }
        self.grown_at = Some(now);
        silence
    }

    /// One part came, `interval` after what was added before it.
    fn part(&mut self, new: &Media, interval: Duration) {
        if self.part_intervals.len() < MAX_SAMPLES {
            self.part_intervals.push(interval.as_secs_f64() * 1000.0);
        }
        let listed: HashSet<&str> = new.all().flat_map(|s| &s.parts).map(|p| p.uri.as_str()).collect();
        self.prompt.retain(|uri| listed.contains(uri.as_str()));
        let newest = new.all().flat_map(|s| &s.parts).last();
        let limit = new.part_target.unwrap_or(0.0) * PROMPT;
        self.prompt.extend(newest.filter(|_| interval.as_secs_f64() <= limit).map(|p| p.uri.clone()));
    }

    /// A finding when nothing was added for longer than clause 7 allows.
    pub(crate) fn silence(&self, now: Instant) -> Option<Finding> {
        let limit = Duration::from_millis(1500 * self.target_duration) + SLACK;
        let silent = now.saturating_duration_since(self.grown_at?);
        (self.target_duration > 0 && silent > limit)
            .then(|| Finding::new(7, "nothing new for over 1.5 x TARGETDURATION", format!("{silent:.1?}")))
    }
}

fn end_date(m: &Media) -> Option<OffsetDateTime> {
    let last = m.all().last()?;
    let seconds =
        if last.uri.is_some() { last.duration } else { last.parts.iter().map(|p| p.duration).sum() };
    Some(last.date? + Duration::try_from_secs_f64(seconds).ok()?)
}

/// A percentile (0 to 1) of unsorted samples; `None` without any.
pub(crate) fn percentile(samples: &[f64], p: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 - 1.0) * p).round() as usize;
    sorted.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    #[test]
    fn clause_7_silence_is_bounded() {
        let m = Media::parse(GOOD).unwrap();
        let mut t = Timing::default();
        let start = Instant::now();
        assert!(t.take(None, &m, start).is_none());
        assert!(t.silence(start + Duration::from_millis(3400)).is_none());
        assert_eq!(t.silence(start + Duration::from_millis(3600)).unwrap().clause, 7);
        assert!(
            t.take(Some(&m), &m, start + Duration::from_secs(9)).is_none(),
            "no growth, judged when it ends"
        );
        let mut grown = m.clone();
        let more = grown.open.parts[1].clone();
        grown.open.parts.push(more);
        assert_eq!(t.take(Some(&m), &grown, start + Duration::from_secs(9)).unwrap().clause, 7);
        assert_eq!(t.part_intervals, [9000.0]);
    }

    #[test]
    fn only_parts_that_come_in_time_are_prompt() {
        let text = |parts: &str| {
            let head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-MEDIA-SEQUENCE:5\n";
            let tags: String =
                parts.chars().map(|c| format!("#EXT-X-PART:DURATION=0.2,URI=\"{c}.m4s\"\n")).collect();
            Media::parse(&format!("{head}{tags}")).unwrap()
        };
        let (mut t, start) = (Timing::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        t.take(None, &text("a"), at(0));
        t.take(Some(&text("a")), &text("ab"), at(230));
        t.take(Some(&text("ab")), &text("abc"), at(480));
        t.take(Some(&text("abc")), &text("abcd"), at(700));
        assert_eq!(t.prompt, HashSet::from(["b.m4s".to_owned(), "d.m4s".to_owned()]));
    }

    #[test]
    fn percentiles() {
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
