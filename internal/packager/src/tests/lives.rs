//! Random lives of a path: whatever happens in whatever order, each playlist is a legal successor of the one before,
//! moves at least every 1.5 target durations, and lists only what can be fetched.

use std::time::Duration;

use live::{Publisher, Stream};
use media::Ticks;
use tokio::time::sleep;

use super::{
    bench::{Bench, SECOND},
    source::Source,
};

/// A small generator (xorshift), so that a failing life can be lived again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// A publisher of another kind than the one before.
    fn source(&mut self) -> Source {
        match self.below(4) {
            0 => Source::audio_only(),
            1 => Source::new(75),
            2 => Source::starting_at(Ticks::from_millis(self.below(1 << 31) as i64)),
            _ => Source::new(60),
        }
    }
}

struct Life {
    bench: Bench,
    dice: Dice,
    source: Source,
    publisher: Option<(Publisher, Stream)>,
}

impl Life {
    async fn step(&mut self) {
        match self.dice.below(7) {
            0 => self.stall(false).await,
            1 => self.stall(true).await,
            2 => self.leave().await,
            3 => self.take_over().await,
            _ => {}
        }
        let length = self.dice.millis(300, 9_000);
        if let Some((publisher, _)) = &mut self.publisher {
            assert!(self.source.send(publisher, length).await);
        } else {
            self.take_over().await;
        }
    }

    async fn stall(&mut self, clock_stands_still: bool) {
        let length = self.dice.millis(500, 9_000);
        sleep(length).await;
        if clock_stands_still {
            self.source.hold_clock(length);
        } else {
            self.source.drop_frames(Duration::ZERO);
        }
    }

    async fn leave(&mut self) {
        if let Some((publisher, stream)) = self.publisher.take() {
            self.bench.disconnect(publisher, &stream).await;
        }
        sleep(self.dice.millis(10, 20_000)).await;
    }

    async fn take_over(&mut self) {
        self.source = self.dice.source();
        self.publisher = Some(self.bench.publish(&self.source).await);
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_playlists_change_legally() {
    for seed in 1..=10 {
        let bench = Bench::start();
        let source = Source::new(60);
        let publisher = Some(bench.publish(&source).await);
        let mut life = Life { bench, dice: Dice(0x9E37_79B9_7F4A_7C15 ^ seed), source, publisher };
        let viewer = life.bench.watch().await;
        for _ in 0..20 {
            life.step().await;
        }
        if let Some((publisher, stream)) = life.publisher.take() {
            life.bench.disconnect(publisher, &stream).await;
        }
        sleep(35 * SECOND).await;
        let seen = viewer.stop().await;
        assert!(seen.last.ended, "seed {seed}: {:?}", seen.last);
        assert!(seen.changes > 200, "seed {seed}: {} changes", seen.changes);
        let most = Duration::from_millis(1_500) * seen.last.target + Duration::from_millis(50);
        assert!(seen.longest_pause <= most, "clause 7, seed {seed}: {:?}", seen.longest_pause);
        seen.last.check_dates();
    }
}
