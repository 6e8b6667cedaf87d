//! When a playlist grew, and how far its end is behind the wall clock.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::{finding::Finding, playlist::Media};

/// Samples kept of each measure: ten minutes of parts at five a second, with room.
const MAX_SAMPLES: usize = 10_000;
/// Scheduling and network on top of what the clause allows.
const SLACK: Duration = Duration::from_millis(500);

/// Growth of one playlist.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    grown_at: Option<Instant>,
    target_duration: u64,
    /// Milliseconds between parts.
    pub(crate) part_intervals: Vec<f64>,
    /// Milliseconds from the end of the newest part, by its PROGRAM-DATE-TIME, to its arrival here.
    pub(crate) ages: Vec<f64>,
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
            if next(old.next()).contains(&new.next()) && self.part_intervals.len() < MAX_SAMPLES {
                self.part_intervals.push((now - before).as_secs_f64() * 1000.0);
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
    fn percentiles() {
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
