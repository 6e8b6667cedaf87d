//! AAC's AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).

use bytes::Bytes;
use thiserror::Error;

use crate::bits::Bits;

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// A real AudioSpecificConfig has 2 to 5 bytes; program configs make it longer, never this long.
const MAX_BYTES: usize = 256;

/// Why an AudioSpecificConfig cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AacError {
    /// It ends early, or is absurdly long.
    #[error("the AAC configuration is truncated or oversized")]
    Length,
    /// A reserved sampling frequency index, or a rate outside 7.35–96 kHz.
    #[error("the AAC configuration names no usable sampling rate")]
    Rate,
    /// An object type that is not AAC (1–5, 29 are).
    #[error("audio object type {0} is not AAC")]
    ObjectType(u8),
}

/// A parsed AudioSpecificConfig and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AacConfig {
    /// As sent, for `esds`.
    pub asc: Bytes,
    /// The audio object type that the CODECS attribute names (2: AAC-LC, 5: HE-AAC, 29: HE-AAC v2).
    pub object_type: u8,
    /// Samples a second of the core coder: the timescale of the track.
    pub sample_rate: u32,
    /// Channels of the core coder; 0 when a program config element describes them.
    pub channels: u8,
    /// Samples in one frame: 1024, or 960.
    pub frame_samples: u32,
}

impl AacConfig {
    /// Reads an AudioSpecificConfig.
    ///
    /// # Errors
    /// [`AacError`] when it is no AAC configuration that MP4 can carry.
    pub fn parse(asc: &Bytes) -> Result<Self, AacError> {
        if asc.len() > MAX_BYTES {
            return Err(AacError::Length);
        }
        let bits = &mut Bits::new(asc);
        let object_type = read_object_type(bits)?;
        let sample_rate = rate(bits)?;
        let channels = take(bits, 4)? as u8;
        let core = match object_type {
            5 | 29 => {
                rate(bits)?;
                read_object_type(bits)?
            }
            1..=4 => object_type,
            other => return Err(AacError::ObjectType(other)),
        };
        if !(1..=4).contains(&core) {
            return Err(AacError::ObjectType(core));
        }
        let frame_samples = if take(bits, 1)? == 1 { 960 } else { 1024 };
        Ok(Self { asc: asc.clone(), object_type, sample_rate, channels, frame_samples })
    }

    /// `mp4a.40.{object type}` (RFC 6381 §3.3).
    pub fn rfc6381(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }
}

fn read_object_type(bits: &mut Bits<'_>) -> Result<u8, AacError> {
    Ok(match take(bits, 5)? {
        31 => 32 + take(bits, 6)? as u8,
        t => t as u8,
    })
}

fn rate(bits: &mut Bits<'_>) -> Result<u32, AacError> {
    let rate = match take(bits, 4)? as usize {
        15 => take(bits, 24)?,
        index => RATES.get(index).copied().ok_or(AacError::Rate)?,
    };
    if (7_350..=96_000).contains(&rate) { Ok(rate) } else { Err(AacError::Rate) }
}

fn take(bits: &mut Bits<'_>, n: u32) -> Result<u32, AacError> {
    bits.take(n).ok_or(AacError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(b: &'static [u8]) -> Result<AacConfig, AacError> {
        AacConfig::parse(&Bytes::from_static(b))
    }

    #[test]
    fn the_common_configurations() {
        let c = parse(&[0x12, 0x10]).unwrap();
        assert_eq!((c.object_type, c.sample_rate, c.channels, c.frame_samples), (2, 44_100, 2, 1024));
        assert_eq!(c.rfc6381(), "mp4a.40.2");
        let c = parse(&[0x11, 0x90, 0x56, 0xe5, 0x00]).unwrap();
        assert_eq!((c.sample_rate, c.channels), (48_000, 2));
        let c = parse(&[0x2b, 0x92, 0x08, 0x00]).unwrap();
        assert_eq!((c.object_type, c.sample_rate), (5, 22_050));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        assert_eq!(parse(&[]), Err(AacError::Length));
        assert_eq!(parse(&[0x12]), Err(AacError::Length));
        assert_eq!(parse(&[0x16, 0x90]), Err(AacError::Rate));
        assert_eq!(parse(&[0xf8, 0x00, 0x00]), Err(AacError::ObjectType(32)));
    }
}
