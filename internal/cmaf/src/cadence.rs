//! How long a frame lasts, learnt from timestamps that are rounded to milliseconds.

use std::collections::VecDeque;

use media::Ticks;

/// Frames looked back on: rounding then weighs 1/64 of a millisecond.
const WINDOW: usize = 64;
/// A step this far (3.2 ms) from the known frame is no rounding: two timestamps of ±1 ms, rounded again.
const STEP_TOLERANCE: f64 = 288.0;
/// The known frame stands while the whole run agrees with it within this (3.1 ms).
const HOLD: f64 = 279.0;
/// A single step longer than this (200 ms) says nothing about the rate; two in a row do.
const LONG_STEP: i64 = 18_000;
/// A frame assumed before anything is known.
pub(crate) const DEFAULT_FRAME: i64 = 3_000;

/// Rates that encoders use; a measured one within the uncertainty of rounding is one of these.
const RATES: [f64; 21] = [
    5.0,
    8.0,
    10.0,
    12.0,
    12.5,
    15.0,
    20.0,
    24_000.0 / 1001.0,
    24.0,
    25.0,
    30_000.0 / 1001.0,
    30.0,
    48_000.0 / 1001.0,
    48.0,
    50.0,
    60_000.0 / 1001.0,
    60.0,
    90.0,
    100.0,
    120_000.0 / 1001.0,
    120.0,
];

/// The cadence of a video track.
#[derive(Debug, Default)]
pub(crate) struct Cadence {
    /// One frame in ticks.
    frame: Option<f64>,
    /// Decode times of the current regular run.
    run: VecDeque<i64>,
    /// Where the run began, however long ago, and how many steps it has.
    anchor: (i64, u32),
    /// The last step that did not fit.
    odd: Option<i64>,
}

impl Cadence {
    /// A first guess, from metadata or the SPS; the first measured step that contradicts it wins.
    pub(crate) fn hint(&mut self, rate: f64) {
        if self.frame.is_none() && (1.0..=300.0).contains(&rate) {
            self.frame = Some(Ticks::RATE as f64 / rate);
        }
    }

    /// One frame in ticks, if known.
    pub(crate) fn frame(&self) -> Option<f64> {
        self.frame
    }

    /// Frames a second, once at least two steps agree.
    pub(crate) fn rate(&self) -> Option<f64> {
        let frame = self.frame.filter(|_| self.run.len() >= 3)?;
        let rate = Ticks::RATE as f64 / frame;
        Some((rate * 1000.0).round() / 1000.0)
    }

    /// Forgets the run but not the frame: after a stall or a jump.
    pub(crate) fn resync(&mut self) {
        self.run.clear();
        self.odd = None;
    }

    /// Takes the next decode time.
    pub(crate) fn observe(&mut self, dts: i64) {
        let Some(&last) = self.run.back() else {
            self.run.push_back(dts);
            return;
        };
        let step = dts - last;
        if step <= 0 {
            return;
        }
        match self.frame {
            Some(frame) if (step as f64 - frame).abs() <= STEP_TOLERANCE => self.regular(dts, frame),
            frame => self.irregular(last, dts, frame),
        }
    }

    fn regular(&mut self, dts: i64, frame: f64) {
        self.odd = None;
        if self.run.len() == 1 {
            self.anchor = (self.run.front().copied().unwrap_or(dts), 0);
        }
        self.run.push_back(dts);
        if self.run.len() > WINDOW {
            self.run.pop_front();
        }
        self.anchor.1 = self.anchor.1.saturating_add(1);
        // The window follows a rate that changes a little, the whole run tells 59.94 from 60.
        let window = (self.run.front().copied().unwrap_or(dts), self.run.len() as u32 - 1);
        if self.contradicts(window, dts, frame) {
            self.anchor = window;
        } else {
            self.contradicts(self.anchor, dts, frame);
        }
    }

    /// The mean step since `from` is another than `frame`, and is taken.
    fn contradicts(&mut self, (from, steps): (i64, u32), dts: i64, frame: f64) -> bool {
        let steps = f64::from(steps);
        let mean = (dts - from) as f64 / steps;
        let other = (mean - frame).abs() * steps > HOLD;
        if other {
            self.frame = Some(snap(mean, steps));
        }
        other
    }

    /// A dropped frame, a change of rate, or no steady rate at all.
    fn irregular(&mut self, last: i64, dts: i64, frame: Option<f64>) {
        let step = dts - last;
        let odd = self.odd.replace(step);
        let established = frame.is_some() && self.run.len() >= 3;
        self.run.clear();
        if established {
            self.run.push_back(dts);
            return;
        }
        // Too short is safe (the next frame is absorbed or jumps), too long pushes later frames together.
        let shorter = odd.map_or(step, |o| o.min(step));
        if shorter <= LONG_STEP || odd.is_some_and(|o| (o - step).abs() * 5 <= step) {
            self.frame = Some(snap(shorter as f64, 1.0));
            if shorter == step {
                self.run.push_back(last);
                self.anchor = (last, 1);
            }
        }
        self.run.push_back(dts);
    }
}

/// The usual rate that `frame`, the mean of `steps` steps, can be, else `frame`.
fn snap(frame: f64, steps: f64) -> f64 {
    let tolerance = (300.0 / steps).max(0.5);
    let nearest = RATES
        .iter()
        .map(|r| Ticks::RATE as f64 / r)
        .min_by(|a, b| (a - frame).abs().total_cmp(&(b - frame).abs()));
    nearest.filter(|n| (n - frame).abs() <= tolerance).unwrap_or(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(hint: Option<f64>, times: impl IntoIterator<Item = i64>) -> Cadence {
        let mut c = Cadence::default();
        if let Some(h) = hint {
            c.hint(h);
        }
        for ms in times {
            c.observe(ms * 90);
        }
        c
    }

    fn times(rate: f64, phase: f64, n: usize) -> impl Iterator<Item = i64> {
        (0..n).map(move |i| (phase + i as f64 * 1000.0 / rate).floor() as i64)
    }

    #[test]
    fn two_frames_tell_the_rate_whatever_the_rounding() {
        for rate in [10.0, 15.0, 20.0, 23.976, 24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 59.94, 60.0, 120.0] {
            for phase in 0..50 {
                let c = after(None, times(rate, f64::from(phase) / 50.0, 2));
                let parts = |frame: f64| (18_810.0 / frame).floor();
                let frame = c.frame().unwrap();
                assert_eq!(parts(frame), parts(90_000.0 / rate), "{rate} fps taken for {}", 90_000.0 / frame);
            }
        }
    }

    #[test]
    fn a_wrong_hint_loses_to_the_first_step() {
        assert_eq!(after(Some(30.0), times(25.0, 0.0, 2)).frame(), Some(3600.0));
        assert_eq!(after(Some(25.0), times(60.0, 0.0, 2)).frame(), Some(1500.0));
    }

    #[test]
    fn ntsc_rates_are_told_apart_in_time() {
        for rate in [23.976, 29.97, 59.94, 24.0, 30.0, 60.0] {
            let got = after(None, times(rate, 0.3, 400)).rate().unwrap();
            assert!((got - rate).abs() < 0.02, "{rate}: {got}");
        }
    }

    #[test]
    fn a_dropped_frame_changes_nothing_and_a_new_rate_is_followed() {
        let dropped = after(None, times(30.0, 0.0, 20).filter(|t| *t != 333));
        assert_eq!(dropped.frame(), Some(3000.0));
        let slower = times(60.0, 0.0, 20).chain((1..4).map(|i| 316 + i * 1000 / 30));
        assert_eq!(after(None, slower).frame(), Some(3000.0));
    }

    #[test]
    fn one_long_stall_is_not_a_rate() {
        let c = after(None, [0, 33, 5000, 5033, 5067]);
        assert_eq!(c.frame(), Some(3000.0));
        assert_eq!(after(None, [0, 1000, 2000, 3000]).frame(), Some(90_000.0));
    }
}
