//! How far a publisher's media runs ahead of the wall clock (contract "Time, cuts and parts").

use std::time::Duration;

use media::Ticks;
use tokio::time::Instant;

/// A step of media time over this is a new timeline, not speed.
const JUMP: Ticks = Ticks::from_millis(10_000);
/// What a stall may be made up for at once; longer ones end the publish as idle.
const MAX_BEHIND: f64 = 10.0;
/// Encoder clocks drift by 100 ppm and more for days: ten times that is forgiven as it comes.
const SLEW: f64 = 1.001;

/// Media time against the wall clock.
#[derive(Debug)]
pub(crate) struct Pace {
    newest: Option<(Ticks, Instant)>,
    /// Seconds that media is ahead of the clock.
    ahead: f64,
    max_ahead: Duration,
}

impl Pace {
    pub(crate) const fn new(max_ahead: Duration) -> Self {
        Self { newest: None, ahead: 0.0, max_ahead }
    }

    /// Takes note of a frame.
    pub(crate) fn frame(&mut self, dts: Ticks, now: Instant) {
        let Some((before, at)) = self.newest else {
            self.newest = Some((dts, now));
            return;
        };
        let step = dts - before;
        if step.abs() <= JUMP && step <= Ticks::ZERO {
            // The other track, a little behind.
            return;
        }
        let media = if step.abs() <= JUMP { step.secs_f64() } else { 0.0 };
        let wall = now.saturating_duration_since(at).as_secs_f64();
        self.ahead = (self.ahead + media - wall * SLEW).max(-MAX_BEHIND);
        self.newest = Some((dts, now));
    }

    /// How long to read nothing; `None` while media is near enough to the clock.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        let (_, at) = self.newest?;
        let wall = now.saturating_duration_since(at).as_secs_f64();
        let over = self.ahead - wall * SLEW - self.max_ahead.as_secs_f64();
        (over > 0.0).then(|| Duration::from_secs_f64(over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    fn ticks(seconds: f64) -> Ticks {
        Ticks((seconds * 90_000.0) as i64)
    }

    #[test]
    fn a_publisher_without_re_is_paused_at_ten_seconds() {
        let start = Instant::now();
        let mut p = Pace::new(MAX);
        for n in 0..=250 {
            p.frame(ticks(f64::from(n) / 25.0), start);
            assert_eq!(p.pause(start), None);
        }
        p.frame(ticks(10.5), start);
        let pause = p.pause(start).unwrap();
        assert!((0.49..=0.5).contains(&pause.as_secs_f64()), "{pause:?}");
        assert_eq!(p.pause(at(start, 0.5)), None);
    }

    #[test]
    fn drift_for_days_and_stalls_pause_nobody() {
        for ppm in [-100.0, 0.0, 100.0] {
            let start = Instant::now();
            let mut p = Pace::new(MAX);
            for n in 0..72 * 3600 {
                let now = at(start, f64::from(n));
                p.frame(ticks(f64::from(n) * (1.0 + ppm / 1e6)), now);
                assert_eq!(p.pause(now), None, "{ppm} ppm at {n} s");
            }
        }
        // Nine seconds of silence, made up for in one go.
        let start = Instant::now();
        let mut p = Pace::new(MAX);
        p.frame(ticks(0.0), start);
        for n in 1..=225 {
            p.frame(ticks(f64::from(n) / 25.0), at(start, 9.0));
        }
        assert_eq!(p.pause(at(start, 9.0)), None);
    }

    #[test]
    fn jumps_of_the_timeline_are_not_speed() {
        let start = Instant::now();
        let mut p = Pace::new(MAX);
        for (n, dts) in [0.0, 0.04, 5000.0, 5000.04, 1.0, 1.04].into_iter().enumerate() {
            let now = at(start, n as f64 * 0.04);
            p.frame(ticks(dts), now);
            assert_eq!(p.pause(now), None);
        }
    }

    #[test]
    fn two_tracks_count_once() {
        let start = Instant::now();
        let mut p = Pace::new(MAX);
        for n in 0..3000 {
            let now = at(start, f64::from(n) * 0.04);
            p.frame(ticks(f64::from(n) * 0.04), now);
            p.frame(ticks(f64::from(n) * 0.04 - 0.3), now);
            assert_eq!(p.pause(now), None);
        }
    }
}
