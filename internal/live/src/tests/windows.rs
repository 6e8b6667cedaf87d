//! What a window holds, and for how long.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use hls::{Directives, Settings, Timeline};
use media::{Epoch, ObjectName, RenditionName, Ticks};
use tokio::time::{Instant, advance};

use super::{begin, date, new_window, part_name, path, push, ready, segment, segment_name};
use crate::{Object, Window, WindowOptions, WindowState, WindowWriter, window};

async fn media(r: &Window) -> crate::Rendered {
    r.playlist(RenditionName::Media, Directives::default()).await.expect("a playlist")
}

fn init(epoch: u64, version: u32) -> ObjectName {
    ObjectName::Init { epoch: Epoch(epoch), version }
}

#[tokio::test(start_paused = true)]
async fn a_segment_is_the_bytes_of_its_parts() {
    let (mut w, r) = new_window(WindowOptions::default());
    w.open_segment(date(), false);
    let names = [push(&mut w, "one"), push(&mut w, "two")];
    assert!(matches!(r.object(segment_name(9, 100)).await, Object::NotFound));
    let closed = w.close_segment().unwrap();
    assert_eq!((closed.name, closed.msn, closed.segment.bytes), (segment_name(9, 100), 100, 6));
    let blob = ready(r.object(closed.name).await);
    assert_eq!((blob.len, blob.name, blob.chunks.concat()), (6, closed.name, b"onetwo".to_vec()));
    for (i, name) in names.into_iter().enumerate() {
        let part = ready(r.object(name).await);
        assert_eq!(part.chunks[0].as_ptr(), blob.chunks[i].as_ptr());
        assert_eq!(part.chunks[0].as_ptr(), closed.data[i].as_ptr());
    }
    assert_eq!(r.bytes(), 6 + 4);
}

#[tokio::test(start_paused = true)]
async fn listed_segments_stay_in_memory_and_retired_ones_go_to_storage() {
    let (mut w, r) = new_window(WindowOptions::default());
    let names: Vec<_> = (0..4).map(|_| segment(&mut w)).collect();
    // 100 left the playlist, but storage does not have it yet.
    assert!(matches!(r.object(names[0]).await, Object::Ready(_)));
    w.mark_stored(names[0]);
    assert!(matches!(r.object(names[0]).await, Object::InStore(n) if n == names[0]));
    // 101 is stored first and leaves then.
    w.mark_stored(names[1]);
    assert!(matches!(r.object(names[1]).await, Object::Ready(_)));
    segment(&mut w);
    assert!(matches!(r.object(names[1]).await, Object::InStore(_)));
    assert!(matches!(r.object(names[2]).await, Object::Ready(_)));
    // What was there before this node's window, and what never was.
    assert!(matches!(r.object(segment_name(3, 50)).await, Object::InStore(_)));
    assert!(matches!(r.object(segment_name(10, 50)).await, Object::NotFound));
    assert!(matches!(r.object(segment_name(8, 103)).await, Object::NotFound));
    assert!(matches!(r.object(segment_name(9, 105)).await, Object::NotFound));
}

#[tokio::test(start_paused = true)]
async fn clause_6_what_storage_lost_again_is_served_from_memory() {
    let (mut w, r) = new_window(WindowOptions::default());
    let name = segment(&mut w);
    w.mark_stored(name);
    w.mark_lost(name);
    for _ in 0..3 {
        segment(&mut w);
    }
    assert!(matches!(r.object(name).await, Object::Ready(_)));
    w.mark_stored(name);
    assert!(matches!(r.object(name).await, Object::InStore(_)));
}

#[tokio::test(start_paused = true)]
async fn clause_6_the_objects_of_the_playlist_before_stay_while_the_next_has_no_publish() {
    let timeline = Timeline::new(Settings::default(), 200, 0, None);
    let (_w, r) = window(path("live/demo"), timeline, WindowOptions::default());
    for name in [segment_name(9, 199), init(9, 0)] {
        assert!(matches!(r.object(name).await, Object::InStore(n) if n == name), "{name}");
    }
    assert!(matches!(r.object(segment_name(9, 200)).await, Object::NotFound));
}

#[tokio::test(start_paused = true)]
async fn without_storage_retired_segments_stay_as_long_as_clause_6_asks() {
    let (mut w, r) = new_window(WindowOptions::default());
    let name = segment(&mut w);
    for _ in 0..3 {
        segment(&mut w);
    }
    // Its own 2 s, and 8 s of the longest playlist.
    advance(Duration::from_millis(9999)).await;
    assert_eq!(w.take_due(), []);
    assert!(matches!(r.object(name).await, Object::Ready(_)));
    advance(Duration::from_millis(1)).await;
    assert_eq!(w.take_due(), [name]);
    assert_eq!(w.take_due(), []);
    assert!(matches!(r.object(name).await, Object::InStore(_)));
}

#[tokio::test(start_paused = true)]
async fn while_storage_fails_memory_is_bounded_and_the_oldest_go() {
    let options = WindowOptions { max_retired_bytes: 100, ..WindowOptions::default() };
    let (mut w, r) = new_window(options);
    let names: Vec<_> = (0..20).map(|_| segment(&mut w)).collect();
    // Three listed and two retired segments of 40 bytes, and the init.
    assert_eq!(r.bytes(), 5 * 40 + 4);
    assert!(matches!(r.object(names[14]).await, Object::InStore(_)));
    assert!(matches!(r.object(names[15]).await, Object::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn clause_6_parts_stay_three_target_durations_after_their_listing() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    media(&r).await;
    for _ in 0..3 {
        segment(&mut w);
    }
    assert!(!String::from_utf8_lossy(&media(&r).await.plain()).contains("part_9_0.m4s"));
    advance(Duration::from_millis(5999)).await;
    w.take_due();
    assert!(matches!(r.object(part_name(9, 0)).await, Object::Ready(_)));
    advance(Duration::from_millis(1)).await;
    w.take_due();
    assert!(matches!(r.object(part_name(9, 0)).await, Object::NotFound));
    assert!(matches!(r.object(part_name(9, 10)).await, Object::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn inits_stay_with_the_segments_that_need_them() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    w.set_init(1, Bytes::from_static(b"second"));
    assert_eq!(ready(r.object(init(9, 1)).await).chunks.concat(), b"second");
    for _ in 0..3 {
        segment(&mut w);
    }
    assert_eq!(ready(r.object(init(9, 0)).await).chunks.concat(), b"init");
    advance(Duration::from_secs(10)).await;
    assert_eq!(w.take_due(), [segment_name(9, 100), init(9, 0)]);
    assert!(matches!(r.object(init(9, 0)).await, Object::InStore(_)));
    assert!(matches!(r.object(init(10, 0)).await, Object::NotFound));
    assert!(matches!(r.object(init(9, 1)).await, Object::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn a_republish_continues_and_the_aliases_follow_it() {
    let (mut w, r) = new_window(WindowOptions::default());
    let first = segment(&mut w);
    assert_eq!(ready(r.object(ObjectName::NthSegment(0)).await).name, first);
    assert_eq!(ready(r.object(ObjectName::CurrentInit).await).name, init(9, 0));
    w.open_segment(date(), false);
    push(&mut w, "cut");
    let cut = w.begin_epoch(Epoch(12)).expect("the open segment was closed");
    assert_eq!((cut.name, cut.data.concat()), (segment_name(9, 101), b"cut".to_vec()));
    w.set_init(0, Bytes::from_static(b"new"));
    assert!(matches!(r.object(ObjectName::NthSegment(0)).await, Object::NotFound));
    let next = segment(&mut w);
    assert_eq!(next, segment_name(12, 102));
    assert_eq!(ready(r.object(ObjectName::NthSegment(0)).await).name, next);
    assert_eq!(ready(r.object(ObjectName::CurrentInit).await).name, init(12, 0));
    let text = String::from_utf8(media(&r).await.plain().to_vec()).unwrap();
    assert!(
        text.contains("segment_9_101.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init_12_0.mp4\""),
        "{text}"
    );
    assert!(matches!(r.object(first).await, Object::Ready(_)));
    assert_eq!(w.discontinuity_sequence(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gap_answers_the_placeholder_and_shows_in_the_state() {
    let (mut w, r) = new_window(WindowOptions::default());
    assert_eq!(r.state(), WindowState::Empty);
    segment(&mut w);
    assert_eq!(r.state(), WindowState::Live);
    let gap = w.push_gap(Ticks::from_millis(2000), date(), Bytes::from_static(b"styp"));
    assert_eq!((r.state(), gap.segment.gap, gap.data.concat()), (WindowState::Gap, true, b"styp".to_vec()));
    assert_eq!(ready(r.object(gap.name).await).chunks.concat(), b"styp");
    segment(&mut w);
    assert_eq!(r.state(), WindowState::Live);
    w.end();
    assert_eq!(r.state(), WindowState::Ended);
    w.expire();
    assert_eq!(r.state(), WindowState::Expired);
}

#[tokio::test(start_paused = true)]
async fn the_etag_changes_exactly_with_the_text() {
    let (mut w, r) = new_window(WindowOptions::default());
    let mut seen: HashMap<String, Bytes> = HashMap::new();
    let mut look = async |w: &mut WindowWriter, step: fn(&mut WindowWriter)| {
        step(w);
        for text in [media(&r).await, r.index().await.unwrap()] {
            let before = seen.insert(text.etag().to_owned(), text.plain());
            assert!(before.is_none_or(|b| b == text.plain()), "{}", text.etag());
        }
        media(&r).await
    };
    let first = look(&mut w, |w| {
        segment(w);
    })
    .await;
    assert_eq!(first.etag(), "media_9_101.0");
    let steps: [fn(&mut WindowWriter); 6] = [
        |w| {
            w.open_segment(date(), false);
        },
        |w| {
            push(w, "part");
        },
        |w| {
            w.close_segment();
        },
        |w| {
            w.push_gap(Ticks::from_millis(2000), date(), Bytes::new());
        },
        |w| begin(w, 10),
        |w| {
            w.end();
        },
    ];
    let mut last = first;
    for (i, step) in steps.into_iter().enumerate() {
        let now = look(&mut w, step).await;
        assert_eq!(now.etag() == last.etag(), now.plain() == last.plain(), "step {i}");
        last = now;
    }
    assert!(last.etag().ends_with(".end"));
}

#[tokio::test(start_paused = true)]
async fn storage_gets_plain_playlists_and_that_fixes_target_duration() {
    let (mut w, r) = new_window(WindowOptions::default());
    w.open_segment(date(), false);
    push(&mut w, "part");
    assert!(w.plain_playlists().is_none());
    assert_eq!(w.target_duration_fixed(), None);
    w.close_segment();
    let p = w.plain_playlists().unwrap();
    assert_eq!(w.target_duration_fixed(), Some(2));
    let text = String::from_utf8(p.media.to_vec()).unwrap();
    assert!(text.contains("segment_9_100.m4s") && !text.contains("PART") && !text.contains("SERVER-CONTROL"));
    assert_eq!(p.index, r.index().await.unwrap().plain());
}

#[tokio::test(start_paused = true)]
async fn after_the_end_nothing_is_added() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    w.end();
    let (bytes, text) = (r.bytes(), media(&r).await.plain());
    push(&mut w, "late");
    w.push_gap(Ticks::from_millis(2000), date(), Bytes::from_static(b"styp"));
    assert!(w.close_segment().is_none());
    assert_eq!((r.bytes(), media(&r).await.plain()), (bytes, text));
    w.expire();
    w.set_init(5, Bytes::from_static(b"late"));
    assert_eq!(r.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_compressed_text_is_the_text() {
    use std::io::Read;
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    let rendered = media(&r).await;
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&rendered.gzip()[..]).read_to_end(&mut out).unwrap();
    assert_eq!(out, rendered.plain());
    assert!(rendered.gzip().len() < rendered.plain().len());
}

#[tokio::test(start_paused = true)]
async fn viewers_count_while_they_ask() {
    let (mut w, r) = new_window(WindowOptions::default());
    let v = r.viewers();
    assert!(v.touch(1, Instant::now()));
    assert!(v.touch(2, Instant::now()));
    advance(Duration::from_secs(6)).await;
    assert!(!v.touch(1, Instant::now()));
    assert_eq!(v.count(Instant::now()), 2);
    advance(Duration::from_millis(4001)).await;
    assert_eq!(v.count(Instant::now()), 1);
    assert!(v.touch(2, Instant::now()));
    assert_eq!(v.sessions(), 3);
    // 3 × TARGETDURATION when that is longer.
    w.open_segment(date(), false);
    for _ in 0..40 {
        push(&mut w, "part");
    }
    w.close_segment();
    media(&r).await;
    assert_eq!(v.active_for(), Duration::from_secs(24));
}

#[tokio::test(start_paused = true)]
async fn viewers_are_bounded() {
    let (_w, r) = new_window(WindowOptions::default());
    let v = r.viewers();
    for key in 0..100_001 {
        v.touch(key, Instant::now());
    }
    assert_eq!((v.count(Instant::now()), v.sessions()), (100_000, 100_000));
    advance(Duration::from_secs(11)).await;
    assert!(v.touch(100_001, Instant::now()));
    assert_eq!(v.count(Instant::now()), 1);
}

/// Every URI of the playlist, and the init, is there the moment the playlist is.
#[tokio::test(start_paused = true)]
async fn clause_8_what_is_listed_can_be_fetched() {
    let (mut w, r) = new_window(WindowOptions::default());
    let mut fetched = 0;
    for _ in 0..6 {
        segment(&mut w);
        w.open_segment(date(), false);
        push(&mut w, "part");
        let playlist = media(&r).await.plain();
        let text = std::str::from_utf8(&playlist).unwrap();
        let named = text.lines().filter(|l| !l.contains("PRELOAD-HINT")).filter_map(|line| {
            if line.starts_with('#') { line.split("URI=\"").nth(1)?.split('"').next() } else { Some(line) }
        });
        for name in named {
            ready(r.object(ObjectName::parse(name).unwrap()).await);
            fetched += 1;
        }
        w.close_segment();
    }
    assert!(fetched > 100, "{fetched}");
}
