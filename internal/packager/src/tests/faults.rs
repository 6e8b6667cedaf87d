//! What breaks around a lane must not break the stream, nor one stream another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hls::Directives;
use live::CloseReason;
use media::{Epoch, RenditionName, StreamPath};
use registry::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Health, Lost, MemoryRegistry, Record, StreamRegistry,
    TokenId, Unavailable,
};
use tokio::time::sleep;

use super::{
    bench::{Bench, SECOND, wall_clock},
    source::Source,
};
use crate::PackagerOptions;

/// A registry whose checkpoints hang, or tell that the claim is lost.
struct Sick {
    inner: MemoryRegistry,
    fenced: AtomicBool,
}

#[async_trait]
impl StreamRegistry for Sick {
    async fn claim(&self, r: ClaimRequest) -> Result<Claim, ClaimError> {
        self.inner.claim(r).await
    }
    async fn checkpoint(&self, _: &StreamPath, e: Epoch, _: Checkpoint) -> Result<(), Lost> {
        if self.fenced.load(Ordering::Relaxed) {
            return Err(Lost::Fenced(Epoch(e.0 + 1)));
        }
        std::future::pending().await
    }
    async fn release(&self, p: &StreamPath, e: Epoch) -> Result<(), Lost> {
        self.inner.release(p, e).await
    }
    async fn end(&self, _: &StreamPath, _: Epoch) -> Result<(), Lost> {
        std::future::pending().await
    }
    async fn revoke(&self, t: TokenId, at: SystemTime) -> Result<Option<(StreamPath, Epoch)>, Unavailable> {
        self.inner.revoke(t, at).await
    }
    async fn look_up(&self, p: &StreamPath) -> Result<Option<Record>, Unavailable> {
        self.inner.look_up(p).await
    }
    async fn list(&self) -> Result<Vec<Record>, Unavailable> {
        self.inner.list().await
    }
    async fn health(&self) -> Health {
        self.inner.health().await
    }
}

fn sick_bench(fenced: bool) -> Bench {
    let clock = wall_clock();
    let inner = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
    let options = PackagerOptions { wall_clock: clock, ..PackagerOptions::default() };
    Bench::with(options, Arc::new(Sick { inner, fenced: AtomicBool::new(fenced) }))
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_holds_up_no_part_for_long() {
    let bench = sick_bench(false);
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 10 * SECOND).await);
    let seen = viewer.stop().await;
    assert!(seen.last.complete().len() >= 4, "{:?}", seen.last);
    assert!(seen.longest_pause <= Duration::from_millis(400), "{:?}", seen.longest_pause);
    assert!(stream.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_closes_the_publisher() {
    let bench = sick_bench(true);
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(!source.send(&mut publisher, 10 * SECOND).await);
    assert_eq!(stream.close_reason(), Some(CloseReason::Fenced));
}

#[tokio::test(start_paused = true)]
async fn fault_42_a_disk_that_vanishes_is_no_matter_to_viewers() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 9 * SECOND).await);
    bench.settle().await;
    std::fs::remove_dir_all(bench.folder.path()).expect("it is ours");
    std::fs::write(bench.folder.path(), b"no folder").expect("its place is free");
    assert!(source.send(&mut publisher, 20 * SECOND).await);
    assert!(bench.store.health().failing.is_some(), "it shows");
    std::fs::remove_file(bench.folder.path()).expect("it is ours");
    std::fs::create_dir(bench.folder.path()).expect("its place is free");
    assert!(source.send(&mut publisher, 30 * SECOND).await);
    let seen = viewer.stop().await;
    assert!(seen.longest_pause <= Duration::from_millis(350), "{:?}", seen.longest_pause);
    assert_eq!(seen.last.gaps(), 0);
    bench.settle().await;
    assert!(bench.store.health().failing.is_none(), "it is over");
    bench.stored_playlist();
}

#[tokio::test(start_paused = true)]
async fn fault_59_a_lane_that_panics_ends_its_stream_alone() {
    let clock = wall_clock();
    let registry = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
    let broken = Arc::new(AtomicBool::new(false));
    let wall_clock: crate::WallClock = Arc::new({
        let broken = Arc::clone(&broken);
        move || {
            // Once: the lane that asks next falls.
            assert!(!broken.swap(false, Ordering::Relaxed), "an injected fault");
            clock()
        }
    });
    let options = PackagerOptions { wall_clock, ..PackagerOptions::default() };
    let bench = Bench::with(options, Arc::new(registry));
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    let window = bench.window().await;
    assert!(source.send(&mut publisher, 5 * SECOND).await);
    broken.store(true, Ordering::Relaxed);
    assert!(!source.send(&mut publisher, 5 * SECOND).await, "the publisher is told");
    assert!(matches!(stream.close_reason(), Some(CloseReason::Refused(_))));
    let playlist = window.playlist(RenditionName::Media, Directives::default()).await.expect("it is there");
    assert!(playlist.ended(), "viewers are told");
    let before = window.next().msn;
    bench.disconnect(publisher, &stream).await;

    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    sleep(Duration::from_millis(10)).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 5 * SECOND).await, "the path goes on with the next publish");
    let seen = viewer.stop().await;
    assert!(!seen.last.ended && seen.last.first >= before, "clause 4: {} after {before}", seen.last.first);
}
