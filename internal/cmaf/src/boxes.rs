//! The small boxes and flag words that several writers share.

use bytes::Bytes;

/// `styp`: a segment whose brands are CMAF segment and DASH media segment (ISO/IEC 23000-19 §7.3.1).
pub(crate) const STYP: &[u8; 28] = b"\x00\x00\x00\x1cstypmsdh\x00\x00\x00\x00msdhmsixcmfs";

/// The body of an EXT-X-GAP segment: a `styp` box only, so that a client that does not know the tag passes it.
pub fn gap_segment() -> Bytes {
    Bytes::from_static(STYP)
}
