//! FLAC: the stream information block (RFC 9639 §8.2) and how long a frame lasts (§9.1).

use bytes::Bytes;
use thiserror::Error;

const STREAM_INFO: usize = 34;
/// Comments and pictures have no place in a sequence header; some encoders send them all the same.
const MAX_BYTES: usize = 64 * 1024;
/// Block type 0, with and without the mark of the last block, and the length.
const BLOCK_HEADS: [[u8; 4]; 2] = [[0x80, 0, 0, STREAM_INFO as u8], [0, 0, 0, STREAM_INFO as u8]];
/// Rates that a browser plays; FLAC itself goes to 1 MHz.
const MIN_RATE: u32 = 8_000;
const MAX_RATE: u32 = 192_000;

/// Why a FLAC header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlacError {
    /// No stream information block, or absurdly long.
    #[error("the FLAC configuration is truncated or malformed")]
    Malformed,
    /// Outside 8–192 kHz.
    #[error("a FLAC sampling rate of {0} Hz is not supported")]
    Rate(u32),
}

/// A parsed stream information block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlacConfig {
    /// The block's 34 bytes, without its head, for `dfLa`.
    pub stream_info: Bytes,
    /// In Hz; the track's timescale.
    pub sample_rate: u32,
    /// 1 to 8.
    pub channels: u8,
    /// Of one sample, 4 to 32.
    pub bits: u8,
    /// Samples in the longest frame.
    pub max_block: u32,
}

impl FlacConfig {
    /// Reads a sequence header: `fLaC` and metadata blocks as Enhanced RTMP 2 has it, blocks alone, or the bare block as
    /// ffmpeg sends it.
    ///
    /// # Errors
    /// [`FlacError`] when it cannot head an `fLaC` sample entry.
    pub fn parse(header: &Bytes) -> Result<Self, FlacError> {
        if header.len() > MAX_BYTES {
            return Err(FlacError::Malformed);
        }
        let mut at = if header.starts_with(b"fLaC") { 4 } else { 0 };
        let blocks = header.get(at..).unwrap_or_default();
        if BLOCK_HEADS.iter().any(|head| blocks.starts_with(head)) {
            at += 4;
        } else if header.len() != STREAM_INFO {
            return Err(FlacError::Malformed);
        }
        let info: &[u8; STREAM_INFO] =
            header.get(at..).and_then(|rest| rest.first_chunk()).ok_or(FlacError::Malformed)?;
        let [_, _, b0, b1, _, _, _, _, _, _, r0, r1, r2, depth, ..] = *info;
        let sample_rate = u32::from_be_bytes([0, r0, r1, r2]) >> 4;
        let max_block = u32::from(u16::from_be_bytes([b0, b1]));
        if !(MIN_RATE..=MAX_RATE).contains(&sample_rate) {
            return Err(FlacError::Rate(sample_rate));
        }
        if max_block < 16 {
            return Err(FlacError::Malformed);
        }
        Ok(Self {
            stream_info: Bytes::copy_from_slice(info),
            sample_rate,
            channels: (r2 >> 1 & 7) + 1,
            bits: ((r2 & 1) << 4 | depth >> 4) + 1,
            max_block,
        })
    }
}

/// Samples in a frame, from its header; `None` when it begins with none.
pub fn flac_frame_samples(frame: &[u8]) -> Option<u32> {
    let &[0xff, sync, sizes, _, number, ..] = frame else { return None };
    if sync & 0xfe != 0xf8 {
        return None;
    }
    // Sizes that the table lacks stand behind the frame's number, which is coded as UTF-8 does it.
    let behind = match number.leading_ones() {
        0 => 5,
        n @ 2..=7 => 4 + n as usize,
        _ => return None,
    };
    match sizes >> 4 {
        1 => Some(192),
        n @ 2..=5 => Some(576 << (n - 2)),
        6 => Some(u32::from(*frame.get(behind)?) + 1),
        7 => Some(u32::from(u16::from_be_bytes([*frame.get(behind)?, *frame.get(behind + 1)?])) + 1),
        n @ 8..=15 => Some(256 << (n - 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// ffmpeg 9: 48 kHz, mono, 16 bits, blocks of 1024.
    const INFO: [u8; 34] = {
        let mut b = [0; 34];
        (b[0], b[2], b[9], b[10], b[11], b[12], b[13]) = (4, 4, 0x15, 0x0b, 0xb8, 0x00, 0xf0);
        b
    };

    fn parse(parts: &[&[u8]]) -> Result<FlacConfig, FlacError> {
        FlacConfig::parse(&parts.concat().into())
    }

    #[test]
    fn every_form_of_header_is_read() {
        let c = parse(&[&INFO]).unwrap();
        assert_eq!((c.sample_rate, c.channels, c.bits, c.max_block), (48_000, 1, 16, 1024));
        for head in [&b"\x80\0\0\x22"[..], b"\0\0\0\x22", b"fLaC\x80\0\0\x22", b"fLaC\0\0\0\x22"] {
            assert_eq!(parse(&[head, &INFO]).as_ref(), Ok(&c));
        }
        // Comments behind it are left out.
        assert_eq!(parse(&[b"fLaC\0\0\0\x22", &INFO, &[0x84, 0, 0, 1, 9]]), Ok(c));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for n in 0..INFO.len() {
            assert_eq!(parse(&[&INFO[..n]]), Err(FlacError::Malformed), "{n}");
            assert_eq!(parse(&[b"fLaC\x80\0\0\x22", &INFO[..n]]), Err(FlacError::Malformed), "{n}");
        }
        assert_eq!(parse(&[b"OggS", &INFO]), Err(FlacError::Malformed));
        let mut fast = INFO;
        fast[10] = 0xff;
        assert!(matches!(parse(&[&fast]), Err(FlacError::Rate(_))));
    }

    // RFC 9639 §9.1.1.
    #[test]
    fn frames_last_as_their_header_says() {
        assert_eq!(flac_frame_samples(&[0xff, 0xf8, 0xaa, 8, 0, 0xed]), Some(1024));
        assert_eq!(flac_frame_samples(&[0xff, 0xf8, 0x5a, 8, 0, 0]), Some(4_608));
        assert_eq!(flac_frame_samples(&[0xff, 0xf9, 0x6a, 8, 0x7f, 99]), Some(100));
        assert_eq!(flac_frame_samples(&[0xff, 0xf8, 0x7a, 8, 0xc2, 0x80, 1, 1]), Some(258));
        for none in [
            &[][..],
            &[0xff, 0xf8, 0xaa, 8],
            &[0xff, 0xf1, 0xaa, 8, 0],
            &[0xff, 0xf8, 0, 8, 0],
            &[0xff, 0xf8, 0x7a, 8, 0, 1],
        ] {
            assert_eq!(flac_frame_samples(none), None, "{none:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(b in prop::collection::vec(any::<u8>(), 0..60)) {
            flac_frame_samples(&b);
            let framed: Vec<u8> = b"fLaC\x80\0\0\x22".iter().copied().chain(b.iter().copied()).collect();
            for b in [b, framed] {
                if let Ok(c) = FlacConfig::parse(&b.into()) {
                    prop_assert!(c.stream_info.len() == STREAM_INFO && (1..=8).contains(&c.channels));
                }
            }
        }
    }
}
