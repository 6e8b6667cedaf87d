//! Every stream of a node: path to publish and window.

use std::{collections::HashMap, sync::Arc, time::Duration};

use media::{Epoch, StreamPath};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::{CloseReason, HeldRequests, Stream, Window, WindowState};

/// Publishes on their way to the packager; it only starts a lane for each.
const QUEUE: usize = 256;
/// A packager that does not take a publish for this long is broken.
const HAND_OVER: Duration = Duration::from_secs(5);

/// Bounds of a node.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryOptions {
    /// Publishes that may run at once.
    pub max_streams: usize,
    /// Requests held at once on the node.
    pub max_held: usize,
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self { max_streams: 1000, max_held: 100_000 }
    }
}

/// Why a publish was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// As many publishes run as may.
    #[error("as many streams are running as this node takes")]
    Full,
    /// A publish with the same or a higher epoch is running.
    #[error("another publisher owns this stream")]
    Fenced,
    /// Nobody packages: the node is shutting down or broken.
    #[error("this node takes no streams now")]
    Unavailable,
}

/// How a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// A publisher is there.
    Live,
    /// It is gone, the window is still open.
    Gap,
    /// ENDLIST is written.
    Ended,
}

impl EntryState {
    /// The word that the API shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Gap => "gap",
            Self::Ended => "ended",
        }
    }
}

/// What the directory knows of a path: a copy, whose stream and window are shared.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path.
    pub path: StreamPath,
    /// The claim of the newest publish.
    pub epoch: Option<Epoch>,
    /// The running publish.
    pub stream: Option<Stream>,
    /// Its playlists and objects, once a lane runs.
    pub window: Option<Window>,
    /// How it stands.
    pub state: EntryState,
}

/// What a node holds in memory for its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Frames in rings, bytes.
    pub ring_bytes: u64,
    /// Objects in windows, bytes.
    pub window_bytes: u64,
    /// Requests held.
    pub held_requests: u64,
}

/// The publishes that wait for a lane.
#[derive(Debug)]
pub struct Published(mpsc::Receiver<Stream>);

impl Published {
    /// The next publish; `None` when the directory is gone. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

/// Tells a lane that its path was stopped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the stop; for ever when the lane's window was detached without one. Cancel-safe.
    pub async fn stopped(&mut self) {
        if self.0.wait_for(|s| *s).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Every stream of a node. Cheap to clone; clones share the content.
#[derive(Clone, Debug)]
pub struct Directory {
    paths: Arc<Mutex<HashMap<StreamPath, Slot>>>,
    queue: mpsc::Sender<Stream>,
    held: HeldRequests,
    max_streams: usize,
}

#[derive(Debug, Default)]
struct Slot {
    stream: Option<Stream>,
    lane: Option<Lane>,
}

#[derive(Debug)]
struct Lane {
    window: Window,
    stop: watch::Sender<bool>,
}

impl Slot {
    fn open_stream(&self) -> Option<&Stream> {
        self.stream.as_ref().filter(|s| s.is_open())
    }

    /// A publish that is over gives its ring back; whoever still reads it holds it.
    fn tidy(&mut self) {
        if self.open_stream().is_none() {
            self.stream = None;
        }
    }

    fn is_empty(&self) -> bool {
        self.stream.is_none() && self.lane.is_none()
    }

    fn state(&self) -> EntryState {
        let window = self.lane.as_ref().map(|l| l.window.state());
        match window {
            _ if self.open_stream().is_some() => EntryState::Live,
            Some(WindowState::Ended | WindowState::Expired) | None => EntryState::Ended,
            Some(_) => EntryState::Gap,
        }
    }

    fn entry(&self, path: &StreamPath) -> Entry {
        let window = self.lane.as_ref().map(|l| l.window.clone());
        let stream = self.open_stream().cloned();
        let epoch = stream.as_ref().map(Stream::epoch).or_else(|| window.as_ref().and_then(Window::epoch));
        Entry { path: path.clone(), epoch, stream, window, state: self.state() }
    }
}

impl Directory {
    /// An empty directory, and the publishes that come to it: for the packager.
    pub fn new(o: DirectoryOptions) -> (Self, Published) {
        let (queue, published) = mpsc::channel(QUEUE);
        let held = HeldRequests::new(o.max_held);
        let paths = Arc::default();
        (Self { paths, queue, held, max_streams: o.max_streams }, Published(published))
    }

    /// Takes a new publish and hands it to the packager. An older one on the same path is closed as replaced.
    ///
    /// Waits while the packager's queue is full, at most 5 s.
    ///
    /// # Errors
    /// [`PublishError`]; the stream is then not in the directory.
    pub async fn publish(&self, s: Stream) -> Result<(), PublishError> {
        self.register(&s)?;
        let handed = tokio::time::timeout(HAND_OVER, self.queue.send(s.clone())).await;
        if matches!(handed, Ok(Ok(()))) {
            return Ok(());
        }
        let mut paths = self.paths.lock();
        if let Some(slot) = paths.get_mut(s.path())
            && slot.stream.as_ref().is_some_and(|held| held.same_as(&s))
        {
            slot.stream = None;
            if slot.is_empty() {
                paths.remove(s.path());
            }
        }
        Err(PublishError::Unavailable)
    }

    fn register(&self, s: &Stream) -> Result<(), PublishError> {
        let mut paths = self.paths.lock();
        let running = paths.iter().filter(|(p, slot)| *p != s.path() && slot.open_stream().is_some()).count();
        if running >= self.max_streams {
            return Err(PublishError::Full);
        }
        let slot = paths.entry(s.path().clone()).or_default();
        if let Some(old) = slot.open_stream() {
            if old.epoch() >= s.epoch() {
                return Err(PublishError::Fenced);
            }
            old.close(CloseReason::Replaced);
        }
        slot.stream = Some(s.clone());
        Ok(())
    }

    /// The running publish of a path.
    pub fn stream(&self, path: &StreamPath) -> Option<Stream> {
        self.paths.lock().get(path)?.open_stream().cloned()
    }

    /// The window of a path.
    pub fn window(&self, path: &StreamPath) -> Option<Window> {
        Some(self.paths.lock().get(path)?.lane.as_ref()?.window.clone())
    }

    /// What is known of a path.
    pub fn entry(&self, path: &StreamPath) -> Option<Entry> {
        self.paths.lock().get(path).map(|slot| slot.entry(path)).filter(Entry::is_something)
    }

    /// Makes a lane's window the one of its path; the signal tells when the path is stopped.
    pub fn attach_window(&self, window: Window) -> StopSignal {
        let (stop, signal) = watch::channel(false);
        let path = window.path().clone();
        self.paths.lock().entry(path).or_default().lane = Some(Lane { window, stop });
        StopSignal(signal)
    }

    /// Forgets a lane's window, unless another has taken its place.
    pub fn detach_window(&self, window: &Window) {
        let mut paths = self.paths.lock();
        let Some(slot) = paths.get_mut(window.path()) else { return };
        if slot.lane.as_ref().is_some_and(|l| Arc::ptr_eq(&l.window.0, &window.0)) {
            slot.lane = None;
        }
        slot.tidy();
        if slot.is_empty() {
            paths.remove(window.path());
        }
    }

    /// Every path that has a publish or a window, in order. Also forgets publishes that are over.
    pub fn list(&self) -> Vec<Entry> {
        let mut paths = self.paths.lock();
        paths.retain(|_, slot| {
            slot.tidy();
            !slot.is_empty()
        });
        let mut entries: Vec<Entry> = paths.iter().map(|(path, slot)| slot.entry(path)).collect();
        drop(paths);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    /// Stops a path: closes its publish and tells its lane to end. `false` when there is neither.
    pub fn stop(&self, path: &StreamPath) -> bool {
        let paths = self.paths.lock();
        let Some(slot) = paths.get(path) else { return false };
        let stream = slot.open_stream();
        if let Some(stream) = stream {
            stream.close(CloseReason::Stopped);
        }
        let lane = slot.lane.as_ref().filter(|l| l.window.state() < WindowState::Ended);
        if let Some(lane) = lane {
            lane.stop.send_replace(true);
        }
        stream.is_some() || lane.is_some()
    }

    /// The node's count of held requests, for [`WindowOptions`](crate::WindowOptions).
    pub fn held_requests(&self) -> HeldRequests {
        self.held.clone()
    }

    /// What all streams hold in memory. Lets go of publishes that are over, as [`Directory::list`] does.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory { held_requests: self.held.count() as u64, ..Memory::default() };
        for slot in self.paths.lock().values_mut() {
            slot.tidy();
            memory.ring_bytes += slot.stream.as_ref().map_or(0, |s| s.ring_bytes() as u64);
            memory.window_bytes += slot.lane.as_ref().map_or(0, |l| l.window.bytes());
        }
        memory
    }
}

impl Entry {
    fn is_something(&self) -> bool {
        self.stream.is_some() || self.window.is_some()
    }
}
