//! A stream's way into the store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use media::{ObjectName, StreamPath};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use crate::{inventory::Completion, queue::Queue, segment_store::Inner};

/// What a stream's writers and its worker share.
pub(crate) struct Shared {
    pub(crate) queue: Mutex<Queue>,
    /// Something was queued, or the last writer is gone; the worker alone waits on it.
    pub(crate) changed: Notify,
    /// An operation is over.
    progress: Notify,
    users: Mutex<Users>,
}

struct Users {
    writers: usize,
    since: Instant,
}

impl Shared {
    pub(crate) fn new(queue: Queue) -> Self {
        Self {
            queue: Mutex::new(queue),
            changed: Notify::new(),
            progress: Notify::new(),
            users: Mutex::new(Users { writers: 0, since: Instant::now() }),
        }
    }

    /// A change by the worker itself.
    pub(crate) fn change<T>(&self, f: impl FnOnce(&mut Queue) -> T) -> T {
        let result = f(&mut self.queue.lock());
        self.tell();
        result
    }

    /// Tells callers that wait for completions or for the end.
    pub(crate) fn tell(&self) {
        self.progress.notify_waiters();
    }

    pub(crate) fn add_user(&self) {
        self.users.lock().writers += 1;
    }

    fn remove_user(&self) {
        let mut users = self.users.lock();
        users.writers -= 1;
        users.since = Instant::now();
        drop(users);
        self.changed.notify_one();
    }

    /// How long nobody has held a writer; zero while somebody does.
    pub(crate) fn unused_for(&self) -> Duration {
        let users = self.users.lock();
        if users.writers == 0 { users.since.elapsed() } else { Duration::ZERO }
    }

    /// Leaves the store's list if nobody writes and nothing waits; then the worker must end.
    pub(crate) fn close_if_unused(&self, path: &StreamPath, inner: &Inner) -> bool {
        // The list is locked, so no writer can be made meanwhile.
        let mut streams = inner.streams.lock();
        let unused = self.users.lock().writers == 0 && self.queue.lock().is_idle();
        if unused {
            streams.remove(path);
        }
        unused
    }
}

/// Writes one stream's objects, in order, behind a bounded queue. No method but [`completed`](Self::completed) and
/// [`flush`](Self::flush) waits. Dropping it lets the rest of the queue be written.
///
/// Objects that make no progress wait in memory: at most `StoreOptions::stream_backlog` bytes a stream and
/// `node_backlog` a node. Beyond it the oldest waiting segment is dropped ([`Completion::stored`] is false,
/// `rapidrtmp_store_lost_total`), and its placeholder, if one is set, takes its place.
pub struct StreamWriter {
    path: StreamPath,
    shared: Arc<Shared>,
}

impl StreamWriter {
    pub(crate) fn new(path: StreamPath, shared: Arc<Shared>) -> Self {
        Self { path, shared }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Queue) -> T) -> T {
        let result = self.shared.change(f);
        self.shared.changed.notify_one();
        result
    }

    /// The stream.
    pub fn path(&self) -> &StreamPath {
        &self.path
    }

    /// What is stored in the place of a segment that had to be dropped, so that playlists name nothing that is not
    /// there: the GAP segment's `styp` box. Without one, playlists that name a dropped segment are not written.
    pub fn set_placeholder(&self, bytes: Bytes) {
        self.change(|q| q.set_placeholder(bytes));
    }

    /// Queues an init. Its bytes are kept and written again should the folder vanish.
    pub fn init(&self, name: ObjectName, bytes: Bytes) {
        self.change(|q| q.put(name, vec![bytes]));
    }

    /// Queues a segment, the concatenation of its parts; the chunks are shared, not copied.
    pub fn segment(&self, name: ObjectName, chunks: Vec<Bytes>) {
        self.change(|q| q.put(name, chunks));
    }

    /// Queues `index.m3u8` and `media.m3u8`, to be written after all that was queued before, at most once a second;
    /// the newest win. Playlists that name an init or segment which is not in the store are passed over.
    pub fn playlists(&self, index: Bytes, media: Bytes) {
        self.change(|q| q.playlists(index, media));
    }

    /// Queues the deletion of objects that have left every playlist. What still waits is not written at all.
    pub fn delete(&self, names: &[ObjectName]) {
        self.change(|q| q.delete(names));
    }

    /// Queues the deletion of everything of this stream that was stored through writers, playlists too.
    pub fn expire_all(&self) {
        self.change(Queue::expire_all);
    }

    /// The init or segment is in the store, whole.
    pub fn is_stored(&self, name: &ObjectName) -> bool {
        self.shared.queue.lock().is_stored(name)
    }

    /// Waits until objects are stored or lost and tells which, each once; at most 1024 wait to be told, the oldest
    /// are forgotten first ([`is_stored`](Self::is_stored) still knows). Cancel-safe. One caller at a time.
    pub async fn completed(&self) -> Vec<Completion> {
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            let done = self.shared.queue.lock().take_completions();
            if !done.is_empty() {
                return done;
            }
            progress.await;
        }
    }

    /// As [`completed`](Self::completed), but without waiting: what there is to tell now.
    pub fn take_completed(&self) -> Vec<Completion> {
        self.shared.queue.lock().take_completions()
    }

    /// Waits until all that is queued is written, or the time is over; says whether all is.
    pub async fn flush(&self, within: Duration) -> bool {
        let idle = async {
            loop {
                let progress = self.shared.progress.notified();
                tokio::pin!(progress);
                progress.as_mut().enable();
                if self.shared.queue.lock().is_idle() {
                    return;
                }
                progress.await;
            }
        };
        timeout(within, idle).await.is_ok()
    }

    /// In one step with looking what is ours: the stream goes on writing meanwhile.
    pub(crate) fn delete_strangers(&self, found: Vec<ObjectName>) -> usize {
        self.change(|q| q.delete_strangers(found))
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.shared.remove_user();
    }
}
