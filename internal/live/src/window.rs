//! The reading end of a window: playlists that wait for what is asked, and objects.

use std::{sync::Arc, time::Duration};

use hls::{Decision, Directives, Edge, Timeline};
use media::{Cursor, Epoch, ObjectName, RenditionName, StreamPath};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::{sync::watch, time::timeout};

use crate::{
    Blob, HeldRequests, Rendered, Viewers,
    held::{Found, HeldObjects},
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

/// What stands in the way of a playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// 400: the directives ask for what cannot come.
    #[error("{0}")]
    BadRequest(&'static str),
    /// 404: no such rendition.
    #[error("there is no such rendition")]
    NotFound,
    /// 503: as many requests are held as may be.
    #[error("too many requests are waiting")]
    TooManyWaiters,
    /// 503: held for three target durations (RFC 8216bis §6.2.5.2).
    #[error("nothing new came in time")]
    TimedOut,
    /// 404 for now: nothing is listed yet.
    #[error("the stream has no media yet")]
    NotReady,
    /// 410: it is over and its objects are gone.
    #[error("the stream is over")]
    Gone,
}

/// What became of a request for an object.
#[derive(Clone, Debug)]
pub enum Object {
    /// Here it is.
    Ready(Blob),
    /// Older than memory: ask storage for this name, which is canonical.
    InStore(ObjectName),
    /// 404, also for a hint that was abandoned.
    NotFound,
    /// 410: the stream is over and its objects are gone.
    Gone,
    /// 503: a hinted part did not come in three target durations.
    TimedOut,
    /// 503: as many requests are held as may be.
    TooManyWaiters,
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

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) timeline: Timeline,
    pub(crate) objects: HeldObjects,
    pub(crate) cache: Cache,
    pub(crate) variant_changes: u64,
    pub(crate) expired: bool,
}

/// The renderings of the current state; emptied by every change.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) media: Option<Rendered>,
    pub(crate) delta: Option<Rendered>,
    pub(crate) index: Option<Rendered>,
    /// Playlists rendered so far.
    pub(crate) renders: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    pub(crate) edge: Edge,
    pub(crate) expired: bool,
    /// The multivariant playlist can be rendered.
    pub(crate) has_index: bool,
    /// Held requests are answered as things stand; nothing is held any more.
    pub(crate) released: bool,
}

/// What a request must do now.
enum Verdict {
    Answer,
    /// Wait this long at most, and then take this for an answer.
    Wait(Duration, Result<(), Unavailable>),
    No(Unavailable),
}

impl Signal {
    fn playlist(&self, d: &Directives, first_wait: Duration) -> Verdict {
        if let Some(verdict) = self.before_media(first_wait) {
            return verdict;
        }
        match self.edge.decide(d) {
            // Players that start (hls.js) take a list of parts alone for an empty one.
            Decision::Now if !d.blocks() && !self.edge.has_segment && !self.may_not_wait() => {
                Verdict::Wait(first_wait, Ok(()))
            }
            Decision::Now => Verdict::Answer,
            Decision::Wait(_) if self.released => Verdict::Answer,
            Decision::Wait(_) => Verdict::Wait(self.hold(), Err(Unavailable::TimedOut)),
            Decision::BadRequest(why) => Verdict::No(Unavailable::BadRequest(why)),
        }
    }

    fn index(&self, first_wait: Duration) -> Verdict {
        match self.before_media(first_wait) {
            Some(verdict) => verdict,
            None if self.has_index || self.may_not_wait() => Verdict::Answer,
            None => Verdict::Wait(first_wait, Err(Unavailable::NotReady)),
        }
    }

    /// The verdict while nothing is listed.
    fn before_media(&self, first_wait: Duration) -> Option<Verdict> {
        match () {
            () if self.expired => Some(Verdict::No(Unavailable::Gone)),
            () if self.edge.has_media => None,
            () if self.edge.ended => Some(Verdict::No(Unavailable::Gone)),
            () if self.released => Some(Verdict::No(Unavailable::NotReady)),
            () => Some(Verdict::Wait(first_wait, Err(Unavailable::NotReady))),
        }
    }

    fn may_not_wait(&self) -> bool {
        self.released || self.edge.ended
    }

    /// Clause 22: nothing is held for more than three target durations.
    fn hold(&self) -> Duration {
        Duration::from_secs(3 * u64::from(self.edge.target_duration))
    }
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
        self.0.core.lock().media(d.skip, &self.0).ok_or(Unavailable::Gone)
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

    /// Answers all held requests as things stand, and holds none from now on: the node is shutting down.
    pub fn release(&self) {
        self.0.signal.send_modify(|s| s.released = true);
    }

    /// Playlists rendered so far: at most one per change and kind.
    pub fn renders(&self) -> u64 {
        self.0.core.lock().cache.renders
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

impl Core {
    fn find(&self, n: ObjectName) -> Option<Object> {
        let epoch = self.timeline.epoch().unwrap_or_default();
        let resolved = match n {
            ObjectName::CurrentInit => self.timeline.current_init(),
            ObjectName::NthSegment(nth) => self.timeline.nth_segment(nth),
            other => Some(other),
        };
        let Some(name) = resolved else { return Some(Object::NotFound) };
        let found = match name {
            ObjectName::Segment { .. } => self.objects.segment(name, epoch, self.timeline.next().msn),
            ObjectName::Init { epoch: e, version } => self.objects.init(e, version, epoch),
            ObjectName::Part { epoch, seq } => {
                let part = self.objects.part(epoch, seq).map(Object::Ready);
                let hinted = self.timeline.preload_hint() == Some(name);
                return part.or((!hinted).then_some(Object::NotFound));
            }
            _ => Found::Nowhere,
        };
        Some(match found {
            Found::Here(blob) => Object::Ready(blob),
            Found::Older => Object::InStore(name),
            Found::Nowhere => Object::NotFound,
        })
    }

    /// The media playlist as it stands, rendered unless it was; `None` once expired. Fixes TARGETDURATION.
    fn media(&mut self, skip: bool, shared: &Shared) -> Option<Rendered> {
        if self.expired {
            return None;
        }
        if !self.timeline.is_target_duration_fixed() {
            let td = self.timeline.fix_target_duration();
            shared.viewers.set_target_duration(td);
            // Nobody waits for this, so nobody is woken.
            shared.signal.send_if_modified(|s| {
                s.edge.target_duration = td;
                false
            });
        }
        let skip = skip && self.timeline.settings().offers_skip();
        let cached = if skip { &self.cache.delta } else { &self.cache.media };
        if let Some(rendered) = cached {
            return Some(rendered.clone());
        }
        let text = self.timeline.render_media(skip);
        let rendered = self.rendered(text, if skip { "delta" } else { "media" });
        let cached = if skip { &mut self.cache.delta } else { &mut self.cache.media };
        *cached = Some(rendered.clone());
        Some(rendered)
    }

    fn index(&mut self) -> Option<Rendered> {
        if self.cache.index.is_none() {
            let text = self.timeline.render_index()?;
            let kind = format!("index.{}", self.variant_changes);
            self.cache.index = Some(self.rendered(text, &kind));
        }
        self.cache.index.clone()
    }

    /// Nothing listed is ever edited, so epoch, position and end tell one text from every other.
    fn rendered(&mut self, text: String, kind: &str) -> Rendered {
        self.cache.renders += 1;
        let t = &self.timeline;
        let Cursor { msn, part } = t.next();
        let end = if t.ended() { ".end" } else { "" };
        let etag = format!("{kind}_{}_{msn}.{part}{end}", t.epoch().unwrap_or_default());
        Rendered::new(text, etag, t.target_duration(), t.ended())
    }
}
