//! A path's place in the store: what is written there, and when it goes again.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use live::PlainPlaylists;
use media::{Epoch, ObjectName};
use store::{Completion, StreamWriter};
use tokio::time::Instant;

/// Writes objects, and takes away those that no reader can know of any more.
///
/// Nothing here waits: the store's writer has a bounded queue of its own. What is remembered is bounded by the
/// playlist's window and the time that retired objects are kept.
pub(crate) struct Shelf {
    writer: StreamWriter,
    /// Objects of the present playlist, those included that left it and may still be fetched.
    kept: HashSet<ObjectName>,
    /// Objects of playlists before it, and until when they may be fetched.
    replaced: VecDeque<(Instant, ObjectName)>,
}

impl Shelf {
    /// A shelf that `writer` fills.
    pub(crate) fn new(writer: StreamWriter) -> Self {
        writer.set_placeholder(cmaf::gap_segment());
        Self { writer, kept: HashSet::new(), replaced: VecDeque::new() }
    }

    /// Stores an init.
    pub(crate) fn init(&mut self, epoch: Epoch, version: u32, data: Bytes) {
        let name = ObjectName::Init { epoch, version };
        self.kept.insert(name);
        self.writer.init(name, data);
    }

    /// Stores a segment, whose bytes stay shared with its parts.
    pub(crate) fn segment(&mut self, name: ObjectName, chunks: Vec<Bytes>) {
        self.kept.insert(name);
        self.writer.segment(name, chunks);
    }

    /// Stores the playlists, after all that was stored before.
    pub(crate) fn playlists(&mut self, playlists: PlainPlaylists) {
        self.writer.playlists(playlists.index, playlists.media);
    }

    /// A new playlist takes the place of the present one, whose objects stay for `keep_for`.
    pub(crate) fn replace(&mut self, keep_for: Duration, now: Instant) {
        self.replaced.extend(self.kept.drain().map(|name| (now + keep_for, name)));
    }

    /// Deletes what nobody can know of any more: `due` of the present playlist, and what is due of older ones.
    pub(crate) fn delete(&mut self, mut due: Vec<ObjectName>, now: Instant) {
        due.retain(|name| self.kept.remove(name));
        due.extend(self.replaced.iter().filter(|(at, _)| *at <= now).map(|(_, name)| *name));
        self.replaced.retain(|(at, _)| *at > now);
        if !due.is_empty() {
            self.writer.delete(&due);
        }
    }

    /// What has been stored, or was lost, since the last call.
    pub(crate) fn take_completed(&mut self) -> Vec<Completion> {
        self.writer.take_completed()
    }

    /// Waits until all is written, at most `within`; says whether all is.
    pub(crate) async fn flush(&self, within: Duration) -> bool {
        self.writer.flush(within).await
    }

    /// The broadcast is over for good: everything below the path goes.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.replaced.clear();
        self.writer.expire_all();
    }
}
