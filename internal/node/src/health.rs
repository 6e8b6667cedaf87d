//! What works on this node, and what it depends on (contract "HTTP": `/health`, `/ready`, dependencies).

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How often dependencies are asked.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The state of a node's own parts and of what it depends on. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Health {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    started: bool,
    draining: bool,
    /// Parts of this node that ended though nobody stopped them.
    broken: BTreeMap<&'static str, String>,
    /// Dependencies that do not answer, and since when.
    down: BTreeMap<&'static str, Instant>,
}

/// What `/ready` says.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    pub(crate) checks: BTreeMap<&'static str, String>,
}

/// This node's own parts, as `/ready` names them; RapidRTMP's two among them.
pub(crate) const PARTS: [&str; 2] = ["streamManager", "segmenter"];
/// What a node depends on.
pub(crate) const DEPENDENCIES: [&str; 2] = ["registry", "store"];

impl Health {
    /// Everything is bound and runs.
    pub(crate) fn started(&self) {
        self.inner.lock().started = true;
    }

    /// The node is going away.
    pub(crate) fn draining(&self) {
        self.inner.lock().draining = true;
    }

    /// A part of this node ended though nobody stopped it.
    pub(crate) fn broken(&self, part: &'static str, why: impl Into<String>) {
        self.inner.lock().broken.insert(part, why.into());
    }

    /// A dependency was asked; `problem` is what is wrong, if something is. Logs changes.
    pub(crate) fn probed(&self, dependency: &'static str, problem: Option<String>) {
        metrics::gauge!("rapidrtmp_dependency_up", "dependency" => dependency).set(if problem.is_none() {
            1.0
        } else {
            0.0
        });
        let mut inner = self.inner.lock();
        match (problem, inner.down.remove(dependency)) {
            (None, None) => {}
            (None, Some(since)) => {
                tracing::info!(dependency, away = ?since.elapsed(), "dependency answers again");
            }
            (Some(problem), None) => {
                tracing::error!(dependency, problem, "dependency is down");
                inner.down.insert(dependency, Instant::now());
            }
            (Some(_), Some(since)) => {
                inner.down.insert(dependency, since);
            }
        }
    }

    /// Whether this node should get traffic. What is shared and fails later is told, but is no reason to leave:
    /// every node would leave at once.
    pub(crate) fn report(&self) -> Report {
        let inner = self.inner.lock();
        let mut checks = BTreeMap::new();
        for part in PARTS {
            let state = match inner.broken.get(part) {
                Some(why) => why.clone(),
                None if !inner.started => "not started".into(),
                None if inner.draining => "draining".into(),
                None => "ok".into(),
            };
            checks.insert(part, state);
        }
        for dependency in DEPENDENCIES {
            checks.insert(dependency, inner.dependency(dependency));
        }
        Report { ready: inner.started && !inner.draining && inner.broken.is_empty(), checks }
    }

    /// The state of each dependency in words, and whether it answers. What exactly is wrong stands in the log: it
    /// may hold names of streams and folders.
    pub(crate) fn dependencies(&self) -> BTreeMap<&'static str, (bool, String)> {
        let inner = self.inner.lock();
        DEPENDENCIES.into_iter().map(|d| (d, (!inner.down.contains_key(d), inner.dependency(d)))).collect()
    }
}

impl Inner {
    fn dependency(&self, name: &str) -> String {
        match self.down.get(name) {
            Some(since) => format!("unreachable for {}s", since.elapsed().as_secs()),
            None => "ok".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_between_the_start_and_the_drain() {
        let h = Health::default();
        assert!(!h.report().ready, "before the first complete start");
        h.started();
        assert!(h.report().ready);
        assert!(h.report().checks.values().all(|v| v == "ok"));
        h.draining();
        assert!(!h.report().ready);
    }

    #[test]
    fn a_dependency_that_fails_later_is_told_but_keeps_the_node_ready() {
        let h = Health::default();
        h.started();
        h.probed("registry", Some("connection refused".into()));
        let r = h.report();
        assert!(r.ready);
        assert_eq!(r.checks["registry"], "unreachable for 0s");
        assert_eq!(h.dependencies()["registry"], (false, "unreachable for 0s".to_owned()));
        h.probed("registry", None);
        assert_eq!(h.report().checks["registry"], "ok");
        assert!(h.dependencies().values().all(|(up, _)| *up));
    }

    #[test]
    fn a_broken_part_of_this_node_makes_it_unready() {
        let h = Health::default();
        h.started();
        h.broken("streamManager", "the RTMP listener closed");
        assert!(!h.report().ready);
    }
}
