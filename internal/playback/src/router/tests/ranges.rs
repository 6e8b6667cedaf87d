//! Byte ranges (clause 47), also across the parts of a segment and on a part that is still to come.

use super::*;

const SEGMENT: &str = "/live/demo/segment_7_100.m4s";

#[tokio::test]
async fn a_range_crosses_the_parts_of_a_segment() {
    let node = Node::live();
    let whole = node.get(SEGMENT).await;
    assert_eq!((whole.header("accept-ranges"), whole.body.len()), (Some("bytes"), 100));
    for (range, status, span, body) in [
        ("bytes=8-12", 206, Some("bytes 8-12/100"), "89012"),
        ("bytes=-3", 206, Some("bytes 97-99/100"), "789"),
        ("bytes=97-", 206, Some("bytes 97-99/100"), "789"),
        ("bytes=98-500", 206, Some("bytes 98-99/100"), "89"),
        ("bytes=100-", 416, Some("bytes */100"), ""),
        ("bytes=-0", 416, Some("bytes */100"), ""),
        ("bytes=0-1,5-6", 200, None, whole.text()),
        ("bytes=9-1", 200, None, whole.text()),
        ("lines=1-2", 200, None, whole.text()),
    ] {
        let answer = node.get_with(SEGMENT, "range", range).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-range"), answer.text()),
            (status, span, body)
        );
        assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()), "{range}");
    }
}

#[tokio::test]
async fn if_range_guards_and_if_none_match_comes_first() {
    let node = Node::live();
    let tag = node.get(SEGMENT).await.header("etag").expect("a tag").to_owned();
    for (condition, value, status) in [
        ("if-range", tag.as_str(), 206),
        ("if-range", "\"other\"", 200),
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "\"other\"", 206),
    ] {
        let answer = node.ask(Method::GET, SEGMENT, &[("range", "bytes=0-1"), (condition, value)]).await;
        assert_eq!(answer.status.as_u16(), status, "{condition} {value}");
    }
    // RFC 9110 §14.2: a range means nothing to HEAD.
    let head = node.ask(Method::HEAD, SEGMENT, &[("range", "bytes=0-1")]).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, Some("100")));
}

/// Clause 47: wait, then slice.
#[tokio::test]
async fn a_range_of_a_hinted_part_waits_for_it() {
    let mut node = Node::live();
    let waiting = tokio::spawn(node.ask(Method::GET, "/live/demo/part_7_12.m4s", &[("range", "bytes=2-4")]));
    held(&node, 1).await;
    assert_eq!(node.part(false), ObjectName::Part { epoch: EPOCH, seq: 12 });
    let answer = waiting.await.expect("answered");
    assert_eq!((answer.status.as_u16(), answer.text()), (206, "234"));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
}
