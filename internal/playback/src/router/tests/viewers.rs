//! Who counts as a viewer, and how many are let in (contract, "HTTP").

use super::*;

const MEDIA: &str = "/live/demo/media.m3u8";

fn watching(node: &Node) -> usize {
    node.writer.window().viewers().count(Instant::now())
}

#[tokio::test]
async fn a_session_counts_once_wherever_it_is_named() {
    let node = Node::live();
    node.get_with(MEDIA, "cmcd-session", "sid=\"a\"").await;
    node.get(&format!("{MEDIA}?CMCD=sid%3D%22a%22")).await;
    node.get_with("/live/demo/part_7_0.m4s", "cmcd-session", "sid=\"a\"").await;
    assert_eq!(watching(&node), 1);
    node.get_with(MEDIA, "cmcd-session", "sid=\"b\"").await;
    node.get_with(MEDIA, "user-agent", "VLC").await;
    node.get_with(MEDIA, "user-agent", "VLC").await;
    // hls.js asks for the multivariant without its session.
    node.get_with("/live/demo/index.m3u8", "user-agent", "Firefox").await;
    assert_eq!(watching(&node), 3);
}

#[tokio::test]
async fn viewers_without_a_session_differ_by_address() {
    let node = Node::live();
    for last in [1, 2, 2] {
        let mut request = Request::builder().uri(MEDIA).body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, last], 5000))));
        let answer = node.app.clone().oneshot(request).await.expect("infallible");
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(watching(&node), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_refuses_newcomers_and_keeps_its_viewers() {
    let mut node = Node::with(Origins::Any, 2);
    node.segment();
    for sid in ["a", "b", "a"] {
        let answer = node.get_with(MEDIA, "cmcd-session", &format!("sid={sid}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{sid}");
    }
    for _ in 0..3 {
        let refused = node.get_with(MEDIA, "cmcd-session", "sid=c").await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("1")));
        assert_eq!(refused.error(), "this stream has all the 2 viewers that it may have");
        assert_eq!(watching(&node), 2, "whoever is refused is not counted");
    }
    assert_eq!(node.get_with(MEDIA, "cmcd-session", "sid=b").await.status, StatusCode::OK);
    // Contract: active for max(3 × TARGETDURATION, 10 s). Media keeps a seat, but gives none.
    tokio::time::advance(Duration::from_secs(8)).await;
    for sid in ["sid=b", "sid=d"] {
        let part = node.get_with("/live/demo/part_7_0.m4s", "cmcd-session", sid).await;
        assert_eq!(part.status, StatusCode::OK, "{sid}");
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(watching(&node), 1, "only b is left");
    for (sid, status) in [("sid=c", 200), ("sid=b", 200), ("sid=a", 503)] {
        assert_eq!(node.get_with(MEDIA, "cmcd-session", sid).await.status.as_u16(), status, "{sid}");
    }
}
