//! The packager's metrics: handles made once, so that no part pays for a look-up.

use metrics::{Counter, Histogram, counter, histogram};

/// Handles of every metric that this crate counts (names as RapidRTMP's, plus part cadence and gaps).
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) segments_created: Counter,
    pub(crate) segment_duration: Histogram,
    pub(crate) segment_size: Histogram,
    pub(crate) part_interval: Histogram,
    pub(crate) gop_too_long: Counter,
    pub(crate) gaps: Counter,
}

impl Meters {
    /// Takes the handles from the recorder that is installed now.
    pub(crate) fn new() -> Self {
        Self {
            segments_created: counter!("rapidrtmp_segments_created_total"),
            segment_duration: histogram!("rapidrtmp_segment_duration_seconds"),
            segment_size: histogram!("rapidrtmp_segment_size_bytes"),
            part_interval: histogram!("rapidrtmp_part_interval_seconds"),
            gop_too_long: counter!("rapidrtmp_gop_too_long_total"),
            gaps: counter!("rapidrtmp_gaps_total"),
        }
    }

    /// Frames of one stream that were gone before the packager came for them.
    pub(crate) fn lagged(stream_key: &str) -> Counter {
        counter!("rapidrtmp_frames_dropped_total", "stream_key" => stream_key.to_owned(), "reason" => "lagged")
    }
}
