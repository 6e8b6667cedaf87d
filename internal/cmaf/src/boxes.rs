//! The small boxes and flag words that several writers share.

use bytes::Bytes;

/// `styp` with the brands of a DASH media segment and a CMAF segment (ISO/IEC 23000-19 §7.3.1); not `msix`,
/// as no `sidx` follows.
pub(crate) const STYP: &[u8; 24] = b"\x00\x00\x00\x18stypmsdh\x00\x00\x00\x00msdhcmfs";

/// Sample flags of a sync sample: depends on no other (ISO/IEC 14496-12 §8.8.3.1).
pub(crate) const SYNC: u32 = 0x0200_0000;
/// Sample flags of any other picture: depends on others, is no sync sample.
pub(crate) const NON_SYNC: u32 = 0x0101_0000;

/// The body of an EXT-X-GAP segment: a `styp` box only, so that a client that does not know the tag passes it.
pub fn gap_segment() -> Bytes {
    Bytes::from_static(STYP)
}

/// Writes a box around what `body` writes. Only for boxes far below 4 GiB.
pub(crate) fn nest<E>(
    buf: &mut Vec<u8>,
    kind: &[u8; 4],
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let at = buf.len();
    buf.extend([0; 4]);
    buf.extend(kind);
    body(buf)?;
    let size = (buf.len() - at) as u32;
    if let Some(field) = buf.get_mut(at..at + 4) {
        field.copy_from_slice(&size.to_be_bytes());
    }
    Ok(())
}
