//! What waits to be written for one stream. No I/O, no clock of its own.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use media::{ObjectName, RenditionName};
use tokio::time::Instant;

use crate::{
    health::Meter,
    inventory::{Completion, Inventory, is_segment},
};

/// Objects that may wait: many windows of segments.
const MAX_PUTS: usize = 512;
/// Deletions that may wait (24 bytes each): all that the inventory can name, and what is added meanwhile.
const MAX_DELETES: usize = 2 * 65_536;
/// An init or a placeholder: what is no larger is not bounded for the node.
const SMALL: u64 = 4096;
/// Attempts to delete one object; what is left over then is cleared by the path's next claim.
const DELETE_ATTEMPTS: u32 = 8;
/// After a deletion that failed; doubled up to 16 times as long.
const DELETE_PAUSE: Duration = Duration::from_millis(250);
/// Between two writes of a stream's playlists (GCS takes one mutation a second per object).
const PLAYLIST_EVERY: Duration = Duration::from_secs(1);

/// An object to write.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) name: ObjectName,
    pub(crate) chunks: Vec<Bytes>,
    len: u64,
    /// Something short in the place of a segment whose bytes were dropped.
    placeholder: bool,
}

impl Put {
    fn new(name: ObjectName, chunks: Vec<Bytes>, placeholder: bool) -> Self {
        let len = chunks.iter().map(|c| c.len() as u64).sum();
        Self { name, chunks, len, placeholder }
    }
}

/// The two playlists, written one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Playlists {
    pub(crate) index: Bytes,
    pub(crate) media: Bytes,
    /// Their turn comes when every object numbered below is written.
    after: u64,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Then call [`Queue::put_done`].
    Put(Put),
    /// Then call [`Queue::delete_done`].
    Delete(ObjectName),
    /// Then call [`Queue::playlists_done`] or [`Queue::reconcile`].
    Playlists(Playlists),
    /// Nothing before this time, or before something is queued.
    Wait(Option<Instant>),
}

#[derive(Debug)]
struct Running {
    seq: u64,
    put: Put,
    cancelled: bool,
}

/// One stream's queue. Deletions go first: they make room. Objects go as they came, playlists after all objects
/// that were queued before them.
pub(crate) struct Queue {
    puts: VecDeque<(u64, Put)>,
    next_seq: u64,
    running: Option<Running>,
    deletes: VecDeque<(ObjectName, u32)>,
    deleting: Option<(ObjectName, u32)>,
    /// Deletions that failed in a row, and when the next may be tried; nothing else waits for it.
    delete_failures: u32,
    deletes_not_before: Option<Instant>,
    /// At most two: one whose turn has nearly come, and the newest. A third takes the newest's place.
    playlists: VecDeque<Playlists>,
    playlists_not_before: Option<Instant>,
    playlists_running: bool,
    playlists_stored: bool,
    placeholder: Option<Bytes>,
    waiting: u64,
    max_stream: u64,
    max_node: u64,
    inventory: Inventory,
    meter: Arc<Meter>,
}

impl Queue {
    pub(crate) fn new(max_stream: u64, max_node: u64, meter: Arc<Meter>) -> Self {
        Self {
            puts: VecDeque::new(),
            next_seq: 0,
            running: None,
            deletes: VecDeque::new(),
            deleting: None,
            delete_failures: 0,
            deletes_not_before: None,
            playlists: VecDeque::new(),
            playlists_not_before: None,
            playlists_running: false,
            playlists_stored: false,
            placeholder: None,
            waiting: 0,
            max_stream,
            max_node,
            inventory: Inventory::new(Arc::clone(&meter)),
            meter,
        }
    }

    pub(crate) fn set_placeholder(&mut self, bytes: Bytes) {
        self.placeholder = Some(bytes);
    }

    /// Queues an object. Overflow drops the oldest waiting segment, at last this one.
    pub(crate) fn put(&mut self, name: ObjectName, chunks: Vec<Bytes>) {
        if matches!(name, ObjectName::Init { .. }) {
            self.inventory.remember_init(name, &chunks);
        }
        self.push(Put::new(name, chunks, false));
    }

    fn push(&mut self, put: Put) {
        let possible = put.len <= self.max_stream;
        // Nothing of a publish is of use in the store without its init or with a hole in its playlist, so what is
        // this small waits though other streams fill the node: at most MAX_PUTS of them a stream.
        let needed = put.placeholder || !is_segment(&put.name);
        let max_node = if needed && put.len <= SMALL { u64::MAX } else { self.max_node };
        loop {
            let fits = self.puts.len() < MAX_PUTS && self.waiting.saturating_add(put.len) <= self.max_stream;
            if fits && self.meter.try_reserve(put.len, max_node) {
                break;
            }
            if !possible || !self.drop_oldest() {
                self.lose(&put);
                let short = self.placeholder.clone().filter(|_| !put.placeholder && is_segment(&put.name));
                if let Some(bytes) = short {
                    self.push(Put::new(put.name, vec![bytes], true));
                }
                return;
            }
        }
        self.waiting += put.len;
        self.puts.push_back((self.next_seq, put));
        self.next_seq += 1;
    }

    /// Drops the oldest waiting segment, or leaves a placeholder where there is one and room for it.
    fn drop_oldest(&mut self) -> bool {
        let full = self.puts.len() >= MAX_PUTS;
        let may_go = |p: &Put| is_segment(&p.name) && (full || !p.placeholder);
        let Some(at) = self.puts.iter().position(|(_, p)| may_go(p)) else { return false };
        let Some((seq, put)) = self.puts.remove(at) else { return false };
        self.release(put.len);
        let short = self.placeholder.as_ref().filter(|p| !full && (p.len() as u64) < put.len);
        if let Some(bytes) = short.cloned() {
            let short = Put::new(put.name, vec![bytes], true);
            if self.meter.try_reserve(short.len, self.max_node) {
                self.waiting += short.len;
                self.puts.insert(at, (seq, short));
            }
        }
        self.lose(&put);
        true
    }

    fn release(&mut self, len: u64) {
        self.waiting -= len;
        self.meter.release(len);
    }

    /// Tells once that a segment's bytes are gone: of a placeholder that was told before.
    fn lose(&mut self, put: &Put) {
        if !put.placeholder {
            self.inventory.lose(put.name);
        }
    }

    /// Queues the playlists, to be written after all objects that are queued now; the newest win.
    pub(crate) fn playlists(&mut self, index: Bytes, media: Bytes) {
        if self.playlists.len() == 2 {
            self.playlists.pop_back();
        }
        self.playlists.push_back(Playlists { index, media, after: self.next_seq });
        // Those of a playlist before; tried late, they would take away this one's.
        self.deletes.retain(|(name, _)| !is_playlist(name));
    }

    fn has_playlists(&self) -> bool {
        self.playlists_stored || self.playlists_running || !self.playlists.is_empty()
    }

    /// Queues the deletion of objects; those that still wait to be written are not written.
    pub(crate) fn delete(&mut self, names: &[ObjectName]) {
        for name in names {
            self.inventory.forget_init(name);
            let waiting = self.puts.iter().position(|(_, p)| p.name == *name);
            let waited =
                waiting.and_then(|i| self.puts.remove(i)).map(|(_, p)| self.release(p.len)).is_some();
            let running = self.running.as_mut().filter(|r| r.put.name == *name);
            let runs = running.map(|r| r.cancelled = true).is_some();
            let kept = self.inventory.forget(name);
            // What was never there needs no deleting; what is unknown may be a leftover.
            if (kept || runs || !waited) && self.deletes.len() < MAX_DELETES {
                self.deletes.push_back((*name, 0));
            }
        }
    }

    /// Deletes all of this stream that is in the store, its playlists too, and forgets what waits.
    pub(crate) fn expire_all(&mut self) {
        self.playlists.clear();
        self.playlists_stored = false;
        let mut names = vec![ObjectName::Index, ObjectName::Playlist(RenditionName::Media)];
        names.extend(self.inventory.names());
        names.extend(self.puts.iter().map(|(_, p)| p.name));
        names.extend(self.running.as_ref().map(|r| r.put.name));
        self.delete(&names);
    }

    /// Queues the deletion of those of the objects found in the store that this queue did not put there and will not
    /// write. Says how many these are.
    pub(crate) fn delete_strangers(&mut self, found: Vec<ObjectName>) -> usize {
        let strangers = self.strangers(found);
        self.delete(&strangers);
        strangers.len()
    }

    fn strangers(&self, found: Vec<ObjectName>) -> Vec<ObjectName> {
        let ours = |n: &ObjectName| if is_playlist(n) { self.has_playlists() } else { self.is_tracked(n) };
        found.into_iter().filter(|n| !ours(n)).collect()
    }

    fn is_tracked(&self, name: &ObjectName) -> bool {
        self.inventory.holds(name)
            || self.running.as_ref().is_some_and(|r| r.put.name == *name)
            || self.puts.iter().any(|(_, p)| p.name == *name)
    }

    pub(crate) fn is_stored(&self, name: &ObjectName) -> bool {
        self.inventory.is_stored(name)
    }

    pub(crate) fn take_completions(&mut self) -> Vec<Completion> {
        self.inventory.take_completions()
    }

    /// Nothing waits and nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        let waits = !self.puts.is_empty() || !self.deletes.is_empty() || !self.playlists.is_empty();
        !waits && self.running.is_none() && self.deleting.is_none() && !self.playlists_running
    }

    /// The next thing to do; what is given out runs until its `…_done`, and one thing runs at a time.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        if self.deletes_not_before.is_none_or(|t| t <= now)
            && let Some((name, attempts)) = self.deletes.pop_front()
        {
            self.deleting = Some((name, attempts));
            return Step::Delete(name);
        }
        if self.playlists_not_before.is_none_or(|t| t <= now)
            && let Some(p) = self.take_playlists()
        {
            self.playlists_not_before = Some(now + PLAYLIST_EVERY);
            self.playlists_running = true;
            return Step::Playlists(p);
        }
        if let Some((seq, put)) = self.puts.pop_front() {
            self.running = Some(Running { seq, put: put.clone(), cancelled: false });
            return Step::Put(put);
        }
        let playlists = self.playlists.front().and(self.playlists_not_before);
        let deletes = self.deletes.front().and(self.deletes_not_before);
        Step::Wait(playlists.into_iter().chain(deletes).min())
    }

    /// The newest playlists whose turn has come and whose every object is there; older ones are passed over.
    fn take_playlists(&mut self) -> Option<Playlists> {
        let head = self.puts.front().map_or(u64::MAX, |(seq, _)| *seq);
        let mut newest = None;
        while self.playlists.front().is_some_and(|p| p.after <= head) {
            newest = self.playlists.pop_front();
        }
        newest.filter(|p| [&p.index, &p.media].iter().all(|text| self.inventory.holds_all_in(text)))
    }

    /// The running put is over. If it failed, it is tried again in its place, unless it was cancelled.
    pub(crate) fn put_done(&mut self, ok: bool) {
        let Some(Running { seq, put, cancelled }) = self.running.take() else { return };
        if !ok && !cancelled {
            self.puts.push_front((seq, put));
            return;
        }
        self.release(put.len);
        // What was cancelled and yet written is deleted by what `delete` queued.
        if !cancelled {
            self.inventory.keep(put.name, put.len, put.placeholder);
        }
    }

    /// The running deletion is over. If it failed, it is tried again later, a few times.
    pub(crate) fn delete_done(&mut self, ok: bool, now: Instant) {
        let Some((name, attempts)) = self.deleting.take() else { return };
        if ok {
            (self.delete_failures, self.deletes_not_before) = (0, None);
        } else {
            let pause = DELETE_PAUSE.saturating_mul(1 << self.delete_failures.min(4));
            self.delete_failures = self.delete_failures.saturating_add(1);
            self.deletes_not_before = Some(now + pause);
            let overtaken = is_playlist(&name) && self.has_playlists();
            if attempts + 1 < DELETE_ATTEMPTS && !overtaken {
                self.deletes.push_back((name, attempts + 1));
            }
        }
    }

    /// The playlists were written, or not: then they are tried again, unless something newer waits.
    pub(crate) fn playlists_done(&mut self, ok: bool, written: Playlists) {
        self.playlists_running = false;
        self.playlists_stored |= ok;
        if !ok && self.playlists.is_empty() {
            self.playlists.push_back(written);
        }
    }

    /// See [`Inventory::a_kept_init`].
    pub(crate) fn a_kept_init(&self) -> Option<ObjectName> {
        self.inventory.a_kept_init()
    }

    /// The folder vanished and holds only `found`: inits are written again, segments are lost; then the playlists.
    pub(crate) fn reconcile(&mut self, found: &[ObjectName], playlists: Playlists) {
        self.playlists_running = false;
        let gone: Vec<ObjectName> = self.inventory.names().filter(|n| !found.contains(n)).collect();
        for name in gone {
            self.inventory.forget(&name);
            if let Some(chunks) = self.inventory.init(&name) {
                self.push(Put::new(name, chunks, false));
                continue;
            }
            self.inventory.lose(name);
            if let Some(short) = self.placeholder.clone() {
                self.push(Put::new(name, vec![short], true));
            }
        }
        if self.playlists.is_empty() {
            self.playlists.push_back(Playlists { after: self.next_seq, ..playlists });
        }
    }

    /// Gives up all that waits: the store failed for too long after the stream's end.
    pub(crate) fn abandon(&mut self) {
        for (_, put) in std::mem::take(&mut self.puts) {
            self.release(put.len);
            self.lose(&put);
        }
        self.playlists.clear();
        self.deletes.clear();
    }
}

const fn is_playlist(name: &ObjectName) -> bool {
    matches!(name, ObjectName::Index | ObjectName::Playlist(_))
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.meter.release(self.waiting);
    }
}
