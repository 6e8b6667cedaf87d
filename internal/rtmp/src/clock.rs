//! RTMP's 32-bit milliseconds to 90 kHz that never wrap.

use media::{Ticks, TrackKind};

use crate::Warning;

const MOD_24: i64 = 1 << 24;
/// How near to the wrap both sides of it must be, in ms, to take a jump for a 24-bit wrap.
const WRAP_WINDOW: i64 = 60_000;
/// Steps back by less are clamped; larger ones are a new timeline, for the muxer to mark.
const MAX_CLAMP: Ticks = Ticks::from_millis(1_000);

/// The one clock of a connection: all tracks share its base.
#[derive(Default)]
pub(crate) struct Clock {
    /// The last timestamp as sent, and unwrapped; in ms.
    last: Option<(u32, i64)>,
    wraps_24: bool,
    video: Option<Ticks>,
    audio: Option<Ticks>,
}

/// What a message says of its time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    /// The message's, in ms.
    pub(crate) timestamp: u32,
    /// Decode to presentation, in ms.
    pub(crate) composition: i32,
    /// On top of the timestamp, in ns below a millisecond (Enhanced RTMP 2, `TimestampOffsetNano`).
    pub(crate) nanos: u32,
}

impl Stamp {
    const fn part_of_millisecond(self) -> Ticks {
        // 100,000 ns are 9 ticks; to the nearest.
        Ticks((self.nanos as i64 * 9 + 50_000) / 100_000)
    }
}

/// When a frame is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Rises from frame to frame of a track, but for jumps of 1 s and more back.
    pub(crate) dts: Ticks,
    pub(crate) pts: Ticks,
}

impl Clock {
    /// Dates a frame.
    pub(crate) fn date(&mut self, kind: TrackKind, stamp: Stamp, warn: &mut impl FnMut(Warning)) -> Times {
        let ms = self.unwrap(stamp.timestamp, warn);
        let sent = Ticks::from_millis(ms) + stamp.part_of_millisecond();
        let last = match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        let mut dts = sent;
        if let Some(before) = *last
            && sent <= before
            && before - sent < MAX_CLAMP
        {
            // Equal times are what rounding to ms does to fast frames; only a step back is worth a word.
            if before - sent >= Ticks::from_millis(1) {
                warn(Warning::Backwards);
            }
            dts = before + Ticks(1);
        }
        *last = Some(dts);
        Times { dts, pts: sent + Ticks::from_millis(i64::from(stamp.composition)) }
    }

    /// The time nearest to the last one, modulo 2^32, or 2^24 for senders that wrap there.
    fn unwrap(&mut self, raw: u32, warn: &mut impl FnMut(Warning)) -> i64 {
        let Some((last_raw, last)) = self.last else {
            self.last = Some((raw, i64::from(raw)));
            return i64::from(raw);
        };
        let (r, l) = (i64::from(raw), i64::from(last_raw));
        if r >= MOD_24 {
            self.wraps_24 = false;
        } else if !self.wraps_24 && (MOD_24 - WRAP_WINDOW..MOD_24).contains(&l) && r < WRAP_WINDOW {
            self.wraps_24 = true;
            warn(Warning::Wraps24);
        }
        let step = if self.wraps_24 {
            (r - l + MOD_24 / 2).rem_euclid(MOD_24) - MOD_24 / 2
        } else {
            i64::from(raw.wrapping_sub(last_raw) as i32)
        };
        let now = last + step;
        self.last = Some((raw, now));
        now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(timestamp: u32, composition: i32, nanos: u32) -> Stamp {
        Stamp { timestamp, composition, nanos }
    }

    fn run(clock: &mut Clock, kind: TrackKind, ts: u32) -> (i64, Vec<Warning>) {
        let mut warnings = Vec::new();
        let stamp = Stamp { timestamp: ts, ..Stamp::default() };
        let t = clock.date(kind, stamp, &mut |w| warnings.push(w));
        (t.dts.0, warnings)
    }

    // hls-origin 37.
    #[test]
    fn the_32_bit_wrap_is_crossed_both_ways() {
        let mut c = Clock::default();
        let base = i64::from(u32::MAX - 10);
        assert_eq!(run(&mut c, TrackKind::Video, u32::MAX - 10).0, base * 90);
        assert_eq!(run(&mut c, TrackKind::Video, 22).0, (base + 33) * 90);
        // Audio that is still before the wrap.
        assert_eq!(run(&mut c, TrackKind::Audio, u32::MAX - 5).0, (base + 5) * 90);
        assert_eq!(run(&mut c, TrackKind::Video, 55).0, (base + 66) * 90);
    }

    #[test]
    fn senders_that_wrap_at_24_bits_go_on_again_and_again() {
        let mut c = Clock::default();
        let (step, mut sent, mut warned) = (40_i64, MOD_24 - 400, 0);
        let first = sent;
        for n in 0..3 * MOD_24 / step {
            let (dts, warnings) = run(&mut c, TrackKind::Video, (sent % MOD_24) as u32);
            assert_eq!(dts, (first + n * step) * 90);
            warned += warnings.len();
            // Audio lags behind by 100 ms, so both sides of the wrap mix.
            if n > 5 {
                let (audio, w) = run(&mut c, TrackKind::Audio, ((sent - 100) % MOD_24) as u32);
                assert_eq!(audio, (first + n * step - 100) * 90);
                warned += w.len();
            }
            sent += step;
        }
        assert_eq!(warned, 1);
    }

    #[test]
    fn a_sender_of_32_bits_passes_24_bits_without_a_step() {
        let mut c = Clock::default();
        for ts in (MOD_24 - 100..MOD_24 + 100).step_by(10) {
            assert_eq!(run(&mut c, TrackKind::Video, ts as u32), (ts * 90, vec![]));
        }
    }

    #[test]
    fn small_steps_back_are_clamped_and_large_ones_pass() {
        let mut c = Clock::default();
        run(&mut c, TrackKind::Video, 5_000);
        let mut w = Vec::new();
        let t = c.date(TrackKind::Video, stamp(4_990, 80, 0), &mut |x| w.push(x));
        assert_eq!(t, Times { dts: Ticks(450_001), pts: Ticks::from_millis(5_070) });
        assert_eq!(w, [Warning::Backwards]);
        assert_eq!(run(&mut c, TrackKind::Video, 5_033).0, 5_033 * 90);
        // The other track is not behind because this one is ahead.
        assert_eq!(run(&mut c, TrackKind::Audio, 4_900), (4_900 * 90, vec![]));
        assert_eq!(run(&mut c, TrackKind::Video, 100).0, 100 * 90);
        assert_eq!(run(&mut c, TrackKind::Video, 100), (9_001, vec![]));
    }

    #[test]
    fn negative_composition_times_go_before_the_decode_time() {
        let mut c = Clock::default();
        let t = c.date(TrackKind::Video, stamp(1_000, -40, 0), &mut |_| {});
        assert_eq!((t.dts, t.pts), (Ticks(90_000), Ticks(86_400)));
    }

    // Enhanced RTMP 2, `TimestampOffsetNano`: 30 fps to the tick, where milliseconds would be off by up to 90.
    #[test]
    fn nanoseconds_make_time_exact() {
        let mut c = Clock::default();
        for n in 0..1_000_i64 {
            let ns = n * 1_000_000_000 / 30;
            let stamp = stamp((ns / 1_000_000) as u32, 0, (ns % 1_000_000) as u32);
            let t = c.date(TrackKind::Video, stamp, &mut |w| panic!("{w}"));
            assert_eq!((t.dts, t.pts), (Ticks(n * 3_000), Ticks(n * 3_000)));
        }
    }

    proptest! {
        #[test]
        fn steps_of_a_real_stream_survive_any_start(
            start in any::<u32>(),
            steps in prop::collection::vec(1_u32..5_000, 1..200),
        ) {
            // Clear of the place where a 24-bit wrap could be meant.
            prop_assume!(!(MOD_24 - 2_000_000..MOD_24).contains(&i64::from(start)));
            let mut c = Clock::default();
            let (first, _) = run(&mut c, TrackKind::Video, start);
            let (mut sent, mut expect) = (start, first);
            for s in steps {
                sent = sent.wrapping_add(s);
                expect += i64::from(s) * 90;
                prop_assert_eq!(run(&mut c, TrackKind::Video, sent).0, expect);
            }
        }

        #[test]
        fn dts_never_steps_back_a_little(times in prop::collection::vec(0_u32..3_000, 1..100)) {
            let mut c = Clock::default();
            let mut before: Option<i64> = None;
            for t in times {
                let (dts, _) = run(&mut c, TrackKind::Video, t);
                if let Some(b) = before {
                    prop_assert!(dts > b || b - dts >= MAX_CLAMP.0, "{} after {}", dts, b);
                }
                before = Some(dts);
            }
        }
    }
}
