//! The lines of a media playlist that name a time or an object.

use std::{fmt::Write, time::SystemTime};

use media::{Epoch, ObjectName, Ticks};
use time::OffsetDateTime;

/// An EXT-X-MAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) epoch: Epoch,
    pub(crate) version: u32,
}

impl Map {
    pub(crate) fn name(self) -> ObjectName {
        ObjectName::Init { epoch: self.epoch, version: self.version }
    }
}

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); }};
}
pub(crate) use put;

/// Seconds with up to 6 decimals: finer than a tick, so sums stay exact to the reader.
pub(crate) struct Seconds(pub(crate) Ticks);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Micros(micros(self.0)).fmt(f)
    }
}

/// Microseconds, as [`Seconds`] writes them.
pub(crate) fn micros(t: Ticks) -> i64 {
    t.rescale(1_000_000).max(0)
}

/// Seconds with up to 6 decimals.
struct Micros(i64);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0;
        let (whole, mut frac, mut width) = (micros / 1_000_000, micros % 1_000_000, 6);
        while width > 1 && frac % 10 == 0 {
            frac /= 10;
            width -= 1;
        }
        write!(f, "{whole}.{frac:0width$}")
    }
}

pub(crate) fn date_line(date: SystemTime) -> String {
    let nanos = date.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let t = i128::try_from(nanos)
        .ok()
        .and_then(|n| OffsetDateTime::from_unix_timestamp_nanos(n).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (y, mo, d) = (t.year(), u8::from(t.month()), t.day());
    let (h, mi, s, ms) = (t.hour(), t.minute(), t.second(), t.millisecond());
    format!("#EXT-X-PROGRAM-DATE-TIME:{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z\n")
}

/// `duration` in microseconds.
pub(crate) fn part_line(out: &mut String, name: ObjectName, duration: i64, independent: bool) {
    let independent = if independent { ",INDEPENDENT=YES" } else { "" };
    put!(out, "#EXT-X-PART:DURATION={},URI=\"{name}\"{independent}\n", Micros(duration));
}

pub(crate) fn segment_lines(out: &mut String, name: ObjectName, duration: Ticks, gap: bool) {
    let gap = if gap { "#EXT-X-GAP\n" } else { "" };
    put!(out, "{gap}#EXTINF:{},\n{name}\n", Seconds(duration));
}

pub(crate) fn map_line(out: &mut String, map: Map) {
    put!(out, "#EXT-X-MAP:URI=\"{}\"\n", map.name());
}
