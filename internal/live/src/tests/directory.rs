//! The directory.

use futures_util::FutureExt;
use media::Epoch;

use super::{frame, new_window, path, segment, video_track};
use crate::{
    CloseReason, Directory, DirectoryOptions, EntryState, Memory, PublishError, Stream, StreamOptions,
    WindowOptions, stream,
};

fn publish(name: &str, epoch: u64) -> (crate::Publisher, Stream) {
    stream(path(name), Epoch(epoch), StreamOptions::default())
}

#[tokio::test(start_paused = true)]
async fn a_publish_reaches_the_packager_and_everybody_who_looks() {
    let (d, mut published) = Directory::new(DirectoryOptions::default());
    let (_p, s) = publish("live/demo", 1);
    assert!(d.stream(s.path()).is_none());
    d.publish(s.clone()).await.unwrap();
    assert!(published.recv().await.unwrap().same_as(&s));
    assert!(d.stream(s.path()).unwrap().same_as(&s));
    let entries = d.list();
    assert_eq!((entries.len(), entries[0].state, entries[0].epoch), (1, EntryState::Live, Some(Epoch(1))));
}

#[tokio::test(start_paused = true)]
async fn a_higher_epoch_replaces_and_a_lower_one_is_fenced() {
    let (d, _published) = Directory::new(DirectoryOptions::default());
    let ((mut old, first), (_new, second)) = (publish("live/demo", 5), publish("live/demo", 6));
    d.publish(first.clone()).await.unwrap();
    d.publish(second.clone()).await.unwrap();
    assert_eq!(first.close_reason(), Some(CloseReason::Replaced));
    assert_eq!(old.push(frame(&video_track(), 0, true)), Err(CloseReason::Replaced));
    let (_late, late) = publish("live/demo", 5);
    assert_eq!(d.publish(late).await, Err(PublishError::Fenced));
    assert!(d.stream(second.path()).unwrap().same_as(&second));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_streams_is_bounded_and_a_republish_is_no_further_one() {
    let (d, _published) = Directory::new(DirectoryOptions { max_streams: 1, ..DirectoryOptions::default() });
    let ((p, a), (_b, b)) = (publish("a", 1), publish("b", 1));
    d.publish(a).await.unwrap();
    assert_eq!(d.publish(b.clone()).await, Err(PublishError::Full));
    let (_p2, again) = publish("a", 2);
    d.publish(again.clone()).await.unwrap();
    drop(p);
    again.close(CloseReason::Unpublished);
    d.publish(b).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_packager_nothing_is_taken() {
    let (d, published) = Directory::new(DirectoryOptions::default());
    drop(published);
    let (_p, s) = publish("live/demo", 1);
    assert_eq!(d.publish(s.clone()).await, Err(PublishError::Unavailable));
    assert!(d.entry(s.path()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_packager_that_does_not_listen_is_waited_for_five_seconds() {
    let (d, _published) = Directory::new(DirectoryOptions::default());
    let mut kept = Vec::new();
    for i in 0..256 {
        let (p, s) = publish(&format!("s{i}"), 1);
        d.publish(s).await.unwrap();
        kept.push(p);
    }
    let (_p, s) = publish("one/more", 1);
    let start = tokio::time::Instant::now();
    assert_eq!(d.publish(s).await, Err(PublishError::Unavailable));
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_live_then_a_gap_then_ended_then_forgotten() {
    let (d, _published) = Directory::new(DirectoryOptions::default());
    let (p, s) = publish("live/demo", 9);
    d.publish(s.clone()).await.unwrap();
    let (mut w, r) = new_window(WindowOptions::default());
    let _stop = d.attach_window(r.clone());
    segment(&mut w);
    let state = |d: &Directory| d.entry(s.path()).map(|e| e.state);
    assert_eq!(state(&d), Some(EntryState::Live));
    drop(p);
    assert_eq!(state(&d), Some(EntryState::Gap));
    assert!(d.stream(s.path()).is_none() && d.window(s.path()).is_some());
    w.end();
    assert_eq!(state(&d), Some(EntryState::Ended));
    d.detach_window(&r);
    assert_eq!(state(&d), None);
    assert!(d.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_the_publish_and_tells_the_lane() {
    let (d, _published) = Directory::new(DirectoryOptions::default());
    let (_p, s) = publish("live/demo", 9);
    assert!(!d.stop(s.path()));
    d.publish(s.clone()).await.unwrap();
    let (mut w, r) = new_window(WindowOptions::default());
    let mut stop = d.attach_window(r.clone());
    segment(&mut w);
    assert!(!stop.is_stopped() && stop.stopped().now_or_never().is_none());
    assert!(d.stop(s.path()));
    assert_eq!(s.close_reason(), Some(CloseReason::Stopped));
    stop.stopped().await;
    // In a gap, too; but what has ended is not stopped again.
    assert!(d.stop(s.path()));
    w.end();
    assert!(!d.stop(s.path()));
}

#[tokio::test(start_paused = true)]
async fn a_new_lane_has_a_signal_of_its_own_and_the_old_one_cannot_detach_it() {
    let (d, _published) = Directory::new(DirectoryOptions::default());
    let ((_w1, old), (_w2, new)) =
        (new_window(WindowOptions::default()), new_window(WindowOptions::default()));
    let mut first = d.attach_window(old.clone());
    d.stop(old.path());
    let second = d.attach_window(new.clone());
    assert!(first.is_stopped() && !second.is_stopped());
    first.stopped().await;
    d.detach_window(&old);
    assert!(d.window(new.path()).is_some());
    d.detach_window(&new);
    assert!(d.window(new.path()).is_none());
}

#[tokio::test(start_paused = true)]
async fn memory_is_told_and_given_back() {
    let (d, _published) = Directory::new(DirectoryOptions::default());
    let (mut p, s) = publish("live/demo", 9);
    d.publish(s.clone()).await.unwrap();
    p.push(frame(&video_track(), 0, true)).unwrap();
    let options = WindowOptions { held: d.held_requests(), ..WindowOptions::default() };
    let (mut w, r) = new_window(options);
    let _stop = d.attach_window(r.clone());
    let mut waiting = Box::pin(r.index());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(d.memory(), Memory { ring_bytes: 1000, window_bytes: 4, held_requests: 1 });
    segment(&mut w);
    drop(waiting);
    assert_eq!(d.memory(), Memory { ring_bytes: 1000, window_bytes: 44, held_requests: 0 });
    drop(p);
    drop(s);
    assert_eq!(d.memory().ring_bytes, 0, "a publish that is over gives its ring back");
    w.end();
    w.expire();
    d.detach_window(&r);
    assert_eq!(d.memory(), Memory::default());
}
