//! The blocking rules, from a request's point of view.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::FutureExt;
use hls::Directives;
use media::{ObjectName, RenditionName, Ticks};
use tokio::time::Instant;

use super::{begin, date, new_window, part_name, push, ready, segment};
use crate::{HeldRequests, Object, Rendered, Unavailable, Window, WindowOptions};

type Answer = Result<Rendered, Unavailable>;

fn ask(w: &Window, msn: u64, part: Option<u32>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    let (w, d) = (w.clone(), Directives { msn: Some(msn), part, skip: false });
    Box::pin(async move { w.playlist(RenditionName::Media, d).await })
}

fn plain(w: &Window) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    let w = w.clone();
    Box::pin(async move { w.playlist(RenditionName::Media, Directives::default()).await })
}

fn text(answer: Answer) -> String {
    String::from_utf8(answer.expect("a playlist").plain().to_vec()).unwrap()
}

macro_rules! pending {
    ($f:expr) => {
        assert!($f.as_mut().now_or_never().is_none(), "answered too early")
    };
}

macro_rules! now {
    ($f:expr) => {
        $f.as_mut().now_or_never().expect("answered at once")
    };
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_share_one_rendering_and_one_compression() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    let waiting: Vec<_> = (0..1000).map(|_| tokio::spawn(ask(&r, 101, Some(0)))).collect();
    while r.held() < 1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(r.renders(), 0);
    w.open_segment(date(), false);
    push(&mut w, "part");
    let mut first: Option<Rendered> = None;
    for one in waiting {
        let got = one.await.unwrap().unwrap();
        let first = first.get_or_insert_with(|| got.clone());
        assert!(got.same_as(first));
        assert_eq!(got.gzip().as_ptr(), first.gzip().as_ptr());
    }
    assert_eq!((r.held(), r.renders()), (0, 1));
    // The next change is another text.
    push(&mut w, "part");
    assert!(!now!(plain(&r)).unwrap().same_as(&first.unwrap()));
    assert_eq!(r.renders(), 2);
}

#[tokio::test(start_paused = true)]
async fn clause_19_a_part_is_answered_when_it_is_in() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    w.open_segment(date(), false);
    let (mut zero, mut one) = (ask(&r, 101, Some(0)), ask(&r, 101, Some(1)));
    pending!(zero);
    push(&mut w, "part");
    assert!(text(now!(zero)).contains("part_9_10.m4s\",INDEPENDENT=YES\n"));
    pending!(one);
    push(&mut w, "part");
    assert!(text(now!(one)).contains("URI=\"part_9_11.m4s\",INDEPENDENT"));
}

#[tokio::test(start_paused = true)]
async fn clause_19_a_segment_is_answered_when_it_is_complete() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    w.open_segment(date(), false);
    let mut whole = ask(&r, 101, None);
    for _ in 0..9 {
        push(&mut w, "part");
        pending!(whole);
    }
    w.close_segment();
    assert!(text(now!(whole)).contains("segment_9_101.m4s\n"));
}

#[tokio::test(start_paused = true)]
async fn clause_19_past_the_last_part_waits_for_the_next_segment() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    w.open_segment(date(), false);
    push(&mut w, "part");
    let mut past = ask(&r, 101, Some(1));
    pending!(past);
    w.close_segment();
    pending!(past);
    w.open_segment(date(), false);
    pending!(past);
    push(&mut w, "part");
    assert!(text(now!(past)).contains("part_9_11.m4s\",INDEPENDENT"));
}

#[tokio::test(start_paused = true)]
async fn clause_7_a_gap_answers_who_waited_for_media() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    let mut waiting = ask(&r, 101, Some(0));
    pending!(waiting);
    w.push_gap(Ticks::from_millis(2000), date(), "styp".into());
    assert!(text(now!(waiting)).contains("#EXT-X-GAP\n"));
}

#[tokio::test(start_paused = true)]
async fn clause_20_and_21_what_is_past_is_now_and_what_is_far_is_refused() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    assert!(now!(ask(&r, 3, Some(9))).is_ok());
    assert!(now!(ask(&r, 100, None)).is_ok());
    pending!(ask(&r, 102, None));
    assert!(matches!(now!(ask(&r, 103, None)), Err(Unavailable::BadRequest(_))));
    assert!(matches!(now!(ask(&r, 101, Some(15))), Err(Unavailable::BadRequest(_))));
}

#[tokio::test(start_paused = true)]
async fn clause_22_nothing_is_held_over_three_target_durations() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    let start = Instant::now();
    assert_eq!(ask(&r, 101, Some(0)).await.err(), Some(Unavailable::TimedOut));
    assert_eq!(start.elapsed().as_secs(), 6);
    assert!(matches!(r.object(part_name(9, 10)).await, Object::TimedOut));
    assert_eq!(start.elapsed().as_secs(), 12);
    assert_eq!(r.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_first_playlist_waits_for_a_segment_and_is_not_told_of_parts_alone_before() {
    let (mut w, r) = new_window(WindowOptions::default());
    let (mut first, mut index) = (plain(&r), Box::pin(r.index()));
    pending!(first);
    pending!(index);
    w.open_segment(date(), false);
    push(&mut w, "part");
    pending!(first);
    assert!(text(now!(index)).contains("media.m3u8"));
    assert_eq!(w.target_duration_fixed(), None);
    w.close_segment();
    assert!(text(now!(first)).contains("segment_9_100.m4s"));
    assert_eq!(w.target_duration_fixed(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_first_playlist_does_with_parts_in_the_end() {
    let (mut w, r) = new_window(WindowOptions::default());
    let mut first = plain(&r);
    pending!(first);
    w.open_segment(date(), false);
    for _ in 0..42 {
        tokio::time::advance(Duration::from_millis(200)).await;
        push(&mut w, "part");
    }
    pending!(first);
    tokio::time::advance(Duration::from_secs(1)).await;
    let text = text(first.await);
    assert!(!text.contains("EXTINF") && text.contains("part_9_41.m4s"));
    // The running segment may still end where TARGETDURATION allows.
    assert_eq!(w.target_duration_fixed(), Some(9));
}

#[tokio::test(start_paused = true)]
async fn with_directives_parts_alone_are_enough() {
    let (mut w, r) = new_window(WindowOptions::default());
    let mut first = ask(&r, 100, Some(0));
    pending!(first);
    w.open_segment(date(), false);
    push(&mut w, "part");
    assert!(now!(first).is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_any_media_the_wait_is_bounded() {
    let (_w, r) = new_window(WindowOptions::default());
    let start = Instant::now();
    assert_eq!(plain(&r).await.err(), Some(Unavailable::NotReady));
    assert_eq!(r.index().await.err(), Some(Unavailable::NotReady));
    assert_eq!(start.elapsed().as_secs(), 18);
    assert!(matches!(
        r.playlist(RenditionName::Audio(0), Directives::default()).now_or_never(),
        Some(Err(Unavailable::NotFound))
    ));
}

#[tokio::test(start_paused = true)]
async fn held_requests_are_bounded_for_a_stream_and_for_a_node() {
    let held = HeldRequests::new(5);
    let options = || WindowOptions { max_held: 3, held: held.clone(), ..WindowOptions::default() };
    let ((mut w, r), (_w, other)) = (new_window(options()), new_window(options()));
    segment(&mut w);
    let mut here: Vec<_> = (0..3).map(|_| ask(&r, 101, Some(0))).collect();
    here.iter_mut().for_each(|f| pending!(f));
    assert_eq!(now!(ask(&r, 101, Some(0))).err(), Some(Unavailable::TooManyWaiters));
    assert!(matches!(r.object(part_name(9, 10)).now_or_never(), Some(Object::TooManyWaiters)));
    // What needs no place is served all the same.
    assert!(now!(plain(&r)).is_ok());
    let mut there: Vec<_> = (0..2).map(|_| plain(&other)).collect();
    there.iter_mut().for_each(|f| pending!(f));
    assert_eq!(now!(plain(&other)).err(), Some(Unavailable::TooManyWaiters));
    assert_eq!((r.held(), other.held(), held.count()), (3, 2, 5));
    // A request that goes away gives its place back.
    here.pop();
    assert_eq!((r.held(), held.count()), (2, 4));
    pending!(plain(&other));
}

#[tokio::test(start_paused = true)]
async fn clause_25_only_the_hint_is_waited_for() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    let mut hinted = Box::pin(r.object(part_name(9, 10)));
    pending!(hinted);
    assert!(matches!(r.object(part_name(9, 11)).now_or_never(), Some(Object::NotFound)));
    assert!(matches!(r.object(part_name(8, 10)).now_or_never(), Some(Object::NotFound)));
    w.open_segment(date(), false);
    pending!(hinted);
    push(&mut w, "tenth");
    assert_eq!(ready(now!(hinted)).chunks.concat(), b"tenth");
}

#[tokio::test(start_paused = true)]
async fn clause_25_an_abandoned_hint_is_not_found() {
    let (mut w, r) = new_window(WindowOptions::default());
    segment(&mut w);
    let mut hinted = Box::pin(r.object(part_name(9, 10)));
    pending!(hinted);
    begin(&mut w, 11);
    assert!(matches!(now!(hinted), Object::NotFound));
    let mut hinted = Box::pin(r.object(part_name(11, 0)));
    pending!(hinted);
    w.end();
    assert!(matches!(now!(hinted), Object::NotFound));
}

#[tokio::test(start_paused = true)]
async fn the_end_answers_everybody_and_expiry_is_gone() {
    let (mut w, r) = new_window(WindowOptions::default());
    let name = segment(&mut w);
    let mut waiting = ask(&r, 102, None);
    pending!(waiting);
    w.end();
    assert!(text(now!(waiting)).ends_with("#EXT-X-ENDLIST\n"));
    let ended = now!(ask(&r, 4711, Some(3))).unwrap();
    assert!(ended.ended());
    assert!(matches!(r.object(name).await, Object::Ready(_)));
    w.expire();
    assert_eq!(now!(plain(&r)).err(), Some(Unavailable::Gone));
    assert_eq!(now!(ask(&r, 101, None)).err(), Some(Unavailable::Gone));
    assert_eq!(r.index().await.err(), Some(Unavailable::Gone));
    for n in [name, part_name(9, 0), part_name(9, 10), ObjectName::CurrentInit, ObjectName::NthSegment(0)] {
        assert!(matches!(r.object(n).await, Object::Gone), "{n}");
    }
    assert_eq!(r.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_media_is_gone() {
    let (mut w, r) = new_window(WindowOptions::default());
    let mut waiting = plain(&r);
    pending!(waiting);
    w.end();
    assert_eq!(now!(waiting).err(), Some(Unavailable::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_draining_node_holds_nobody() {
    let (mut w, r) = new_window(WindowOptions::default());
    let mut first = plain(&r);
    pending!(first);
    segment(&mut w);
    assert!(now!(first).is_ok());
    let (mut waiting, mut part) = (ask(&r, 101, Some(0)), Box::pin(r.object(part_name(9, 10))));
    pending!(waiting);
    pending!(part);
    r.release();
    assert!(!text(now!(waiting)).contains("ENDLIST"));
    assert!(matches!(now!(part), Object::NotFound));
    assert!(now!(ask(&r, 101, Some(0))).is_ok());
}

/// Starting players are sent on at a fresh edge, and nobody waits where there is none to come.
#[tokio::test(start_paused = true)]
async fn an_advance_is_a_new_part_or_the_limit_and_not_waited_for_without_media() {
    const LIMIT: Duration = Duration::from_millis(250);
    let (mut w, r) = new_window(WindowOptions::default());
    let start = Instant::now();
    r.advance(LIMIT).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "nothing is listed yet");
    segment(&mut w);
    w.open_segment(date(), false);
    r.advance(LIMIT).await;
    assert_eq!(start.elapsed(), LIMIT, "no part came");
    let mut waiting = Box::pin(r.advance(LIMIT));
    pending!(waiting);
    push(&mut w, "part");
    waiting.await;
    assert_eq!(start.elapsed(), LIMIT, "the part ends the wait");
    w.push_gap(Ticks::from_millis(2000), date(), bytes::Bytes::from_static(b"styp"));
    r.advance(LIMIT).await;
    r.release();
    r.advance(LIMIT).await;
    assert_eq!(start.elapsed(), LIMIT, "a gap and a shutdown are not waited for");
    assert_eq!(r.held(), 0);
}
