//! Every metric of a node. RapidRTMP's 23 come first, unchanged.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Buckets.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    /// Label sets that exist from the start; one empty set for a metric without labels, none for series that
    /// come with streams.
    pub(crate) labels: &'static [&'static [(&'static str, &'static str)]],
}

/// 10 s, doubled nine times.
const STREAM_SECONDS: &[f64] = &[10., 20., 40., 80., 160., 320., 640., 1280., 2560., 5120.];
/// 1 KiB, doubled nine times.
const FRAME_BYTES: &[f64] = &[1024., 2048., 4096., 8192., 16384., 32768., 65536., 131072., 262144., 524288.];
/// 10 KiB, doubled nine times.
const SEGMENT_BYTES: &[f64] =
    &[10240., 20480., 40960., 81920., 163840., 327680., 655360., 1310720., 2621440., 5242880.];
const SEGMENT_SECONDS: &[f64] = &[1., 2., 3., 4., 5., 10.];
/// Prometheus' own defaults.
const REQUEST_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1., 2.5, 5., 10.];
/// Around the default PART-TARGET of 0.21 s.
const PART_SECONDS: &[f64] = &[0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1., 2., 5.];

const PLAIN: &[&[(&str, &str)]] = &[&[]];
const TYPES: &[&[(&str, &str)]] = &[&[("type", "video")], &[("type", "audio")]];
const SCRAPES: &[&[(&str, &str)]] = &[&[("method", "GET"), ("path", "/metrics")]];
const SCRAPES_OK: &[&[(&str, &str)]] = &[&[("method", "GET"), ("path", "/metrics"), ("status", "2xx")]];

const fn counter(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Counter, help, labels: PLAIN }
}

const fn gauge(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Gauge, help, labels: PLAIN }
}

const fn histogram(name: &'static str, buckets: &'static [f64], help: &'static str) -> Name {
    Name { name, kind: Kind::Histogram(buckets), help, labels: PLAIN }
}

const fn with(name: Name, labels: &'static [&'static [(&'static str, &'static str)]]) -> Name {
    Name { labels, ..name }
}

pub(crate) const NAMES: &[Name] = &[
    // RapidRTMP's.
    gauge("rapidrtmp_active_streams", "Streams being published now"),
    gauge("rapidrtmp_active_viewers", "Viewers who asked within the last target durations"),
    gauge("rapidrtmp_bytes_stored", "Bytes of segments in the store"),
    gauge("rapidrtmp_segments_stored", "Segments in the store"),
    counter("rapidrtmp_total_streams", "Publishes since the process began, takeovers and returns included"),
    counter("rapidrtmp_streams_started_total", "Publishes accepted"),
    counter("rapidrtmp_streams_stopped_total", "Publishes ended"),
    counter("rapidrtmp_keyframes_total", "Video keyframes received"),
    counter("rapidrtmp_segments_created_total", "Segments packaged"),
    counter("rapidrtmp_total_viewers", "Viewers ever seen"),
    counter("rapidrtmp_viewer_sessions_total", "Viewer sessions begun"),
    counter("rapidrtmp_rtmp_connections_total", "RTMP connections accepted"),
    counter("rapidrtmp_rtmp_disconnects_total", "RTMP connections closed"),
    counter("rapidrtmp_rtmp_errors_total", "RTMP connections ended by a protocol error"),
    counter("rapidrtmp_rtmp_bytes_received_total", "Bytes received over RTMP"),
    with(counter("rapidrtmp_frames_received_total", "Frames received, by stream and type"), &[]),
    with(counter("rapidrtmp_frames_dropped_total", "Frames dropped, by stream and reason"), &[]),
    with(
        counter("rapidrtmp_http_requests_total", "HTTP requests, by method, route and status class"),
        SCRAPES_OK,
    ),
    histogram("rapidrtmp_stream_duration_seconds", STREAM_SECONDS, "How long publishes lasted"),
    with(histogram("rapidrtmp_frame_size_bytes", FRAME_BYTES, "Sizes of frames, by type"), TYPES),
    histogram("rapidrtmp_segment_duration_seconds", SEGMENT_SECONDS, "Durations of segments"),
    histogram("rapidrtmp_segment_size_bytes", SEGMENT_BYTES, "Sizes of segments"),
    with(
        histogram(
            "rapidrtmp_http_request_duration_seconds",
            REQUEST_SECONDS,
            "Time to the start of the answer, held requests included, by method and route",
        ),
        SCRAPES,
    ),
    // Ours.
    counter("rapidrtmp_auth_failures_total", "Publishes refused for their credentials"),
    histogram("rapidrtmp_part_interval_seconds", PART_SECONDS, "Time between parts of a stream"),
    counter("rapidrtmp_gop_too_long_total", "Segments cut without a keyframe to keep the target duration"),
    counter("rapidrtmp_gaps_total", "Gap segments written for missing media"),
    gauge("rapidrtmp_store_backlog", "Writes waiting for the store"),
    counter("rapidrtmp_store_errors_total", "Writes and reads that the store failed"),
    counter("rapidrtmp_store_lost_total", "Segments dropped unwritten because there was no room to wait"),
    gauge("rapidrtmp_window_bytes", "Bytes of parts held for viewers"),
    gauge("rapidrtmp_ring_bytes", "Bytes of frames held for readers"),
    gauge("rapidrtmp_held_requests", "Playlist and part requests waiting for media"),
    with(
        gauge("rapidrtmp_dependency_up", "Whether a dependency answers, 1 or 0"),
        &[&[("dependency", "registry")], &[("dependency", "store")]],
    ),
    counter("rapidrtmp_admin_denied_total", "Admin requests refused"),
    with(
        counter("rapidrtmp_http_cut_total", "HTTP connections cut for what their peer did, by reason"),
        &[&[("reason", "slow_header")], &[("reason", "stalled")], &[("reason", "flood")]],
    ),
    gauge(
        "rapidrtmp_tls_certificate_expiry_timestamp_seconds",
        "When the certificate in use expires, in unix time; 0 without TLS",
    ),
    counter("rapidrtmp_tls_reloads_total", "New certificates taken from the files while running"),
    counter("rapidrtmp_tls_reload_failures_total", "New certificates that could not be used"),
    counter("rapidrtmp_tls_handshake_failures_total", "TLS handshakes that failed or took too long"),
];
