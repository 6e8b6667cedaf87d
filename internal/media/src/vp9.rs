//! VP9's configuration record ("VP Codec ISO Media File Format Binding" 1.0) and the head of a keyframe ("VP9 Bitstream
//! & Decoding Process Specification" §6.2).

use bytes::Bytes;
use thiserror::Error;

use crate::bits::Bits;

/// The record's fixed fields; VP8 and VP9 have no initialisation data behind them.
const FIELDS: usize = 8;
/// Version and flags of the `vpcC` box, which encoders send in front of the fields, and some leave out.
const FULL_BOX: [u8; 4] = [1, 0, 0, 0];
const SYNC_CODE: u32 = 0x49_83_42;
/// The colour space that implies full range and 4:4:4 (§7.2.2: CS_RGB).
const RGB: u32 = 7;

/// Why a `vpcC` record, or the keyframe that completes it, cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Vp9Error {
    /// It ends early, or is too long.
    #[error("the VP9 configuration is truncated or oversized")]
    Length,
    /// A profile above 3, or a bit depth that is not 8, 10 or 12.
    #[error("the VP9 configuration has an unknown profile or bit depth")]
    Profile,
    /// A keyframe whose head cannot be read.
    #[error("a VP9 keyframe's header cannot be read")]
    Keyframe,
    /// A size outside 16–8192 pixels.
    #[error("the VP9 picture size {0}x{1} is not supported")]
    Size(u32, u32),
}

/// A parsed `vpcC` record, with the picture size, which only keyframes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vp9Config {
    /// The record's fields, for the `vpcC` box behind its version and flags.
    pub record: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Colour primaries, transfer characteristics and matrix coefficients (ITU-T H.273).
    pub color: [u8; 3],
}

impl Vp9Config {
    /// Reads a VPCodecConfigurationRecord, with or without the box's version and flags, and the size in `keyframe`.
    ///
    /// # Errors
    /// [`Vp9Error`] when they cannot head a `vp09` sample entry.
    pub fn parse(record: &Bytes, keyframe: &[u8]) -> Result<Self, Vp9Error> {
        let skip = if record.len() > FIELDS && record.starts_with(&FULL_BOX) { FULL_BOX.len() } else { 0 };
        let fields = record.slice(skip..);
        let Some(&[profile, _, depth, primaries, transfer, matrix, 0, 0]) = fields.first_chunk::<FIELDS>()
        else {
            return Err(Vp9Error::Length);
        };
        if fields.len() != FIELDS {
            return Err(Vp9Error::Length);
        }
        if profile > 3 || !matches!(depth >> 4, 8 | 10 | 12) {
            return Err(Vp9Error::Profile);
        }
        let (width, height) = vp9_keyframe_size(keyframe).ok_or(Vp9Error::Keyframe)?;
        if !(16..=8192).contains(&width) || !(16..=8192).contains(&height) {
            return Err(Vp9Error::Size(width, height));
        }
        Ok(Self { record: fields, width, height, color: [primaries, transfer, matrix] })
    }

    /// `vp09.PP.LL.DD`, and what follows where the colours are not the ordinary ones (binding, "Codecs Parameter String").
    pub fn rfc6381(&self) -> String {
        let Some(&[profile, level, depth, primaries, transfer, matrix, ..]) =
            self.record.first_chunk::<FIELDS>()
        else {
            return "vp09".into();
        };
        let (bits, sampling, range) = (depth >> 4, depth >> 1 & 7, depth & 1);
        let mut text = format!("vp09.{profile:02}.{level:02}.{bits:02}");
        let ordinary = sampling <= 1 && range == 0;
        if !ordinary || [primaries, transfer, matrix].iter().any(|c| !matches!(c, 1 | 2)) {
            text.push_str(&format!(".{sampling:02}.{primaries:02}.{transfer:02}.{matrix:02}.{range:02}"));
        }
        text
    }
}

/// Width and height of a keyframe; `None` when `frame` begins with none.
pub fn vp9_keyframe_size(frame: &[u8]) -> Option<(u32, u32)> {
    let b = &mut Bits::new(frame);
    if b.take(2)? != 2 {
        return None;
    }
    let profile = b.take(1)? | b.take(1)? << 1;
    if profile == 3 && b.flag()? {
        return None;
    }
    // show_existing_frame, frame_type (0: key)
    if b.flag()? || b.flag()? {
        return None;
    }
    b.skip(2)?;
    if b.take(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        b.skip(1)?;
    }
    let sampled = profile & 1 == 1;
    if b.take(3)? == RGB {
        b.skip(usize::from(sampled))?;
    } else {
        b.skip(if sampled { 4 } else { 1 })?;
    }
    Some((b.take(16)? + 1, b.take(16)? + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// libvpx-vp9, 320x180, as ffmpeg 9's flv muxer sends record and keyframe.
    const RECORD: &[u8] = &[1, 0, 0, 0, 0, 0x0b, 0x82, 2, 2, 2, 0, 0];
    const KEY: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x06];

    fn parse(record: &'static [u8]) -> Result<Vp9Config, Vp9Error> {
        Vp9Config::parse(&Bytes::from_static(record), KEY)
    }

    #[test]
    fn a_real_record_and_keyframe_are_read() {
        let c = parse(RECORD).unwrap();
        assert_eq!((c.width, c.height, c.rfc6381().as_str()), (320, 180, "vp09.00.11.08"));
        assert_eq!(parse(&RECORD[4..]), Ok(c));
        let hdr = parse(&[2, 31, 0xa2, 9, 16, 9, 0, 0]).unwrap();
        assert_eq!((hdr.rfc6381().as_str(), hdr.color[1]), ("vp09.02.31.10.01.09.16.09.00", 16));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for n in 0..RECORD.len() {
            assert_eq!(parse(&RECORD[..n]).is_ok(), n == 12, "{n}");
        }
        assert_eq!(parse(&[4, 11, 0x82, 2, 2, 2, 0, 0]), Err(Vp9Error::Profile));
        assert_eq!(parse(&[0, 11, 0x92, 2, 2, 2, 0, 0]), Err(Vp9Error::Profile));
        assert_eq!(parse(&[0, 11, 0x82, 2, 2, 2, 0, 9]), Err(Vp9Error::Length));
        let record = Bytes::from_static(RECORD);
        assert_eq!(Vp9Config::parse(&record, &KEY[..8]), Err(Vp9Error::Keyframe));
        // An inter frame, and one of 4 pixels.
        assert_eq!(Vp9Config::parse(&record, &[0x86, 0, 0x40, 0x92]), Err(Vp9Error::Keyframe));
        let tiny = [0x82, 0x49, 0x83, 0x42, 0, 0, 0x30, 0, 0x30];
        assert_eq!(Vp9Config::parse(&record, &tiny), Err(Vp9Error::Size(4, 4)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(record in prop::collection::vec(any::<u8>(), 0..20), key in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(c) = Vp9Config::parse(&record.into(), &key) {
                prop_assert!(c.rfc6381().is_ascii() && c.record.len() == FIELDS);
            }
        }
    }
}
