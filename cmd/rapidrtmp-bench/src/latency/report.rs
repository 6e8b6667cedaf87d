//! What a measurement gave: frames and parts brought together.

use std::{fmt, io::Write, time::Instant};

use anyhow::Result;
use serde::Serialize;

use super::{publisher::Published, watcher::Watched};
use crate::check::timing::percentile;

/// The distribution of a measure, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    min: f64,
    median: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    /// `None` without samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let at = |p| percentile(samples, p);
        Some(Self { min: at(0.0)?, median: at(0.5)?, p95: at(0.95)?, p99: at(0.99)?, max: at(1.0)? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, median, p95, p99, max } = self;
        write!(f, "{min:>8.1} {median:>8.1} {p95:>8.1} {p99:>8.1} {max:>8.1}")
    }
}

/// All of a measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Without its query.
    pub(crate) rtmp: String,
    /// Without its query.
    pub(crate) hls: String,
    pub(crate) frames: u64,
    /// Parts whose moment is known; the spread is over them.
    pub(crate) parts: u64,
    /// Those of them that were asked for by a hint.
    pub(crate) hinted: u64,
    /// Parts without stamps of this run.
    pub(crate) unstamped: u64,
    /// From a part's last frame being written to the RTMP socket to the part's last byte here; milliseconds.
    pub(crate) part_readable_ms: Option<Spread>,
    /// From the encoder's TCP connect to the last byte of the first part; milliseconds.
    pub(crate) connect_to_first_part_ms: Option<f64>,
    pub(crate) errors: Vec<String>,
}

impl Report {
    /// Brings together what was written and what was read.
    pub(crate) fn of(rtmp: String, hls: String, p: &Published, w: Watched) -> Self {
        let known = || w.seen.iter().filter(|s| !s.before);
        let after = |s: &super::watcher::Seen| {
            p.written.get(s.last as usize).map(|written| milliseconds(*written, s.readable))
        };
        let samples: Vec<f64> = known().filter_map(after).collect();
        let first = w.seen.iter().map(|s| s.readable).min();
        let mut errors = w.errors;
        errors.extend(p.error.as_ref().map(|e| format!("the publish ended: {e}")));
        Self {
            rtmp,
            hls,
            frames: p.written.len() as u64,
            parts: samples.len() as u64,
            hinted: known().filter(|s| s.hinted).count() as u64,
            unstamped: w.unstamped,
            part_readable_ms: Spread::of(&samples),
            connect_to_first_part_ms: first.map(|f| milliseconds(p.connecting, f)),
            errors,
        }
    }

    /// Whether something was measured and nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.parts > 0 && self.errors.is_empty()
    }

    /// Prints it as a table or as JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, self)?;
            return Ok(writeln!(out)?);
        }
        for e in &self.errors {
            writeln!(out, "error: {e}")?;
        }
        writeln!(
            out,
            "{} frames, {} parts ({} by their hint), {} parts without our stamps",
            self.frames, self.parts, self.hinted, self.unstamped
        )?;
        writeln!(out, "{:<36} {:>8} {:>8} {:>8} {:>8} {:>8}", "ms", "min", "median", "p95", "p99", "max")?;
        if let Some(s) = self.part_readable_ms {
            let what = "last frame written -> part readable";
            writeln!(out, "{what:<36} {s}")?;
        }
        if let Some(ms) = self.connect_to_first_part_ms {
            writeln!(out, "{:<36} {ms:>8.1}", "encoder connects -> first part")?;
        }
        Ok(())
    }
}

/// Below zero when the reader was told before the writer was: the two are tasks of one process.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    let (later, earlier) = (to.saturating_duration_since(from), from.saturating_duration_since(to));
    (later.as_secs_f64() - earlier.as_secs_f64()) * 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::latency::watcher::Seen;

    #[test]
    fn parts_are_measured_from_their_last_frame() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let p = Published { connecting: start, written: vec![at(100), at(140), at(180)], error: None };
        let seen = |last, ms, hinted, before| Seen { last, readable: at(ms), hinted, before };
        let w = Watched {
            seen: vec![seen(1, 150, false, true), seen(2, 183, true, false), seen(9, 500, false, false)],
            unstamped: 2,
            errors: Vec::new(),
        };
        let r = Report::of("rtmp://h/a".into(), "http://h/a".into(), &p, w);
        assert_eq!((r.frames, r.parts, r.hinted, r.unstamped), (3, 1, 1, 2));
        assert_eq!(r.connect_to_first_part_ms, Some(150.0));
        assert!((r.part_readable_ms.unwrap().max - 3.0).abs() < 1e-9);
        assert!(r.is_good());
    }

    #[test]
    fn nothing_measured_is_no_success() {
        let p = Published { connecting: Instant::now(), written: Vec::new(), error: None };
        let r = Report::of(String::new(), String::new(), &p, Watched::default());
        assert!(!r.is_good() && r.part_readable_ms.is_none());
    }
}
