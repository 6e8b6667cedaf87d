//! Paths that are cut by settings of their own, side by side (contract "Time, cuts and parts").

use std::{sync::Arc, time::Duration};

use hls::Directives;
use live::{CloseReason, Publisher, Stream, Unavailable};
use media::{PathPattern, PerPath, RenditionName, StreamPath, Ticks};
use registry::MemoryRegistry;
use tokio::time::sleep;

use super::{
    bench::{Bench, SECOND, wall_clock},
    playlist::Playlist,
    source::Source,
};
use crate::{Cutting, PackagerOptions};

/// `live/demo` and all below `live` are cut like this, other paths by the defaults.
fn bench(live: Cutting) -> Bench {
    let clock = wall_clock();
    let registry = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
    let pattern = PathPattern::parse("live/*").expect("a pattern");
    let cutting = PerPath::new(vec![(pattern, live)], Cutting::default());
    let options = PackagerOptions { wall_clock: clock, cutting, ..PackagerOptions::default() };
    Bench::with(options, Arc::new(registry))
}

fn go_to(bench: &mut Bench, path: &str) {
    bench.path = StreamPath::parse(path).expect("a path");
}

/// Both at the pace of one encoder each. Whether each stream is still open.
async fn send_both(
    (a, to_a): (&mut Source, &mut Publisher),
    (b, to_b): (&mut Source, &mut Publisher),
    length: Duration,
) -> (bool, bool) {
    tokio::join!(a.send(to_a, length), b.send(to_b, length))
}

fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.005
}

fn check(seen: &Playlist, part_target: f64, part: f64, segment: f64, window: usize) {
    assert_eq!(seen.part_target, Some(part_target));
    let complete = seen.complete();
    assert_eq!(complete.len(), window, "{complete:?}");
    assert!(complete.values().all(|e| is_close(e.duration, segment)), "{complete:?}");
    let parts: Vec<f64> = seen.entries.iter().flat_map(|e| &e.parts).map(|(_, d, _)| *d).collect();
    assert!(!parts.is_empty() && parts.iter().all(|d| is_close(*d, part)), "{parts:?}");
}

#[tokio::test(start_paused = true)]
async fn two_paths_of_a_node_have_part_targets_segments_and_windows_of_their_own() {
    let mut bench = bench(Cutting {
        part_target: Ticks::from_millis(510),
        segment_target: Ticks::from_millis(4_000),
        window: 4,
        ..Cutting::default()
    });
    let (mut long, mut short) = (Source::new(60), Source::new(60));
    let (mut to_long, _stream) = bench.publish(&long).await;
    let (long_window, long_viewer) = (bench.window().await, bench.watch().await);
    go_to(&mut bench, "cam/1");
    let (mut to_short, _other) = bench.publish(&short).await;
    let (short_window, short_viewer) = (bench.window().await, bench.watch().await);

    send_both((&mut long, &mut to_long), (&mut short, &mut to_short), 27 * SECOND).await;
    let (long_seen, short_seen) = (long_viewer.stop().await.last, short_viewer.stop().await.last);
    // 15 frames and 6 frames at 30 fps, the closest below each PART-TARGET.
    check(&long_seen, 0.51, 0.5, 4.0, 4);
    check(&short_seen, 0.21, 0.2, 2.0, 10);
    assert_eq!((long_seen.target, short_seen.target), (4, 2));

    // After the end each stays for a window of its own: 16 s and 20 s.
    let ask = |w: &live::Window| {
        let w = w.clone();
        async move { w.playlist(RenditionName::Media, Directives::default()).await.err() }
    };
    for path in ["cam/1", "live/demo"] {
        assert!(bench.directory.stop(&StreamPath::parse(path).expect("a path")));
    }
    sleep(18 * SECOND).await;
    assert_eq!((ask(&long_window).await, ask(&short_window).await), (Some(Unavailable::Gone), None));
    sleep(3 * SECOND).await;
    assert_eq!(ask(&short_window).await, Some(Unavailable::Gone));
}

fn refusal(stream: &Stream) -> Option<String> {
    match stream.close_reason() {
        Some(CloseReason::Refused(why)) => Some(why),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn keyframes_are_required_on_the_paths_that_say_so_alone() {
    let mut bench = bench(Cutting { require_keyframes: true, ..Cutting::default() });
    let (mut strict, mut lenient) = (Source::new(900), Source::new(900));
    let (mut to_strict, strict_stream) = bench.publish(&strict).await;
    go_to(&mut bench, "cam/1");
    let (mut to_lenient, lenient_stream) = bench.publish(&lenient).await;
    let open = send_both((&mut strict, &mut to_strict), (&mut lenient, &mut to_lenient), 29 * SECOND).await;
    assert_eq!(open, (false, true));
    assert!(refusal(&strict_stream).is_some_and(|why| why.contains("keyframe")));
    assert_eq!(lenient_stream.close_reason(), None);
}
