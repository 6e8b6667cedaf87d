//! What all viewers saw together.

use std::{collections::BTreeMap, io::Write};

use anyhow::Result;
use serde::Serialize;

use super::viewer::Tally;
use crate::latency::report::Spread;

/// Sums and distributions over all viewers.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Without its query.
    pub(crate) url: String,
    pub(crate) seconds: f64,
    pub(crate) viewers: u64,
    /// Viewers that got media.
    pub(crate) served: u64,
    pub(crate) playlists: u64,
    pub(crate) media: u64,
    pub(crate) gaps: u64,
    pub(crate) bytes: u64,
    /// Objects that were not the same for all.
    pub(crate) mismatches: u64,
    /// Times that a viewer fell out of the window.
    pub(crate) lost: u64,
    pub(crate) stalls: u64,
    /// Viewers that stalled.
    pub(crate) stalled_viewers: u64,
    pub(crate) stalled_seconds: f64,
    pub(crate) first_media_ms: Option<Spread>,
    /// Behind live of what is played, by PROGRAM-DATE-TIME; clocks must agree.
    pub(crate) latency_ms: Option<Spread>,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Report {
    /// Adds all viewers up.
    pub(crate) fn of(url: String, seconds: f64, tallies: Vec<Tally>) -> Self {
        let mut r = Self { url, seconds, viewers: tallies.len() as u64, ..Self::default() };
        let (mut first, mut latencies) = (Vec::new(), Vec::new());
        for t in tallies {
            r.served += u64::from(t.media > 0);
            r.playlists += t.playlists;
            r.media += t.media;
            r.gaps += t.gaps;
            r.bytes += t.bytes;
            r.mismatches += t.mismatches;
            r.lost += t.lost;
            r.stalls += t.stalls;
            r.stalled_viewers += u64::from(t.stalls > 0);
            r.stalled_seconds += t.stalled.as_secs_f64();
            first.extend(t.first_media.map(|d| d.as_secs_f64() * 1000.0));
            latencies.extend(t.latencies);
            for (kind, n) in t.errors {
                *r.errors.entry(kind).or_default() += n;
            }
        }
        r.first_media_ms = Spread::of(&first);
        r.latency_ms = Spread::of(&latencies);
        r
    }

    /// Whether every viewer got media, all the same, without failures. Stalls are for the reader to judge.
    pub(crate) fn is_good(&self) -> bool {
        self.served == self.viewers && self.mismatches == 0 && self.errors.is_empty()
    }

    /// Prints it as a table or as JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, self)?;
            return Ok(writeln!(out)?);
        }
        writeln!(out, "{} of {} viewers got media in {:.0} s", self.served, self.viewers, self.seconds)?;
        let rate = self.bytes as f64 * 8e-6 / self.seconds.max(0.001);
        writeln!(
            out,
            "{} playlists, {} parts or segments, {} gaps, {} bytes ({rate:.1} Mbit/s)",
            self.playlists, self.media, self.gaps, self.bytes
        )?;
        writeln!(
            out,
            "{} stalls of {} viewers ({:.1} s together), {} fell out of the window, {} objects differ",
            self.stalls, self.stalled_viewers, self.stalled_seconds, self.lost, self.mismatches
        )?;
        for (kind, n) in &self.errors {
            writeln!(out, "error: {kind} ({n}x)")?;
        }
        writeln!(out, "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8}", "ms", "min", "median", "p95", "p99", "max")?;
        for (what, spread) in [("time to first media", self.first_media_ms), ("behind live", self.latency_ms)]
        {
            if let Some(s) = spread {
                writeln!(out, "{what:<24} {s}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn viewers_are_added_up() {
        let served = |stalls| Tally {
            media: 2,
            bytes: 10,
            stalls,
            stalled: Duration::from_millis(500 * stalls),
            first_media: Some(Duration::from_millis(40)),
            ..Tally::default()
        };
        let r = Report::of("u".into(), 1.0, vec![served(0), served(3)]);
        assert_eq!((r.viewers, r.served, r.media, r.bytes), (2, 2, 4, 20));
        assert_eq!((r.stalls, r.stalled_viewers), (3, 1));
        assert!((r.stalled_seconds - 1.5).abs() < 1e-9 && r.first_media_ms.is_some() && r.is_good());
    }

    #[test]
    fn failures_and_viewers_without_media_are_no_success() {
        let errors = BTreeMap::from([("media: status 404".to_owned(), 2)]);
        let t = || Tally { media: 1, ..Tally::default() };
        assert!(!Report::of("u".into(), 1.0, vec![t(), Tally::default()]).is_good());
        assert!(!Report::of("u".into(), 1.0, vec![Tally { errors, ..t() }]).is_good());
        assert!(!Report::of("u".into(), 1.0, vec![Tally { mismatches: 1, ..t() }]).is_good());
    }
}
