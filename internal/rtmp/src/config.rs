//! What codecs make of their configurations and frames.

use bytes::Bytes;
use media::{
    AacConfig, Av1Config, AvcConfig, CodecConfig, FlacConfig, HevcConfig, HevcSample, OpusConfig, Vp9Config,
    av1_sample, nal_units,
};
use thiserror::Error;

use crate::tag::{AudioCodec, VideoCodec};

const NAL_IDR: u8 = 5;

/// A video configuration; `None` while `keyframe` is needed for what the record does not say. The reason when it cannot
/// be used.
pub(crate) fn video(
    codec: VideoCodec,
    record: &Bytes,
    keyframe: Option<&Bytes>,
) -> Result<Option<CodecConfig>, String> {
    Ok(match codec {
        VideoCodec::Avc => Some(CodecConfig::Avc(AvcConfig::parse(record).map_err(text)?)),
        VideoCodec::Hevc => Some(CodecConfig::Hevc(HevcConfig::parse(record).map_err(text)?)),
        VideoCodec::Av1 => {
            Av1Config::parse(record, keyframe.map(|k| &**k)).map_err(text)?.map(CodecConfig::Av1)
        }
        VideoCodec::Vp9 => match keyframe {
            Some(keyframe) => Some(CodecConfig::Vp9(Vp9Config::parse(record, keyframe).map_err(text)?)),
            None => None,
        },
    })
}

/// An audio configuration, or the reason why it cannot be used.
pub(crate) fn audio(codec: AudioCodec, record: &Bytes) -> Result<CodecConfig, String> {
    Ok(match codec {
        AudioCodec::Aac => CodecConfig::Aac(AacConfig::parse(record).map_err(text)?),
        AudioCodec::Opus => CodecConfig::Opus(OpusConfig::parse(record).map_err(text)?),
        AudioCodec::Flac => CodecConfig::Flac(FlacConfig::parse(record).map_err(text)?),
    })
}

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}

/// Why a frame ends the stream: decoders cannot be trusted with what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum BadFrame {
    #[error(
        "an {0} frame's NAL unit lengths overrun it: send NAL units with 4-byte lengths, as ffmpeg -f flv does"
    )]
    NalUnits(&'static str),
    #[error("an AV1 frame's OBUs overrun it: send OBUs with their sizes, as ffmpeg -f flv does")]
    Obus,
}

/// A picture's payload as MP4 has it, and what it says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// It is a picture, and not parameter sets alone.
    pub(crate) picture: bool,
    /// Decoding can start at it.
    pub(crate) key: bool,
    /// It leans on pictures before the keyframe that it follows.
    pub(crate) open_gop: bool,
    pub(crate) data: Bytes,
}

impl Sample {
    /// Reads a frame. `key` is the sender's word: for AV1 and VP9 it counts, H.264 and H.265 say it themselves.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub(crate) fn read(codec: VideoCodec, key: bool, data: Bytes) -> Result<Self, BadFrame> {
        let overrun = BadFrame::NalUnits(codec.name());
        Ok(match codec {
            VideoCodec::Avc => {
                let mut sample = Self::default();
                for (kind, _) in nal_units(&data).ok_or(overrun)? {
                    sample.picture |= (1..=NAL_IDR).contains(&kind);
                    sample.key |= kind == NAL_IDR;
                }
                Self { data, ..sample }
            }
            VideoCodec::Hevc => {
                let HevcSample { picture, key, skipped_leading } = HevcSample::read(&data).ok_or(overrun)?;
                Self { picture, key, open_gop: skipped_leading, data }
            }
            VideoCodec::Av1 => {
                let data = av1_sample(&data).ok_or(BadFrame::Obus)?;
                Self { picture: !data.is_empty(), key, open_gop: false, data }
            }
            VideoCodec::Vp9 => Self { picture: !data.is_empty(), key, open_gop: false, data },
        })
    }
}
