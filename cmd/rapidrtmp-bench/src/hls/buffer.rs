//! A player's buffer as a model: filled by what was fetched, drained by real time.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Playing,
    Stalled,
}

/// The buffer of one viewer.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// What must be there before it plays, at first and after a stall.
    start: Duration,
    level: Duration,
    at: Instant,
    state: State,
    /// Times that it ran empty while playing.
    pub(crate) stalls: u64,
    /// Time that it stood still since it first played.
    pub(crate) stalled: Duration,
}

impl Buffer {
    /// An empty one.
    pub(crate) const fn new(now: Instant) -> Self {
        let (start, level, stalled) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        Self { start, level, at: now, state: State::Starting, stalls: 0, stalled }
    }

    /// Sets what must be there before it plays.
    pub(crate) const fn start_at(&mut self, level: Duration) {
        self.start = level;
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.at = now;
        match self.state {
            State::Starting => {}
            State::Stalled => self.stalled += passed,
            State::Playing if passed <= self.level => self.level -= passed,
            State::Playing => {
                self.stalls += 1;
                self.stalled += passed - self.level;
                self.level = Duration::ZERO;
                self.state = State::Stalled;
            }
        }
    }

    /// Adds media that has just arrived.
    pub(crate) fn add(&mut self, media: Duration, now: Instant) {
        self.advance(now);
        self.level += media;
        if self.level >= self.start {
            self.state = State::Playing;
        }
    }

    /// What is buffered, when it plays.
    pub(crate) fn playing(&self) -> Option<Duration> {
        (self.state == State::Playing).then_some(self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn it_plays_once_enough_is_there_and_stalls_when_it_is_empty() {
        let t = Instant::now();
        let mut b = Buffer::new(t);
        b.start_at(ms(400));
        b.add(ms(200), t + ms(900));
        assert_eq!((b.playing(), b.stalls), (None, 0), "a slow start is no stall");
        b.add(ms(200), t + ms(1000));
        b.advance(t + ms(1300));
        assert_eq!(b.playing(), Some(ms(100)));
        b.advance(t + ms(1500));
        assert_eq!((b.playing(), b.stalls, b.stalled), (None, 1, ms(100)));
        b.add(ms(200), t + ms(1600));
        assert_eq!((b.playing(), b.stalls, b.stalled), (None, 1, ms(200)), "one stall goes on");
        b.add(ms(200), t + ms(1700));
        assert_eq!((b.playing(), b.stalls, b.stalled), (Some(ms(400)), 1, ms(300)));
    }

    #[test]
    fn media_in_time_never_stalls() {
        let t = Instant::now();
        let mut b = Buffer::new(t);
        for n in 0..100 {
            b.add(ms(200), t + ms(200 * n));
        }
        assert_eq!((b.stalls, b.playing()), (0, Some(ms(200))));
    }
}
