//! Which paths this node's publishers are on, and how many may be.

use std::{collections::HashMap, sync::Arc};

use media::StreamPath;
use parking_lot::Mutex;

/// Paths in use. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    paths: Arc<Mutex<HashMap<StreamPath, Count>>>,
    max: usize,
}

#[derive(Debug, Default)]
struct Count {
    /// Publishers, those included that are still being decided on.
    all: usize,
    /// Between the decision's begin and the directory knowing the stream.
    deciding: usize,
}

impl Running {
    pub(crate) fn new(max: usize) -> Self {
        Self { paths: Arc::default(), max }
    }

    /// A place for a publisher of `path`; `None` when as many streams run as may. A second one on the same
    /// path needs none: at most one of them stays.
    pub(crate) fn enter(&self, path: &StreamPath) -> Option<Place> {
        let mut paths = self.paths.lock();
        if !paths.contains_key(path) && paths.len() >= self.max {
            return None;
        }
        let count = paths.entry(path.clone()).or_default();
        count.all += 1;
        count.deciding += 1;
        drop(paths);
        Some(Place { running: self.clone(), path: path.clone(), deciding: true })
    }

    /// Somebody but the asking publisher is between claim and directory.
    pub(crate) fn others_deciding(&self, path: &StreamPath) -> bool {
        self.paths.lock().get(path).is_some_and(|c| c.deciding > 1)
    }
}

/// A publisher's place on its path, until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    running: Running,
    path: StreamPath,
    deciding: bool,
}

impl Place {
    /// The directory knows the stream now.
    pub(crate) fn decided(&mut self) {
        if std::mem::take(&mut self.deciding)
            && let Some(count) = self.running.paths.lock().get_mut(&self.path)
        {
            count.deciding -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.decided();
        let mut paths = self.running.paths.lock();
        if let Some(count) = paths.get_mut(&self.path) {
            count.all -= 1;
            if count.all == 0 {
                paths.remove(&self.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_counted_and_publishers_of_one_path_share_a_place() {
        let r = Running::new(2);
        let [a, b, c] = ["a", "b", "c"].map(|p| StreamPath::parse(p).unwrap());
        let mut first = r.enter(&a).unwrap();
        let _other = r.enter(&b).unwrap();
        assert!(r.enter(&c).is_none());
        assert!(!r.others_deciding(&a));
        let second = r.enter(&a).unwrap();
        assert!(r.others_deciding(&a));
        first.decided();
        first.decided();
        assert!(!r.others_deciding(&a));
        drop(first);
        assert!(r.enter(&c).is_none());
        drop(second);
        assert!(r.enter(&c).is_some());
    }
}
