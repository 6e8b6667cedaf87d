//! The end-of-stream table of the contract, row by row.

use std::time::Duration;

use hls::Directives;
use live::{CloseReason, Unavailable};
use media::{RenditionName, Ticks};
use registry::PathState;
use tokio::time::sleep;

use super::{
    bench::{Bench, SECOND},
    source::Source,
};

const LONGEST_PAUSE: Duration = Duration::from_millis(3_050);

#[tokio::test(start_paused = true)]
async fn clause_43_a_republish_is_a_continuation() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, Duration::from_millis(9_100)).await);
    let window = bench.window().await;
    bench.disconnect(publisher, &stream).await;
    sleep(8 * SECOND).await;

    let mut source = Source::starting_at(Ticks(77 * Ticks::RATE));
    let (mut publisher, _stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, 7 * SECOND).await);
    let seen = viewer.stop().await;
    assert!(window.playlist(RenditionName::Media, Directives::default()).await.is_ok(), "the same window");
    assert!(seen.longest_pause <= LONGEST_PAUSE, "{:?}", seen.longest_pause);
    let again: Vec<_> = seen.last.entries.iter().filter(|e| e.discontinuity).collect();
    assert_eq!(again.len(), 1, "{:?}", seen.last);
    assert!(seen.last.gaps() >= 3, "{:?}", seen.last);
    let maps: std::collections::BTreeSet<_> =
        seen.last.entries.iter().filter_map(|e| e.map.clone()).collect();
    assert_eq!(maps.len(), 2, "a new MAP: {maps:?}");
    assert_ne!(again[0].map, seen.last.entries[0].map);
    seen.last.check_dates();
    let silence: f64 = seen.last.entries.iter().filter(|e| e.gap).map(|e| e.duration).sum();
    assert!((silence - 8.0).abs() < 0.6, "the silence is stated: {silence}");
}

#[tokio::test(start_paused = true)]
async fn a_takeover_is_a_continuation_without_a_gap() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, old) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, Duration::from_millis(11_100)).await);

    let mut source = Source::new(60);
    let (mut taker, _stream) = bench.publish(&source).await;
    assert!(source.send(&mut taker, 5 * SECOND).await);
    assert_eq!(old.close_reason(), Some(CloseReason::Replaced));
    let seen = viewer.stop().await;
    assert_eq!(seen.last.gaps(), 0, "{:?}", seen.last);
    assert_eq!(seen.last.entries.iter().filter(|e| e.discontinuity).count(), 1);
    seen.last.check_dates();
}

#[tokio::test(start_paused = true)]
async fn a_window_that_lapses_ends_and_expires_one_window_later() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    let window = bench.window().await;
    assert!(source.send(&mut publisher, 9 * SECOND).await);
    bench.disconnect(publisher, &stream).await;
    sleep(29 * SECOND).await;
    let playlist = window.playlist(RenditionName::Media, Directives::default()).await.expect("it is open");
    assert!(!playlist.ended());
    sleep(2 * SECOND).await;
    let playlist = window.playlist(RenditionName::Media, Directives::default()).await.expect("it is there");
    assert!(playlist.ended(), "clause 9");
    bench.settle().await;
    assert!(bench.stored_playlist().ended);
    let record = bench.registry.look_up(&bench.path).await.expect("it answers").expect("known");
    assert_eq!(record.state, PathState::Ended);

    sleep(21 * SECOND).await;
    let gone = window.playlist(RenditionName::Media, Directives::default()).await.expect_err("410");
    assert_eq!(gone, Unavailable::Gone);
    bench.settle().await;
    assert!(!bench.stored("media.m3u8").exists(), "the store is given back");
    let seen = viewer.stop().await;
    assert!(seen.longest_pause <= LONGEST_PAUSE, "{:?}", seen.longest_pause);
    assert_eq!((seen.end, seen.last.ended), (Some(Unavailable::Gone), true));

    sleep(301 * SECOND).await;
    assert!(bench.directory.window(&bench.path).is_none(), "the lane forgets its path");
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_at_once_and_the_next_publish_begins_a_playlist_with_higher_numbers() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, 9 * SECOND).await);
    let first = bench.watch().await;
    sleep(Duration::from_millis(100)).await;
    assert!(bench.directory.stop(&bench.path));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(stream.close_reason(), Some(CloseReason::Stopped));
    let old = first.stop().await.last;
    assert!(old.ended, "{old:?}");

    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    sleep(Duration::from_millis(10)).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 5 * SECOND).await);
    let new = viewer.stop().await.last;
    assert!(!new.ended && new.gaps() == 0);
    assert!(new.first > old.last().expect("it had segments"), "clause 4: {} after {old:?}", new.first);
    assert!(new.discontinuities > old.discontinuities, "clause 4");

    assert!(source.send(&mut publisher, 30 * SECOND).await);
    bench.settle().await;
    for entry in &old.entries {
        let name = entry.uri.as_ref().expect("the end completes all");
        assert!(!bench.stored(name).exists(), "{name} was replaced one window ago");
    }
    assert!(!bench.stored_playlist().ended);
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_a_publisher_ends_the_gap() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, 5 * SECOND).await);
    let window = bench.window().await;
    bench.disconnect(publisher, &stream).await;
    sleep(4 * SECOND).await;
    assert!(bench.directory.stop(&bench.path));
    sleep(Duration::from_millis(100)).await;
    let playlist = window.playlist(RenditionName::Media, Directives::default()).await.expect("it is there");
    assert!(playlist.ended());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_never_sends_leaves_nothing() {
    let bench = Bench::start();
    let source = Source::new(60);
    let (publisher, stream) = bench.publish(&source).await;
    let window = bench.window().await;
    bench.disconnect(publisher, &stream).await;
    sleep(400 * SECOND).await;
    assert!(bench.directory.window(&bench.path).is_none());
    assert_eq!(
        window.playlist(RenditionName::Media, Directives::default()).await.expect_err("nothing"),
        Unavailable::Gone
    );
    let record = bench.registry.look_up(&bench.path).await.expect("it answers").expect("known");
    assert_eq!(record.state, PathState::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_held_requests_and_ends_the_stored_playlist_alone() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, Duration::from_millis(7_300)).await);
    let window = bench.window().await;
    let far = Directives { msn: Some(window.next().msn + 1), part: None, skip: false };
    let held = tokio::spawn({
        let window = window.clone();
        async move { window.playlist(RenditionName::Media, far).await }
    });
    sleep(Duration::from_millis(10)).await;
    assert_eq!(window.held(), 1);
    bench.cancel.cancel();
    let answer = held.await.expect("no panic").expect("answered");
    assert!(!answer.ended(), "no ENDLIST for viewers");
    let Bench { packager, folder, registry, path, .. } = bench;
    packager.await.expect("it stops");
    assert_eq!(stream.close_reason(), Some(CloseReason::Draining));
    let stored = std::fs::read_to_string(folder.path().join("live/demo/media.m3u8")).expect("it is stored");
    assert!(stored.ends_with("#EXT-X-ENDLIST\n"), "{stored}");
    assert_eq!(stored.matches("#EXTINF").count(), 4, "what was cut short is stored, too: {stored}");
    let record = registry.look_up(&path).await.expect("it answers").expect("known");
    assert_eq!(record.state, PathState::Ended, "tokens are spent with the ENDLIST");
}
