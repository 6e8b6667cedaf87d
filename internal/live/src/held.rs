//! The bytes of a window: inits, segments and parts, and how long they stay.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use hls::Retired;
use media::{Epoch, Msn, ObjectName};
use tokio::time::Instant;

/// Names waiting to be deleted from storage; far above a window's worth, so that it is reached only when nobody asks.
const MAX_DUE: usize = 20_000;

/// An object's bytes, shared with everybody who reads it.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its own name, whichever alias it was asked by: the ETag.
    pub name: ObjectName,
    /// Its bytes, in order: a segment is its parts.
    pub chunks: Arc<[Bytes]>,
    /// The sum of the chunks' lengths.
    pub len: u64,
}

impl Blob {
    pub(crate) fn new(name: ObjectName, chunks: impl Into<Arc<[Bytes]>>) -> Self {
        let chunks = chunks.into();
        let len = chunks.iter().map(|c| c.len() as u64).sum();
        Self { name, chunks, len }
    }
}

#[derive(Debug)]
struct Kept {
    blob: Blob,
    stored: bool,
    /// It has left the playlist, and may be dropped after this.
    until: Option<Instant>,
}

/// What a lookup of a complete object finds.
#[derive(Debug)]
pub(crate) enum Found {
    Here(Blob),
    /// Older than what is held: storage may have it.
    Older,
    Nowhere,
}

#[derive(Debug, Default)]
pub(crate) struct HeldObjects {
    segments: BTreeMap<Msn, Kept>,
    inits: BTreeMap<(Epoch, u32), Kept>,
    parts: BTreeMap<(Epoch, u64), Blob>,
    open: Vec<Bytes>,
    /// Parts past their listing, by when they may go.
    parts_until: VecDeque<(Instant, (Epoch, u64))>,
    /// Stored objects past their listing, by when storage may drop them.
    due: VecDeque<(Instant, ObjectName)>,
    /// Bytes of segments, of the open one, and of inits; parts share theirs with their segment.
    bytes: u64,
    retired_bytes: u64,
    max_retired_bytes: u64,
}

impl HeldObjects {
    pub(crate) fn new(max_retired_bytes: u64) -> Self {
        Self { max_retired_bytes, ..Self::default() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn add_init(&mut self, epoch: Epoch, version: u32, data: Bytes) {
        let blob = Blob::new(ObjectName::Init { epoch, version }, [data]);
        self.bytes += blob.len;
        let old = self.inits.insert((epoch, version), Kept { blob, stored: false, until: None });
        self.bytes -= old.map_or(0, |k| k.blob.len);
    }

    pub(crate) fn add_part(&mut self, name: ObjectName, data: Bytes) {
        let ObjectName::Part { epoch, seq } = name else { return };
        self.bytes += data.len() as u64;
        self.open.push(data.clone());
        self.parts.insert((epoch, seq), Blob::new(name, [data]));
    }

    /// The parts since the last call become this segment.
    pub(crate) fn close_segment(&mut self, msn: Msn, name: ObjectName) -> Vec<Bytes> {
        let data = std::mem::take(&mut self.open);
        let blob = Blob::new(name, data.clone());
        self.segments.insert(msn, Kept { blob, stored: false, until: None });
        data
    }

    pub(crate) fn add_gap(&mut self, msn: Msn, name: ObjectName, data: Bytes) {
        let blob = Blob::new(name, [data]);
        self.bytes += blob.len;
        self.segments.insert(msn, Kept { blob, stored: false, until: None });
    }

    /// From now on storage has it, too.
    pub(crate) fn mark_stored(&mut self, name: ObjectName) {
        match name {
            ObjectName::Segment { msn, .. } => {
                let Some(kept) = self.segments.get_mut(&msn).filter(|k| k.blob.name == name) else { return };
                kept.stored = true;
                if kept.until.is_some() {
                    self.drop_segment(msn);
                }
            }
            ObjectName::Init { epoch, version } => {
                if let Some(kept) = self.inits.get_mut(&(epoch, version)) {
                    kept.stored = true;
                }
            }
            _ => {}
        }
    }

    /// Storage has lost it again: what memory still holds is what there is.
    pub(crate) fn mark_lost(&mut self, name: ObjectName) {
        let ObjectName::Segment { msn, .. } = name else { return };
        if let Some(kept) = self.segments.get_mut(&msn).filter(|k| k.blob.name == name) {
            kept.stored = false;
        }
    }

    pub(crate) fn retire(&mut self, retired: Vec<Retired>, now: Instant) {
        for Retired { name, keep_for } in retired {
            let until = now + keep_for;
            match name {
                ObjectName::Part { epoch, seq } => self.parts_until.push_back((until, (epoch, seq))),
                ObjectName::Segment { msn, .. } => {
                    self.due.push_back((until, name));
                    self.retire_segment(msn, until);
                }
                ObjectName::Init { epoch, version } => {
                    self.due.push_back((until, name));
                    if let Some(kept) = self.inits.get_mut(&(epoch, version)) {
                        kept.until = Some(until);
                    }
                }
                _ => {}
            }
        }
        while self.due.len() > MAX_DUE {
            self.due.pop_front();
        }
        self.purge(now);
    }

    fn retire_segment(&mut self, msn: Msn, until: Instant) {
        let Some(kept) = self.segments.get_mut(&msn) else { return };
        kept.until = Some(until);
        self.retired_bytes += kept.blob.len;
        if kept.stored {
            self.drop_segment(msn);
        }
    }

    /// Drops what has been kept long enough, or what is over the bound while storage fails: the oldest first.
    pub(crate) fn purge(&mut self, now: Instant) {
        while let Some((until, key)) = self.parts_until.front().copied() {
            if until > now {
                break;
            }
            self.parts_until.pop_front();
            self.parts.remove(&key);
        }
        while let Some((&msn, kept)) = self.segments.first_key_value() {
            let Some(until) = kept.until else { break };
            if until > now && self.retired_bytes <= self.max_retired_bytes {
                break;
            }
            self.drop_segment(msn);
        }
        let bytes = &mut self.bytes;
        self.inits.retain(|_, kept| {
            let stays = kept.until.is_none_or(|u| u > now);
            *bytes -= if stays { 0 } else { kept.blob.len };
            stays
        });
    }

    fn drop_segment(&mut self, msn: Msn) {
        if let Some(kept) = self.segments.remove(&msn) {
            self.bytes -= kept.blob.len;
            self.retired_bytes -= if kept.until.is_some() { kept.blob.len } else { 0 };
        }
    }

    /// Segments and inits that nobody may ask for any more: storage may delete them.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<ObjectName> {
        let mut due = Vec::new();
        self.due.retain(|(until, name)| {
            if *until <= now {
                due.push(*name);
            }
            *until > now
        });
        due
    }

    pub(crate) fn part(&self, epoch: Epoch, seq: u64) -> Option<Blob> {
        self.parts.get(&(epoch, seq)).cloned()
    }

    /// A segment by its name; `current` is the running epoch, `next` the first number not complete. Before the first
    /// epoch all lower numbers are those of a playlist before this one.
    pub(crate) fn segment(&self, name: ObjectName, current: Option<Epoch>, next: Msn) -> Found {
        let ObjectName::Segment { epoch, msn } = name else { return Found::Nowhere };
        match self.segments.get(&msn) {
            Some(kept) if kept.blob.name == name => Found::Here(kept.blob.clone()),
            Some(_) => Found::Nowhere,
            None if msn < next && current.is_none_or(|c| epoch <= c) => Found::Older,
            None => Found::Nowhere,
        }
    }

    pub(crate) fn init(&self, epoch: Epoch, version: u32, current: Option<Epoch>) -> Found {
        match self.inits.get(&(epoch, version)) {
            Some(kept) => Found::Here(kept.blob.clone()),
            None if current.is_none_or(|c| epoch <= c) => Found::Older,
            None => Found::Nowhere,
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.max_retired_bytes);
    }
}
