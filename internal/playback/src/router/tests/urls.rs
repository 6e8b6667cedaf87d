//! URLs, pages and hostile names.

use super::*;

/// design.md, "URLs": the old prefix gives the same objects.
#[tokio::test]
async fn the_old_prefix_names_the_same_objects() {
    let node = Node::live();
    for object in
        ["index.m3u8", "media.m3u8", "init_7_0.mp4", "segment_7_100.m4s", "part_7_0.m4s", "init.mp4"]
    {
        let new = node.get(&format!("/live/demo/{object}")).await;
        let old = node.get(&format!("/hls/live/demo/{object}")).await;
        assert_eq!((old.status, &old.headers, &old.body), (new.status, &new.headers, &new.body), "{object}");
        assert_eq!(new.status, StatusCode::OK, "{object}");
    }
}

/// systems.md §1.2: RapidRTMP's names, counted from the current publish.
#[tokio::test]
async fn rapidrtmp_names_mean_the_current_publish() {
    let mut node = Node::live();
    assert_eq!(node.get("/live/demo/init.mp4").await.text(), "the init");
    assert_eq!(node.get("/live/demo/segment_0.m4s").await.body.len(), 100);
    assert_eq!(node.get("/live/demo/segment_1.m4s").await.status, StatusCode::NOT_FOUND);
    node.writer.begin_epoch(Epoch(8));
    node.writer.set_init(0, Bytes::from_static(b"another init"));
    node.segment();
    assert_eq!(node.get("/live/demo/init.mp4").await.text(), "another init");
    let first = node.get("/live/demo/segment_0.m4s").await;
    let name = node.get("/live/demo/segment_8_102.m4s").await;
    assert_eq!((first.status, &first.body), (StatusCode::OK, &name.body));
}

#[tokio::test]
async fn a_page_has_one_address() {
    let node = Node::empty();
    for (url, to) in [
        ("/live/demo", "/live/demo/"),
        ("/live/demo?x=1", "/live/demo/?x=1"),
        ("/hls/live/demo", "/live/demo/"),
        ("/hls/live/", "/live/"),
    ] {
        let answer = node.get(url).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (307, Some(to)), "{url}");
    }
}

/// The pages are there before any stream is, and load nothing from elsewhere.
#[tokio::test]
async fn pages_hold_their_own_rules() {
    let node = Node::empty();
    for url in ["/", "/live/demo/", "/no/such/stream/"] {
        let page = node.get(url).await;
        assert_eq!((page.status.as_u16(), page.header("cache-control")), (200, Some("no-cache")), "{url}");
        let rule = page.header("content-security-policy").expect("a rule");
        assert!(rule.starts_with("default-src 'none'") && !rule.contains("unsafe"));
        let html = page.text();
        for outside in ["<script>", "style=", "onclick", "src=\"http", "href=\"http"] {
            assert!(!html.contains(outside), "{url}: {outside}");
        }
        let files = html.split('"').filter(|s| s.starts_with("/assets/"));
        for file in files.filter(|f| *f != "/assets/hls.min.js") {
            let asset = node.get(file).await;
            assert_eq!(
                (asset.status.as_u16(), asset.header("x-content-type-options")),
                (200, Some("nosniff"))
            );
        }
        let etag = page.header("etag").expect("a tag");
        assert_eq!(node.get_with(url, "if-none-match", etag).await.status, StatusCode::NOT_MODIFIED);
    }
}

/// A build without `make assets` says what to run; one with it serves hls.js and its licence.
#[tokio::test]
async fn hls_js_is_there_or_the_answer_says_what_to_run() {
    let node = Node::empty();
    let answer = node.get_with("/assets/hls.min.js", "accept-encoding", "gzip").await;
    let licences = node.get("/assets/licenses.txt").await;
    assert!(licences.text().contains("MIT"));
    if crate::HAS_HLS_JS {
        assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, Some("gzip")));
        assert_eq!(gunzip(&answer.body), node.get("/assets/hls.min.js").await.text());
        assert!(licences.text().contains("Dailymotion"));
    } else {
        assert!(answer.status == 404 && answer.error().contains("make assets"));
    }
}

/// limits-and-faults.md, row 8. The table of forms is beside `Target`; here is what a client sees of them.
#[tokio::test]
async fn hostile_urls_get_short_errors() {
    let node = Node::live();
    std::fs::write(node.folder.path().join("secret.m4s"), "secret").expect("written");
    for (url, status) in [
        ("/live/demo/../../secret.m4s", 400),
        ("/live/%2e%2e/secret.m4s", 400),
        ("/live/demo/%2e%2e%2fsecret.m4s", 400),
        ("/live/demo/..%5csecret.m4s", 400),
        ("/live/demo%00/index.m3u8", 400),
        ("/live/%252e%252e/index.m3u8", 400),
        ("/live//index.m3u8", 400),
        ("/live/demo/secret.m4s", 404),
        ("/api/v1/none", 404),
        ("/assets/none.js", 404),
        ("/live/x.ts/", 404),
    ] {
        let answer = node.get(url).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("cache-control")),
            (status, Some("max-age=1")),
            "{url}"
        );
        assert!(answer.error().len() < 60, "{url}");
        assert_eq!(answer.header("location"), None, "{url}");
    }
    let long = format!("/{}/index.m3u8", "a".repeat(4000));
    assert_eq!(node.get(&long).await.status, StatusCode::URI_TOO_LONG);
}
