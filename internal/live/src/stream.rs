//! A running publish: one [`Publisher`], any number of [`Subscriber`]s.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use media::{Epoch, Frame, StreamPath, Tracks};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use crate::{
    CloseReason, Received, StreamOptions, StreamStats,
    ring::{Position, Ring},
    stats::Counters,
};

/// Warnings are for people: more than this nobody reads.
const MAX_WARNINGS: usize = 16;
/// A warning is a sentence.
const MAX_WARNING_BYTES: usize = 400;

/// A new publish of a path, as its one writer and as what everybody else shares.
pub fn stream(path: StreamPath, epoch: Epoch, o: StreamOptions) -> (Publisher, Stream) {
    let started = Instant::now();
    let inner = Arc::new(Inner {
        path,
        epoch,
        started_at: SystemTime::now(),
        ring: Mutex::new(Ring::new(&o)),
        head: watch::Sender::new(()),
        closed: watch::Sender::new(None),
        warnings: Mutex::new(Vec::new()),
        counters: Counters::new(started),
    });
    (Publisher { inner: Arc::clone(&inner) }, Stream { inner })
}

#[derive(Debug)]
struct Inner {
    path: StreamPath,
    epoch: Epoch,
    started_at: SystemTime,
    ring: Mutex<Ring>,
    /// Pulses when the ring changed: one wake for all.
    head: watch::Sender<()>,
    closed: watch::Sender<Option<CloseReason>>,
    warnings: Mutex<Vec<String>>,
    counters: Counters,
}

impl Inner {
    fn close(&self, reason: CloseReason) {
        let mut ring = self.ring.lock();
        if ring.closed.is_some() {
            return;
        }
        ring.closed = Some(reason.clone());
        drop(ring);
        self.closed.send_replace(Some(reason));
        self.head.send_replace(());
    }

    fn warn(&self, mut text: String) {
        let mut end = text.len().min(MAX_WARNING_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        let mut warnings = self.warnings.lock();
        if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}

/// The writing end. Dropping it closes the stream as [`CloseReason::Disconnected`].
#[derive(Debug)]
pub struct Publisher {
    inner: Arc<Inner>,
}

impl Publisher {
    /// Adds a frame and wakes all readers once. Never blocks on a reader.
    ///
    /// # Errors
    /// The reason, once the stream was closed by anybody.
    pub fn push(&mut self, frame: Frame) -> Result<(), CloseReason> {
        let mut ring = self.inner.ring.lock();
        if let Some(reason) = &ring.closed {
            return Err(reason.clone());
        }
        self.inner.counters.count(&frame, Instant::now());
        ring.push(frame);
        drop(ring);
        self.inner.head.send_replace(());
        Ok(())
    }

    /// What the stream is made of, from the next frame on.
    pub fn set_tracks(&mut self, tracks: Tracks) {
        self.inner.ring.lock().set_tracks(tracks);
        self.inner.head.send_replace(());
    }

    /// As [`Stream::warn`].
    pub fn warn(&self, text: String) {
        self.inner.warn(text);
    }

    /// Ends the stream; readers get what is left, then the reason.
    pub fn close(self, reason: CloseReason) {
        self.inner.close(reason);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.inner.close(CloseReason::Disconnected);
    }
}

/// The shared end of a publish. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stream {
    inner: Arc<Inner>,
}

impl Stream {
    /// Its path.
    pub fn path(&self) -> &StreamPath {
        &self.inner.path
    }

    /// Its claim.
    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// When the publish began.
    pub fn started_at(&self) -> SystemTime {
        self.inner.started_at
    }

    /// The tracks known so far.
    pub fn tracks(&self) -> Tracks {
        self.inner.ring.lock().tracks().clone()
    }

    /// A new reader, which starts at the newest keyframe held.
    pub fn subscribe(&self) -> Subscriber {
        let head = self.inner.head.subscribe();
        let at = self.inner.ring.lock().start();
        Subscriber { inner: Arc::clone(&self.inner), head, at }
    }

    /// Ends the stream: the publisher's next push fails with this reason. Does nothing when it is over already.
    pub fn close(&self, reason: CloseReason) {
        self.inner.close(reason);
    }

    /// Waits until the stream is over. Cancel-safe.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.inner.closed.subscribe();
        let reason = closed.wait_for(Option::is_some).await;
        // The sender lives as long as `self`, and the value was just seen to be there.
        reason.ok().and_then(|r| r.clone()).unwrap_or(CloseReason::Disconnected)
    }

    /// Why it is over; `None` while it runs.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.inner.closed.borrow().clone()
    }

    /// Whether it is still running.
    pub fn is_open(&self) -> bool {
        self.inner.closed.borrow().is_none()
    }

    /// Tells whoever looks at the stream something about it: once per text, at most 16 texts of 400 bytes.
    pub fn warn(&self, text: String) {
        self.inner.warn(text);
    }

    /// What people should know, oldest first.
    pub fn warnings(&self) -> Vec<String> {
        self.inner.warnings.lock().clone()
    }

    /// What it has carried so far.
    pub fn stats(&self) -> StreamStats {
        self.inner.counters.read(Instant::now())
    }

    /// How long ago the last frame came, or the publish began.
    pub fn idle_for(&self) -> Duration {
        self.inner.counters.idle_for(Instant::now())
    }

    /// Payload bytes in its ring.
    pub fn ring_bytes(&self) -> usize {
        self.inner.ring.lock().bytes()
    }

    /// Whether both are the same publish.
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// The reading end of a stream.
#[derive(Debug)]
pub struct Subscriber {
    inner: Arc<Inner>,
    head: watch::Receiver<()>,
    at: Position,
}

impl Subscriber {
    /// Waits for something new and appends all frames that are there to `out`. Cancel-safe.
    ///
    /// Known tracks are told first, and again wherever they change, in order with the frames.
    pub async fn recv(&mut self, out: &mut Vec<Frame>) -> Received {
        loop {
            // Seen before looking, so that a change after the look wakes us.
            self.head.mark_unchanged();
            if let Some(got) = self.try_recv(out) {
                return got;
            }
            if self.head.changed().await.is_err() {
                return Received::Closed(CloseReason::Disconnected);
            }
        }
    }

    /// As [`Subscriber::recv`], but `None` when nothing new is there.
    pub fn try_recv(&mut self, out: &mut Vec<Frame>) -> Option<Received> {
        self.inner.ring.lock().read(&mut self.at, out)
    }
}
