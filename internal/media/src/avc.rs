//! H.264's decoder configuration record (ISO/IEC 14496-15 §5.3.3.1) and parameter sets.

use bytes::Bytes;
use h264_reader::{
    nal::sps::SeqParameterSet,
    rbsp::{BitReader, decode_nal},
};
use thiserror::Error;

/// Room for 31 SPS and 255 PPS of ordinary size; a longer record is an attack.
const MAX_BYTES: usize = 64 * 1024;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;

/// Why an `avcC` record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AvcError {
    /// It ends early, or is absurdly long.
    #[error("the H.264 configuration is truncated or oversized")]
    Length,
    /// Not version 1.
    #[error("the H.264 configuration has an unknown version")]
    Version,
    /// NAL lengths of other than 4 bytes.
    #[error("the H.264 configuration uses {0}-byte NAL lengths; 4 are supported")]
    NalLength(u8),
    /// No SPS or no PPS, or one that cannot be read.
    #[error("the H.264 configuration has no usable SPS and PPS")]
    ParameterSet,
    /// A size outside 16–8192 pixels.
    #[error("the H.264 picture size {0}x{1} is not supported")]
    Size(u32, u32),
}

/// A parsed `avcC` record and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct AvcConfig {
    /// As sent, for the `avcC` box.
    pub record: Bytes,
    /// profile_idc, constraint flags, level_idc, from the SPS.
    pub profile: [u8; 3],
    /// Displayed width in pixels, after cropping.
    pub width: u32,
    /// Displayed height in pixels, after cropping.
    pub height: u32,
    /// Frames a second, when the SPS's VUI gives a fixed rate.
    pub frame_rate: Option<f64>,
    /// Pictures that may be reordered: 0 means no B-frames. `None`: the SPS does not say.
    pub max_reorder: Option<u32>,
}

impl AvcConfig {
    /// Reads an AVCDecoderConfigurationRecord.
    ///
    /// # Errors
    /// [`AvcError`] when it cannot head an `avc1` sample entry.
    pub fn parse(record: &Bytes) -> Result<Self, AvcError> {
        if record.len() > MAX_BYTES {
            return Err(AvcError::Length);
        }
        let Some(&[version, _, _, _, length_size, _]) = record.get(..6) else { return Err(AvcError::Length) };
        if version != 1 {
            return Err(AvcError::Version);
        }
        if length_size & 3 != 3 {
            return Err(AvcError::NalLength((length_size & 3) + 1));
        }
        let (sps, rest) = sets(record.get(5..).unwrap_or_default(), 0x1f)?;
        let (pps, _) = sets(rest, 0xff)?;
        let sps = *sps.first().ok_or(AvcError::ParameterSet)?;
        if sps.first().is_none_or(|h| h & 0x1f != NAL_SPS)
            || pps.first().and_then(|p| p.first()).is_none_or(|h| h & 0x1f != NAL_PPS)
        {
            return Err(AvcError::ParameterSet);
        }
        Self::from_sps(record, sps)
    }

    fn from_sps(record: &Bytes, nal: &[u8]) -> Result<Self, AvcError> {
        let Some(&[profile_idc, constraints, level_idc]) = nal.get(1..4) else {
            return Err(AvcError::ParameterSet);
        };
        let profile = [profile_idc, constraints, level_idc];
        let rbsp = decode_nal(nal).map_err(|_| AvcError::ParameterSet)?;
        let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).map_err(|_| AvcError::ParameterSet)?;
        let (width, height) = sps.pixel_dimensions().map_err(|_| AvcError::ParameterSet)?;
        if !(16..=8192).contains(&width) || !(16..=8192).contains(&height) {
            return Err(AvcError::Size(width, height));
        }
        let vui = sps.vui_parameters.as_ref();
        let frame_rate = vui
            .and_then(|v| v.timing_info.as_ref())
            .filter(|t| t.fixed_frame_rate_flag && t.num_units_in_tick > 0)
            .map(|t| f64::from(t.time_scale) / (2.0 * f64::from(t.num_units_in_tick)))
            .filter(|r| (1.0..=1000.0).contains(r));
        let max_reorder = match vui.and_then(|v| v.bitstream_restrictions.as_ref()) {
            Some(r) => Some(r.max_num_reorder_frames),
            // Baseline has no B slices (ISO/IEC 14496-10 §A.2.1).
            None => (profile_idc == 66).then_some(0),
        };
        Ok(Self { record: record.clone(), profile, width, height, frame_rate, max_reorder })
    }

    /// `avc1.PPCCLL` (RFC 6381 §3.3).
    pub fn rfc6381(&self) -> String {
        let [p, c, l] = self.profile;
        format!("avc1.{p:02X}{c:02X}{l:02X}")
    }
}

/// A count (masked) and that many 16-bit-length-prefixed NAL units.
fn sets(data: &[u8], mask: u8) -> Result<(Vec<&[u8]>, &[u8]), AvcError> {
    let (count, mut rest) = data.split_first().ok_or(AvcError::Length)?;
    let mut out = Vec::new();
    for _ in 0..count & mask {
        let (len, tail) = rest.split_first_chunk::<2>().ok_or(AvcError::Length)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let nal = tail.get(..len).ok_or(AvcError::Length)?;
        rest = tail.get(len..).unwrap_or_default();
        out.push(nal);
    }
    Ok((out, rest))
}

/// The NAL unit types in a sample with 4-byte lengths; `None` when a length overruns the sample.
///
/// The sample is walked twice and nothing is kept: a list of units of a byte each would be five times the sample.
pub fn nal_units(sample: &[u8]) -> Option<impl Iterator<Item = (u8, &[u8])>> {
    let mut rest = sample;
    while !rest.is_empty() {
        take_nal_unit(&mut rest)?;
    }
    rest = sample;
    let units = std::iter::from_fn(move || take_nal_unit(&mut rest));
    Some(units.filter_map(|nal| Some((nal.first()? & 0x1f, nal))))
}

/// Takes a unit with its four length bytes off the front; `None` when they overrun.
fn take_nal_unit<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let (nal, tail) = tail.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = tail;
    Some(nal)
}

#[cfg(test)]
mod tests {
    use super::*;

    // x264, 1280x720, High@3.1, 30 fps, as ffmpeg's flv muxer sends it.
    const SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    ];
    const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

    fn record(length_size: u8, sps: &[u8], pps: &[u8]) -> Bytes {
        let mut b = vec![1, 0x64, 0, 0x1f, 0xfc | length_size, 0xe1];
        b.extend((sps.len() as u16).to_be_bytes());
        b.extend(sps);
        b.push(1);
        b.extend((pps.len() as u16).to_be_bytes());
        b.extend(pps);
        b.into()
    }

    #[test]
    fn a_real_record_is_read() {
        let c = AvcConfig::parse(&record(3, SPS, PPS)).unwrap();
        assert_eq!((c.width, c.height), (1280, 720));
        assert_eq!(c.rfc6381(), "avc1.64001F");
        assert_eq!(c.max_reorder, Some(2));
    }

    #[test]
    fn broken_records_are_refused_at_every_length() {
        let whole = record(3, SPS, PPS);
        for n in 0..whole.len() {
            assert!(AvcConfig::parse(&whole.slice(..n)).is_err(), "{n}");
        }
        assert_eq!(AvcConfig::parse(&record(1, SPS, PPS)), Err(AvcError::NalLength(2)));
        assert_eq!(AvcConfig::parse(&record(3, PPS, SPS)), Err(AvcError::ParameterSet));
    }

    #[test]
    fn nal_lengths_may_not_overrun() {
        assert_eq!(nal_units(&[0, 0, 0, 1, 0x65]).unwrap().map(|n| n.0).collect::<Vec<_>>(), [5]);
        assert!(nal_units(&[0, 0, 0, 2, 0x65]).is_none());
        assert!(nal_units(&[0, 0, 1]).is_none());
        let with_empty = [0, 0, 0, 0, 0, 0, 0, 1, 0x41, 0, 0, 0, 0];
        assert_eq!(nal_units(&with_empty).unwrap().collect::<Vec<_>>(), [(1, &[0x41][..])]);
    }
}
