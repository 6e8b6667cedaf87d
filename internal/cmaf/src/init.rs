//! The initialisation segment: `ftyp` and `moov` with `mvex`.

use bytes::Bytes;
use media::{AacConfig, AvcConfig, CodecConfig, Ticks, Track};
use mp4_atom::{
    Audio, Dinf, Dref, Encode, Esds, FourCC, Ftyp, Hdlr, Mdhd, Mp4a, Mvex, Mvhd, Smhd, Stco, Stsc, Stsz,
    Stts, Tkhd, Trex, Url, Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};
use std::sync::Arc;

use crate::boxes::{NON_SYNC, SYNC, nest};

type Result<T = ()> = std::result::Result<T, mp4_atom::Error>;

/// `track_ID` of a track: never 0 (ISO/IEC 14496-12 §8.3.2.3).
pub(crate) fn track_id(track: &Track) -> u32 {
    u32::from(track.id) + 1
}

/// The timescale of a track: 90 kHz for pictures, the sampling rate for sound.
pub(crate) fn timescale(track: &Track) -> u32 {
    match &track.config {
        CodecConfig::Avc(_) => Ticks::RATE as u32,
        CodecConfig::Aac(c) => c.sample_rate,
    }
}

/// Writes an init segment for these tracks.
///
/// # Errors
/// mp4-atom's, when a value does not fit its box.
pub(crate) fn write(tracks: &[Arc<Track>]) -> Result<Bytes> {
    let mut buf = Vec::with_capacity(1024 + tracks.iter().map(|t| config_size(t)).sum::<usize>());
    Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 1,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"mp41")],
    }
    .encode(&mut buf)?;
    nest(&mut buf, b"moov", |buf| {
        Mvhd {
            timescale: 1000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: tracks.iter().map(|t| track_id(t)).max().unwrap_or(0) + 1,
            ..Mvhd::default()
        }
        .encode(buf)?;
        for track in tracks {
            nest(buf, b"trak", |buf| trak(buf, track))?;
        }
        mvex(tracks).encode(buf)
    })?;
    Ok(buf.into())
}

fn config_size(track: &Track) -> usize {
    match &track.config {
        CodecConfig::Avc(c) => c.record.len(),
        CodecConfig::Aac(c) => c.asc.len(),
    }
}

fn mvex(tracks: &[Arc<Track>]) -> Mvex {
    let trex = tracks.iter().map(|t| Trex {
        track_id: track_id(t),
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: if matches!(t.config, CodecConfig::Avc(_)) { NON_SYNC } else { SYNC },
    });
    Mvex { mehd: None, trex: trex.collect() }
}

fn trak(buf: &mut Vec<u8>, track: &Track) -> Result {
    let (width, height, volume) = match &track.config {
        CodecConfig::Avc(c) => (c.width as u16, c.height as u16, 0),
        CodecConfig::Aac(_) => (0, 0, 1),
    };
    Tkhd {
        track_id: track_id(track),
        enabled: true,
        in_movie: true,
        volume: volume.into(),
        width: width.into(),
        height: height.into(),
        ..Tkhd::default()
    }
    .encode(buf)?;
    nest(buf, b"mdia", |buf| mdia(buf, track))
}

fn mdia(buf: &mut Vec<u8>, track: &Track) -> Result {
    Mdhd { timescale: timescale(track), language: "und".into(), ..Mdhd::default() }.encode(buf)?;
    let (handler, name) = match &track.config {
        CodecConfig::Avc(_) => (b"vide", "video"),
        CodecConfig::Aac(_) => (b"soun", "audio"),
    };
    Hdlr { handler: FourCC::new(handler), name: name.into() }.encode(buf)?;
    nest(buf, b"minf", |buf| {
        match &track.config {
            CodecConfig::Avc(_) => Vmhd::default().encode(buf)?,
            CodecConfig::Aac(_) => Smhd::default().encode(buf)?,
        }
        Dinf { dref: Dref { entries: vec![Url::default().into()] } }.encode(buf)?;
        nest(buf, b"stbl", |buf| stbl(buf, &track.config))
    })
}

/// The sample table: one sample entry, no samples (they are in the fragments).
fn stbl(buf: &mut Vec<u8>, config: &CodecConfig) -> Result {
    nest(buf, b"stsd", |buf| {
        buf.extend([0, 0, 0, 0, 0, 0, 0, 1]); // version, flags, one entry
        match config {
            CodecConfig::Avc(c) => nest(buf, b"avc1", |buf| avc1(buf, c)),
            CodecConfig::Aac(c) => mp4a(c).encode(buf),
        }
    })?;
    Stts::default().encode(buf)?;
    Stsc::default().encode(buf)?;
    Stsz::default().encode(buf)?;
    Stco::default().encode(buf)
}

/// The sender's `avcC` goes in byte for byte, so what it says about profiles survives.
fn avc1(buf: &mut Vec<u8>, config: &AvcConfig) -> Result {
    Visual {
        data_reference_index: 1,
        width: config.width as u16,
        height: config.height as u16,
        ..Visual::default()
    }
    .encode(buf)?;
    nest(buf, b"avcC", |buf| {
        buf.extend(&config.record);
        Ok(())
    })
}

fn mp4a(config: &AacConfig) -> Mp4a {
    let dec_specific = DecoderSpecific { raw: config.asc.to_vec(), ..DecoderSpecific::default() };
    Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: if config.channels == 0 { 2 } else { u16::from(config.channels) },
            sample_size: 16,
            // 16.16 holds no more than 65535 Hz; the configuration tells the truth (ISO/IEC 14496-12 §12.2.3.2).
            sample_rate: u16::try_from(config.sample_rate).unwrap_or(0).into(),
        },
        esds: Esds {
            es_desc: EsDescriptor {
                es_id: 0,
                dec_config: DecoderConfig {
                    object_type_indication: 0x40, // ISO/IEC 14496-3
                    stream_type: 5,               // audio
                    dec_specific: Some(dec_specific),
                    ..DecoderConfig::default()
                },
                sl_config: SLConfig::default(),
                ..EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    }
}
