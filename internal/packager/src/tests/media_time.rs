//! Streams that keep running: cuts, dates, stalls.

use std::time::Duration;

use hls::Directives;
use media::RenditionName;
use tokio::time::sleep;

use super::{
    bench::{Bench, SECOND},
    source::Source,
};

/// 1.5 target durations of 2 s, and one look of the viewer.
const LONGEST_PAUSE: Duration = Duration::from_millis(3_050);

#[tokio::test(start_paused = true)]
async fn a_stream_becomes_segments_of_two_seconds_in_window_and_store() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 31 * SECOND).await);
    let seen = viewer.stop().await;
    let playlist = &seen.last;
    assert_eq!((playlist.target, playlist.gaps()), (2, 0));
    assert_eq!(playlist.complete().len(), 10, "the window");
    assert!(playlist.entries.iter().all(|e| !e.discontinuity));
    assert!(playlist.complete().values().all(|e| (e.duration - 2.0).abs() < 0.002), "{playlist:?}");
    assert!(seen.longest_pause <= Duration::from_millis(350), "{:?}", seen.longest_pause);
    assert!(
        playlist.first > 1_795_000_000 && playlist.first < 1_795_000_010,
        "numbers start at the unix time"
    );
    playlist.check_dates();
    let real = 1000 * (1_795_000_000 % 86_400 + 2 * (playlist.first as i64 - 1_795_000_000));
    let off = super::playlist::milliseconds(&playlist.entries[0]) - real;
    assert!(off.abs() <= 5, "clause 11: {off} ms beside the moment that the first frame came");
    assert_eq!(stream.warnings(), Vec::<String>::new());

    bench.settle().await;
    let stored = bench.stored_playlist();
    assert_eq!(stored.part_target, None, "stored playlists have no low-latency tags");
    assert_eq!(stored.complete().len(), 10);
    let index = std::fs::read_to_string(bench.stored("index.m3u8")).expect("it is stored");
    assert!(index.contains("CODECS=\"avc1.64001F,mp4a.40.2\""), "{index}");
    assert!(index.contains("RESOLUTION=1280x720") && index.contains("FRAME-RATE=30.000"), "{index}");
}

#[tokio::test(start_paused = true)]
async fn the_stored_segment_is_the_concatenation_of_its_parts() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let window = bench.window().await;
    assert!(source.send(&mut publisher, 5 * SECOND).await);
    bench.settle().await;
    let rendered = window.playlist(RenditionName::Media, Directives::default()).await.expect("it runs");
    let playlist = super::playlist::Playlist::parse(std::str::from_utf8(&rendered.plain()).expect("text"));
    let (_, entry) = playlist.complete().into_iter().next().expect("5 s hold a segment");
    let mut parts = Vec::new();
    for (uri, _, _) in &entry.parts {
        let name = media::ObjectName::parse(uri).expect("a part");
        let live::Object::Ready(blob) = window.object(name).await else { panic!("{uri} is listed") };
        blob.chunks.iter().for_each(|c| parts.extend_from_slice(c));
    }
    let stored = std::fs::read(bench.stored(entry.uri.as_ref().expect("complete"))).expect("stored");
    assert!(!parts.is_empty() && stored == parts, "clause 35");
}

#[tokio::test(start_paused = true)]
async fn clause_7_a_stall_becomes_gaps_and_media_time_goes_on_after_them() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, Duration::from_millis(7_300)).await);
    sleep(6 * SECOND).await;
    source.drop_frames(Duration::ZERO);
    assert!(source.send(&mut publisher, 4 * SECOND).await);
    let seen = viewer.stop().await;
    assert!(seen.longest_pause <= LONGEST_PAUSE, "{:?}", seen.longest_pause);
    assert!(seen.last.gaps() >= 3, "{:?}", seen.last);
    assert!(seen.last.entries.iter().all(|e| !e.discontinuity), "{:?}", seen.last);
    seen.last.check_dates();
    let gaps: f64 = seen.last.entries.iter().filter(|e| e.gap).map(|e| e.duration).sum();
    assert!((gaps - 6.0).abs() < 0.3, "the silence is stated whole: {gaps}");
}

#[tokio::test(start_paused = true)]
async fn clause_12_a_stall_during_which_the_encoders_clock_stood_still_is_a_discontinuity() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, Duration::from_millis(7_300)).await);
    sleep(6 * SECOND).await;
    source.hold_clock(6 * SECOND);
    assert!(source.send(&mut publisher, 4 * SECOND).await);
    let seen = viewer.stop().await;
    assert!(seen.longest_pause <= LONGEST_PAUSE, "{:?}", seen.longest_pause);
    assert_eq!(seen.last.entries.iter().filter(|e| e.discontinuity).count(), 1);
    let after_gap = seen.last.entries.windows(2).any(|p| p[0].gap && p[1].discontinuity);
    assert!(after_gap, "{:?}", seen.last);
    seen.last.check_dates();
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_three_seconds_and_one_of_fifteen_go_on_at_the_same_url() {
    for stall in [3, 15] {
        let bench = Bench::start();
        let mut source = Source::new(60);
        let (mut publisher, stream) = bench.publish(&source).await;
        let viewer = bench.watch().await;
        assert!(source.send(&mut publisher, 5 * SECOND).await);
        sleep(stall * SECOND).await;
        source.drop_frames(Duration::ZERO);
        assert!(source.send(&mut publisher, 5 * SECOND).await);
        assert!(stream.is_open());
        let seen = viewer.stop().await;
        assert!(seen.longest_pause <= LONGEST_PAUSE, "{stall}: {:?}", seen.longest_pause);
        assert!(!seen.last.ended && !seen.last.entries.last().expect("media").gap);
    }
}

#[tokio::test(start_paused = true)]
async fn an_8_second_gop_plays_in_8_second_segments_when_nobody_was_there_before() {
    let bench = Bench::start();
    let mut source = Source::new(240);
    let (mut publisher, stream) = bench.publish(&source).await;
    assert!(source.send(&mut publisher, 20 * SECOND).await);
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 10 * SECOND).await);
    let seen = viewer.stop().await;
    assert_eq!(seen.last.target, 8);
    assert!(seen.last.complete().values().all(|e| (e.duration - 8.0).abs() < 0.002), "{:?}", seen.last);
    assert_eq!(stream.warnings(), Vec::<String>::new());
    bench.settle().await;
    assert_eq!(bench.stored_playlist().target, 8);
}

#[tokio::test(start_paused = true)]
async fn clause_38_an_8_second_gop_is_cut_hard_when_a_viewer_was_waiting() {
    let bench = Bench::start();
    let mut source = Source::new(240);
    let (mut publisher, stream) = bench.publish(&source).await;
    let window = bench.window().await;
    let waiting = tokio::spawn({
        let first = Directives { msn: Some(window.next().msn), part: Some(0), skip: false };
        async move { window.playlist(RenditionName::Media, first).await }
    });
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 20 * SECOND).await);
    waiting.await.expect("no panic").expect("the first part comes");
    let seen = viewer.stop().await;
    assert_eq!(seen.last.target, 2);
    let cut = |e: &super::playlist::Entry| e.parts.first().is_some_and(|(_, _, independent)| !independent);
    assert!(seen.last.entries.iter().any(cut), "{:?}", seen.last);
    let independent = seen.last.entries.iter().flat_map(|e| &e.parts).any(|(_, _, independent)| *independent);
    assert!(independent, "clause 18: an IDR within a segment still opens a part: {:?}", seen.last);
    assert!(stream.warnings().iter().any(|w| w.contains("keyframe")), "{:?}", stream.warnings());
}

#[tokio::test(start_paused = true)]
async fn clause_40_audio_alone_is_cut_by_time() {
    let bench = Bench::start();
    let mut source = Source::audio_only();
    let (mut publisher, _stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, 20 * SECOND).await);
    let seen = viewer.stop().await;
    assert_eq!((seen.last.target, seen.last.gaps()), (2, 0));
    assert!(seen.last.complete().len() >= 8, "{:?}", seen.last);
    assert!(seen.last.entries.iter().flat_map(|e| &e.parts).all(|(_, _, independent)| *independent));
    seen.last.check_dates();
    bench.settle().await;
    let index = std::fs::read_to_string(bench.stored("index.m3u8")).expect("it is stored");
    assert!(index.contains("CODECS=\"mp4a.40.2\"") && !index.contains("RESOLUTION"), "{index}");
}

#[tokio::test(start_paused = true)]
async fn clause_42_another_configuration_in_mid_stream_is_a_new_map_after_a_discontinuity() {
    let bench = Bench::start();
    let mut source = Source::new(60);
    let (mut publisher, _stream) = bench.publish(&source).await;
    let viewer = bench.watch().await;
    assert!(source.send(&mut publisher, Duration::from_millis(6_500)).await);
    source.change_video();
    publisher.set_tracks(source.tracks());
    assert!(source.send(&mut publisher, 6 * SECOND).await);
    let seen = viewer.stop().await;
    let changed: Vec<_> = seen.last.entries.windows(2).filter(|p| p[0].map != p[1].map).collect();
    assert_eq!(changed.len(), 1, "{:?}", seen.last);
    assert!(changed[0][1].discontinuity, "clause 12: {changed:?}");
    assert_eq!(seen.last.entries.iter().filter(|e| e.discontinuity).count(), 1);
    assert!(seen.longest_pause <= Duration::from_millis(2_000), "{:?}", seen.longest_pause);
    seen.last.check_dates();
}
