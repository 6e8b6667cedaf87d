//! The ingest's metrics: handles made once, those of a stream when it starts.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Handles that all connections share.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) connections: Counter,
    pub(crate) disconnects: Counter,
    pub(crate) errors: Counter,
    /// TLS handshakes that failed or took too long.
    pub(crate) no_tls: Counter,
    pub(crate) bytes: Counter,
    pub(crate) auth_failures: Counter,
    pub(crate) total_streams: Counter,
    pub(crate) started: Counter,
    pub(crate) stopped: Counter,
    pub(crate) active: Gauge,
    pub(crate) keyframes: Counter,
    pub(crate) duration: Histogram,
    pub(crate) video_size: Histogram,
    pub(crate) audio_size: Histogram,
}

impl Meters {
    /// Takes the handles from the recorder that is installed now.
    pub(crate) fn new() -> Self {
        Self {
            connections: counter!("rapidrtmp_rtmp_connections_total"),
            disconnects: counter!("rapidrtmp_rtmp_disconnects_total"),
            errors: counter!("rapidrtmp_rtmp_errors_total"),
            no_tls: counter!("rapidrtmp_tls_handshake_failures_total"),
            bytes: counter!("rapidrtmp_rtmp_bytes_received_total"),
            auth_failures: counter!("rapidrtmp_auth_failures_total"),
            total_streams: counter!("rapidrtmp_total_streams"),
            started: counter!("rapidrtmp_streams_started_total"),
            stopped: counter!("rapidrtmp_streams_stopped_total"),
            active: gauge!("rapidrtmp_active_streams"),
            keyframes: counter!("rapidrtmp_keyframes_total"),
            duration: histogram!("rapidrtmp_stream_duration_seconds"),
            video_size: histogram!("rapidrtmp_frame_size_bytes", "type" => "video"),
            audio_size: histogram!("rapidrtmp_frame_size_bytes", "type" => "audio"),
        }
    }
}

/// Handles of one stream.
pub(crate) struct StreamMeters {
    pub(crate) video: Counter,
    pub(crate) audio: Counter,
    /// Media messages whose codec or configuration was missing.
    pub(crate) no_track: Counter,
    /// Frames that came after the stream was closed.
    pub(crate) closed: Counter,
}

impl StreamMeters {
    pub(crate) fn new(stream_key: &str) -> Self {
        let name = "rapidrtmp_frames_received_total";
        let dropped = "rapidrtmp_frames_dropped_total";
        let key = stream_key.to_owned();
        Self {
            video: counter!(name, "stream_key" => key.clone(), "type" => "video"),
            audio: counter!(name, "stream_key" => key.clone(), "type" => "audio"),
            no_track: counter!(dropped, "stream_key" => key.clone(), "reason" => "no_track"),
            closed: counter!(dropped, "stream_key" => key, "reason" => "closed"),
        }
    }
}
