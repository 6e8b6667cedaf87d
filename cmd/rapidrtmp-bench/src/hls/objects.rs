//! What each object's bytes were, so that all viewers must see the same.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// Objects remembered: several windows of parts and segments. The oldest go first.
const MAX_OBJECTS: usize = 8_192;

/// Length and CRC-32 of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
}

#[derive(Debug, Default)]
struct Known {
    digests: HashMap<String, Digest>,
    order: VecDeque<String>,
}

/// Objects of all viewers, by URL.
#[derive(Debug, Default)]
pub(crate) struct Objects(Mutex<Known>);

impl Objects {
    /// Whether an object is what whoever fetched it first was given.
    pub(crate) fn is_same(&self, url: &str, digest: Digest) -> bool {
        let mut known = self.0.lock();
        if let Some(first) = known.digests.get(url) {
            return *first == digest;
        }
        if known.order.len() >= MAX_OBJECTS
            && let Some(oldest) = known.order.pop_front()
        {
            known.digests.remove(&oldest);
        }
        known.digests.insert(url.to_owned(), digest);
        known.order.push_back(url.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_under_one_url_are_seen() {
        let o = Objects::default();
        let d = Digest { bytes: 3, crc: 7 };
        assert!(o.is_same("a", d) && o.is_same("a", d));
        assert!(!o.is_same("a", Digest { crc: 8, ..d }) && !o.is_same("a", Digest { bytes: 4, ..d }));
        assert!(o.is_same("b", Digest { crc: 8, ..d }));
    }

    #[test]
    fn memory_is_bounded() {
        let o = Objects::default();
        for n in 0..MAX_OBJECTS + 10 {
            assert!(o.is_same(&n.to_string(), Digest::default()));
        }
        let known = o.0.lock();
        assert_eq!((known.digests.len(), known.order.len()), (MAX_OBJECTS, MAX_OBJECTS));
        assert!(!known.digests.contains_key("9") && known.digests.contains_key("10"));
    }
}
