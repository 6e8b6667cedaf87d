//! Positions of sound frames: counted in samples, nudged only when the sender's clock drifts away.

use std::collections::VecDeque;

use bytes::Bytes;
use media::{Sound, Ticks};

/// Frames that may wait for pictures: over 5 s at the shortest frame; the oldest is dropped beyond.
const MAX_QUEUE: usize = 512;
/// The drift filter's weight: rounding of single timestamps is averaged away within a second.
const SMOOTHING: f64 = 32.0;

/// A sound frame with its place.
#[derive(Debug)]
pub(crate) struct AudioSample {
    /// Position in samples on the epoch's timeline.
    pub(crate) at: i64,
    /// In samples: to where the next one goes.
    pub(crate) duration: u32,
    /// In samples: what the frame holds.
    holds: i64,
    /// One raw frame or packet.
    pub(crate) data: Bytes,
}

impl AudioSample {
    fn end(&self) -> i64 {
        self.at + i64::from(self.duration)
    }
}

/// The sound that has arrived and is in no part yet.
#[derive(Debug)]
pub(crate) struct AudioTimeline {
    rate: u32,
    /// Samples in the last frame, or in the frames to be expected.
    frame: i64,
    /// Where the next frame goes.
    next: Option<i64>,
    /// Nothing may be placed before this.
    floor: i64,
    /// How far timestamps are ahead of `next`, smoothed, in samples.
    drift: f64,
    queue: VecDeque<AudioSample>,
}

impl AudioTimeline {
    /// Starts at or after `floor` (ticks).
    pub(crate) fn new(sound: Sound, floor: i64) -> Self {
        let frame = i64::from(sound.frame_samples.max(1));
        let rate = sound.sample_rate.max(1);
        let floor = Ticks(floor).rescale(rate);
        Self { rate, frame, next: None, floor, drift: 0.0, queue: VecDeque::new() }
    }

    /// One frame in ticks, rounded.
    pub(crate) fn frame(&self) -> i64 {
        self.ticks(self.frame)
    }

    /// What whole frames of the last one's length take of `span` ticks, at least one; in ticks.
    pub(crate) fn whole_frames(&self, span: i64) -> f64 {
        let frame = self.frame as f64 * Ticks::RATE as f64 / f64::from(self.rate);
        (span as f64 / frame).floor().max(1.0) * frame
    }

    /// How many of the first waiting frames fit `span` ticks, at least one; and whether one more of the last one's length
    /// would not.
    pub(crate) fn fit(&self, span: i64) -> (usize, bool) {
        let span = i128::from(span) * i128::from(self.rate) / i128::from(Ticks::RATE);
        let (mut n, mut held, mut last) = (0, 0, i128::from(self.frame));
        for sample in &self.queue {
            last = i128::from(sample.holds);
            if n > 0 && held + last > span {
                return (n, true);
            }
            held += last;
            n += 1;
        }
        (n, n > 0 && held + last > span)
    }

    fn ticks(&self, samples: i64) -> i64 {
        let n = i128::from(samples) * i128::from(Ticks::RATE);
        ((n + i128::from(self.rate) / 2) / i128::from(self.rate)) as i64
    }

    /// Where the next frame is expected, in ticks.
    pub(crate) fn expected(&self) -> Option<i64> {
        self.next.map(|n| self.ticks(n))
    }

    /// More than 45 ms and two frames, as samples: no jitter but missing sound.
    fn hole(&self) -> i64 {
        (i64::from(self.rate) * 45 / 1000).max(2 * self.frame)
    }

    /// A frame at `dts` (ticks) would leave a hole after those that wait.
    pub(crate) fn is_hole(&self, dts: i64) -> bool {
        self.next.is_some_and(|n| Ticks(dts).rescale(self.rate) - n > self.hole())
    }

    /// Waiting frames.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Where the first waiting frame starts, in ticks.
    pub(crate) fn start(&self) -> Option<i64> {
        self.queue.front().map(|s| self.ticks(s.at))
    }

    /// Where the first `n` waiting frames end, in ticks.
    pub(crate) fn end_of(&self, n: usize) -> Option<i64> {
        let last = self.queue.get(n.checked_sub(1)?)?;
        Some(self.ticks(last.end()))
    }

    /// Takes a frame of so many samples with the timestamp `dts`. A frame that would overlap by more than 200 ms is
    /// dropped.
    pub(crate) fn push(&mut self, dts: i64, samples: u32, data: Bytes) {
        self.frame = i64::from(samples.max(1));
        let want = Ticks(dts).rescale(self.rate);
        let at = match self.next {
            None if want < self.floor => return,
            None => want,
            Some(next) => match self.place(next, want) {
                Some(at) => at,
                None => return,
            },
        };
        let nudge = self.nudge();
        self.drift -= nudge as f64;
        let duration = (self.frame + nudge).max(1);
        self.next = Some(at + duration);
        if self.queue.len() >= MAX_QUEUE {
            self.queue.pop_front();
        }
        self.queue.push_back(AudioSample { at, duration: duration as u32, holds: self.frame, data });
    }

    /// The position of a frame that should follow at `next` and says `want`.
    fn place(&mut self, next: i64, want: i64) -> Option<i64> {
        let ahead = want - next;
        if ahead > self.hole() {
            self.drift = 0.0;
            return Some(want);
        }
        if ahead < -i64::from(self.rate) / 5 {
            return None;
        }
        self.drift += (ahead as f64 - self.drift) / SMOOTHING;
        Some(next)
    }

    /// Samples to add to this frame's duration: none while timestamps agree within 2 ms.
    fn nudge(&self) -> i64 {
        let ms = self.drift.abs() * 1000.0 / f64::from(self.rate);
        let by = match ms {
            ms if ms < 2.0 => 0,
            ms if ms < 10.0 => 1,
            _ => 4,
        };
        if self.drift < 0.0 { -by } else { by }
    }

    /// How many of the first `n` waiting frames follow each other without a hole.
    pub(crate) fn contiguous(&self, n: usize) -> usize {
        let follow = |(a, b): &(&AudioSample, &AudioSample)| a.end() == b.at;
        let more = self.queue.iter().zip(self.queue.iter().skip(1)).take_while(follow).count();
        n.min(self.queue.len()).min(more + 1)
    }

    /// Moves the waiting frames that start before `before` (ticks) into `into`, which is one run.
    pub(crate) fn take_before(&mut self, before: i64, into: &mut Vec<AudioSample>) {
        while self.start().is_some_and(|s| s < before) {
            self.take(1, into);
        }
    }

    /// Moves the first `n` waiting frames into `into`. Within a run a frame lasts until the next one begins.
    pub(crate) fn take(&mut self, n: usize, into: &mut Vec<AudioSample>) {
        for sample in self.queue.drain(..n.min(self.queue.len())) {
            if let Some(last) = into.last_mut() {
                last.duration = u32::try_from(sample.at - last.at).unwrap_or(last.duration);
            }
            into.push(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aac(rate: u32) -> Sound {
        Sound { sample_rate: rate, channels: 2, frame_samples: 1024 }
    }

    /// Feeds `hours` of sound whose clock is off by `ppm`; gives the worst error in ms and the nudges.
    fn run(rate: u32, ppm: f64, hours: f64) -> (f64, u64) {
        let mut audio = AudioTimeline::new(aac(rate), 0);
        let (mut worst, mut nudged, mut out) = (0.0f64, 0, Vec::new());
        let frames = (hours * 3600.0 * f64::from(rate) / 1024.0) as u64;
        let mut end = 0;
        for i in 0..frames {
            let secs = i as f64 * 1024.0 / f64::from(rate) * (1.0 + ppm / 1e6);
            audio.push((secs * 1000.0).floor() as i64 * 90, 1024, Bytes::new());
            audio.take(1, &mut out);
            for s in out.drain(..) {
                assert_eq!(s.at, end, "continuous");
                end = s.at + i64::from(s.duration);
                nudged += u64::from(s.duration != 1024);
                worst = worst.max((s.at as f64 / f64::from(rate) - secs).abs() * 1000.0);
            }
        }
        (worst, nudged)
    }

    #[test]
    fn an_exact_clock_is_never_nudged() {
        for rate in [44_100, 48_000, 32_000, 22_050, 8_000] {
            let (worst, nudged) = run(rate, 0.0, 1.0);
            assert_eq!(nudged, 0, "{rate}");
            assert!(worst < 1.1, "{rate}: {worst} ms");
        }
    }

    #[test]
    fn seventy_two_hours_at_100_ppm_stay_in_time() {
        for ppm in [100.0, -100.0] {
            let (worst, nudged) = run(48_000, ppm, 72.0);
            assert!(worst < 5.0, "{worst} ms");
            assert!(nudged > 0);
        }
    }

    #[test]
    fn a_hole_is_jumped_and_an_overlap_dropped() {
        let mut audio = AudioTimeline::new(aac(48_000), 0);
        audio.push(0, 1024, Bytes::new());
        audio.push(90_000, 1024, Bytes::new());
        audio.push(0, 1024, Bytes::new());
        let mut out = Vec::new();
        audio.take(9, &mut out);
        assert_eq!(out.iter().map(|s| (s.at, s.duration)).collect::<Vec<_>>(), [(0, 48_000), (48_000, 1024)]);
    }

    // RFC 6716 §3.1: packets of 2.5 to 120 ms, and an encoder may change their length as it goes.
    #[test]
    fn frames_of_any_length_follow_each_other_and_fill_a_span() {
        let opus = Sound { sample_rate: 48_000, channels: 2, frame_samples: 960 };
        let mut audio = AudioTimeline::new(opus, 0);
        let (mut ms, mut out) = (0.0_f64, Vec::new());
        for samples in [960, 960, 120, 120, 2_880, 5_760, 960] {
            audio.push(ms.floor() as i64 * 90, samples, Bytes::new());
            ms += f64::from(samples) / 48.0;
        }
        let fit = |ms: i64| audio.fit(ms * 90);
        // 20 + 20 + 2.5 + 2.5 + 60 + 120 + 20 ms.
        assert_eq!([fit(1), fit(20), fit(41), fit(45)], [(1, true), (1, true), (2, true), (4, true)]);
        assert_eq!(
            [fit(224), fit(225), fit(250), fit(264), fit(265)],
            [(5, true), (6, true), (7, true), (7, true), (7, false)]
        );
        audio.take(9, &mut out);
        let mut end = 0;
        for s in &out {
            assert_eq!(s.at, end, "no hole, no overlap");
            end += i64::from(s.duration);
        }
        assert_eq!(end, 11_760);
        assert_eq!(audio.fit(100), (0, false));
    }
}
