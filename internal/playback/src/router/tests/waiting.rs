//! Requests that wait, and older objects that come from the store.

use super::*;

/// Clause 19: the answer has what was asked for; clause 23: one rendering for all who wait.
#[tokio::test]
async fn a_blocked_reload_is_released_by_its_part() {
    let mut node = Node::live();
    let url = "/live/demo/media.m3u8?_HLS_msn=101&_HLS_part=2";
    let waiting: Vec<_> = (0..50).map(|_| tokio::spawn(node.ask(Method::GET, url, &[]))).collect();
    held(&node, 50).await;
    let before = node.writer.window().renders();
    node.part(false);
    for answer in waiting {
        let answer = answer.await.expect("answered");
        assert_eq!(answer.status, StatusCode::OK);
        assert!(
            answer.text().contains("#EXT-X-PART:DURATION=0.2,URI=\"part_7_12.m4s\""),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("cache-control"), Some("public, max-age=12"));
    }
    assert_eq!(node.writer.window().renders(), before + 1);
    assert_eq!(node.writer.window().held(), 0);
}

/// Clauses 20, 21 and 50.
#[tokio::test]
async fn what_is_past_is_answered_at_once_and_what_is_far_is_refused() {
    let node = Node::live();
    for (query, status) in [
        ("_HLS_msn=3", 200),
        ("_HLS_msn=100&_HLS_part=99", 200),
        ("_HLS_msn=103", 400),
        ("_HLS_msn=101&_HLS_part=99", 400),
        ("_HLS_msn=-1", 400),
        ("_HLS_msn=18446744073709551616", 400),
        ("_HLS_msn=100&_HLS_msn=100", 400),
        ("_HLS_part=0", 400),
        ("unknown=1&CMCD=x", 200),
    ] {
        let answer = node.get(&format!("/live/demo/media.m3u8?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}");
    }
}

/// Clause 25: the hinted part waits and comes whole; any other unknown name is 404 at once.
#[tokio::test]
async fn a_hinted_part_is_held_and_others_are_not() {
    let mut node = Node::live();
    assert_eq!(node.get("/live/demo/part_7_13.m4s").await.status, StatusCode::NOT_FOUND);
    let waiting = tokio::spawn(node.ask(Method::GET, "/live/demo/part_7_12.m4s", &[]));
    held(&node, 1).await;
    // Contract, "Objects": the hint stays true when the segment ends.
    node.writer.close_segment();
    node.open(1);
    let answer = waiting.await.expect("answered");
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "0123456789"));

    let abandoned = tokio::spawn(node.ask(Method::GET, "/live/demo/part_7_13.m4s", &[]));
    held(&node, 1).await;
    node.writer.begin_epoch(Epoch(8));
    let answer = abandoned.await.expect("answered");
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (404, Some("max-age=1")));
}

#[tokio::test(start_paused = true)]
async fn a_playlist_waits_for_its_first_media_but_not_for_ever() {
    let mut node = Node::empty();
    let waiting = tokio::spawn(node.ask(Method::GET, "/live/demo/index.m3u8", &[]));
    held(&node, 1).await;
    node.segment();
    let answer = waiting.await.expect("answered");
    assert!(answer.text().contains("#EXT-X-STREAM-INF"), "{}", answer.text());

    let node = Node::empty();
    let answer = node.get("/live/demo/media.m3u8").await;
    assert_eq!((answer.status.as_u16(), answer.error().as_str()), (404, "the stream has no media yet"));
}

/// Who waits for the very first part is at the edge with it; who comes later is answered with the next part.
#[tokio::test(start_paused = true)]
async fn the_first_viewer_is_sent_on_with_the_first_part() {
    let mut node = Node::empty();
    let first = tokio::spawn(node.ask(Method::GET, "/live/demo/index.m3u8", &[]));
    held(&node, 1).await;
    let listed = Instant::now();
    node.open(1);
    assert_eq!(first.await.expect("answered").status, StatusCode::OK);
    assert_eq!(listed.elapsed(), Duration::ZERO);
    let later = node.get("/live/demo/index.m3u8").await;
    assert_eq!((later.status, listed.elapsed()), (StatusCode::OK, TUNE_IN));
}

/// A shutdown answers held requests as things stand; such an answer must not stay in a cache.
#[tokio::test]
async fn a_released_request_is_not_cached_as_satisfied() {
    let node = Node::live();
    let waiting = tokio::spawn(node.ask(Method::GET, "/live/demo/media.m3u8?_HLS_msn=101&_HLS_part=5", &[]));
    held(&node, 1).await;
    node.writer.window().release();
    let answer = waiting.await.expect("answered");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=1, stale-if-error=2"));
}

/// A segment that left memory comes from the store, under the same names, with ranges.
#[tokio::test]
async fn older_segments_come_from_the_store() {
    let mut node = Node::empty();
    let name = ObjectName::Segment { epoch: EPOCH, msn: FIRST };
    let stored = node.store.writer(&path());
    stored.segment(name, vec![Bytes::from_static(b"from the store")]);
    assert!(stored.flush(Duration::from_secs(5)).await);
    node.segment();
    node.writer.mark_stored(name);
    for _ in 0..12 {
        node.segment();
    }
    assert!(matches!(node.writer.window().object(name).await, Object::InStore(_)), "it left memory");
    let answer = node.get_with("/live/demo/segment_7_100.m4s", "range", "bytes=5-7").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (206, "the"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let alias = node.get("/live/demo/segment_0.m4s").await;
    assert_eq!(alias.text(), "from the store");
    // Neither in memory nor stored.
    assert_eq!(node.get("/live/demo/segment_7_99.m4s").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_segment_is_its_parts_and_no_bytes_are_copied() {
    let node = Node::live();
    let Object::Ready(segment) = node.writer.window().object(ObjectName::NthSegment(0)).await else {
        panic!("it is in memory");
    };
    let response = objects::respond(segment.name, segment.clone(), &Method::GET, &HeaderMap::new());
    let mut body = response.into_body();
    for chunk in segment.chunks.iter() {
        let sent = body.frame().await.expect("a frame").expect("infallible").into_data().expect("data");
        assert_eq!(sent.as_ptr(), chunk.as_ptr());
    }
}
