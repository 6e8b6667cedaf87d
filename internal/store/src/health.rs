//! How the store is, and its metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use metrics::{Counter, Gauge};
use parking_lot::Mutex;

/// How the store is doing. Live playback does not depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHealth {
    /// The first failed or overdue write since the last success, and its text; `None`: all is well.
    pub failing: Option<(SystemTime, String)>,
    /// Bytes that wait to be written.
    pub backlog: u64,
    /// Failed or overdue operations, since the start.
    pub errors: u64,
    /// Segments dropped unwritten because there was no room to wait, since the start.
    pub lost: u64,
    /// Bytes of this process's objects that are in the store.
    pub bytes_stored: u64,
    /// Segments of this process that are in the store.
    pub segments_stored: u64,
}

/// Counts what [`StoreHealth`] and the metrics tell. The metrics recorder must be installed before.
pub(crate) struct Meter {
    backlog: AtomicU64,
    errors: AtomicU64,
    lost: AtomicU64,
    bytes: AtomicU64,
    segments: AtomicU64,
    failing: Mutex<Option<(SystemTime, String)>>,
    backlog_gauge: Gauge,
    errors_counter: Counter,
    lost_counter: Counter,
    bytes_gauge: Gauge,
    segments_gauge: Gauge,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            backlog: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            segments: AtomicU64::new(0),
            failing: Mutex::new(None),
            backlog_gauge: metrics::gauge!("rapidrtmp_store_backlog"),
            errors_counter: metrics::counter!("rapidrtmp_store_errors_total"),
            lost_counter: metrics::counter!("rapidrtmp_store_lost_total"),
            bytes_gauge: metrics::gauge!("rapidrtmp_bytes_stored"),
            segments_gauge: metrics::gauge!("rapidrtmp_segments_stored"),
        }
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Takes room for waiting bytes if the node's bound allows.
    pub(crate) fn try_reserve(&self, len: u64, max: u64) -> bool {
        let taken = self.backlog.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |b| {
            b.checked_add(len).filter(|sum| *sum <= max)
        });
        self.backlog_gauge.set(self.backlog() as f64);
        taken.is_ok()
    }

    pub(crate) fn release(&self, len: u64) {
        self.backlog.fetch_sub(len, Ordering::Relaxed);
        self.backlog_gauge.set(self.backlog() as f64);
    }

    pub(crate) fn stored(&self, len: u64, segment: bool) {
        self.bytes.fetch_add(len, Ordering::Relaxed);
        self.segments.fetch_add(u64::from(segment), Ordering::Relaxed);
        self.show_stored();
    }

    pub(crate) fn removed(&self, len: u64, segment: bool) {
        self.bytes.fetch_sub(len, Ordering::Relaxed);
        self.segments.fetch_sub(u64::from(segment), Ordering::Relaxed);
        self.show_stored();
    }

    fn show_stored(&self) {
        self.bytes_gauge.set(self.bytes.load(Ordering::Relaxed) as f64);
        self.segments_gauge.set(self.segments.load(Ordering::Relaxed) as f64);
    }

    pub(crate) fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.lost_counter.increment(1);
    }

    /// Counts a failure that says nothing about writing.
    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.errors_counter.increment(1);
    }

    /// Counts a failed write; logs the first since the last success.
    pub(crate) fn failed(&self, text: &str) {
        self.error();
        let mut failing = self.failing.lock();
        if failing.is_none() {
            tracing::warn!(error = text, "the store fails; streams go on, their segments wait within bounds");
            *failing = Some((SystemTime::now(), text.to_owned()));
        }
    }

    /// An object was written.
    pub(crate) fn succeeded(&self) {
        if self.failing.lock().take().is_some() {
            tracing::info!("the store works again");
        }
    }

    pub(crate) fn health(&self) -> StoreHealth {
        StoreHealth {
            failing: self.failing.lock().clone(),
            backlog: self.backlog(),
            errors: self.errors.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            bytes_stored: self.bytes.load(Ordering::Relaxed),
            segments_stored: self.segments.load(Ordering::Relaxed),
        }
    }
}
