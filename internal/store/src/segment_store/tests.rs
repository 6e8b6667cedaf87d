//! The store over real folders, and over stores that are slow, failing or hanging.

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::BoxStream};
use media::{Epoch, RenditionName};
use object_store::{
    Attribute, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory, path::Path as Location,
};
use tokio::sync::Notify;

use super::*;
use crate::Completion;

const LONG: Duration = Duration::from_secs(60);

fn path(s: &str) -> StreamPath {
    StreamPath::parse(s).unwrap()
}

fn seg(msn: u64) -> ObjectName {
    ObjectName::Segment { epoch: Epoch(7), msn }
}

fn init() -> ObjectName {
    ObjectName::Init { epoch: Epoch(7), version: 0 }
}

fn media_name() -> ObjectName {
    ObjectName::Playlist(RenditionName::Media)
}

fn bytes(len: usize) -> Bytes {
    Bytes::from(vec![0x5a; len])
}

fn index() -> Bytes {
    Bytes::from_static(b"#EXTM3U\nmedia.m3u8\n")
}

/// A media playlist that names the init and these segments.
fn listing(msns: Range<u64>) -> Bytes {
    let lines: String = msns.map(|m| format!("#EXTINF:2.000,\n{}\n", seg(m))).collect();
    format!("#EXTM3U\n#EXT-X-MAP:URI=\"{}\"\n{lines}", init()).into()
}

fn local(dir: &Path) -> SegmentStore {
    SegmentStore::local(dir).unwrap()
}

/// Every file below a folder, relative, sorted.
fn files(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() { walk(&entry.path(), out) } else { out.push(entry.path()) }
        }
    }
    let mut found = Vec::new();
    walk(dir, &mut found);
    let names = found.iter().map(|f| f.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

async fn stored(writer: &StreamWriter, names: &[ObjectName]) {
    let wait = async {
        while !names.iter().all(|n| writer.is_stored(n)) {
            writer.completed().await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("stored in time");
}

#[tokio::test]
async fn a_stream_is_stored_below_its_path_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(dir.path());
    let p = path("live/demo");
    let w = store.writer(&p);
    w.init(init(), Bytes::from_static(b"init"));
    w.segment(seg(1), vec![Bytes::from_static(b"one "), Bytes::from_static(b"two")]);
    w.playlists(index(), listing(1..2));
    assert!(w.flush(LONG).await);
    assert_eq!(
        files(dir.path()),
        [
            "live/demo/index.m3u8",
            "live/demo/init_7_0.mp4",
            "live/demo/media.m3u8",
            "live/demo/segment_7_1.m4s"
        ]
    );
    assert_eq!(store.read(&p, seg(1)).await.unwrap().unwrap(), "one two");
    assert_eq!(store.read(&p, media_name()).await.unwrap().unwrap(), listing(1..2));
    assert_eq!(store.read(&p, seg(2)).await, Ok(None));
    assert_eq!(store.read(&path("live/none"), seg(1)).await, Ok(None));
    let done = w.completed().await;
    assert_eq!(done, [Completion { name: init(), stored: true }, Completion { name: seg(1), stored: true }]);
    let h = store.health();
    assert_eq!((h.bytes_stored, h.segments_stored, h.backlog, h.errors, h.failing), (11, 1, 0, 0, None));
}

/// Contract "Paths": the name on disk, and so in a static file server's URL, is the URL's name.
#[tokio::test]
async fn names_on_disk_equal_names_in_urls() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(dir.path());
    let alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.~-";
    let mut names = vec![alphabet.to_owned(), "...".into(), "~".into(), "-".into(), ".hidden".into()];
    names.extend(alphabet.chars().filter(|c| *c != '.').map(|c| format!("x{c}/{c}{c}")));
    names.extend(["a/b/c/d~", "~a/.b/-c", "a..b", "..a", "a..", "a."].map(String::from));
    names.push(vec!["x".repeat(128); 4].join("/"));
    for name in &names {
        let p = path(name);
        let w = store.writer(&p);
        w.segment(seg(1), vec![bytes(3)]);
        assert!(w.flush(LONG).await);
        let on_disk = dir.path().join(name).join("segment_7_1.m4s");
        assert_eq!(fs::read(&on_disk).ok().map(|b| b.len()), Some(3), "{name}");
        assert_eq!(store.read(&p, seg(1)).await.unwrap().unwrap().len(), 3, "{name}");
        // Listing finds it under the same name.
        assert_eq!(store.0.backend.list(&p).await.unwrap(), [seg(1)], "{name}");
        w.expire_all();
        assert!(w.flush(LONG).await);
        assert!(!on_disk.exists(), "{name}");
    }
    assert_eq!(files(dir.path()), Vec::<String>::new());
}

/// limits-and-faults 8: no name leads out of the folder.
#[tokio::test]
async fn hostile_names_write_nothing_outside() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    let store = local(&root);
    let long = "x".repeat(4096);
    for hostile in [
        "..",
        "../x",
        "a/../../x",
        "/etc/x",
        "a//x",
        "./x",
        "%2e%2e/x",
        "..%2fx",
        "..\\x",
        "a\0b",
        "\u{2025}/x",
        "C:x",
        "a/b/c/d/e",
        "x#1",
        "a?b",
        &long,
    ] {
        // The store takes stream paths alone, and this is none.
        let Ok(p) = StreamPath::parse(hostile) else { continue };
        let w = store.writer(&p);
        w.segment(seg(1), vec![bytes(1)]);
        w.flush(LONG).await;
        panic!("{hostile:?} is a stream path");
    }
    for odd in ["..a/b", "a/...", "~/x", "....", ".a"] {
        let w = store.writer(&path(odd));
        w.segment(seg(1), vec![bytes(1)]);
        assert!(w.flush(LONG).await);
    }
    assert_eq!(files(outer.path()).len(), 5);
    assert!(files(outer.path()).iter().all(|f| f.starts_with("root/")));
}

#[tokio::test]
async fn a_path_does_not_touch_the_paths_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(dir.path());
    let (outer, inner) = (store.writer(&path("live")), store.writer(&path("live/demo")));
    outer.segment(seg(1), vec![bytes(1)]);
    inner.segment(seg(2), vec![bytes(1)]);
    assert!(outer.flush(LONG).await && inner.flush(LONG).await);
    outer.expire_all();
    assert!(outer.flush(LONG).await);
    assert_eq!(store.clear_leftovers(&path("live"), &[]).await, Ok(0));
    assert_eq!(files(dir.path()), ["live/demo/segment_7_2.m4s"]);
}

#[tokio::test]
async fn nothing_half_written_is_ever_under_an_objects_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(dir.path());
    let p = path("live/a");
    let w = store.writer(&p);
    let folder = dir.path().join("live/a");
    let size = 8 << 20;
    let stop = Arc::new(AtomicU8::new(0));
    let watcher = {
        let (folder, stop) = (folder.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut seen = 0;
            while stop.load(Ordering::SeqCst) == 0 {
                for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                    let name = entry.file_name().into_string().unwrap();
                    if !name.contains('#') {
                        let len = entry.metadata().map_or(size, |m| m.len());
                        assert_eq!(len, size, "{name} is there but not whole");
                        seen += 1;
                    }
                }
            }
            seen
        })
    };
    for msn in 0..8 {
        w.segment(seg(msn), vec![bytes(size as usize / 4); 4]);
        assert!(w.flush(LONG).await);
    }
    stop.store(1, Ordering::SeqCst);
    assert!(watcher.join().unwrap() > 0);
    assert!(files(&folder).iter().all(|f| !f.contains('#')), "no temporary name is left");
}

#[tokio::test]
async fn leftovers_go_and_what_is_ours_or_kept_stays() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("live/a");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    for name in [
        "segment_1_1.m4s",
        "segment_1_2.m4s",
        "init_1_0.mp4",
        "index.m3u8",
        "media.m3u8",
        "segment_1_3.m4s#1",
    ] {
        fs::write(folder.join(name), "old").unwrap();
    }
    fs::write(folder.join("notes.txt"), "not ours").unwrap();
    fs::write(folder.join("deeper/segment_1_1.m4s"), "another stream").unwrap();
    let store = local(dir.path());
    let p = path("live/a");
    let w = store.writer(&p);
    w.segment(seg(9), vec![bytes(1)]);
    stored(&w, &[seg(9)]).await;
    let keep = ObjectName::Segment { epoch: Epoch(1), msn: 2 };
    assert_eq!(store.clear_leftovers(&p, &[keep]).await, Ok(4));
    assert_eq!(
        files(dir.path()),
        [
            "live/a/deeper/segment_1_1.m4s",
            "live/a/notes.txt",
            "live/a/segment_1_2.m4s",
            "live/a/segment_7_9.m4s"
        ]
    );
    assert_eq!(store.clear_leftovers(&path("live/none"), &[]).await, Ok(0));
}

#[tokio::test]
async fn deleting_makes_room_and_expiry_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = local(dir.path());
    let w = store.writer(&path("live/a"));
    w.init(init(), bytes(10));
    for msn in 0..5 {
        w.segment(seg(msn), vec![bytes(100)]);
    }
    w.playlists(index(), listing(0..5));
    assert!(w.flush(LONG).await);
    w.delete(&[seg(0), seg(1)]);
    assert!(!w.is_stored(&seg(0)) && w.is_stored(&seg(2)));
    assert!(w.flush(LONG).await);
    assert_eq!((store.health().segments_stored, store.health().bytes_stored), (3, 310));
    w.expire_all();
    assert!(w.flush(LONG).await);
    assert_eq!((store.health().segments_stored, store.health().bytes_stored), (0, 0));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "the stream's folders are gone, the root is not"
    );
}

#[tokio::test]
async fn reading_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { max_object: 100, ..StoreOptions::default() };
    let store = SegmentStore::local_with(dir.path(), options).unwrap();
    let p = path("live/a");
    let w = store.writer(&p);
    w.segment(seg(1), vec![bytes(100)]);
    w.segment(seg(2), vec![bytes(101)]);
    assert!(w.flush(LONG).await);
    assert_eq!(store.read(&p, seg(1)).await.unwrap().unwrap().len(), 100);
    assert_eq!(store.read(&p, seg(2)).await, Err(StoreError::TooLarge(101)));
    for never in
        [ObjectName::Part { epoch: Epoch(7), seq: 0 }, ObjectName::CurrentInit, ObjectName::NthSegment(1)]
    {
        assert_eq!(store.read(&p, never).await, Ok(None));
    }
}

/// limits-and-faults 42: the folder makes place for a file, so that no write can work; then it is put right.
#[tokio::test]
async fn a_broken_folder_shows_and_nothing_is_lost_when_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("streams");
    let store = local(&root);
    let p = path("live/a");
    let w = store.writer(&p);
    fs::remove_dir(&root).unwrap();
    fs::write(&root, "in the way").unwrap();
    w.init(init(), bytes(10));
    w.segment(seg(1), vec![bytes(100)]);
    w.playlists(index(), listing(1..2));
    assert!(!w.flush(Duration::from_millis(400)).await);
    let h = store.health();
    assert!(h.failing.is_some() && h.errors > 0);
    assert_eq!((h.backlog, h.segments_stored), (110, 0));
    assert_eq!(fs::read(&root).unwrap(), b"in the way");
    assert!(store.read(&p, seg(1)).await.is_err());

    fs::remove_file(&root).unwrap();
    assert!(w.flush(LONG).await);
    assert_eq!(files(&root).len(), 4);
    let h = store.health();
    assert_eq!((h.failing, h.backlog, h.segments_stored, h.lost), (None, 0, 1, 0));
}

/// limits-and-faults 42: the folder is deleted under a running stream.
#[tokio::test]
async fn a_vanished_folder_is_made_again_with_what_can_be_restored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("streams");
    let store = local(&root);
    let w = store.writer(&path("live/a"));
    w.set_placeholder(Bytes::from_static(b"styp"));
    w.init(init(), bytes(10));
    w.segment(seg(1), vec![bytes(100)]);
    w.segment(seg(2), vec![bytes(100)]);
    w.playlists(index(), listing(1..3));
    assert!(w.flush(LONG).await);
    w.completed().await;

    fs::remove_dir_all(&root).unwrap();
    w.segment(seg(3), vec![bytes(100)]);
    w.playlists(index(), listing(1..4));
    assert!(w.flush(LONG).await);
    let folder = root.join("live/a");
    assert_eq!(fs::read(folder.join("init_7_0.mp4")).unwrap().len(), 10);
    assert_eq!(fs::read(folder.join("segment_7_3.m4s")).unwrap().len(), 100);
    assert_eq!(fs::read(folder.join("media.m3u8")).unwrap(), listing(1..4));
    // What the playlist still names is there, if only as a gap.
    assert_eq!(fs::read(folder.join("segment_7_1.m4s")).unwrap(), b"styp");
    assert!(!w.is_stored(&seg(1)) && w.is_stored(&seg(3)) && w.is_stored(&init()));
    let told = w.completed().await;
    for lost in [seg(1), seg(2)] {
        assert!(told.contains(&Completion { name: lost, stored: false }), "{told:?}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(matches!(SegmentStore::local(&dir.path().join("file/x")), Err(StoreError::Failed(_))));
}

/// As root nothing is read-only but by mount; elsewhere the folder's mode does it. Either way nothing waits.
#[tokio::test]
async fn a_read_only_folder_never_stops_the_caller() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = local(dir.path());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let w = store.writer(&path("live/a"));
    w.segment(seg(1), vec![bytes(100)]);
    let written = w.flush(Duration::from_millis(400)).await;
    assert_eq!(written, store.health().failing.is_none());
    assert_eq!(written, store.health().segments_stored == 1);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(w.flush(LONG).await);
    assert_eq!(files(dir.path()), ["live/a/segment_7_1.m4s"]);
}

/// Needs root: `cargo test -p store -- --ignored`.
#[tokio::test]
#[ignore = "mounts a 1 MiB tmpfs, so it needs root"]
async fn a_full_disk_makes_gaps_and_recovers_with_room() {
    let dir = tempfile::tempdir().unwrap();
    let run = |program: &str, args: &[&str]| {
        let target = dir.path().to_str().unwrap().to_owned();
        let status = std::process::Command::new(program).args(args).arg(target).status().unwrap();
        assert!(status.success(), "{program}");
    };
    run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
    let store = local(dir.path());
    let w = store.writer(&path("live/a"));
    for msn in 0..6 {
        w.segment(seg(msn), vec![bytes(300 << 10)]);
    }
    let full = !w.flush(Duration::from_secs(2)).await;
    let failing = store.health().failing.clone();
    let whole = files(dir.path()).iter().all(|f| !f.contains('#'));
    // Retention goes on while the disk is full, and that makes the room.
    w.delete(&[seg(0), seg(1), seg(2), seg(3)]);
    let recovered = w.flush(LONG).await;
    let left = files(dir.path());
    drop((w, store));
    run("umount", &[]);
    assert!(full && failing.is_some() && whole && recovered, "{failing:?}");
    assert_eq!(left, ["live/a/segment_7_4.m4s", "live/a/segment_7_5.m4s"]);
}

/// What a [`Moody`] store does with writes.
const WELL: u8 = 0;
const FAILING: u8 = 1;
const HANGING: u8 = 2;

/// A store in memory whose writes fail or hang as told, and which remembers their order.
#[derive(Debug)]
struct Moody {
    inner: InMemory,
    mood: AtomicU8,
    changed: Notify,
    puts: Mutex<Vec<(tokio::time::Instant, String)>>,
    running: AtomicUsize,
    /// As a bucket answers whose credentials may not delete.
    keeps_all: AtomicBool,
}

impl Moody {
    fn new(mood: u8) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            mood: AtomicU8::new(mood),
            changed: Notify::new(),
            puts: Mutex::default(),
            running: AtomicUsize::new(0),
            keeps_all: AtomicBool::new(false),
        })
    }

    fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    async fn weather(&self) -> object_store::Result<()> {
        self.running.fetch_add(1, Ordering::SeqCst);
        loop {
            let changed = self.changed.notified();
            match self.mood.load(Ordering::SeqCst) {
                WELL => return Ok(()),
                FAILING => {
                    return Err(object_store::Error::Generic {
                        store: "moody",
                        source: "503 SlowDown".into(),
                    });
                }
                _ => changed.await,
            }
        }
    }

    /// File names written, in order.
    fn written(&self) -> Vec<String> {
        self.puts.lock().iter().map(|(_, n)| n.clone()).collect()
    }
}

impl std::fmt::Display for Moody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Moody")
    }
}

#[async_trait]
impl ObjectStore for Moody {
    async fn put_opts(
        &self,
        location: &Location,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.weather().await?;
        let name = location.filename().unwrap().to_owned();
        self.puts.lock().push((tokio::time::Instant::now(), name));
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> object_store::Result<GetResult> {
        self.weather().await?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Location>>,
    ) -> BoxStream<'static, object_store::Result<Location>> {
        if !self.keeps_all.load(Ordering::SeqCst) {
            return self.inner.delete_stream(locations);
        }
        let denied =
            |_| Err(object_store::Error::Generic { store: "moody", source: "403 AccessDenied".into() });
        locations.map(denied).boxed()
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Location, to: &Location, o: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, o).await
    }
}

fn moody(mood: u8, options: StoreOptions) -> (Arc<Moody>, SegmentStore) {
    let moody = Moody::new(mood);
    let store = SegmentStore::new_with(Arc::clone(&moody) as Arc<dyn ObjectStore>, "/pre/fix/", options);
    (moody, store)
}

fn small() -> StoreOptions {
    StoreOptions { stream_backlog: 1000, node_backlog: 1500, ..StoreOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_gets_types_and_cache_headers_below_its_prefix() {
    let (bucket, store) = moody(WELL, StoreOptions::default());
    let w = store.writer(&path("live/~a"));
    w.init(init(), bytes(1));
    w.segment(seg(1), vec![bytes(1)]);
    w.playlists(index(), listing(1..2));
    assert!(w.flush(LONG).await);
    for (name, kind, cache) in [
        ("index.m3u8", "application/vnd.apple.mpegurl", "max-age=1"),
        ("media.m3u8", "application/vnd.apple.mpegurl", "max-age=1"),
        ("init_7_0.mp4", "video/mp4", "public, max-age=31536000, immutable"),
        ("segment_7_1.m4s", "video/iso.segment", "public, max-age=31536000, immutable"),
    ] {
        let location = Location::parse(format!("pre/fix/live/~a/{name}")).unwrap();
        let found = bucket.inner.get(&location).await.unwrap();
        assert_eq!(found.attributes.get(&Attribute::ContentType).unwrap().as_ref(), kind);
        assert_eq!(found.attributes.get(&Attribute::CacheControl).unwrap().as_ref(), cache);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_tried_again_does_not_hit_what_was_written_since() {
    let (bucket, store) = moody(WELL, StoreOptions::default());
    let p = path("live/a");
    let w = store.writer(&p);
    w.init(init(), bytes(1));
    w.segment(seg(1), vec![bytes(1)]);
    w.playlists(index(), listing(1..2));
    assert!(w.flush(LONG).await);
    bucket.keeps_all.store(true, Ordering::SeqCst);
    w.expire_all();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // The next publish of the path.
    let next = ObjectName::Segment { epoch: Epoch(8), msn: 2 };
    let text = Bytes::from(format!("#EXTM3U\n{next}\n"));
    w.segment(next, vec![bytes(1)]);
    w.playlists(index(), text.clone());
    tokio::time::sleep(Duration::from_secs(2)).await;
    bucket.keeps_all.store(false, Ordering::SeqCst);
    assert!(w.flush(LONG).await);
    assert_eq!(store.read(&p, seg(1)).await.unwrap(), None);
    assert_eq!(store.read(&p, next).await.unwrap(), Some(bytes(1)));
    assert_eq!(store.read(&p, media_name()).await.unwrap(), Some(text));
    assert_eq!(store.read(&p, ObjectName::Index).await.unwrap(), Some(index()));
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_begins_while_others_fill_the_node_gets_its_init_and_its_playlists() {
    let options = StoreOptions { stream_backlog: 50_000, node_backlog: 60_000, ..StoreOptions::default() };
    let (moody, store) = moody(FAILING, options);
    let others = [store.writer(&path("live/a")), store.writer(&path("live/b"))];
    for msn in 0..6 {
        others[usize::from(msn > 4)].segment(seg(msn), vec![bytes(10_000)]);
    }
    assert_eq!(store.health().backlog, 60_000);
    let p = path("live/c");
    let w = store.writer(&p);
    w.set_placeholder(Bytes::from_static(b"styp"));
    w.init(init(), bytes(800));
    w.segment(seg(1), vec![bytes(10_000)]);
    w.playlists(index(), listing(1..2));
    moody.set(WELL);
    for w in others.iter().chain([&w]) {
        assert!(w.flush(LONG).await);
    }
    assert_eq!(store.read(&p, init()).await.unwrap(), Some(bytes(800)));
    assert_eq!(store.read(&p, seg(1)).await.unwrap().unwrap(), "styp");
    assert_eq!(store.read(&p, media_name()).await.unwrap(), Some(listing(1..2)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_to_delete_gets_every_playlist_all_the_same() {
    let (bucket, store) = moody(WELL, StoreOptions::default());
    bucket.keeps_all.store(true, Ordering::SeqCst);
    let p = path("live/a");
    let w = store.writer(&p);
    w.init(init(), bytes(1));
    for msn in 0..20 {
        w.segment(seg(msn), vec![bytes(1)]);
        w.playlists(index(), listing(msn.saturating_sub(3)..msn + 1));
        if msn > 5 {
            w.delete(&[seg(msn - 6)]);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let newest = store.read(&p, media_name()).await.unwrap();
        assert_eq!(newest, Some(listing(msn.saturating_sub(3)..msn + 1)), "{msn}");
    }
}

/// Contract "Objects": playlists are written after the segments that they list.
#[tokio::test(start_paused = true)]
async fn playlists_come_after_what_they_list_and_once_a_second() {
    let (bucket, store) = moody(WELL, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    w.init(init(), bytes(1));
    for msn in 0..40 {
        w.segment(seg(msn), vec![bytes(1)]);
        w.playlists(index(), listing(msn.saturating_sub(5)..msn + 1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(w.flush(LONG).await);
    let puts = bucket.puts.lock().clone();
    let times: Vec<_> = puts.iter().filter(|(_, n)| n == "media.m3u8").map(|(t, _)| *t).collect();
    assert!((4..=6).contains(&times.len()), "{} playlists in 4 s", times.len());
    assert!(times.windows(2).all(|t| t[1] - t[0] >= Duration::from_secs(1)));
    assert_eq!(
        puts[puts.len() - 2..].iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>(),
        ["media.m3u8", "index.m3u8"]
    );
    let last = store.read(&path("live/a"), media_name()).await.unwrap().unwrap();
    assert_eq!(last, listing(34..40), "the newest wins");
}

#[tokio::test(start_paused = true)]
async fn playlists_that_name_what_is_not_there_are_passed_over() {
    let (bucket, store) = moody(WELL, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    w.init(init(), bytes(1));
    w.segment(seg(1), vec![bytes(1)]);
    w.playlists(index(), listing(1..3));
    assert!(w.flush(LONG).await);
    assert_eq!(bucket.written(), ["init_7_0.mp4", "segment_7_1.m4s"]);
}

/// limits-and-faults 38, 39: nothing blocks, memory is bounded, the oldest go, and it shows.
#[tokio::test(start_paused = true)]
async fn a_hanging_store_fills_its_bounds_and_no_more() {
    let (bucket, store) = moody(HANGING, small());
    let (a, b) = (store.writer(&path("live/a")), store.writer(&path("live/b")));
    for msn in 0..100 {
        a.segment(seg(msn), vec![bytes(100)]);
        b.segment(seg(msn), vec![bytes(100)]);
        assert!(store.health().backlog <= 1500);
    }
    assert!(store.health().lost >= 180);
    let told = a.completed().await;
    assert_eq!(told.first(), Some(&Completion { name: seg(0), stored: false }));
    assert!(told.iter().all(|c| !c.stored));
    // The deadline shows, though nobody fails.
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(store.health().failing.unwrap().1.contains("in time"));
    assert!(bucket.running.load(Ordering::SeqCst) <= 4, "one write a stream at a time");

    bucket.set(WELL);
    assert!(a.flush(LONG).await && b.flush(LONG).await);
    let h = store.health();
    assert_eq!((h.backlog, h.failing), (0, None));
    assert!(a.is_stored(&seg(99)) && b.is_stored(&seg(99)), "the newest were kept");
    assert_eq!(h.segments_stored + h.lost, 200);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_segment_leaves_its_placeholder() {
    let (bucket, store) = moody(HANGING, small());
    let w = store.writer(&path("live/a"));
    w.set_placeholder(Bytes::from_static(b"styp"));
    w.init(init(), bytes(10));
    tokio::task::yield_now().await;
    for msn in 0..15 {
        w.segment(seg(msn), vec![bytes(100)]);
    }
    w.playlists(index(), listing(0..15));
    let told = w.completed().await;
    assert!(!told.is_empty() && told.iter().all(|c| !c.stored));
    bucket.set(WELL);
    assert!(w.flush(LONG).await);
    assert_eq!(store.read(&path("live/a"), seg(0)).await.unwrap().unwrap(), "styp");
    assert!(!w.is_stored(&seg(0)) && w.is_stored(&seg(14)));
    // All that the playlist names is there, so it was written.
    assert_eq!(store.read(&path("live/a"), media_name()).await.unwrap().unwrap(), listing(0..15));
    let order: Vec<String> = (0..15).map(|m| seg(m).to_string()).collect();
    assert_eq!(bucket.written()[1..16], order, "each in its place");
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_tried_again_and_loses_nothing() {
    let (bucket, store) = moody(FAILING, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    w.init(init(), bytes(10));
    for msn in 0..10 {
        w.segment(seg(msn), vec![bytes(100)]);
    }
    w.playlists(index(), listing(0..10));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let tries = bucket.running.load(Ordering::SeqCst);
    assert!((10..60).contains(&tries), "{tries} attempts in a minute");
    assert!(
        store.health().errors as usize == tries && store.health().failing.unwrap().1.contains("SlowDown")
    );
    bucket.set(WELL);
    assert!(w.flush(LONG).await);
    assert_eq!(bucket.written().len(), 13);
    assert_eq!((store.health().lost, store.health().failing), (0, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_waits_is_never_written() {
    let (bucket, store) = moody(FAILING, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    for msn in 0..6 {
        w.segment(seg(msn), vec![bytes(100)]);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    w.delete(&[seg(0), seg(1), seg(2)]);
    bucket.set(WELL);
    assert!(w.flush(LONG).await);
    assert_eq!(bucket.written(), [seg(3), seg(4), seg(5)].map(|n| n.to_string()));
    assert_eq!((store.health().lost, store.health().backlog), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_is_being_written_does_not_stay() {
    let (bucket, store) = moody(HANGING, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    w.segment(seg(0), vec![bytes(100)]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(bucket.running.load(Ordering::SeqCst), 1);
    w.expire_all();
    bucket.set(WELL);
    assert!(w.flush(LONG).await);
    assert_eq!(store.read(&path("live/a"), seg(0)).await, Ok(None));
    assert!(!w.is_stored(&seg(0)));
    assert_eq!((store.health().segments_stored, store.health().backlog), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_ends_at_the_deadline() {
    let (_bucket, store) = moody(HANGING, StoreOptions::default());
    let start = tokio::time::Instant::now();
    assert_eq!(store.read(&path("live/a"), seg(0)).await, Err(StoreError::Overdue));
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_writer_is_emptied_and_then_forgotten() {
    let (bucket, store) = moody(WELL, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    w.segment(seg(1), vec![bytes(1)]);
    drop(w);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bucket.written(), ["segment_7_1.m4s"]);
    assert!(store.0.streams.lock().is_empty());
    assert_eq!(store.health().segments_stored, 0, "nobody counts what nobody will delete");
}

#[tokio::test(start_paused = true)]
async fn a_second_writer_of_a_path_shares_its_queue() {
    let (bucket, store) = moody(FAILING, StoreOptions::default());
    let first = store.writer(&path("live/a"));
    first.segment(seg(1), vec![bytes(1)]);
    let second = store.writer(&path("live/a"));
    drop(first);
    second.segment(seg(2), vec![bytes(1)]);
    bucket.set(WELL);
    assert!(second.flush(LONG).await);
    assert_eq!(bucket.written(), ["segment_7_1.m4s", "segment_7_2.m4s"]);
    assert_eq!(store.0.streams.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_ever_does_not_keep_a_stream_that_is_gone() {
    let (_bucket, store) = moody(FAILING, StoreOptions::default());
    let w = store.writer(&path("live/a"));
    w.segment(seg(1), vec![bytes(100)]);
    drop(w);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(store.0.streams.lock().is_empty());
    assert_eq!((store.health().backlog, store.health().lost), (0, 1));
}
