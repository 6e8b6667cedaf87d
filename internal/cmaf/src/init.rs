//! The initialisation segment: `ftyp` and `moov` with `mvex`.

use bytes::Bytes;
use media::{AacConfig, CodecConfig, FlacConfig, OpusConfig, Picture, Ticks, Track, TrackKind};
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
    track.config.sound().map_or(Ticks::RATE as u32, |s| s.sample_rate)
}

/// Writes an init segment for these tracks.
///
/// # Errors
/// mp4-atom's, when a value does not fit its box.
pub(crate) fn write(tracks: &[Arc<Track>]) -> Result<Bytes> {
    let mut buf = Vec::with_capacity(1024 + tracks.iter().map(|t| t.config.record().len()).sum::<usize>());
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

fn mvex(tracks: &[Arc<Track>]) -> Mvex {
    let trex = tracks.iter().map(|t| Trex {
        track_id: track_id(t),
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: if t.kind() == TrackKind::Video { NON_SYNC } else { SYNC },
    });
    Mvex { mehd: None, trex: trex.collect() }
}

fn trak(buf: &mut Vec<u8>, track: &Track) -> Result {
    let (width, height, volume) = match track.config.picture() {
        Some(Picture { width, height, .. }) => (width as u16, height as u16, 0),
        None => (0, 0, 1),
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
    let (handler, name) = match track.kind() {
        TrackKind::Video => (b"vide", "video"),
        TrackKind::Audio => (b"soun", "audio"),
    };
    Hdlr { handler: FourCC::new(handler), name: name.into() }.encode(buf)?;
    nest(buf, b"minf", |buf| {
        match track.kind() {
            TrackKind::Video => Vmhd::default().encode(buf)?,
            TrackKind::Audio => Smhd::default().encode(buf)?,
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
            CodecConfig::Avc(_) => visual(buf, b"avc1", b"avcC", &[], config),
            CodecConfig::Hevc(_) => visual(buf, b"hvc1", b"hvcC", &[], config),
            CodecConfig::Av1(_) => visual(buf, b"av01", b"av1C", &[], config),
            // Version 1 and no flags stand before the record ("VP Codec ISO Media File Format Binding", vpcC).
            CodecConfig::Vp9(_) => visual(buf, b"vp09", b"vpcC", &[1, 0, 0, 0], config),
            CodecConfig::Aac(c) => mp4a(c).encode(buf),
            CodecConfig::Opus(c) => nest(buf, b"Opus", |buf| opus(buf, c)),
            CodecConfig::Flac(c) => nest(buf, b"fLaC", |buf| flac(buf, c)),
        }
    })?;
    Stts::default().encode(buf)?;
    Stsc::default().encode(buf)?;
    Stsz::default().encode(buf)?;
    Stco::default().encode(buf)
}

/// The sender's record goes in byte for byte, so what it says about profiles survives.
fn visual(buf: &mut Vec<u8>, entry: &[u8; 4], record: &[u8; 4], head: &[u8], config: &CodecConfig) -> Result {
    let (width, height) = config.picture().map_or((0, 0), |p| (p.width as u16, p.height as u16));
    nest(buf, entry, |buf| {
        Visual { data_reference_index: 1, width, height, ..Visual::default() }.encode(buf)?;
        nest(buf, record, |buf| {
            buf.extend(head);
            buf.extend(config.record());
            Ok(())
        })
    })
}

/// "Encapsulation of Opus in ISO Base Media File Format" 0.8.1 §4.3: the header's fields, big-endian, version 0.
fn opus(buf: &mut Vec<u8>, config: &OpusConfig) -> Result {
    sound(u16::from(config.channels), 16, config.sample_rate()).encode(buf)?;
    nest(buf, b"dOps", |buf| {
        buf.extend([0, config.channels]);
        buf.extend(config.pre_skip.to_be_bytes());
        buf.extend(config.input_rate.to_be_bytes());
        buf.extend(config.gain.to_be_bytes());
        buf.push(u8::from(!config.mapping.is_empty()));
        buf.extend(&config.mapping);
        Ok(())
    })
}

/// "Encapsulation of FLAC in ISO Base Media File Format" 0.0.4 §3.3: version and flags, then the one metadata block, the
/// last.
fn flac(buf: &mut Vec<u8>, config: &FlacConfig) -> Result {
    sound(u16::from(config.channels), u16::from(config.bits), config.sample_rate).encode(buf)?;
    nest(buf, b"dfLa", |buf| {
        buf.extend([0, 0, 0, 0, 0x80, 0, 0]);
        buf.push(config.stream_info.len() as u8);
        buf.extend(&config.stream_info);
        Ok(())
    })
}

fn sound(channel_count: u16, sample_size: u16, rate: u32) -> Audio {
    // 16.16 holds no more than 65535 Hz: then a regular division (FLAC's encapsulation §3.3).
    let rate = (0..3).map(|halves| rate >> halves).find_map(|r| u16::try_from(r).ok()).unwrap_or(0);
    Audio { data_reference_index: 1, channel_count, sample_size, sample_rate: rate.into() }
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
