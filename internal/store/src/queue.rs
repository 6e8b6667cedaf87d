//! What waits to be written for one stream, and what of it is in the store. No I/O, no clock of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use media::{ObjectName, RenditionName};
use tokio::time::Instant;

use crate::health::Meter;

/// Operations that may wait: several windows of segments.
const MAX_OPS: usize = 512;
/// Names remembered as stored (24 bytes each): over a day of 2-second segments.
const MAX_STORED: usize = 65_536;
/// Inits whose bytes are kept, to be restored when the folder vanishes.
const MAX_INITS: usize = 16;
/// Completions that may wait for the caller.
const MAX_COMPLETIONS: usize = 1024;
/// Between two writes of a stream's playlists (GCS takes one mutation a second per object).
const PLAYLIST_EVERY: Duration = Duration::from_secs(1);

/// What became of an init or segment that was given to the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The object.
    pub name: ObjectName,
    /// It is in the store; otherwise it was dropped, or the folder that held it vanished.
    pub stored: bool,
}

/// An object to write.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) name: ObjectName,
    pub(crate) chunks: Vec<Bytes>,
    len: u64,
    /// Something short in the place of a segment whose bytes were dropped.
    placeholder: bool,
}

/// The two playlists, written one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Playlists {
    pub(crate) index: Bytes,
    pub(crate) media: Bytes,
    after: u64,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    Put(Put),
    Delete(ObjectName),
    Playlists(Playlists),
    /// Nothing before this time, or before something is queued.
    Wait(Option<Instant>),
}

#[derive(Debug)]
enum Op {
    Put(Put),
    Delete(ObjectName),
}

#[derive(Debug)]
struct Current {
    seq: u64,
    op: Op,
    cancelled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    len: u64,
    placeholder: bool,
}

/// One stream's queue. Order: objects as they came; playlists after all that was queued before them.
pub(crate) struct Queue {
    ops: VecDeque<(u64, Op)>,
    current: Option<Current>,
    next_seq: u64,
    /// At most two: one whose turn has nearly come, and the newest. A third takes the newest's place.
    playlists: VecDeque<Playlists>,
    playlists_not_before: Option<Instant>,
    playlists_stored: bool,
    kept: BTreeMap<ObjectName, Kept>,
    inits: BTreeMap<ObjectName, Vec<Bytes>>,
    completions: VecDeque<Completion>,
    placeholder: Option<Bytes>,
    waiting: u64,
    max_stream: u64,
    max_node: u64,
    meter: Arc<Meter>,
}

impl Queue {
    pub(crate) fn new(max_stream: u64, max_node: u64, meter: Arc<Meter>) -> Self {
        Self {
            ops: VecDeque::new(),
            current: None,
            next_seq: 0,
            playlists: VecDeque::new(),
            playlists_not_before: None,
            playlists_stored: false,
            kept: BTreeMap::new(),
            inits: BTreeMap::new(),
            completions: VecDeque::new(),
            placeholder: None,
            waiting: 0,
            max_stream,
            max_node,
            meter,
        }
    }

    pub(crate) fn set_placeholder(&mut self, bytes: Bytes) {
        self.placeholder = Some(bytes);
    }

    /// Queues an object. Overflow drops the oldest waiting segment, at last this one.
    pub(crate) fn put(&mut self, name: ObjectName, chunks: Vec<Bytes>) {
        if matches!(name, ObjectName::Init { .. }) {
            self.inits.insert(name, chunks.clone());
            while self.inits.len() > MAX_INITS {
                self.inits.pop_first();
            }
        }
        let len = chunks.iter().map(|c| c.len() as u64).sum();
        self.queue_put(Put { name, chunks, len, placeholder: false });
    }

    fn queue_put(&mut self, put: Put) {
        loop {
            let fits = self.ops.len() < MAX_OPS && self.waiting + put.len <= self.max_stream;
            if fits && self.meter.try_reserve(put.len, self.max_node) {
                break;
            }
            if !self.drop_oldest() {
                self.lose(put.name);
                return;
            }
        }
        self.waiting += put.len;
        self.push(Op::Put(put));
    }

    fn push(&mut self, op: Op) {
        self.ops.push_back((self.next_seq, op));
        self.next_seq += 1;
    }

    /// Drops the oldest waiting segment, or leaves a placeholder where there is one and room for it.
    fn drop_oldest(&mut self) -> bool {
        let full = self.ops.len() >= MAX_OPS;
        let oldest = self.ops.iter_mut().position(|(_, op)| match op {
            Op::Put(p) => matches!(p.name, ObjectName::Segment { .. }) && (full || !p.placeholder),
            Op::Delete(_) => false,
        });
        let Some((at, (_, Op::Put(put)))) = oldest.and_then(|i| Some((i, self.ops.get_mut(i)?))) else {
            return false;
        };
        let name = put.name;
        let was_placeholder = put.placeholder;
        let before = put.len;
        let short = self.placeholder.as_ref().filter(|p| !full && (p.len() as u64) < before);
        let after = match short {
            Some(bytes) => {
                *put = Put { name, chunks: vec![bytes.clone()], len: bytes.len() as u64, placeholder: true };
                put.len
            }
            None => {
                self.ops.remove(at);
                0
            }
        };
        self.waiting -= before - after;
        self.meter.release(before - after);
        if !was_placeholder {
            self.lose(name);
        }
        true
    }

    fn lose(&mut self, name: ObjectName) {
        self.meter.lost();
        self.complete(name, false);
    }

    fn complete(&mut self, name: ObjectName, stored: bool) {
        if self.completions.len() == MAX_COMPLETIONS {
            self.completions.pop_front();
        }
        self.completions.push_back(Completion { name, stored });
    }

    pub(crate) fn take_completions(&mut self) -> Vec<Completion> {
        self.completions.drain(..).collect()
    }

    /// Queues the playlists, to be written after all that is queued now; the newest win.
    pub(crate) fn playlists(&mut self, index: Bytes, media: Bytes) {
        let newest = Playlists { index, media, after: self.next_seq };
        if self.playlists.len() == 2 {
            self.playlists.pop_back();
        }
        self.playlists.push_back(newest);
    }

    /// Queues the deletion of objects; those that still wait to be written are not written.
    pub(crate) fn delete(&mut self, names: &[ObjectName]) {
        for name in names {
            self.inits.remove(name);
            let waiting = self.ops.iter().position(|(_, op)| matches!(op, Op::Put(p) if p.name == *name));
            if let Some((_, Op::Put(put))) = waiting.and_then(|i| self.ops.remove(i)) {
                self.waiting -= put.len;
                self.meter.release(put.len);
            }
            let running = self.current.as_mut().filter(|c| matches!(&c.op, Op::Put(p) if p.name == *name));
            let runs = running.map(|c| c.cancelled = true).is_some();
            let kept = self.forget(name);
            // What was never there needs no deleting, except leftovers of another process.
            if kept || runs || waiting.is_none() {
                self.push(Op::Delete(*name));
            }
        }
    }

    fn forget(&mut self, name: &ObjectName) -> bool {
        let kept = self.kept.remove(name);
        if let Some(k) = kept {
            self.meter.removed(k.len, is_segment(name));
        }
        kept.is_some()
    }

    /// Deletes all of this stream that is in the store, its playlists too, and forgets what waits.
    pub(crate) fn expire_all(&mut self) {
        self.playlists.clear();
        self.playlists_stored = false;
        let mut names = vec![ObjectName::Index, ObjectName::Playlist(RenditionName::Media)];
        names.extend(self.kept.keys());
        names.extend(
            self.ops.iter().filter_map(|(_, op)| if let Op::Put(p) = op { Some(p.name) } else { None }),
        );
        if let Some(Current { op: Op::Put(p), .. }) = &self.current {
            names.push(p.name);
        }
        self.delete(&names);
    }

    /// Of objects found in the store, those that this queue did not put there and will not write.
    pub(crate) fn strangers(&self, found: Vec<ObjectName>) -> Vec<ObjectName> {
        let playlists = self.playlists_stored || !self.playlists.is_empty();
        let ours = |n: &ObjectName| match n {
            ObjectName::Index | ObjectName::Playlist(_) => playlists,
            n => self.is_tracked(n),
        };
        found.into_iter().filter(|n| !ours(n)).collect()
    }

    fn is_tracked(&self, name: &ObjectName) -> bool {
        let puts = |op: &Op| matches!(op, Op::Put(p) if p.name == *name);
        self.kept.contains_key(name)
            || self.current.as_ref().is_some_and(|c| puts(&c.op))
            || self.ops.iter().any(|(_, op)| puts(op))
    }

    pub(crate) fn is_stored(&self, name: &ObjectName) -> bool {
        self.kept.get(name).is_some_and(|k| !k.placeholder)
    }

    /// Nothing waits and nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.ops.is_empty() && self.current.is_none() && self.playlists.is_empty()
    }

    /// The next thing to do; a put or delete is then running until [`finish`](Self::finish).
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        let head = self.ops.front().map_or(u64::MAX, |(seq, _)| *seq);
        let due = self.playlists_not_before.is_none_or(|t| t <= now);
        if self.playlists.front().is_some_and(|p| p.after <= head) && due {
            if let Some(p) = self.take_playlists(head) {
                self.playlists_not_before = Some(now + PLAYLIST_EVERY);
                return Step::Playlists(p);
            }
        }
        let Some((seq, op)) = self.ops.pop_front() else {
            let wait = self.playlists.front().and(self.playlists_not_before);
            return Step::Wait(wait);
        };
        let step = match &op {
            Op::Put(p) => Step::Put(p.clone()),
            Op::Delete(name) => Step::Delete(*name),
        };
        self.current = Some(Current { seq, op, cancelled: false });
        step
    }

    /// The newest playlists whose turn has come and whose every object is there; older ones are passed over.
    fn take_playlists(&mut self, head: u64) -> Option<Playlists> {
        let mut newest = None;
        while self.playlists.front().is_some_and(|p| p.after <= head) {
            newest = self.playlists.pop_front();
        }
        newest.filter(|p| [&p.index, &p.media].iter().all(|text| self.all_kept(text)))
    }

    fn all_kept(&self, text: &[u8]) -> bool {
        objects_in(text).all(|name| self.kept.contains_key(&name))
    }

    /// The running put or delete is over. A put that failed is tried again in its place, unless it was cancelled;
    /// a delete that failed is given up (`again` says whether it may be retried).
    pub(crate) fn finish(&mut self, ok: bool, again: bool) {
        let Some(Current { seq, op, cancelled }) = self.current.take() else { return };
        match op {
            Op::Put(put) if !ok && !cancelled && again => self.ops.push_front((seq, Op::Put(put))),
            Op::Put(put) => {
                self.waiting -= put.len;
                self.meter.release(put.len);
                // A cancelled one that was written is deleted by an operation already queued.
                if ok && !cancelled {
                    self.keep(&put);
                } else if !cancelled {
                    self.lose(put.name);
                }
            }
            Op::Delete(name) if !ok && again => self.ops.push_front((seq, Op::Delete(name))),
            Op::Delete(_) => {}
        }
    }

    fn keep(&mut self, put: &Put) {
        self.forget(&put.name);
        self.kept.insert(put.name, Kept { len: put.len, placeholder: put.placeholder });
        self.meter.stored(put.len, is_segment(&put.name));
        if !put.placeholder {
            self.complete(put.name, true);
        }
        while self.kept.len() > MAX_STORED {
            if let Some((name, k)) = self.kept.pop_first() {
                self.meter.removed(k.len, is_segment(&name));
            }
        }
    }

    /// Playlists were written, or not.
    pub(crate) fn playlists_done(&mut self, ok: bool, written: Playlists) {
        self.playlists_stored |= ok;
        // What failed is tried again, unless something newer waits.
        if !ok && self.playlists.is_empty() {
            self.playlists.push_back(written);
        }
    }

    /// An init that should be in the store: if it is not, the folder vanished.
    pub(crate) fn a_kept_init(&self) -> Option<ObjectName> {
        self.inits.keys().rev().find(|n| self.kept.contains_key(n)).copied()
    }

    /// The folder vanished and holds only `found`: inits are written again, segments are lost.
    pub(crate) fn reconcile(&mut self, found: &[ObjectName], playlists: Playlists) {
        let gone: Vec<ObjectName> = self.kept.keys().filter(|n| !found.contains(n)).copied().collect();
        for name in gone {
            self.forget(&name);
            let (chunks, placeholder) = match (self.inits.get(&name), &self.placeholder) {
                (Some(chunks), _) => (chunks.clone(), false),
                (None, Some(short)) => (vec![short.clone()], true),
                (None, None) => (Vec::new(), true),
            };
            if placeholder {
                self.lose(name);
            }
            if !chunks.is_empty() {
                let len = chunks.iter().map(|c| c.len() as u64).sum();
                self.queue_put(Put { name, chunks, len, placeholder });
            }
        }
        if self.playlists.is_empty() {
            self.playlists.push_back(Playlists { after: self.next_seq, ..playlists });
        }
    }

    /// Gives up all that waits: the process ends, or the store failed for too long after the stream.
    pub(crate) fn abandon(&mut self) {
        for (_, op) in std::mem::take(&mut self.ops) {
            if let Op::Put(put) = op {
                self.waiting -= put.len;
                self.meter.release(put.len);
                self.lose(put.name);
            }
        }
        self.playlists.clear();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.meter.release(self.waiting);
        for (name, k) in &self.kept {
            self.meter.removed(k.len, is_segment(name));
        }
    }
}

const fn is_segment(name: &ObjectName) -> bool {
    matches!(name, ObjectName::Segment { .. })
}

/// The inits and segments that a text names, wherever they stand in it.
fn objects_in(text: &[u8]) -> impl Iterator<Item = ObjectName> {
    let words = text.split(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')));
    let names = words.filter_map(|w| ObjectName::parse(std::str::from_utf8(w).ok()?));
    names.filter(|n| matches!(n, ObjectName::Init { .. } | ObjectName::Segment { .. }))
}
