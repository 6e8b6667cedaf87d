//! How far a publisher's media runs ahead of the wall clock, and how fast it comes (contract "Time, cuts and parts").

use std::time::Duration;

use media::Ticks;
use tokio::time::Instant;

/// A step of media time over this is a new timeline, not speed.
const JUMP: Ticks = Ticks::from_millis(10_000);
/// What a stall may be made up for at once; longer ones end the publish as idle.
const MAX_BEHIND: f64 = 10.0;
/// Encoder clocks drift by 100 ppm and more for days: ten times that is forgiven as it comes.
const SLEW: f64 = 1.001;
/// Seconds of media taken at once. Well below the slack of a ring (2 s): the packager is not left behind by an
/// encoder that sends what it has in one go.
const BURST: f64 = 1.0;
/// Beyond that, media comes so many times faster than real time at most.
const CATCH_UP: f64 = 10.0;

/// Media time against the wall clock.
#[derive(Debug)]
pub(crate) struct Pace {
    newest: Option<(Ticks, Instant)>,
    /// Seconds that media is ahead of the clock.
    ahead: f64,
    /// Seconds of media taken of late, less what a reader has had time for.
    burst: f64,
    max_ahead: Duration,
}

/// A time to take nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pause {
    pub(crate) time: Duration,
    /// Media is too far ahead of the clock; else it only came in one go.
    pub(crate) ahead: bool,
}

impl Pace {
    pub(crate) const fn new(max_ahead: Duration) -> Self {
        Self { newest: None, ahead: 0.0, burst: 0.0, max_ahead }
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
        self.burst = (self.burst + media.max(0.0) - wall * CATCH_UP).max(0.0);
        self.newest = Some((dts, now));
    }

    /// How long to take nothing; `None` while media is near enough to the clock and comes slowly enough.
    pub(crate) fn pause(&self, now: Instant) -> Option<Pause> {
        let (_, at) = self.newest?;
        let wall = now.saturating_duration_since(at).as_secs_f64();
        let over = self.ahead - wall * SLEW - self.max_ahead.as_secs_f64();
        if over > 0.0 {
            return Some(Pause { time: Duration::from_secs_f64(over), ahead: true });
        }
        let over = (self.burst - BURST) / CATCH_UP - wall;
        (over > 0.0).then(|| Pause { time: Duration::from_secs_f64(over), ahead: false })
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
            assert!(!p.pause(start).is_some_and(|p| p.ahead));
        }
        p.frame(ticks(10.5), start);
        let pause = p.pause(start).unwrap();
        assert!(pause.ahead);
        assert!((0.49..=0.5).contains(&pause.time.as_secs_f64()), "{pause:?}");
        assert!(!p.pause(at(start, 0.5)).is_some_and(|p| p.ahead));
        assert_eq!(p.pause(at(start, 0.951)), None);
    }

    #[test]
    fn what_comes_in_one_go_is_taken_ten_times_faster_than_real_time() {
        let start = Instant::now();
        let (mut p, mut now) = (Pace::new(MAX), start);
        for n in 0..=225 {
            p.frame(ticks(f64::from(n) / 25.0), now);
            if n != 25 {
                assert_eq!(p.pause(now).is_some(), n > 25, "frame {n}");
            }
            if let Some(pause) = p.pause(now) {
                assert!(!pause.ahead && pause.time <= Duration::from_millis(5), "{pause:?}");
                now += pause.time;
            }
        }
        let took = (now - start).as_secs_f64();
        assert!((0.79..=0.81).contains(&took), "{took}");
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
        assert!(!p.pause(at(start, 9.0)).is_some_and(|p| p.ahead));
        assert_eq!(p.pause(at(start, 9.8)), None);
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
