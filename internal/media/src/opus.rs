//! Opus: the identification header (RFC 7845 §5.1) and how long a packet lasts (RFC 6716 §3.1).

use bytes::Bytes;
use thiserror::Error;

/// Opus counts in 48 kHz, whatever was encoded (RFC 7845 §4).
const RATE: u32 = 48_000;
/// 20 ms, what encoders use unless told otherwise.
const USUAL_PACKET: u32 = 960;
/// 120 ms, the longest packet (RFC 6716 §3.2.5).
const LONGEST_PACKET: u32 = 5_760;
/// Mapping families 0 and 1 have no more.
const MAX_CHANNELS: u8 = 8;
/// What libopus's encoder delays: it stands in the header where an encoder sends one.
const USUAL_PRE_SKIP: u16 = 312;

/// Why an Opus header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpusError {
    /// It ends early, is too long, or is no `OpusHead`.
    #[error("the Opus configuration is truncated or malformed")]
    Malformed,
    /// A major version other than 0.
    #[error("the Opus configuration has an unknown version")]
    Version,
    /// No channels, more than 8, or a mapping family other than 0 and 1.
    #[error("{channels} Opus channels of mapping family {family} are not supported")]
    Channels {
        /// As sent.
        channels: u8,
        /// As sent.
        family: u8,
    },
}

/// A parsed identification header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusConfig {
    /// As sent; empty where the encoder sent none.
    pub head: Bytes,
    /// Output channels, 1 to 8.
    pub channels: u8,
    /// Samples of 48 kHz that a decoder discards at the beginning.
    pub pre_skip: u16,
    /// Of the sound before it was encoded, in Hz; for information.
    pub input_rate: u32,
    /// In 1/256 dB.
    pub gain: i16,
    /// Stream count, coupled count and one byte for each channel; empty for mapping family 0.
    pub mapping: Bytes,
}

impl OpusConfig {
    /// Reads an identification header. An empty one means stereo (Enhanced RTMP 2, "ExAudioTagBody").
    ///
    /// # Errors
    /// [`OpusError`] when it cannot head an `Opus` sample entry.
    pub fn parse(head: &Bytes) -> Result<Self, OpusError> {
        if head.is_empty() {
            let (input_rate, mapping) = (RATE, Bytes::new());
            return Ok(Self {
                head: head.clone(),
                channels: 2,
                pre_skip: USUAL_PRE_SKIP,
                input_rate,
                gain: 0,
                mapping,
            });
        }
        let fields = head.strip_prefix(b"OpusHead").ok_or(OpusError::Malformed)?;
        let Some((&[version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family], rest)) =
            fields.split_first_chunk()
        else {
            return Err(OpusError::Malformed);
        };
        if version & 0xf0 != 0 {
            return Err(OpusError::Version);
        }
        let most = match family {
            0 => 2,
            1 => MAX_CHANNELS,
            _ => 0,
        };
        if !(1..=most).contains(&channels) {
            return Err(OpusError::Channels { channels, family });
        }
        let table = if family == 0 { 0 } else { 2 + usize::from(channels) };
        if rest.len() != table {
            return Err(OpusError::Malformed);
        }
        Ok(Self {
            head: head.clone(),
            channels,
            pre_skip: u16::from_le_bytes([s0, s1]),
            input_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
            mapping: head.slice(head.len() - table..),
        })
    }

    /// The track's timescale, in Hz.
    pub const fn sample_rate(&self) -> u32 {
        RATE
    }

    /// Samples in a packet of the usual length.
    pub const fn usual_packet(&self) -> u32 {
        USUAL_PACKET
    }
}

/// Samples of 48 kHz in a packet, from its table-of-contents byte; `None` when it is none.
pub fn opus_packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let (config, size) = (toc >> 3, u32::from(toc >> 3 & 3));
    let frame = match config {
        // SILK: 10, 20, 40 and 60 ms; hybrid: 10 and 20; CELT: 2.5, 5, 10 and 20.
        0..=11 => [480, 960, 1_920, 2_880].get(size as usize).copied()?,
        12..=15 => 480 << (size & 1),
        _ => 120 << size,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frames * frame).filter(|samples| (1..=LONGEST_PACKET).contains(samples))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// libopus, stereo, as ffmpeg 9's flv muxer sends it; mono in the original.
    const HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    /// 5.1, mapping family 1.
    const SURROUND: &[u8] = b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05";

    fn parse(b: &'static [u8]) -> Result<OpusConfig, OpusError> {
        OpusConfig::parse(&Bytes::from_static(b))
    }

    #[test]
    fn real_headers_are_read() {
        let c = parse(HEAD).unwrap();
        assert_eq!((c.channels, c.pre_skip, c.input_rate, c.gain), (1, 312, 48_000, 0));
        assert!(c.mapping.is_empty());
        let c = parse(SURROUND).unwrap();
        assert_eq!((c.channels, &c.mapping[..]), (6, &[4, 2, 0, 4, 1, 2, 3, 5][..]));
        assert_eq!(parse(b"").unwrap().channels, 2);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for n in 1..HEAD.len() {
            assert_eq!(parse(&HEAD[..n]), Err(OpusError::Malformed), "{n}");
        }
        for n in HEAD.len()..SURROUND.len() {
            assert!(parse(&SURROUND[..n]).is_err(), "{n}");
        }
        assert_eq!(parse(b"OpusHead\x11\x01\x38\x01\x80\xbb\0\0\0\0\0"), Err(OpusError::Version));
        let channels = |channels, family| Err(OpusError::Channels { channels, family });
        assert_eq!(parse(b"OpusHead\x01\0\x38\x01\x80\xbb\0\0\0\0\0"), channels(0, 0));
        assert_eq!(parse(b"OpusHead\x01\x03\x38\x01\x80\xbb\0\0\0\0\0"), channels(3, 0));
        assert_eq!(parse(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\xff"), channels(2, 255));
    }

    // RFC 6716 §3.1, table 2, and §3.2.
    #[test]
    fn packets_last_as_their_first_byte_says() {
        let samples = |b: &[u8]| opus_packet_samples(b);
        assert_eq!(samples(&[31 << 3]), Some(960));
        assert_eq!(samples(&[0xf8, 1, 2]), Some(960));
        assert_eq!([samples(&[16 << 3]), samples(&[17 << 3])], [Some(120), Some(240)]);
        assert_eq!([samples(&[0]), samples(&[3 << 3])], [Some(480), Some(2_880)]);
        assert_eq!([samples(&[12 << 3]), samples(&[13 << 3])], [Some(480), Some(960)]);
        assert_eq!([samples(&[31 << 3 | 1]), samples(&[31 << 3 | 2])], [Some(1_920); 2]);
        assert_eq!(samples(&[31 << 3 | 3, 6]), Some(5_760));
        for none in [&[][..], &[31 << 3 | 3], &[31 << 3 | 3, 0], &[31 << 3 | 3, 7]] {
            assert_eq!(samples(none), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(head in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut real = HEAD.to_vec();
            real.extend(&head);
            for b in [head.clone(), real] {
                if let Ok(c) = OpusConfig::parse(&b.into()) {
                    prop_assert!((1..=8).contains(&c.channels));
                }
            }
            prop_assert!(opus_packet_samples(&head).is_none_or(|s| s <= LONGEST_PACKET));
        }
    }
}
