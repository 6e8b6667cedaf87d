//! H.265's decoder configuration record (ISO/IEC 14496-15 §8.3.3.1) and sequence parameter set (ISO/IEC 23008-2 §7.3.2.2).

use bytes::Bytes;
use thiserror::Error;

use crate::bits::Bits;

/// Room for the parameter sets of any real encoder, their SEI messages included; a longer record is an attack.
const MAX_BYTES: usize = 64 * 1024;
/// VPS, SPS, PPS and the two kinds of SEI are what such a record holds.
const MAX_ARRAYS: u8 = 16;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
/// Sub-layers (`sps_max_sub_layers_minus1` is at most 6), reference picture sets, pictures in one and long-term pictures.
const MAX_SUB_LAYERS: u32 = 7;
const MAX_SETS: u32 = 64;
const MAX_PICTURES: u32 = 16;
const MAX_LONG_TERM: u32 = 32;

/// Why an `hvcC` record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HevcError {
    /// It ends early, or is absurdly long.
    #[error("the H.265 configuration is truncated or oversized")]
    Length,
    /// Not version 1.
    #[error("the H.265 configuration has an unknown version")]
    Version,
    /// NAL lengths of other than 4 bytes.
    #[error("the H.265 configuration uses {0}-byte NAL lengths; 4 are supported")]
    NalLength(u8),
    /// No VPS, SPS or PPS, or an SPS that cannot be read.
    #[error("the H.265 configuration has no usable VPS, SPS and PPS")]
    ParameterSet,
    /// A size outside 16–8192 pixels.
    #[error("the H.265 picture size {0}x{1} is not supported")]
    Size(u32, u32),
}

/// A parsed `hvcC` record and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct HevcConfig {
    /// As sent, for the `hvcC` box.
    pub record: Bytes,
    /// Displayed width in pixels, after cropping.
    pub width: u32,
    /// Displayed height in pixels, after cropping.
    pub height: u32,
    /// Frames a second, when the SPS's VUI says.
    pub frame_rate: Option<f64>,
    /// Pictures that may be reordered: 0 means no B-frames.
    pub max_reorder: u32,
    /// `transfer_characteristics` (ITU-T H.273), when the VUI says.
    pub transfer: Option<u8>,
}

impl HevcConfig {
    /// Reads an HEVCDecoderConfigurationRecord.
    ///
    /// # Errors
    /// [`HevcError`] when it cannot head an `hvc1` sample entry.
    pub fn parse(record: &Bytes) -> Result<Self, HevcError> {
        if record.len() > MAX_BYTES {
            return Err(HevcError::Length);
        }
        let head: &[u8; 23] = record.first_chunk().ok_or(HevcError::Length)?;
        let [version, .., length_size, arrays] = *head;
        if version != 1 {
            return Err(HevcError::Version);
        }
        if length_size & 3 != 3 {
            return Err(HevcError::NalLength((length_size & 3) + 1));
        }
        let sps = parameter_sets(record.get(23..).unwrap_or_default(), arrays)?;
        // The two bytes of the NAL unit header come first (§7.3.1.2).
        let rbsp = without_emulation_prevention(sps.get(2..).unwrap_or_default());
        let sps = Sps::read(&rbsp).ok_or(HevcError::ParameterSet)?;
        if !(16..=8192).contains(&sps.width) || !(16..=8192).contains(&sps.height) {
            return Err(HevcError::Size(sps.width, sps.height));
        }
        Ok(Self {
            record: record.clone(),
            width: sps.width,
            height: sps.height,
            frame_rate: sps.vui.frame_rate,
            max_reorder: sps.max_reorder,
            transfer: sps.vui.transfer,
        })
    }

    /// `hvc1.…` (ISO/IEC 14496-15 §E.3): profile, compatibility flags in reverse bit order, tier and level, constraint
    /// bytes up to the last that is not 0.
    pub fn rfc6381(&self) -> String {
        let Some(&[_, profile, a, b, c, d, ref constraints @ .., level]) = self.record.first_chunk::<13>()
        else {
            return "hvc1".into();
        };
        let space = ["", "A", "B", "C"].get(usize::from(profile >> 6)).copied().unwrap_or_default();
        let compatible = u32::from_be_bytes([a, b, c, d]).reverse_bits();
        let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
        let mut text = format!("hvc1.{space}{}.{compatible:X}.{tier}{level}", profile & 0x1f);
        let used = constraints.iter().rposition(|c| *c != 0).map_or(0, |last| last + 1);
        for constraint in constraints.iter().take(used) {
            text.push_str(&format!(".{constraint:X}"));
        }
        text
    }
}

/// The first SPS; there must be a VPS and a PPS too, as `hvc1` has them nowhere else (ISO/IEC 14496-15 §8.4.3).
fn parameter_sets(data: &[u8], arrays: u8) -> Result<&[u8], HevcError> {
    if arrays > MAX_ARRAYS {
        return Err(HevcError::Length);
    }
    let (mut vps, mut sps, mut pps) = (false, None, false);
    let mut rest = data;
    for _ in 0..arrays {
        let (&[kind, a, b], tail) = rest.split_first_chunk().ok_or(HevcError::Length)?;
        rest = tail;
        for _ in 0..u16::from_be_bytes([a, b]) {
            let (length, tail) = rest.split_first_chunk::<2>().ok_or(HevcError::Length)?;
            let (nal, tail) =
                tail.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(HevcError::Length)?;
            rest = tail;
            match kind & 0x3f {
                VPS => vps |= !nal.is_empty(),
                SPS if sps.is_none() => sps = Some(nal),
                PPS => pps |= !nal.is_empty(),
                _ => {}
            }
        }
    }
    sps.filter(|_| vps && pps).ok_or(HevcError::ParameterSet)
}

/// Takes `emulation_prevention_three_byte`s out (ISO/IEC 23008-2 §7.3.1.1).
fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// What we use of an SPS.
struct Sps {
    width: u32,
    height: u32,
    max_reorder: u32,
    vui: Vui,
}

#[derive(Default)]
struct Vui {
    frame_rate: Option<f64>,
    transfer: Option<u8>,
}

impl Sps {
    /// Reads an SPS's payload. What follows the picture size may be in extensions that we do not know: it is optional.
    fn read(rbsp: &[u8]) -> Option<Self> {
        let b = &mut Bits::new(rbsp);
        b.skip(4)?;
        let sub_layers = b.take(3)?;
        if sub_layers >= MAX_SUB_LAYERS {
            return None;
        }
        b.skip(1)?;
        profile_tier_level(b, sub_layers)?;
        b.ue()?; // sps_seq_parameter_set_id
        let chroma = b.ue()?;
        if chroma == 3 {
            b.skip(1)?;
        }
        let (width, height) = (b.ue()?, b.ue()?);
        let (mut cut_x, mut cut_y) = (0, 0);
        if b.flag()? {
            let [left, right, top, bottom] = [b.ue()?, b.ue()?, b.ue()?, b.ue()?];
            let (unit_x, unit_y) =
                (if matches!(chroma, 1 | 2) { 2 } else { 1 }, if chroma == 1 { 2 } else { 1 });
            cut_x = left.checked_add(right)?.checked_mul(unit_x)?;
            cut_y = top.checked_add(bottom)?.checked_mul(unit_y)?;
        }
        b.ue()?; // bit_depth_luma_minus8
        b.ue()?; // bit_depth_chroma_minus8
        let poc_bits = b.ue()?.checked_add(4)?;
        let first = if b.flag()? { 0 } else { sub_layers };
        let mut max_reorder = 0;
        for _ in first..=sub_layers {
            b.ue()?;
            max_reorder = b.ue()?;
            b.ue()?;
        }
        let vui = Vui::after(b, poc_bits).unwrap_or_default();
        Some(Self { width: width.checked_sub(cut_x)?, height: height.checked_sub(cut_y)?, max_reorder, vui })
    }
}

/// §7.3.3, without keeping anything: the record's head has the same.
fn profile_tier_level(b: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    b.skip(96)?;
    let mut bits = 0;
    for _ in 0..sub_layers {
        bits += if b.flag()? { 88 } else { 0 };
        bits += if b.flag()? { 8 } else { 0 };
    }
    if sub_layers > 0 {
        b.skip(2 * (8 - sub_layers as usize))?;
    }
    b.skip(bits)
}

impl Vui {
    /// Passes over what stands between `sps_max_latency_increase_plus1` and the VUI, and reads that (§E.2.1).
    fn after(b: &mut Bits<'_>, poc_bits: u32) -> Option<Self> {
        for _ in 0..6 {
            b.ue()?; // sizes and depths of blocks
        }
        if b.flag()? && b.flag()? {
            scaling_lists(b)?;
        }
        b.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
        if b.flag()? {
            b.skip(8)?;
            b.ue()?;
            b.ue()?;
            b.skip(1)?;
        }
        reference_picture_sets(b)?;
        if b.flag()? {
            let count = b.ue()?;
            if count > MAX_LONG_TERM || poc_bits > 16 {
                return None;
            }
            b.skip(count as usize * (poc_bits as usize + 1))?;
        }
        b.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
        if b.flag()? { Self::read(b) } else { None }
    }

    fn read(b: &mut Bits<'_>) -> Option<Self> {
        if b.flag()? && b.take(8)? == 255 {
            b.skip(32)?;
        }
        if b.flag()? {
            b.skip(1)?;
        }
        let mut transfer = None;
        if b.flag()? {
            b.skip(4)?;
            if b.flag()? {
                b.skip(8)?;
                transfer = Some(b.take(8)? as u8);
                b.skip(8)?;
            }
        }
        if b.flag()? {
            b.ue()?;
            b.ue()?;
        }
        b.skip(3)?;
        if b.flag()? {
            for _ in 0..4 {
                b.ue()?;
            }
        }
        let mut frame_rate = None;
        if b.flag()? {
            let (units, scale) = (b.take(32)?, b.take(32)?);
            frame_rate = (units > 0).then(|| f64::from(scale) / f64::from(units));
        }
        Some(Self { frame_rate: frame_rate.filter(|r| (1.0..=1000.0).contains(r)), transfer })
    }
}

/// §7.3.4; the values are not needed.
fn scaling_lists(b: &mut Bits<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !b.flag()? {
                b.ue()?;
                continue;
            }
            // A direct-current coefficient comes first in lists of 16x16 and above.
            let coefficients = 64.min(1 << (4 + 2 * size)) + i32::from(size > 1);
            for _ in 0..coefficients {
                b.ue()?;
            }
        }
    }
    Some(())
}

/// §7.3.7; only how many pictures each set has matters, as a later one may be told as its difference.
fn reference_picture_sets(b: &mut Bits<'_>) -> Option<()> {
    let count = b.ue()?;
    if count > MAX_SETS {
        return None;
    }
    let mut before = 0;
    for index in 0..count {
        let mut pictures = 0;
        if index > 0 && b.flag()? {
            b.skip(1)?;
            b.ue()?;
            for _ in 0..=before {
                // used_by_curr_pic_flag, or else use_delta_flag
                pictures += u32::from(b.flag()? || b.flag()?);
            }
        } else {
            pictures = b.ue()?.checked_add(b.ue()?)?;
            if pictures > MAX_PICTURES {
                return None;
            }
            for _ in 0..pictures {
                b.ue()?;
                b.skip(1)?;
            }
        }
        before = pictures;
    }
    Some(())
}

/// What a sample's NAL units say of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HevcSample {
    /// It has a slice, so it is a picture.
    pub picture: bool,
    /// An intra random access point: IDR, BLA or CRA (§7.4.2.2).
    pub key: bool,
    /// A picture that precedes its random access point and cannot be decoded from there: the encoder's GOPs are open.
    pub skipped_leading: bool,
}

impl HevcSample {
    /// Reads the NAL unit types of a sample with 4-byte lengths; `None` when a length overruns the sample.
    pub fn read(sample: &[u8]) -> Option<Self> {
        let mut found = Self::default();
        for (_, nal) in crate::nal_units(sample)? {
            let kind = nal.first().map_or(63, |h| h >> 1 & 0x3f);
            found.picture |= kind < 32;
            found.key |= (16..=21).contains(&kind);
            found.skipped_leading |= matches!(kind, 8 | 9);
        }
        Some(found)
    }
}

#[cfg(test)]
#[path = "hevc_tests.rs"]
mod tests;
