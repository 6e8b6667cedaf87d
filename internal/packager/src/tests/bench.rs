//! A node without sockets: real directory, registry, store and packager, in virtual time.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hls::Directives;
use live::{Directory, DirectoryOptions, Publisher, Stream, StreamOptions, Unavailable, Window};
use media::{ObjectName, RenditionName, StreamPath};
use registry::{ClaimRequest, MemoryRegistry, NodeId, StreamRegistry};
use store::SegmentStore;
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{playlist::Playlist, source::Source};
use crate::{Packager, PackagerOptions, WallClock};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Unix time 1795000000 at the start of the test, then as virtual time goes.
pub(super) fn wall_clock() -> WallClock {
    let start = Instant::now();
    Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000) + start.elapsed())
}

pub(super) struct Bench {
    pub(super) path: StreamPath,
    pub(super) directory: Directory,
    pub(super) registry: Arc<dyn StreamRegistry>,
    pub(super) store: SegmentStore,
    pub(super) folder: TempDir,
    pub(super) cancel: CancellationToken,
    pub(super) packager: JoinHandle<()>,
}

impl Bench {
    pub(super) fn start() -> Self {
        let clock = wall_clock();
        let registry = MemoryRegistry::with_clock(None, Arc::clone(&clock)).expect("no state is read");
        Self::with(PackagerOptions { wall_clock: clock, ..PackagerOptions::default() }, Arc::new(registry))
    }

    pub(super) fn with(options: PackagerOptions, registry: Arc<dyn StreamRegistry>) -> Self {
        Self::within(tempfile::tempdir().expect("a folder can be made"), options, registry)
    }

    pub(super) fn within(
        folder: TempDir,
        options: PackagerOptions,
        registry: Arc<dyn StreamRegistry>,
    ) -> Self {
        let store = SegmentStore::local(folder.path()).expect("the folder is there");
        let (directory, published) = Directory::new(DirectoryOptions::default());
        let packager = Packager::new(options, directory.clone(), store.clone(), Arc::clone(&registry));
        let cancel = CancellationToken::new();
        let packager = tokio::spawn(packager.run(published, cancel.clone()));
        let path = StreamPath::parse("live/demo").expect("a path");
        Self { path, directory, registry, store, folder, cancel, packager }
    }

    /// Claims the path, whoever holds it, and publishes.
    pub(super) async fn publish(&self, source: &Source) -> (Publisher, Stream) {
        let holder = self.registry.look_up(&self.path).await.expect("it answers").map(|r| r.epoch);
        let request =
            ClaimRequest { path: self.path.clone(), node: NodeId::new("test"), grant: None, evict: holder };
        let claim = self.registry.claim(request).await.expect("the path is free or its holder named");
        let (mut publisher, stream) = live::stream(self.path.clone(), claim.epoch, StreamOptions::default());
        publisher.set_tracks(source.tracks());
        self.directory.publish(stream.clone()).await.expect("there is room");
        (publisher, stream)
    }

    /// The publisher's connection breaks.
    pub(super) async fn disconnect(&self, publisher: Publisher, stream: &Stream) {
        drop(publisher);
        self.registry.release(&self.path, stream.epoch()).await.expect("it is the last claim");
    }

    /// The path's window, once its lane has made it.
    pub(super) async fn window(&self) -> Window {
        let made = async {
            loop {
                if let Some(window) = self.directory.window(&self.path) {
                    return window;
                }
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SECOND, made).await.expect("a lane makes a window at once")
    }

    /// A viewer who looks every 50 ms.
    pub(super) async fn watch(&self) -> Viewer {
        Viewer::of(self.window().await)
    }

    pub(super) fn stored(&self, name: &str) -> PathBuf {
        self.folder.path().join("live/demo").join(name)
    }

    /// The stored media playlist, in which every object is there.
    pub(super) fn stored_playlist(&self) -> Playlist {
        let text = std::fs::read_to_string(self.stored("media.m3u8")).expect("it is stored");
        let playlist = Playlist::parse(&text);
        for entry in &playlist.entries {
            for name in entry.uri.iter().chain(&entry.map) {
                assert!(self.stored(name).is_file(), "listed but not stored: {name}");
            }
        }
        playlist
    }

    /// Virtual time passes; afterwards the store has what it was given (its I/O takes real time).
    pub(super) async fn settle(&self) {
        let writer = self.store.writer(&self.path);
        assert!(writer.flush(10 * SECOND).await, "the store takes all");
    }
}

/// What a viewer saw: each playlist was judged as it came.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) last: Playlist,
    /// The longest time without a change while the playlist was open.
    pub(super) longest_pause: Duration,
    pub(super) changes: usize,
    pub(super) end: Option<Unavailable>,
}

pub(super) struct Viewer {
    stop: CancellationToken,
    task: JoinHandle<Seen>,
}

impl Viewer {
    pub(super) fn of(window: Window) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(look(window, stop.clone()));
        Self { stop, task }
    }

    pub(super) async fn stop(self) -> Seen {
        self.stop.cancel();
        self.task.await.expect("every playlist is legal")
    }
}

async fn look(window: Window, stop: CancellationToken) -> Seen {
    let mut seen: Option<Seen> = None;
    let mut changed = Instant::now();
    while !stop.is_cancelled() {
        match window.playlist(RenditionName::Media, Directives::default()).await {
            Ok(rendered) => {
                let text = String::from_utf8(rendered.plain().to_vec()).expect("it is text");
                let playlist = Playlist::parse(&text);
                playlist.check();
                let s = seen.get_or_insert_with(|| {
                    changed = Instant::now();
                    Seen { last: playlist.clone(), ..Seen::default() }
                });
                s.last.check_next(&playlist);
                if !s.last.ended {
                    s.longest_pause = s.longest_pause.max(changed.elapsed());
                }
                if playlist != s.last {
                    changed = Instant::now();
                    s.changes += 1;
                    fetch_all(&window, &playlist).await;
                    s.last = playlist;
                }
            }
            Err(Unavailable::NotReady) => {}
            Err(end) => {
                let mut s = seen.unwrap_or_default();
                s.end = Some(end);
                return s;
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    seen.unwrap_or_default()
}

/// Clause 8: what is listed can be fetched.
async fn fetch_all(window: &Window, playlist: &Playlist) {
    let mut names: Vec<&String> = Vec::new();
    for entry in &playlist.entries {
        names.extend(entry.uri.iter().chain(&entry.map).chain(entry.parts.iter().map(|(uri, ..)| uri)));
    }
    for uri in names {
        let name = ObjectName::parse(uri).expect("it is one of our names");
        let object = window.object(name).await;
        assert!(matches!(object, live::Object::Ready(_)), "clause 8: {uri}: {object:?}");
    }
}
