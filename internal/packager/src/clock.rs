//! PROGRAM-DATE-TIME: a wall clock reading for every point of a stream's media time.
//!
//! The rule (contract "Time, cuts and parts"): anchor + media time, slewed to the wall clock by at most 1 ms
//! a second, anchored anew only at a discontinuity. So dates run on through jitter, drift and clock steps,
//! and two neighbouring dates differ by the segment between them, within a thousandth.
//!
//! Pure: wall and media time come in as arguments.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use media::Ticks;

/// How much of the elapsed media time a correction may be: 1 ms a second.
const SLEW: i64 = 1000;

/// Observations that are kept. An encoder's jitter shows in them, its drift shows in all of them.
const KEPT: usize = 8;
/// Dates this close to the wall clock are right.
const CLOSE: Ticks = Ticks::from_millis(1);
/// No jitter is like this: the wall clock was set.
const STEP: Ticks = Ticks::from_millis(1000);

/// Maps the media time of one continuous stretch onto dates.
///
/// Media time is whatever the muxer counts in; it may start anywhere.
#[derive(Clone, Debug)]
pub(crate) struct ProgramClock {
    /// The date of media time `media`.
    date: SystemTime,
    media: Ticks,
    /// Wall clock minus date at the last observations, the newest last.
    errors: VecDeque<Ticks>,
}

impl ProgramClock {
    /// Starts a stretch: media time `media` happened at `wall`.
    pub(crate) fn anchored(wall: SystemTime, media: Ticks) -> Self {
        Self { date: wall, media, errors: VecDeque::from([Ticks::ZERO]) }
    }

    /// The date of `media`, which may lie before or after what was observed.
    pub(crate) fn date(&self, media: Ticks) -> SystemTime {
        shift(self.date, media - self.media)
    }

    /// Takes note that `media` happened at `wall`, and returns its date.
    ///
    /// Moves the dates towards the wall clock by at most a thousandth of the media time since the last call, and only when
    /// the last observations agree on the side it lies on: players (Shaka) place a segment anew when its date is not
    /// where the durations before it end, so jitter must not reach the dates.
    /// Media time that stands still or goes back corrects nothing.
    pub(crate) fn observe(&mut self, wall: SystemTime, media: Ticks) -> SystemTime {
        let elapsed = media - self.media;
        let predicted = self.date(media);
        if elapsed <= Ticks::ZERO {
            return predicted;
        }
        let limit = Ticks(elapsed.0 / SLEW);
        if self.errors.len() == KEPT {
            self.errors.pop_front();
        }
        let error = difference(wall, predicted);
        if error.abs() > STEP {
            self.errors.clear();
        }
        self.errors.push_back(error);
        let correction = self.agreed().clamp(-limit, limit);
        for error in &mut self.errors {
            *error -= correction;
        }
        self.date = shift(predicted, correction);
        self.media = media;
        self.date
    }

    /// The least of the kept errors if all are of one side and none is small; else nothing.
    fn agreed(&self) -> Ticks {
        let least = self.errors.iter().min().copied().unwrap_or_default();
        let most = self.errors.iter().max().copied().unwrap_or_default();
        match () {
            () if least > CLOSE => least,
            () if most < -CLOSE => most,
            () => Ticks::ZERO,
        }
    }
}

/// `at` moved by signed media time; a date outside what the system can tell stays where it is.
pub(crate) fn shift(at: SystemTime, by: Ticks) -> SystemTime {
    let moved =
        if by < Ticks::ZERO { at.checked_sub((-by).to_duration()) } else { at.checked_add(by.to_duration()) };
    moved.unwrap_or(at)
}

/// `a - b` in media time, at most a year either way.
pub(crate) fn difference(a: SystemTime, b: SystemTime) -> Ticks {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    match a.duration_since(b) {
        Ok(ahead) => Ticks::from_duration(ahead.min(YEAR)),
        Err(behind) => -Ticks::from_duration(behind.duration().min(YEAR)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(ticks: i64) -> SystemTime {
        shift(START + Duration::from_secs(1_795_000_000), Ticks(ticks))
    }

    #[test]
    fn dates_follow_media_time_between_observations() {
        let clock = ProgramClock::anchored(at(0), Ticks(1_000));
        assert_eq!(clock.date(Ticks(181_000)), at(180_000));
        assert_eq!(clock.date(Ticks(-89_000)), at(-90_000));
    }

    #[test]
    fn a_clock_step_moves_dates_by_a_millisecond_a_second() {
        let mut clock = ProgramClock::anchored(at(0), Ticks::ZERO);
        let hour = 3600 * Ticks::RATE;
        let date = clock.observe(at(2 * Ticks::RATE + hour), Ticks(2 * Ticks::RATE));
        assert_eq!(difference(date, at(2 * Ticks::RATE)), Ticks::from_millis(2));
    }

    #[test]
    fn jitter_does_not_reach_the_dates() {
        let mut clock = ProgramClock::anchored(at(0), Ticks::ZERO);
        let segment = 2 * Ticks::RATE;
        for n in 1..60 {
            let late = [0, 27, -9, 18, -27][n as usize % 5] * 90;
            assert_eq!(clock.observe(at(n * segment + late), Ticks(n * segment)), at(n * segment), "{n}");
        }
    }

    #[test]
    fn media_time_that_goes_back_corrects_nothing() {
        let mut clock = ProgramClock::anchored(at(0), Ticks(90_000));
        assert_eq!(clock.observe(at(900_000), Ticks(0)), at(-90_000));
        assert_eq!(clock.date(Ticks(90_000)), at(0));
    }

    proptest! {
        /// Neighbouring dates differ by the media time between them, within a thousandth (and a tick of rounding).
        #[test]
        fn steps_stay_within_a_thousandth(
            steps in prop::collection::vec((1i64..2_000_000, -400_000_000i64..400_000_000), 1..60),
        ) {
            let mut clock = ProgramClock::anchored(at(0), Ticks::ZERO);
            let (mut media, mut last) = (0, at(0));
            for (step, jitter) in steps {
                media += step;
                let date = clock.observe(at(media + jitter), Ticks(media));
                let moved = difference(date, last).0;
                prop_assert!((moved - step).abs() <= step / 1000 + 1, "{moved} for {step}");
                last = date;
            }
        }

        /// 72 h of an encoder clock that drifts by up to ±100 ppm: dates never leave the wall clock's side.
        #[test]
        fn drift_of_an_encoder_clock_is_followed(ppm in -100i64..=100, jitter_ms in 0i64..50) {
            let mut clock = ProgramClock::anchored(at(0), Ticks::ZERO);
            for segment in 1..=(72 * 3600 / 2) {
                let media = segment * 2 * Ticks::RATE;
                let late = if segment % 2 == 0 { jitter_ms * 90 } else { 0 };
                let wall = media + media * ppm / 1_000_000 + late;
                let date = clock.observe(at(wall), Ticks(media));
                let off = difference(date, at(wall)).abs();
                prop_assert!(off <= Ticks::from_millis(jitter_ms + 3), "{off:?} at {segment}");
            }
        }
    }
}
