//! AV1's configuration record ("AV1 Codec ISO Media File Format Binding" 1.2 §2.3) and the OBUs of a sample
//! ("AV1 Bitstream & Decoding Process Specification" §5, the low-overhead format).

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::bits::Bits;

/// A sequence header and some metadata; a longer record is an attack.
const MAX_BYTES: usize = 16 * 1024;
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
/// Transfer characteristics and matrix coefficients that make sRGB (§5.5.2): then the range is full and 4:4:4.
const SRGB: [u8; 3] = [1, 13, 0];

/// Why an `av1C` record, or the keyframe that completes it, cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Av1Error {
    /// It ends early, or is absurdly long.
    #[error("the AV1 configuration is truncated or oversized")]
    Length,
    /// Not version 1.
    #[error("the AV1 configuration has an unknown version")]
    Version,
    /// A sequence header that cannot be read.
    #[error("the AV1 sequence header cannot be read")]
    SequenceHeader,
    /// A size outside 16–8192 pixels.
    #[error("the AV1 picture size {0}x{1} is not supported")]
    Size(u32, u32),
}

/// A parsed `av1C` record and its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Av1Config {
    /// As sent, for the `av1C` box.
    pub record: Bytes,
    /// Largest width in pixels.
    pub width: u32,
    /// Largest height in pixels.
    pub height: u32,
    /// Frames a second, when the sequence header says that pictures come at equal intervals.
    pub frame_rate: Option<f64>,
    /// Colour primaries, transfer characteristics and matrix coefficients (ITU-T H.273), when the sequence header says.
    pub color: Option<[u8; 3]>,
    full_range: bool,
}

impl Av1Config {
    /// Reads an AV1CodecConfigurationRecord. Its `configOBUs` may be empty: then `keyframe`, a sample that starts a
    /// sequence, must have the sequence header; without one the answer is `None`, until it comes.
    ///
    /// # Errors
    /// [`Av1Error`] when it cannot head an `av01` sample entry.
    pub fn parse(record: &Bytes, keyframe: Option<&[u8]>) -> Result<Option<Self>, Av1Error> {
        if record.len() > MAX_BYTES {
            return Err(Av1Error::Length);
        }
        let (head, obus) = record.split_first_chunk::<4>().ok_or(Av1Error::Length)?;
        if head[0] != 0x81 {
            return Err(Av1Error::Version);
        }
        let header = match sequence_header(obus)? {
            Some(header) => header,
            None => match keyframe {
                None => return Ok(None),
                Some(sample) => sequence_header(sample)?.ok_or(Av1Error::SequenceHeader)?,
            },
        };
        let h = SequenceHeader::read(header).ok_or(Av1Error::SequenceHeader)?;
        if !(16..=8192).contains(&h.width) || !(16..=8192).contains(&h.height) {
            return Err(Av1Error::Size(h.width, h.height));
        }
        Ok(Some(Self {
            record: record.clone(),
            width: h.width,
            height: h.height,
            frame_rate: h.frame_rate,
            color: h.color,
            full_range: h.full_range,
        }))
    }

    /// `av01.P.LLT.DD`, and what follows where the colours are not the ordinary ones (binding §5).
    pub fn rfc6381(&self) -> String {
        let Some(&[_, profile_level, rest, _]) = self.record.first_chunk::<4>() else { return "av01".into() };
        let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
        let tier = if rest & 0x80 == 0 { 'M' } else { 'H' };
        let depth = match rest & 0x60 {
            0 => 8,
            0x60 => 12,
            _ => 10,
        };
        let mut text = format!("av01.{profile}.{level:02}{tier}.{depth:02}");
        let (mono, x, y, position) = (rest >> 4 & 1, rest >> 3 & 1, rest >> 2 & 1, rest & 3);
        let [primaries, transfer, matrix] = self.color.unwrap_or([1; 3]);
        let ordinary = mono == 0 && (x, y) == (1, 1) && !self.full_range;
        if !ordinary || [primaries, transfer, matrix].iter().any(|c| !matches!(c, 1 | 2)) {
            let range = u8::from(self.full_range);
            let sampling = format!("{x}{y}{}", if (x, y) == (1, 1) { position.min(2) } else { 0 });
            text.push_str(&format!(".{mono}.{sampling}.{primaries:02}.{transfer:02}.{matrix:02}.{range}"));
        }
        text
    }
}

/// An OBU of a sample: its type, the whole of it, and its payload.
struct Obu<'a> {
    kind: u8,
    whole: &'a [u8],
    payload: &'a [u8],
}

/// The OBUs in `data`; `None` when one overruns it. Bounded by the data: each takes a byte at least.
fn obus(data: &[u8]) -> Option<Vec<Obu<'_>>> {
    let mut found = Vec::new();
    let mut rest = data;
    while let Some(&head) = rest.first() {
        if head & 0x80 != 0 {
            return None; // obu_forbidden_bit
        }
        let extended = usize::from(head >> 2 & 1);
        let mut start = 1 + extended;
        // Only the last OBU of a sample may go without its size (binding §2.4).
        let end = if head & 2 == 0 {
            rest.len()
        } else {
            let (size, length) = leb128(rest.get(start..)?)?;
            start += length;
            start.checked_add(size)?
        };
        let (whole, tail) = rest.split_at_checked(end)?;
        found.push(Obu { kind: head >> 3 & 0xf, whole, payload: whole.get(start..)? });
        rest = tail;
    }
    Some(found)
}

/// A value and how many bytes it takes (§4.10.5), up to 2^32 − 1.
fn leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (i, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(u32::try_from(value).ok()?).ok()?, i + 1));
        }
    }
    None
}

fn sequence_header(data: &[u8]) -> Result<Option<&[u8]>, Av1Error> {
    let found = obus(data).ok_or(Av1Error::SequenceHeader)?;
    Ok(found.into_iter().find(|o| o.kind == SEQUENCE_HEADER).map(|o| o.payload))
}

/// A temporal unit as MP4 has it: without temporal delimiters (binding §2.4). `None` when an OBU overruns it.
///
/// A delimiter at its beginning, where encoders put it, is taken off without a copy.
pub fn av1_sample(unit: &Bytes) -> Option<Bytes> {
    let found = obus(unit)?;
    let is_delimiter = |o: &&Obu<'_>| o.kind == TEMPORAL_DELIMITER;
    let leading = found.iter().take_while(is_delimiter).map(|o| o.whole.len()).sum();
    let rest = unit.get(leading..)?;
    if found.iter().filter(is_delimiter).map(|o| o.whole.len()).sum::<usize>() == leading {
        return Some(unit.slice(leading..));
    }
    let mut sample = BytesMut::with_capacity(rest.len());
    for obu in found.iter().filter(|o| !is_delimiter(o)) {
        sample.extend_from_slice(obu.whole);
    }
    Some(sample.freeze())
}

/// What we use of a sequence header.
struct SequenceHeader {
    width: u32,
    height: u32,
    frame_rate: Option<f64>,
    color: Option<[u8; 3]>,
    full_range: bool,
}

impl SequenceHeader {
    /// §5.5.1.
    fn read(payload: &[u8]) -> Option<Self> {
        let b = &mut Bits::new(payload);
        let profile = b.take(3)?;
        b.skip(1)?;
        let reduced = b.flag()?;
        let mut frame_rate = None;
        if reduced {
            b.skip(5)?;
        } else {
            frame_rate = operating_points(b)?;
        }
        let (width_bits, height_bits) = (b.take(4)? + 1, b.take(4)? + 1);
        let (width, height) = (b.take(width_bits)? + 1, b.take(height_bits)? + 1);
        tools(b, reduced)?;
        let (color, full_range) = color_config(b, profile)?;
        Some(Self { width, height, frame_rate, color, full_range })
    }
}

/// Timing and operating points, up to `frame_width_bits_minus_1`; gives the rate of pictures.
fn operating_points(b: &mut Bits<'_>) -> Option<Option<f64>> {
    let mut rate = None;
    let mut delay_bits = None;
    if b.flag()? {
        let (units, scale) = (b.take(32)?, b.take(32)?);
        if b.flag()? {
            let ticks = f64::from(b.ue()?) + 1.0;
            rate = Some(f64::from(scale) / (f64::from(units) * ticks)).filter(|r| (1.0..=1000.0).contains(r));
        }
        if b.flag()? {
            delay_bits = Some(b.take(5)? as usize + 1);
            b.skip(42)?;
        }
    }
    let display_delay = b.flag()?;
    for _ in 0..=b.take(5)? {
        b.skip(12)?;
        if b.take(5)? > 7 {
            b.skip(1)?;
        }
        if let Some(bits) = delay_bits
            && b.flag()?
        {
            b.skip(2 * bits + 1)?;
        }
        if display_delay && b.flag()? {
            b.skip(4)?;
        }
    }
    Some(rate)
}

/// Frame identifiers and coding tools, up to `color_config`.
fn tools(b: &mut Bits<'_>, reduced: bool) -> Option<()> {
    if !reduced && b.flag()? {
        b.skip(7)?;
    }
    b.skip(3)?; // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    if !reduced {
        b.skip(4)?; // interintra, masked, warped, dual filter
        let order_hint = b.flag()?;
        if order_hint {
            b.skip(2)?;
        }
        // seq_choose_screen_content_tools, or else seq_force_screen_content_tools
        let screen_content = b.flag()? || b.flag()?;
        if screen_content && !b.flag()? {
            b.skip(1)?;
        }
        if order_hint {
            b.skip(3)?;
        }
    }
    b.skip(3) // superres, cdef, restoration
}

/// §5.5.2, as far as the range.
fn color_config(b: &mut Bits<'_>, profile: u32) -> Option<(Option<[u8; 3]>, bool)> {
    let high = b.flag()?;
    if profile == 2 && high {
        b.skip(1)?;
    }
    let mono = profile != 1 && b.flag()?;
    let described = b.flag()?;
    let color = if described { Some([b.take(8)? as u8, b.take(8)? as u8, b.take(8)? as u8]) } else { None };
    let full = (!mono && color == Some(SRGB)) || b.flag()?;
    Some((color, full))
}

#[cfg(test)]
#[path = "av1_tests.rs"]
mod tests;
