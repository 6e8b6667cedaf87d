//! Frame rings.

use std::time::Duration;

use futures_util::FutureExt;
use media::{Epoch, Frame, Tracks};

use super::{audio_track, frame, path, tracks, video_track};
use crate::{CloseReason, Publisher, Received, Stream, StreamOptions, StreamStats, stream};

fn new(o: StreamOptions) -> (Publisher, Stream) {
    stream(path("live/demo"), Epoch(7), o)
}

fn millis(frames: &[Frame]) -> Vec<i64> {
    frames.iter().map(|f| f.dts.0 / 90).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_reader_starts_at_the_last_keyframe() {
    let (mut p, s) = new(StreamOptions::default());
    let video = video_track();
    for i in 0..10 {
        p.push(frame(&video, i * 100, i % 4 == 0)).unwrap();
    }
    let (mut reader, mut out) = (s.subscribe(), Vec::new());
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    assert_eq!(millis(&out), [800, 900]);
    out.clear();
    assert!(reader.recv(&mut out).now_or_never().is_none());
    p.push(frame(&video, 1000, false)).unwrap();
    p.push(frame(&video, 1100, false)).unwrap();
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    assert_eq!(millis(&out), [1000, 1100]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_sound_alone_starts_a_second_back() {
    let (mut p, s) = new(StreamOptions::default());
    let audio = audio_track();
    for i in 0..40 {
        p.push(frame(&audio, i * 100, true)).unwrap();
    }
    let mut out = Vec::new();
    assert_eq!(s.subscribe().recv(&mut out).await, Received::Frames);
    assert_eq!((out.len(), millis(&out)[0]), (11, 2900));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_and_goes_on_at_a_keyframe() {
    let (mut p, s) = new(StreamOptions { max_frames: 10, ..StreamOptions::default() });
    let video = video_track();
    let (mut reader, mut out) = (s.subscribe(), Vec::new());
    for i in 0..25 {
        p.push(frame(&video, i * 100, i % 8 == 0)).unwrap();
    }
    assert_eq!(reader.recv(&mut out).await, Received::Lagged(24));
    assert!(out.is_empty());
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    assert_eq!((millis(&out), out[0].key), (vec![2400], true));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_lags_past_every_keyframe_waits_for_the_next() {
    let (mut p, s) = new(StreamOptions { max_frames: 4, ..StreamOptions::default() });
    let (video, audio) = (video_track(), audio_track());
    let (mut reader, mut out) = (s.subscribe(), Vec::new());
    for i in 0..10 {
        p.push(frame(&video, i * 100, i == 0)).unwrap();
    }
    assert_eq!(reader.recv(&mut out).await, Received::Lagged(10));
    p.push(frame(&video, 1000, false)).unwrap();
    p.push(frame(&audio, 1001, true)).unwrap();
    p.push(frame(&video, 1100, true)).unwrap();
    p.push(frame(&video, 1200, false)).unwrap();
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    assert_eq!(millis(&out), [1001, 1100, 1200]);
}

#[tokio::test(start_paused = true)]
async fn the_ring_is_bounded_in_bytes_and_keeps_the_newest_frame() {
    let (mut p, s) = new(StreamOptions { max_bytes: 3500, ..StreamOptions::default() });
    let video = video_track();
    for i in 0..10 {
        p.push(frame(&video, i * 100, true)).unwrap();
        assert!(s.ring_bytes() <= 3500);
    }
    let (mut p, s) = new(StreamOptions { max_bytes: 10, ..StreamOptions::default() });
    p.push(frame(&video, 0, true)).unwrap();
    p.push(frame(&video, 100, true)).unwrap();
    assert_eq!(s.ring_bytes(), 1000);
}

#[tokio::test(start_paused = true)]
async fn the_ring_keeps_the_gop_and_the_slack_and_no_more() {
    let (mut p, s) = new(StreamOptions { slack: Duration::from_secs(1), ..StreamOptions::default() });
    let video = video_track();
    // One long GOP stays whole, however old its start.
    for i in 0..50 {
        p.push(frame(&video, i * 100, i == 0)).unwrap();
    }
    assert_eq!(s.ring_bytes(), 50_000);
    // Its successor lets it go, but for a second of slack.
    p.push(frame(&video, 5000, true)).unwrap();
    assert_eq!(s.ring_bytes(), 11_000);
}

#[tokio::test(start_paused = true)]
async fn tracks_come_first_and_where_they_change() {
    let (mut p, s) = new(StreamOptions::default());
    let video = video_track();
    p.set_tracks(tracks());
    p.push(frame(&video, 0, true)).unwrap();
    let (mut reader, mut out) = (s.subscribe(), Vec::new());
    assert_eq!(reader.recv(&mut out).await, Received::Tracks(tracks()));
    p.push(frame(&video, 100, false)).unwrap();
    let without_audio = Tracks { audio: None, ..tracks() };
    p.set_tracks(without_audio.clone());
    p.push(frame(&video, 200, false)).unwrap();
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    assert_eq!(millis(&out), [0, 100]);
    assert_eq!(reader.recv(&mut out).await, Received::Tracks(without_audio.clone()));
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    assert_eq!(millis(&out), [0, 100, 200]);
    // The same again is no change.
    p.set_tracks(without_audio);
    assert!(reader.recv(&mut out).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_after_the_last_frame() {
    let (mut p, s) = new(StreamOptions::default());
    let (mut reader, mut out) = (s.subscribe(), Vec::new());
    p.push(frame(&video_track(), 0, true)).unwrap();
    p.close(CloseReason::Unpublished);
    s.close(CloseReason::Stopped);
    assert_eq!(reader.recv(&mut out).await, Received::Frames);
    for _ in 0..2 {
        assert_eq!(reader.recv(&mut out).await, Received::Closed(CloseReason::Unpublished));
    }
    assert_eq!(s.closed().await, CloseReason::Unpublished);
    assert_eq!(s.close_reason(), Some(CloseReason::Unpublished));
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_the_publisher_and_every_waiter() {
    let (mut p, s) = new(StreamOptions::default());
    let waiter = tokio::spawn({
        let s = s.clone();
        async move { s.closed().await }
    });
    let mut reader = s.subscribe();
    let reading = tokio::spawn(async move { reader.recv(&mut Vec::new()).await });
    tokio::task::yield_now().await;
    assert!(s.is_open());
    s.close(CloseReason::Stopped);
    assert_eq!(waiter.await.unwrap(), CloseReason::Stopped);
    assert_eq!(reading.await.unwrap(), Received::Closed(CloseReason::Stopped));
    assert_eq!(p.push(frame(&video_track(), 0, true)), Err(CloseReason::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_publisher_is_a_broken_connection() {
    let (p, s) = new(StreamOptions::default());
    drop(p);
    assert_eq!(s.closed().await, CloseReason::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_get_every_frame() {
    let (mut p, s) = new(StreamOptions::default());
    let readers: Vec<_> = (0..1000)
        .map(|_| {
            let mut reader = s.subscribe();
            tokio::spawn(async move {
                let mut out = Vec::new();
                while reader.recv(&mut out).await == Received::Frames {}
                out.len()
            })
        })
        .collect();
    let video = video_track();
    for i in 0..30 {
        p.push(frame(&video, i * 33, i == 0)).unwrap();
        tokio::task::yield_now().await;
    }
    drop(p);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 30);
    }
}

#[tokio::test(start_paused = true)]
async fn stats_count_and_the_bit_rate_is_of_the_last_seconds() {
    let (mut p, s) = new(StreamOptions::default());
    let (video, audio) = (video_track(), audio_track());
    for i in 0..200 {
        tokio::time::advance(Duration::from_millis(100)).await;
        p.push(frame(&video, i * 100, i % 20 == 0)).unwrap();
        p.push(frame(&audio, i * 100, true)).unwrap();
    }
    let want =
        StreamStats { bytes: 400_000, video_frames: 200, audio_frames: 200, keyframes: 10, bitrate: 160_000 };
    assert_eq!(s.stats(), want);
    assert_eq!(s.idle_for(), Duration::ZERO);
    tokio::time::advance(Duration::from_millis(2500)).await;
    assert_eq!(s.idle_for(), Duration::from_millis(2500));
    assert!(s.stats().bitrate < 160_000);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(s.stats().bitrate, 0);
}

#[tokio::test(start_paused = true)]
async fn warnings_are_bounded_and_said_once() {
    let (p, s) = new(StreamOptions::default());
    for i in 0..100 {
        p.warn(format!("warning {}", i / 2));
    }
    s.warn("é".repeat(1000));
    assert_eq!(s.warnings().len(), 16);
    assert_eq!(s.warnings()[..2], ["warning 0", "warning 1"]);
    let (_p, s) = new(StreamOptions::default());
    s.warn("é".repeat(1000));
    assert_eq!(s.warnings()[0].len(), 400);
}
