//! What breaks around a lane must not break the stream, nor one stream another.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hls::Directives;
use live::{CloseReason, Directory};
use media::{Cursor, Epoch, ObjectName, RenditionName, StreamPath};
use registry::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Health, Lost, MemoryRegistry, Record, StreamRegistry,
    TokenId, Unavailable,
};
use tokio::time::sleep;

use super::{
    bench::{Bench, SECOND, wall_clock},
    source::Source,
};
use crate::{Cutting, PackagerOptions};

/// What becomes of a checkpoint.
enum Fate {
    Taken,
    Hangs,
    Fenced,
}

/// A registry whose checkpoints and ends go as the test says.
struct Scripted<F> {
    inner: MemoryRegistry,
    fate: F,
}

#[async_trait]
impl<F: Fn(Checkpoint) -> Fate + Send + Sync + 'static> StreamRegistry for Scripted<F> {
    async fn claim(&self, r: ClaimRequest) -> Result<Claim, ClaimError> {
        self.inner.claim(r).await
    }
    async fn checkpoint(&self, p: &StreamPath, e: Epoch, c: Checkpoint) -> Result<(), Lost> {
        match (self.fate)(c) {
            Fate::Taken => self.inner.checkpoint(p, e, c).await,
            Fate::Hangs => std::future::pending().await,
            Fate::Fenced => Err(Lost::Fenced(Epoch(e.0 + 1))),
        }
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

fn scripted(fate: impl Fn(Checkpoint) -> Fate + Send + Sync + 'static) -> Bench {
    let clock = wall_clock();
    let inner = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
    let options = PackagerOptions { wall_clock: clock, ..PackagerOptions::default() };
    Bench::with(options, Arc::new(Scripted { inner, fate }))
}

#[tokio::test(start_paused = true)]
async fn a_segment_is_reported_before_its_first_part_is_announced() {
    let directory: Arc<OnceLock<Directory>> = Arc::default();
    let reported: Arc<Mutex<Vec<(Checkpoint, Cursor)>>> = Arc::default();
    let bench = scripted({
        let (directory, reported) = (Arc::clone(&directory), Arc::clone(&reported));
        move |c| {
            let path = StreamPath::parse("live/demo").expect("a path");
            let window = directory.get().and_then(|d| d.window(&path)).expect("it was made before");
            reported.lock().expect("no panic").push((c, window.next()));
            Fate::Taken
        }
    });
    assert!(directory.set(bench.directory.clone()).is_ok());
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, 7 * SECOND).await);
    bench.disconnect(publisher, &stream).await;
    sleep(10 * SECOND).await;
    let window = bench.window().await;
    let reported = std::mem::take(&mut *reported.lock().expect("no panic"));
    assert!(reported.len() >= 7, "GAPs are segments, too: {reported:?}");
    for (checkpoint, next) in &reported {
        assert_eq!(*next, Cursor { msn: checkpoint.msn, part: 0 }, "nothing of it is announced");
    }
    let numbers: Vec<u64> = reported.iter().map(|(c, _)| c.msn).collect();
    let all: Vec<u64> = (numbers[0]..window.next().msn).collect();
    assert_eq!(numbers, all, "each once");
    let record = bench.registry.look_up(&bench.path).await.expect("it answers").expect("known");
    assert_eq!(record.checkpoint.expect("reported").target_duration, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_holds_up_no_part_for_long() {
    let bench = scripted(|_| Fate::Hangs);
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
    let bench = scripted(|_| Fate::Fenced);
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
async fn clause_6_what_the_store_lost_is_served_from_memory() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 9 * SECOND).await);
    bench.settle().await;
    let listed = bench.stored_playlist().entries;
    let first = listed[0].uri.as_deref().and_then(ObjectName::parse).expect("a segment");
    std::fs::remove_dir_all(bench.folder.path().join("live")).expect("it is ours");
    for _ in 0..8 {
        assert!(source.send(&mut publisher, 2 * SECOND).await);
        bench.settle().await;
    }
    let seen = viewer.stop().await;
    let gone = seen.last.entries.iter().all(|e| e.uri != listed[0].uri);
    assert!(gone, "it has left the playlist: {:?}", seen.last);
    let object = bench.window().await.object(first).await;
    assert!(matches!(&object, live::Object::Ready(blob) if blob.len > 100), "{object:?}");
}

/// A stop that a lane had no time to hear, because the registry hung, before the next publisher came.
#[tokio::test(start_paused = true)]
async fn a_stop_holds_although_somebody_publishes_at_once() {
    let bench = scripted(|_| Fate::Hangs);
    let mut source = Source::new(60);
    let (mut publisher, old) = bench.publish(&source).await;
    let window = bench.window().await;
    assert!(source.send(&mut publisher, Duration::from_millis(6_010)).await);
    assert!(bench.directory.stop(&bench.path));
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert_eq!(old.close_reason(), Some(CloseReason::Stopped));
    assert!(source.send(&mut publisher, 3 * SECOND).await);
    assert_eq!(window.state(), live::WindowState::Ended);
    let next = bench.window().await;
    assert!(next.next().msn >= window.next().msn);
    assert_eq!(next.state(), live::WindowState::Live);
    bench.disconnect(publisher, &stream).await;
    sleep(5 * SECOND).await;
    assert_eq!(next.state(), live::WindowState::Gap, "the stop was not for this one");
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

/// In real time: the sweep is I/O that runs beside the stream, and virtual time would run into the store's deadlines.
#[tokio::test]
async fn what_an_earlier_process_left_goes_when_the_path_is_published_again() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let left = folder.path().join("live/demo/segment_1_1.m4s");
    let foreign = folder.path().join("live/demo/other/segment_1_1.m4s");
    for file in [&left, &foreign] {
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("it is ours");
        std::fs::write(file, b"old").expect("it is ours");
    }
    let clock = wall_clock();
    let registry = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
    let options = PackagerOptions { wall_clock: clock, ..PackagerOptions::default() };
    let bench = Bench::within(folder, options, Arc::new(registry));
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let mut seconds = 0;
    while left.exists() && seconds < 20 {
        assert!(source.send(&mut publisher, SECOND).await);
        seconds += 1;
    }
    assert!(!left.exists() && foreign.exists(), "this path alone");
    assert!(source.send(&mut publisher, 9 * SECOND).await);
    bench.settle().await;
    assert!(bench.stored_playlist().complete().len() >= 4);
}

#[tokio::test(start_paused = true)]
async fn keyframes_that_are_too_rare_close_the_publisher_where_they_are_required() {
    let clock = wall_clock();
    let registry = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
    let cutting = Cutting { require_keyframes: true, ..Cutting::default() }.into();
    let options = PackagerOptions { wall_clock: clock, cutting, ..PackagerOptions::default() };
    let bench = Bench::with(options, Arc::new(registry));
    let mut source = Source::new(900);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(!source.send(&mut publisher, 30 * SECOND).await);
    let Some(CloseReason::Refused(why)) = stream.close_reason() else {
        panic!("{:?}", stream.close_reason())
    };
    assert!(why.contains("keyframe"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_what_was_cut() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let bench = metrics::with_local_recorder(&recorder, Bench::start);
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, Duration::from_millis(8_500)).await);
    let text = recorder.handle().render();
    assert!(text.contains("rapidrtmp_segments_created_total 4\n"), "{text}");
    assert!(text.contains("rapidrtmp_segment_duration_seconds_sum 8.000"), "{text}");
    assert!(text.contains("rapidrtmp_segment_size_bytes_count 4\n"), "{text}");
    assert!(text.contains("rapidrtmp_part_interval_seconds_count 41\n"), "{text}");
    bench.disconnect(publisher, &stream).await;
    sleep(Duration::from_millis(5_100)).await;
    let text = recorder.handle().render();
    assert!(text.contains("rapidrtmp_gaps_total 2\n"), "{text}");
    assert!(text.contains("rapidrtmp_gop_too_long_total 0\n"), "{text}");
}

// A current-thread test, so that the lane finds the recorder of this one.
#[tokio::test(start_paused = true)]
async fn frames_that_the_ring_gave_up_are_counted_as_lagged() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, SECOND).await);
    assert!(dropped(&recorder).ends_with(" 0"), "a lane that keeps up loses nothing");
    // 20 s at once: the lane has no turn in between, and the ring keeps 2 s.
    let sent = source.burst(&mut publisher, 20 * SECOND);
    sleep(SECOND).await;
    let lost: u64 = dropped(&recorder).rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(lost > sent / 2 && lost < sent, "{lost} of {sent}");
    assert!(stream.warnings().iter().any(|w| w.contains("could not keep up")));
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 3 * SECOND).await, "the stream goes on");
    assert!(viewer.stop().await.changes > 2);
}

/// The line of the metric.
fn dropped(recorder: &metrics_exporter_prometheus::PrometheusRecorder) -> String {
    let text = recorder.handle().render();
    let line = "rapidrtmp_frames_dropped_total{stream_key=\"demo\",reason=\"lagged\"}";
    text.lines().find(|l| l.starts_with(line)).expect("the series lives while the publisher does").to_owned()
}
