//! Types, cache headers, compression, validators, CORS (clauses 44–46, 48, 51).

use super::*;

const MEDIA: &str = "/live/demo/media.m3u8";

/// Table A3, with TARGETDURATION 2.
#[tokio::test]
async fn every_row_of_the_cache_table() {
    let node = Node::live();
    for (url, status, cache) in [
        ("/live/demo/index.m3u8", 200, "public, max-age=2, s-maxage=2, stale-if-error=30"),
        (MEDIA, 200, "public, max-age=1, stale-if-error=2"),
        ("/live/demo/media.m3u8?_HLS_msn=100", 200, "public, max-age=12"),
        ("/live/demo/media.m3u8?_HLS_msn=101&_HLS_part=1", 200, "public, max-age=12"),
        ("/live/demo/media.m3u8?_HLS_skip=YES", 200, "public, max-age=1, stale-if-error=2"),
        ("/live/demo/init_7_0.mp4", 200, "public, max-age=31536000, immutable"),
        ("/live/demo/segment_7_100.m4s", 200, "public, max-age=31536000, immutable"),
        ("/live/demo/part_7_11.m4s", 200, "public, max-age=31536000, immutable"),
        ("/live/demo/init.mp4", 200, "no-cache, no-store, must-revalidate"),
        ("/live/demo/segment_0.m4s", 200, "no-cache, no-store, must-revalidate"),
        ("/live/demo/media.m3u8?_HLS_part=1", 400, "max-age=1"),
        ("/live/demo/media.m3u8?_HLS_msn=999", 400, "max-age=1"),
        ("/live/demo/part_7_99.m4s", 404, "max-age=1"),
        ("/live/demo/segment_6_101.m4s", 404, "max-age=1"),
        ("/live/other/media.m3u8", 404, "max-age=1"),
        ("/live/demo/audio_1.m3u8", 404, "max-age=1"),
    ] {
        let answer = node.get(url).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (status, Some(cache)), "{url}");
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{url}");
        assert_eq!(answer.header("set-cookie"), None, "clause 49: {url}");
        if status >= 400 {
            assert!(!answer.error().is_empty() && answer.body.len() < 120, "{url}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{url}");
        }
    }
}

/// The 503 and 410 rows.
#[tokio::test(start_paused = true)]
async fn refusals_for_now_and_for_good() {
    let mut node = Node::live();
    let late = node.get("/live/demo/media.m3u8?_HLS_msn=102").await;
    assert_eq!((late.status.as_u16(), late.header("cache-control")), (503, Some("no-store")));
    assert_eq!(late.header("retry-after"), Some("1"));
    node.writer.expire();
    for url in [MEDIA, "/live/demo/index.m3u8", "/live/demo/segment_7_100.m4s", "/live/demo/init.mp4"] {
        let gone = node.get(url).await;
        assert_eq!((gone.status.as_u16(), gone.header("cache-control")), (410, Some("max-age=1")), "{url}");
        assert_eq!(gone.error(), "the stream has ended");
    }
}

/// Clause 9: directives are ignored after ENDLIST, so what they name must not stay in a cache for the next publish.
#[tokio::test]
async fn an_ended_playlist_is_cached_as_one_without_directives() {
    let mut node = Node::live();
    node.writer.end();
    let answer = node.get("/live/demo/media.m3u8?_HLS_msn=102&_HLS_part=0").await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=1, stale-if-error=2"));
    assert!(answer.text().contains("#EXT-X-ENDLIST"));
}

/// Clause 44.
#[tokio::test]
async fn content_types() {
    let node = Node::live();
    for (url, kind) in [
        ("/live/demo/index.m3u8", "application/vnd.apple.mpegurl"),
        (MEDIA, "application/vnd.apple.mpegurl"),
        ("/live/demo/init_7_0.mp4", "video/mp4"),
        ("/live/demo/init.mp4", "video/mp4"),
        ("/live/demo/segment_7_100.m4s", "video/iso.segment"),
        ("/live/demo/segment_0.m4s", "video/iso.segment"),
        ("/live/demo/part_7_0.m4s", "video/iso.segment"),
        ("/", "text/html; charset=utf-8"),
        ("/live/demo/", "text/html; charset=utf-8"),
        ("/assets/player.js", "text/javascript; charset=utf-8"),
    ] {
        assert_eq!(node.get(url).await.header("content-type"), Some(kind), "{url}");
    }
}

/// Clause 45: playlists are compressed for those who ask, media never.
#[tokio::test]
async fn playlists_are_compressed_and_media_is_not() {
    let node = Node::live();
    let plain = node.get(MEDIA).await;
    let packed = node.get_with(MEDIA, "accept-encoding", "br;q=0.9, gzip;q=0.5").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(gunzip(&packed.body), plain.text());
    for answer in [&plain, &packed] {
        assert_eq!((answer.header("vary"), answer.header("age")), (Some("Accept-Encoding"), Some("0")));
    }
    assert_ne!(plain.header("etag"), packed.header("etag"));
    let refused = node.get_with(MEDIA, "accept-encoding", "gzip;q=0, *").await;
    assert_eq!(refused.header("content-encoding"), None);
    let segment = node.get_with("/live/demo/segment_7_100.m4s", "accept-encoding", "gzip").await;
    assert_eq!((segment.header("content-encoding"), segment.body.len()), (None, 100));
}

/// Clause 46: a strong tag for each coding, 304 while nothing changed.
#[tokio::test]
async fn what_the_client_holds_is_not_sent_again() {
    let mut node = Node::live();
    for (url, coding) in [(MEDIA, "gzip"), (MEDIA, "identity"), ("/live/demo/part_7_3.m4s", "gzip")] {
        let first = node.get_with(url, "accept-encoding", coding).await;
        let etag = first.header("etag").expect("a tag").to_owned();
        assert!(etag.starts_with('"'), "strong: {etag}");
        let headers = [("accept-encoding", coding), ("if-none-match", etag.as_str())];
        let again = node.ask(Method::GET, url, &headers).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{url}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        assert_eq!(again.header("vary"), first.header("vary"));
    }
    let etag = node.get(MEDIA).await.header("etag").expect("a tag").to_owned();
    node.part(false);
    let changed = node.get_with(MEDIA, "if-none-match", &etag).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
    assert_eq!(node.get("/live/demo/part_7_3.m4s").await.header("etag"), Some("\"part_7_3.m4s\""));
}

/// Clause 48, RFC 9110 §9.3.2: HEAD sends the headers of GET.
#[tokio::test]
async fn head_has_the_headers_of_get() {
    let node = Node::live();
    for url in [
        "/live/demo/index.m3u8",
        MEDIA,
        "/live/demo/media.m3u8?_HLS_msn=1&_HLS_msn=2",
        "/live/demo/init_7_0.mp4",
        "/live/demo/segment_7_100.m4s",
        "/live/demo/part_7_0.m4s",
        "/live/demo/part_9_9.m4s",
        "/live/demo",
        "/live/demo/",
        "/",
        "/assets/page.css",
    ] {
        let get = node.get(url).await;
        let head = node.ask(Method::HEAD, url, &[]).await;
        assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{url}");
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{url}");
        assert!(head.body.is_empty(), "{url}");
    }
}

/// Clause 48.
#[tokio::test]
async fn any_page_may_read_unless_origins_are_named() {
    let node = Node::live();
    let answer = node.get_with(MEDIA, "origin", "https://a.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let exposed = answer.header("access-control-expose-headers").expect("a list");
    for name in ["Age", "ETag", "Date", "Content-Length", "Content-Range"] {
        assert!(exposed.split(", ").any(|e| e == name), "{name}");
    }
    let missing = node.get_with("/live/none/media.m3u8", "origin", "https://a.example").await;
    assert_eq!(missing.header("access-control-allow-origin"), Some("*"), "players must see errors, too");

    let node = Node::with(Origins::Only(vec!["https://a.example".into()]), 10);
    let url = "/live/none/media.m3u8";
    let known = node.get_with(url, "origin", "https://a.example").await;
    assert_eq!(known.header("access-control-allow-origin"), Some("https://a.example"));
    for other in ["https://a.example.evil", "null", "http://a.example"] {
        let answer = node.get_with(url, "origin", other).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{other}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_once_a_day() {
    let node = Node::live();
    let headers = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    let answer = node.ask(Method::OPTIONS, "/live/demo/part_7_0.m4s", &headers).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-max-age"), Some("86400"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, OPTIONS"));
    let allowed = answer.header("access-control-allow-headers").expect("a list");
    assert!(allowed.contains("Range") && allowed.contains("CMCD-Session"));
}

/// limits-and-faults.md, row 51.
#[tokio::test]
async fn other_methods_are_refused() {
    let node = Node::live();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        for url in [MEDIA, "/live/demo/", "/", "/live/demo/init.mp4"] {
            let answer = node.ask(method.clone(), url, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
            assert!(!answer.error().is_empty());
        }
    }
}

/// Players tune in by `Age` (draft, appendix C); a cache must not mix codings.
#[tokio::test]
async fn clause_27_and_45_playlists_say_their_age_and_what_they_vary_by() {
    let node = Node::live();
    for url in [MEDIA, "/live/demo/index.m3u8", "/live/demo/media.m3u8?_HLS_msn=100"] {
        let answer = node.get(url).await;
        assert_eq!(answer.header("age"), Some("0"), "{url}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{url}");
    }
}
