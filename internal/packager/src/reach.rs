//! How far a playlist reaches, in media time and in dates, and what has to fill the way to where media goes on.
//!
//! Pure, as the clock below it.

use std::time::{Duration, SystemTime};

use media::Ticks;

use crate::clock::{ProgramClock, difference, shift};

/// Media may come back this much before the end of what GAP segments stated: an audio frame, and rounding.
const OVERLAP: Ticks = Ticks::from_millis(100);
/// A silence shorter than this is not stated: it would make a segment shorter than most parts of one.
const LEAST_FILL: Ticks = Ticks::from_millis(500);
/// Dates may wait this long for the wall clock; an encoder is never let further ahead (contract).
const MOST_AHEAD: Ticks = Ticks::from_millis(10_000);

/// What lies before a segment that opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// Silence to be stated by GAP segments first.
    pub(crate) fill: Ticks,
    /// The segment cannot go on where the last one ended.
    pub(crate) discontinuity: bool,
}

/// The end of a playlist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// `None` before the first segment.
    clock: Option<ProgramClock>,
    /// Media time of the end, on the clock's scale.
    end: Ticks,
    /// How much of it GAP segments state, since the last media.
    gap: Ticks,
}

impl Reach {
    /// Lists a GAP, and returns its date.
    pub(crate) fn gap(&mut self, duration: Ticks, wall: SystemTime) -> SystemTime {
        let end = self.end;
        let clock = self.clock.get_or_insert_with(|| ProgramClock::anchored(wall, end));
        self.end += duration;
        self.gap += duration;
        clock.date(end)
    }

    /// Judges a segment that starts at media time `start`, which arrived at `wall`.
    ///
    /// `jump`: its media time has nothing to do with what came before (another publish, new timestamps).
    /// `silent`: how long ago the last media was listed; no more than that is ever stated at a discontinuity.
    pub(crate) fn bridge(&self, start: Ticks, jump: bool, wall: SystemTime, silent: Duration) -> Bridge {
        let Some(clock) = &self.clock else { return Bridge { fill: Ticks::ZERO, discontinuity: false } };
        let advanced = self.gap == Ticks::ZERO || start >= self.end - OVERLAP;
        if !jump && advanced {
            let fill = if self.gap > Ticks::ZERO { start - self.end } else { Ticks::ZERO };
            return Bridge { fill: fill.max(Ticks::ZERO), discontinuity: false };
        }
        let unstated = Ticks::from_duration(silent) - self.gap;
        let missing = difference(wall, clock.date(self.end)).min(unstated);
        let fill = if missing < LEAST_FILL { Ticks::ZERO } else { missing };
        Bridge { fill, discontinuity: true }
    }

    /// Opens the segment that was judged, once what had to be filled is filled; returns its date.
    pub(crate) fn open(&mut self, start: Ticks, discontinuity: bool, wall: SystemTime) -> SystemTime {
        self.gap = Ticks::ZERO;
        let end = self.end;
        self.end = start;
        match &mut self.clock {
            Some(clock) if !discontinuity => clock.observe(wall, start),
            other => {
                // Dates do not go back because an encoder had run ahead; they do when the wall clock was set.
                let reached = other.as_ref().map_or(wall, |c| c.date(end));
                let ahead = difference(reached, wall);
                let date = if ahead > Ticks::ZERO && ahead <= MOST_AHEAD { reached } else { wall };
                *other = Some(ProgramClock::anchored(date, start));
                date
            }
        }
    }

    /// Whether the newest thing listed is a GAP.
    pub(crate) fn in_gap(&self) -> bool {
        self.gap > Ticks::ZERO
    }

    /// The open segment ended after `duration`.
    pub(crate) fn close(&mut self, duration: Ticks) {
        self.end += duration;
    }
}

/// When a sample happened, given that media time `latest` is what arrives at `wall`.
pub(crate) fn arrival(wall: SystemTime, latest: Ticks, start: Ticks) -> SystemTime {
    shift(wall, -(latest - start).clamp(Ticks::ZERO, MOST_AHEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Ticks = Ticks(Ticks::RATE);

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1_795_000_000.0 + seconds)
    }

    fn seconds(n: i64) -> Ticks {
        Ticks(n * Ticks::RATE)
    }

    /// Two segments of 2 s from media time 0, which happened at 0.
    fn two_segments() -> Reach {
        let mut reach = Reach::default();
        for n in [0, 2] {
            assert_eq!(reach.bridge(seconds(n), false, at(n as f64), Duration::ZERO).fill, Ticks::ZERO);
            assert_eq!(reach.open(seconds(n), false, at(n as f64)), at(n as f64));
            reach.close(seconds(2));
        }
        reach
    }

    #[test]
    fn clause_7_a_stall_whose_media_time_went_on_is_stated_to_the_end() {
        let mut reach = two_segments();
        assert_eq!(reach.gap(seconds(2), at(7.0)), at(4.0));
        assert_eq!(reach.gap(seconds(2), at(9.0)), at(6.0));
        let start = seconds(10) + Ticks(22_500);
        let bridge = reach.bridge(start, false, at(10.25), Duration::from_secs(2));
        assert_eq!(bridge, Bridge { fill: seconds(2) + Ticks(22_500), discontinuity: false });
        reach.gap(bridge.fill, at(10.25));
        assert_eq!(reach.open(start, false, at(10.25)), at(10.25));
    }

    #[test]
    fn clause_12_a_stall_whose_media_time_stood_still_is_a_discontinuity() {
        let mut reach = two_segments();
        reach.gap(seconds(2), at(7.0));
        let bridge = reach.bridge(seconds(4), false, at(7.5), Duration::from_millis(3_500));
        assert_eq!(bridge, Bridge { fill: seconds(1) + Ticks(45_000), discontinuity: true });
        reach.gap(bridge.fill, at(7.5));
        assert_eq!(reach.open(seconds(4), true, at(7.5)), at(7.5), "dates follow the wall clock again");
    }

    #[test]
    fn clause_43_another_publish_states_the_silence_and_starts_from_the_wall_clock() {
        let mut reach = two_segments();
        let bridge = reach.bridge(Ticks::ZERO, true, at(5.5), Duration::from_millis(1_500));
        assert_eq!(bridge, Bridge { fill: SECOND + Ticks(45_000), discontinuity: true });
        reach.gap(bridge.fill, at(5.5));
        assert_eq!(reach.open(Ticks::ZERO, true, at(5.5)), at(5.5));
        reach.close(seconds(2));
        assert_eq!(reach.open(seconds(2), false, at(7.5)), at(7.5));
    }

    #[test]
    fn a_quick_change_of_publishers_states_nothing() {
        let reach = two_segments();
        let bridge = reach.bridge(Ticks::ZERO, true, at(4.3), Duration::from_secs(9));
        assert_eq!(bridge, Bridge { fill: Ticks::ZERO, discontinuity: true });
        let bridge = reach.bridge(Ticks::ZERO, true, at(400.0), Duration::from_millis(100));
        assert_eq!(bridge.fill, Ticks::ZERO, "a clock that was set is no silence");
    }

    #[test]
    fn dates_wait_for_the_wall_clock_after_an_encoder_that_ran_ahead() {
        let mut reach = two_segments();
        assert_eq!(reach.open(Ticks::ZERO, true, at(1.0)), at(4.0));
        let mut reach = two_segments();
        assert_eq!(reach.open(Ticks::ZERO, true, at(-3600.0)), at(-3600.0));
    }

    #[test]
    fn a_sample_that_waited_in_the_muxer_arrived_before_it_left() {
        assert_eq!(arrival(at(5.0), seconds(3), seconds(2)), at(4.0));
        assert_eq!(arrival(at(5.0), seconds(2), seconds(3)), at(5.0));
    }
}
