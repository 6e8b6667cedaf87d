//! How many requests may be held.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Requests held on a whole node (reference: limits): each costs some kilobytes of connection.
const MAX_PER_NODE: usize = 100_000;

/// Counts the held requests of a node, across its windows. Cheap to clone; clones share the count.
#[derive(Clone, Debug)]
pub struct HeldRequests {
    count: Arc<AtomicUsize>,
    max: usize,
}

impl Default for HeldRequests {
    fn default() -> Self {
        Self::new(MAX_PER_NODE)
    }
}

impl HeldRequests {
    /// A count with this bound.
    pub fn new(max: usize) -> Self {
        Self { count: Arc::default(), max }
    }

    /// Requests held now.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub(crate) fn enter(&self) -> Option<Held> {
        let counted = self.count.fetch_update(Relaxed, Relaxed, |n| (n < self.max).then_some(n + 1));
        counted.is_ok().then(|| Held(Arc::clone(&self.count)))
    }
}

/// One held request; dropping it, by answer or by disconnect, gives its place back.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
