//! The recorder of the process, and what it renders.

use std::{sync::Arc, sync::OnceLock, time::Instant};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{
    names::{Kind, NAMES},
    series::StreamSeries,
};

/// Reads the metrics of the process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    exporter: PrometheusHandle,
    streams: Arc<StreamSeries>,
}

/// Streams' own series go one way, everything else to the exporter.
struct Split {
    exporter: PrometheusRecorder,
    streams: Arc<StreamSeries>,
}

/// `metrics` takes one recorder a process, for good.
static INSTALLED: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// Installs the recorder, once a process; later calls give the same.
    ///
    /// # Panics
    /// Somebody else installed a recorder.
    pub(crate) fn install() -> Self {
        INSTALLED
            .get_or_init(|| {
                let (recorder, handle) = build();
                metrics::set_global_recorder(recorder)
                    .unwrap_or_else(|_| panic!("this process has a metrics recorder already"));
                handle
            })
            .clone()
    }

    /// Everything, in Prometheus' text form.
    pub(crate) fn render(&self) -> String {
        let mut out = self.exporter.render();
        self.streams.render(&mut out);
        out
    }

    /// Folds histograms and forgets ended streams. To be called every few seconds.
    pub(crate) fn upkeep(&self) {
        self.exporter.run_upkeep();
        self.streams.sweep(Instant::now());
    }
}

fn build() -> (Split, Metrics) {
    let mut builder = PrometheusBuilder::new();
    for name in NAMES {
        if let Kind::Histogram(buckets) = name.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(name.name.into()), buckets)
                .expect("the table has no empty buckets");
        }
    }
    let exporter = builder.build_recorder();
    let handle = exporter.handle();
    let streams = Arc::new(StreamSeries::default());
    let recorder = Split { exporter, streams: Arc::clone(&streams) };
    present(&recorder);
    (recorder, Metrics { exporter: handle, streams })
}

/// Registers every name of the table, so that it shows before it first moves.
fn present(recorder: &Split) {
    static METADATA: Metadata<'static> = Metadata::new("node", metrics::Level::INFO, None);
    for name in NAMES {
        let help = SharedString::const_str(name.help);
        match name.kind {
            Kind::Counter => recorder.describe_counter(name.name.into(), None, help),
            Kind::Gauge => recorder.describe_gauge(name.name.into(), None, help),
            Kind::Histogram(_) => recorder.describe_histogram(name.name.into(), None, help),
        }
        for labels in name.labels {
            let labels: Vec<Label> = labels.iter().map(|(k, v)| Label::from_static_parts(k, v)).collect();
            let key = Key::from_parts(name.name, labels);
            match name.kind {
                Kind::Counter => drop(recorder.register_counter(&key, &METADATA)),
                Kind::Gauge => drop(recorder.register_gauge(&key, &METADATA)),
                Kind::Histogram(_) => drop(recorder.register_histogram(&key, &METADATA)),
            }
        }
    }
}

impl Recorder for Split {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.exporter.describe_counter(key, unit, text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.exporter.describe_gauge(key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.exporter.describe_histogram(key, unit, text);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        if StreamSeries::takes(key) {
            self.streams.counter(key)
        } else {
            self.exporter.register_counter(key, metadata)
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.exporter.register_histogram(key, metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// systems.md §1.7 and the contract: the 23 names, each there before anything happens.
    const RAPIDRTMP: [(&str, &str); 23] = [
        ("active_streams", "gauge"),
        ("active_viewers", "gauge"),
        ("bytes_stored", "gauge"),
        ("segments_stored", "gauge"),
        ("total_streams", "counter"),
        ("streams_started_total", "counter"),
        ("streams_stopped_total", "counter"),
        ("keyframes_total", "counter"),
        ("segments_created_total", "counter"),
        ("total_viewers", "counter"),
        ("viewer_sessions_total", "counter"),
        ("rtmp_connections_total", "counter"),
        ("rtmp_disconnects_total", "counter"),
        ("rtmp_errors_total", "counter"),
        ("rtmp_bytes_received_total", "counter"),
        ("frames_received_total", "counter"),
        ("frames_dropped_total", "counter"),
        ("http_requests_total", "counter"),
        ("stream_duration_seconds", "histogram"),
        ("frame_size_bytes", "histogram"),
        ("segment_duration_seconds", "histogram"),
        ("segment_size_bytes", "histogram"),
        ("http_request_duration_seconds", "histogram"),
    ];

    #[test]
    fn all_23_names_are_there_from_the_start_with_their_types() {
        let (_recorder, metrics) = build();
        let text = metrics.render();
        for (name, kind) in RAPIDRTMP {
            assert!(text.contains(&format!("# HELP rapidrtmp_{name} ")), "{name}: no help\n{text}");
            assert!(text.contains(&format!("# TYPE rapidrtmp_{name} {kind}\n")), "{name}: not a {kind}");
        }
        for name in NAMES {
            let types = text.matches(&format!("# TYPE {} ", name.name)).count();
            assert_eq!(types, 1, "{}", name.name);
        }
    }

    /// A name that is counted somewhere and not in the table has no help and does not show from the start.
    #[test]
    fn every_name_in_the_source_is_in_the_table() {
        let internal = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut folders: Vec<_> =
            std::fs::read_dir(internal).unwrap().map(|e| e.unwrap().path().join("src")).collect();
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for path in entries.map(|e| e.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                for name in text.split('"').filter(|s| {
                    s.strip_prefix("rapidrtmp_").is_some_and(|n| {
                        !n.is_empty() && n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                    })
                }) {
                    found += 1;
                    assert!(NAMES.iter().any(|n| n.name == name), "{name} in {}", path.display());
                }
            }
        }
        assert!(found > NAMES.len(), "the source was read: {found}");
    }

    #[test]
    fn buckets_are_rapidrtmps() {
        let (recorder, metrics) = build();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("rapidrtmp_segment_duration_seconds").record(2.0);
            metrics::histogram!("rapidrtmp_frame_size_bytes", "type" => "video").record(1500.0);
            metrics::counter!("rapidrtmp_frames_received_total", "stream_key" => "live/a", "type" => "video")
                .increment(1);
        });
        let text = metrics.render();
        assert!(text.contains("rapidrtmp_segment_duration_seconds_bucket{le=\"2\"} 1"), "{text}");
        assert!(text.contains("rapidrtmp_frame_size_bytes_bucket{type=\"video\",le=\"2048\"} 1"));
        assert!(text.contains("rapidrtmp_stream_duration_seconds_bucket{le=\"5120\"} 0"));
        assert!(text.contains("rapidrtmp_frames_received_total{stream_key=\"live/a\",type=\"video\"} 1"));
    }
}
