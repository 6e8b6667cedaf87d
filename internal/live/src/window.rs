//! The reading end of a window: playlists that wait for what is asked, and objects.

use std::{sync::Arc, time::Duration};

use hls::Directives;
use media::{Cursor, Epoch, ObjectName, RenditionName, StreamPath};
use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};

use crate::{
    HeldRequests, Object, Rendered, Unavailable, Viewers,
    core::Core,
    verdict::{Signal, Verdict},
    waiters::Held,
};

/// Requests held for one stream (reference: limits).
const MAX_HELD: usize = 10_000;

/// Bounds of a window.
#[derive(Clone, Debug)]
pub struct WindowOptions {
    /// Requests held for this stream at most.
    pub max_held: usize,
    /// Counts them for the whole node; take it from [`Directory::held_requests`](crate::Directory::held_requests).
    pub held: HeldRequests,
    /// How long a first request is held: for anything to be listed, and, when it names no segment, for a complete one.
    /// Then parts alone have to do.
    pub first_wait: Duration,
    /// Bytes kept of segments that left the playlist while storage does not have them.
    pub max_retired_bytes: u64,
}

impl Default for WindowOptions {
    /// 9 s cover OBS's first GOP of 8 s, and stay below the 10 s in which hls.js wants a first byte; 64 MiB cover a minute of 8 Mbit/s, longer outages lose the oldest.
    fn default() -> Self {
        Self {
            max_held: MAX_HELD,
            held: HeldRequests::default(),
            first_wait: Duration::from_secs(9),
            max_retired_bytes: 64 << 20,
        }
    }
}

/// How a window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WindowState {
    /// Nothing is listed yet.
    Empty,
    /// Media arrives.
    Live,
    /// A GAP was listed last.
    Gap,
    /// ENDLIST is written; objects are still there.
    Ended,
    /// Everything answers 410.
    Expired,
}

/// A stream's playlists and objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Window(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: StreamPath,
    pub(crate) options: WindowOptions,
    pub(crate) core: Mutex<Core>,
    /// What waiting needs, published after every change: one wake for all.
    pub(crate) signal: watch::Sender<Signal>,
    pub(crate) held: HeldRequests,
    pub(crate) viewers: Viewers,
}

impl Window {
    /// The stream's path.
    pub fn path(&self) -> &StreamPath {
        &self.0.path
    }

    /// A media playlist, held until what `d` asks for is there (RFC 8216bis §6.2.5.2). Without directives it is held, up
    /// to [`WindowOptions::first_wait`], until a complete segment is listed. Cancel-safe: a request that goes away gives its place back.
    ///
    /// # Errors
    /// [`Unavailable`], each with the status that it means.
    pub async fn playlist(&self, r: RenditionName, d: Directives) -> Result<Rendered, Unavailable> {
        if r != RenditionName::Media {
            return Err(Unavailable::NotFound);
        }
        let first_wait = self.0.options.first_wait;
        self.wait(|s| s.playlist(&d, first_wait)).await?;
        self.render_media(d.skip).ok_or(Unavailable::Gone)
    }

    /// The multivariant playlist, held while codecs are not known or nothing is listed.
    ///
    /// # Errors
    /// As [`Window::playlist`].
    pub async fn index(&self) -> Result<Rendered, Unavailable> {
        let first_wait = self.0.options.first_wait;
        self.wait(|s| s.index(first_wait)).await?;
        self.0.core.lock().index().ok_or(Unavailable::NotReady)
    }

    /// Waits until something new is listed, at most `limit`; not at all while media is missing, the node shuts down, or
    /// all places are taken. Cancel-safe.
    pub async fn advance(&self, limit: Duration) {
        if self.state() != WindowState::Live || self.0.signal.borrow().released {
            return;
        }
        let Ok(_place) = self.place() else { return };
        let mut signal = self.0.signal.subscribe();
        let seen = signal.borrow().edge.next;
        let _ = timeout(limit, signal.wait_for(|s| s.edge.next != seen || s.edge.ended || s.released)).await;
    }

    /// An object. Only the hinted part is waited for, at most three target durations; whatever else is not there is
    /// answered at once. Cancel-safe.
    pub async fn object(&self, n: ObjectName) -> Object {
        if let Some(object) = self.find(n) {
            return object;
        }
        let hinted = |s: &Signal| {
            if s.expired || s.released || s.edge.hint != Some(n) {
                Verdict::Answer
            } else {
                Verdict::Wait(s.hold(), Err(Unavailable::TimedOut))
            }
        };
        match self.wait(hinted).await {
            Ok(()) => self.find(n).unwrap_or(Object::NotFound),
            Err(Unavailable::TooManyWaiters) => Object::TooManyWaiters,
            Err(_) => Object::TimedOut,
        }
    }

    /// Who is watching.
    pub fn viewers(&self) -> &Viewers {
        &self.0.viewers
    }

    /// Bytes of the objects in memory.
    pub fn bytes(&self) -> u64 {
        self.0.core.lock().objects.bytes()
    }

    /// Requests held now.
    pub fn held(&self) -> usize {
        self.0.held.count()
    }

    /// How it stands.
    pub fn state(&self) -> WindowState {
        let core = self.0.core.lock();
        match () {
            () if core.expired => WindowState::Expired,
            () if core.timeline.ended() => WindowState::Ended,
            () if !core.timeline.edge().has_media => WindowState::Empty,
            () if core.timeline.in_gap() => WindowState::Gap,
            () => WindowState::Live,
        }
    }

    /// The current claim, once one began.
    pub fn epoch(&self) -> Option<Epoch> {
        self.0.core.lock().timeline.epoch()
    }

    /// The first part that is not there yet.
    pub fn next(&self) -> Cursor {
        self.0.signal.borrow().edge.next
    }

    /// TARGETDURATION in seconds, as it stands.
    pub fn target_duration(&self) -> u32 {
        self.0.core.lock().timeline.target_duration()
    }

    /// Storage has this segment or init: once it leaves the playlist, memory drops it.
    pub fn mark_stored(&self, name: ObjectName) {
        self.0.core.lock().objects.mark_stored(name);
    }

    /// Storage has lost this segment, or never got it: memory keeps it as long as clause 6 asks.
    pub fn mark_lost(&self, name: ObjectName) {
        self.0.core.lock().objects.mark_lost(name);
    }

    /// Answers all held requests as things stand, and holds none from now on: the node is shutting down.
    pub fn release(&self) {
        self.0.signal.send_modify(|s| s.released = true);
    }

    /// Playlists rendered so far: at most one per change and kind.
    pub fn renders(&self) -> u64 {
        self.0.core.lock().cache.renders
    }

    /// The media playlist as it stands; `None` once expired. Fixes TARGETDURATION.
    fn render_media(&self, skip: bool) -> Option<Rendered> {
        let mut core = self.0.core.lock();
        if core.expired {
            return None;
        }
        if !core.timeline.is_target_duration_fixed() {
            let td = core.timeline.fix_target_duration();
            self.0.viewers.set_target_duration(td);
            // Nobody waits for this, so nobody is woken.
            self.0.signal.send_if_modified(|s| {
                s.edge.target_duration = td;
                false
            });
        }
        Some(core.media(skip))
    }

    /// Waits while `verdict` says so, in one of the bounded places.
    async fn wait(&self, verdict: impl Fn(&Signal) -> Verdict) -> Result<(), Unavailable> {
        let hold = match verdict(&self.0.signal.borrow()) {
            Verdict::Answer => return Ok(()),
            Verdict::No(why) => return Err(why),
            Verdict::Wait(hold, _) => hold,
        };
        let _place = self.place()?;
        let mut signal = self.0.signal.subscribe();
        let decided = async {
            let waits = |s: &Signal| matches!(verdict(s), Verdict::Wait(..));
            // The sender lives as long as the window, so this ends by a change only.
            let _ = signal.wait_for(|s| !waits(s)).await;
        };
        let _ = timeout(hold, decided).await;
        match verdict(&self.0.signal.borrow()) {
            Verdict::Answer => Ok(()),
            Verdict::No(why) => Err(why),
            Verdict::Wait(_, in_the_end) => in_the_end,
        }
    }

    fn place(&self) -> Result<(Held, Held), Unavailable> {
        let here = self.0.held.enter().ok_or(Unavailable::TooManyWaiters)?;
        let node = self.0.options.held.enter().ok_or(Unavailable::TooManyWaiters)?;
        Ok((here, node))
    }

    /// What can be said at once; `None` for a part that may be hinted.
    fn find(&self, n: ObjectName) -> Option<Object> {
        let core = self.0.core.lock();
        if core.expired {
            return Some(Object::Gone);
        }
        core.find(n)
    }
}
