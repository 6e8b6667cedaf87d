//! Series that belong to one stream: they live while somebody holds their handle, and a while longer.
//!
//! The exporter itself can forget series only by silence, for all of a kind at once; a handle that its owner
//! keeps would then count into nothing. Here a series goes only when no owner is left.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant},
};

use metrics::{Counter, Key};
use parking_lot::Mutex;

use super::names::NAMES;

/// The label that marks a series as a stream's.
pub(super) const STREAM_LABEL: &str = "stream_key";
/// How long a series stays after its last owner: some scrapes see the final value.
const KEEP: Duration = Duration::from_secs(300);
/// Series at once: a thousand streams of some twenty series each. Past it new ones count into nothing.
const MAX_SERIES: usize = 20_000;

#[derive(Default)]
pub(super) struct StreamSeries {
    series: Mutex<BTreeMap<(String, String), Series>>,
}

struct Series {
    value: Arc<AtomicU64>,
    last_owned: Instant,
}

impl StreamSeries {
    /// Does this key belong here?
    pub(super) fn takes(key: &Key) -> bool {
        key.labels().any(|l| l.key() == STREAM_LABEL)
    }

    /// The counter of a key, made if need be.
    pub(super) fn counter(&self, key: &Key) -> Counter {
        let id = (key.name().to_owned(), labels(key));
        let mut all = self.series.lock();
        if !all.contains_key(&id) && all.len() >= MAX_SERIES {
            return Counter::noop();
        }
        let series =
            all.entry(id).or_insert_with(|| Series { value: Arc::default(), last_owned: Instant::now() });
        series.last_owned = Instant::now();
        Counter::from_arc(Arc::clone(&series.value))
    }

    /// Forgets series that nobody has held for a while.
    pub(super) fn sweep(&self, now: Instant) {
        self.series.lock().retain(|_, s| {
            if Arc::strong_count(&s.value) > 1 {
                s.last_owned = now;
            }
            now.saturating_duration_since(s.last_owned) < KEEP
        });
    }

    /// Adds every series in Prometheus' text form, each name with its help and type even when it has no series.
    pub(super) fn render(&self, out: &mut String) {
        let all = self.series.lock();
        for name in NAMES.iter().filter(|n| n.labels.is_empty()) {
            let _ = writeln!(out, "# HELP {0} {1}\n# TYPE {0} counter", name.name, name.help);
            for ((_, labels), series) in
                all.range((name.name.to_owned(), String::new())..).take_while(|((n, _), _)| n == name.name)
            {
                let _ = writeln!(out, "{}{{{labels}}} {}", name.name, series.value.load(Ordering::Relaxed));
            }
            out.push('\n');
        }
    }
}

fn labels(key: &Key) -> String {
    let mut out = String::new();
    for label in key.labels() {
        let comma = if out.is_empty() { "" } else { "," };
        let value = label.value().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{comma}{}=\"{value}\"", label.key());
    }
    out
}

#[cfg(test)]
mod tests {
    use metrics::Label;

    use super::*;

    fn key(stream: &str) -> Key {
        Key::from_parts(
            "rapidrtmp_frames_received_total",
            vec![Label::new("stream_key", stream.to_owned()), Label::new("type", "video")],
        )
    }

    fn shown(s: &StreamSeries) -> String {
        let mut out = String::new();
        s.render(&mut out);
        out
    }

    #[test]
    fn a_series_outlives_its_stream_by_a_while_only() {
        let all = StreamSeries::default();
        let start = Instant::now();
        let held = all.counter(&key("live/held"));
        all.counter(&key("live/gone")).increment(3);
        held.increment(2);
        assert!(
            shown(&all)
                .contains("rapidrtmp_frames_received_total{stream_key=\"live/gone\",type=\"video\"} 3")
        );
        all.sweep(start + KEEP + Duration::from_secs(1));
        assert!(!shown(&all).contains("live/gone"));
        held.increment(1);
        assert!(
            shown(&all).contains("{stream_key=\"live/held\",type=\"video\"} 3"),
            "a held handle still counts"
        );
        drop(held);
        all.sweep(start + KEEP * 2);
        all.sweep(start + KEEP * 3 + Duration::from_secs(2));
        assert!(!shown(&all).contains("live/held"));
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let all = StreamSeries::default();
        for i in 0..MAX_SERIES + 10 {
            all.counter(&key(&format!("s{i}"))).increment(1);
        }
        assert_eq!(all.series.lock().len(), MAX_SERIES);
        all.counter(&key("s0")).increment(1);
        assert!(shown(&all).contains("{stream_key=\"s0\",type=\"video\"} 2"));
    }

    #[test]
    fn label_values_are_escaped() {
        let all = StreamSeries::default();
        all.counter(&key("a\"b\\c\nd")).increment(1);
        assert!(shown(&all).contains(r#"stream_key="a\"b\\c\nd""#));
    }
}
