//! What of a stream is in the store, and what the caller is to be told of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use media::ObjectName;

use crate::health::Meter;

/// Names remembered as stored (about 40 bytes each): over a day of 2-second segments.
const MAX_STORED: usize = 65_536;
/// Inits whose bytes are kept, to be restored when the folder vanishes.
const MAX_INITS: usize = 16;
/// Completions that may wait for the caller.
const MAX_COMPLETIONS: usize = 1024;

/// What became of an init or segment that was given to the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The object.
    pub name: ObjectName,
    /// It is in the store; otherwise it was dropped, or the folder that held it vanished.
    pub stored: bool,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    len: u64,
    placeholder: bool,
}

/// One stream's objects in the store, as far as this process put them there.
pub(crate) struct Inventory {
    kept: BTreeMap<ObjectName, Kept>,
    inits: BTreeMap<ObjectName, Vec<Bytes>>,
    completions: VecDeque<Completion>,
    meter: Arc<Meter>,
}

impl Inventory {
    pub(crate) fn new(meter: Arc<Meter>) -> Self {
        Self { kept: BTreeMap::new(), inits: BTreeMap::new(), completions: VecDeque::new(), meter }
    }

    /// Keeps an init's bytes until it is deleted.
    pub(crate) fn remember_init(&mut self, name: ObjectName, chunks: &[Bytes]) {
        self.inits.insert(name, chunks.to_vec());
        while self.inits.len() > MAX_INITS {
            self.inits.pop_first();
        }
    }

    pub(crate) fn forget_init(&mut self, name: &ObjectName) {
        self.inits.remove(name);
    }

    pub(crate) fn init(&self, name: &ObjectName) -> Option<Vec<Bytes>> {
        self.inits.get(name).cloned()
    }

    /// An init that should be in the store: if it is not, the folder vanished.
    pub(crate) fn a_kept_init(&self) -> Option<ObjectName> {
        self.inits.keys().rev().find(|n| self.kept.contains_key(n)).copied()
    }

    /// The object was written.
    pub(crate) fn keep(&mut self, name: ObjectName, len: u64, placeholder: bool) {
        self.forget(&name);
        self.kept.insert(name, Kept { len, placeholder });
        self.meter.stored(len, is_segment(&name));
        if !placeholder {
            self.complete(name, true);
        }
        while self.kept.len() > MAX_STORED {
            if let Some((name, k)) = self.kept.pop_first() {
                self.meter.removed(k.len, is_segment(&name));
            }
        }
    }

    /// The object is to be deleted, or was found missing. Says whether it was there.
    pub(crate) fn forget(&mut self, name: &ObjectName) -> bool {
        let kept = self.kept.remove(name);
        if let Some(k) = kept {
            self.meter.removed(k.len, is_segment(name));
        }
        kept.is_some()
    }

    /// The object's bytes are gone.
    pub(crate) fn lose(&mut self, name: ObjectName) {
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

    /// It is there, whole or as a placeholder.
    pub(crate) fn holds(&self, name: &ObjectName) -> bool {
        self.kept.contains_key(name)
    }

    /// It is there, whole.
    pub(crate) fn is_stored(&self, name: &ObjectName) -> bool {
        self.kept.get(name).is_some_and(|k| !k.placeholder)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = ObjectName> {
        self.kept.keys().copied()
    }

    /// Every init and segment that a text names is there.
    pub(crate) fn holds_all_in(&self, text: &[u8]) -> bool {
        objects_in(text).all(|name| self.holds(&name))
    }
}

impl Drop for Inventory {
    fn drop(&mut self) {
        for (name, k) in &self.kept {
            self.meter.removed(k.len, is_segment(name));
        }
    }
}

pub(crate) const fn is_segment(name: &ObjectName) -> bool {
    matches!(name, ObjectName::Segment { .. })
}

/// The inits and segments that a text names, wherever they stand in it.
fn objects_in(text: &[u8]) -> impl Iterator<Item = ObjectName> {
    let words = text.split(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')));
    let names = words.filter_map(|w| ObjectName::parse(std::str::from_utf8(w).ok()?));
    names.filter(|n| matches!(n, ObjectName::Init { .. } | ObjectName::Segment { .. }))
}

#[cfg(test)]
mod tests {
    use media::Epoch;

    use super::*;

    #[test]
    fn names_are_found_in_lines_and_in_attributes() {
        let text = b"#EXTM3U\n#EXT-X-MAP:URI=\"init_7_0.mp4\"\n#EXTINF:2.000,\nsegment_7_42.m4s\n\
                     #EXT-X-PART:URI=\"part_7_1.m4s\"\nmedia.m3u8\nsegment_7_043.m4s\n";
        let epoch = Epoch(7);
        assert_eq!(
            objects_in(text).collect::<Vec<_>>(),
            [ObjectName::Init { epoch, version: 0 }, ObjectName::Segment { epoch, msn: 42 }]
        );
    }
}
