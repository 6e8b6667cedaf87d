//! The router over real windows: every row of hls-origin.md's HTTP clauses.

use std::{
    io::Read,
    time::{Duration, UNIX_EPOCH},
};

use auth::{Secret, Tokens};
use axum::body::Bytes;
use http_body_util::BodyExt;
use live::{DirectoryOptions, WindowOptions, WindowWriter};
use media::{Epoch, Ticks};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;

mod caching;
mod ranges;
mod urls;
mod viewers;
mod waiting;

const EPOCH: Epoch = Epoch(7);
const FIRST: u64 = 100;
const PART: Ticks = Ticks(18_000);

/// A node with one stream, `live/demo`, and the writing end of its window.
struct Node {
    app: Router,
    store: SegmentStore,
    writer: WindowWriter,
    folder: TempDir,
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().expect("headers are text"))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    fn error(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).expect("errors are JSON");
        json["error"].as_str().expect("with a text").to_owned()
    }
}

fn path() -> StreamPath {
    StreamPath::parse("live/demo").expect("a path")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

impl Node {
    /// Nothing is listed yet.
    fn empty() -> Self {
        Self::with(Origins::Any, 1000)
    }

    fn with(origins: Origins, max_viewers: usize) -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = SegmentStore::local(folder.path()).expect("a store");
        let (directory, _published) = Directory::new(DirectoryOptions::default());
        let settings =
            hls::Settings { part_target: Ticks(18_900), segment_target: Ticks(180_000), window: 4 };
        let timeline = hls::Timeline::new(settings, FIRST, 3, None);
        let (mut writer, window) = live::window(path(), timeline, WindowOptions::default());
        directory.attach_window(window);
        writer.begin_epoch(EPOCH);
        writer.set_init(0, Bytes::from_static(b"the init"));
        let codecs = vec!["avc1.64001F".into(), "mp4a.40.2".into()];
        let variant = hls::Variant {
            codecs,
            resolution: Some((1280, 720)),
            frame_rate: Some(30.0),
            ..Default::default()
        };
        writer.set_variant(variant);
        let secret = Secret::new("0123456789abcdef0123456789abcdef").expect("long enough");
        let policy = Arc::new(Policy::new(Tokens::new(&secret), Vec::new()));
        let playback = Playback { directory, store: store.clone(), policy, origins, max_viewers };
        Self { app: router(Viewers::new(playback)), store, writer, folder }
    }

    /// One whole segment of ten parts, and two parts of the next: parts 0 to 11, so 12 is hinted.
    fn live() -> Self {
        let mut node = Self::empty();
        node.segment();
        node.open(2);
        node
    }

    fn segment(&mut self) {
        self.open(10);
        self.writer.close_segment().expect("it has parts");
    }

    fn open(&mut self, parts: usize) {
        self.writer.open_segment(at(self.writer.next().msn), false);
        for n in 0..parts {
            self.part(n == 0);
        }
    }

    fn part(&mut self, independent: bool) -> ObjectName {
        self.writer.push_part(PART, independent, Bytes::from_static(b"0123456789"))
    }

    fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = Answer> + use<> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let app = self.app.clone();
        async move {
            let (parts, body) = app.oneshot(request).await.expect("infallible").into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            Answer { status: parts.status, headers: parts.headers, body }
        }
    }

    async fn get(&self, url: &str) -> Answer {
        self.ask(Method::GET, url, &[]).await
    }

    async fn get_with(&self, url: &str, name: &str, value: &str) -> Answer {
        self.ask(Method::GET, url, &[(name, value)]).await
    }
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

/// Waits until so many requests are held.
async fn held(node: &Node, count: usize) {
    while node.writer.window().held() < count {
        tokio::task::yield_now().await;
    }
}
