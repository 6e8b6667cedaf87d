//! Time and order: 90 kHz ticks, epochs, media sequence numbers.

use std::{
    fmt,
    ops::{Add, AddAssign, Neg, Sub, SubAssign},
    time::Duration,
};

/// Media time in units of 1/90000 s, signed. RTMP milliseconds convert exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub i64);

impl Ticks {
    /// Ticks a second.
    pub const RATE: i64 = 90_000;
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole milliseconds.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms * 90)
    }

    /// From a duration, rounded down to a tick.
    pub const fn from_duration(d: Duration) -> Self {
        Self((d.as_nanos() * 9 / 100_000) as i64)
    }

    /// As a duration; negative time gives zero.
    pub const fn to_duration(self) -> Duration {
        if self.0 <= 0 { Duration::ZERO } else { Duration::from_nanos((self.0 as u128 * 100_000 / 9) as u64) }
    }

    /// In seconds.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 90_000.0
    }

    /// In another timescale, rounded to nearest (ties away from zero).
    pub const fn rescale(self, timescale: u32) -> i64 {
        let n = self.0 as i128 * timescale as i128;
        let half = if n < 0 { -45_000 } else { 45_000 };
        ((n + half) / 90_000) as i64
    }

    /// Without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl Add for Ticks {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0)
    }
}

impl Sub for Ticks {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0)
    }
}

impl AddAssign for Ticks {
    fn add_assign(&mut self, o: Self) {
        self.0 += o.0;
    }
}

impl SubAssign for Ticks {
    fn sub_assign(&mut self, o: Self) {
        self.0 -= o.0;
    }
}

impl Neg for Ticks {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// A claim's number: rises with every claim of a path, and fences older owners.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A segment's media sequence number (RFC 8216bis §4.4.3.2).
pub type Msn = u64;

/// A position in a playlist: part `part` of segment `msn`, both counted as HLS counts them.
///
/// As "the next thing to come" it names the first part that is not there yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The segment.
    pub msn: Msn,
    /// The part within it, from 0.
    pub part: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_ticks_agree() {
        assert_eq!(Ticks::from_duration(Duration::from_millis(210)), Ticks(18_900));
        assert_eq!(Ticks(18_900).to_duration(), Duration::from_millis(210));
        assert_eq!(Ticks(-5).to_duration(), Duration::ZERO);
        assert_eq!(Ticks(90_000).rescale(44_100), 44_100);
        assert_eq!(Ticks(-1).rescale(44_100), 0);
        assert_eq!(Ticks(-90_000).rescale(48_000), -48_000);
    }
}
