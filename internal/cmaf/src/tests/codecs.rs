//! Sample entries and timing of the codecs that Enhanced RTMP brings, from encoders' own bytes.

use media::{Av1Config, FlacConfig, HevcConfig, OpusConfig, Vp9Config};
use mp4_atom::Decode;

use super::*;

/// x265, 320x180, as ffmpeg 9's flv muxer sends it, without its SEI.
const HVCC: &[u8] = &[
    1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f,
    3, //
    0x20, 0, 1, 0, 24, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0,
    0x3c, 0x95, 0x90, 9, //
    0x21, 0, 1, 0, 43, 0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a,
    0x08, 0x0c, 0x1f, 0x3e, 0x59, 0x59, 0x12, 0x93, 0x0b, 0xc0, 0x5a, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 0x3c,
    0x10, //
    0x22, 0, 1, 0, 6, 0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89,
];
/// SVT-AV1, 320x180.
const AV1C: &[u8] =
    &[0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x02, 0x00, 0x00, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
/// libvpx-vp9, 320x180: fields and a keyframe's head.
const VPCC: &[u8] = &[0, 0x0b, 0x82, 2, 2, 2, 0, 0];
const VP9_KEY: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x06];
const OPUS: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
const SURROUND: &[u8] = b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\x01\0\x01\x04\x02\0\x04\x01\x02\x03\x05";

fn bytes(b: &'static [u8]) -> Bytes {
    Bytes::from_static(b)
}

fn track(config: CodecConfig) -> Arc<Track> {
    Arc::new(Track { id: u8::from(config.sound().is_some()), config })
}

fn hevc() -> Arc<Track> {
    track(CodecConfig::Hevc(HevcConfig::parse(&bytes(HVCC)).unwrap()))
}

fn av1() -> Arc<Track> {
    track(CodecConfig::Av1(Av1Config::parse(&bytes(AV1C), None).unwrap().unwrap()))
}

fn vp9() -> Arc<Track> {
    track(CodecConfig::Vp9(Vp9Config::parse(&bytes(VPCC), VP9_KEY).unwrap()))
}

fn opus(head: &'static [u8]) -> Arc<Track> {
    track(CodecConfig::Opus(OpusConfig::parse(&bytes(head)).unwrap()))
}

/// Blocks of 1024; stereo, 24 bits.
fn flac(rate: u32) -> Arc<Track> {
    let mut info = [0; 34];
    info[..4].copy_from_slice(&[4, 0, 4, 0]);
    info[10..14].copy_from_slice(&(rate << 12 | 1 << 9 | 23 << 4).to_be_bytes());
    let config = FlacConfig::parse(&Bytes::copy_from_slice(&info)).unwrap();
    assert_eq!((config.sample_rate, config.channels, config.bits), (rate, 2, 24));
    track(CodecConfig::Flac(config))
}

/// `secs` of 20 ms packets; each begins with the byte that says so.
fn packets(track: &Arc<Track>, secs: f64) -> Vec<Frame> {
    let packet = |i: u32| {
        let dts = Ticks::from_millis(i64::from(i) * 20);
        let data = Bytes::from([&[0xf8][..], &i.to_be_bytes()].concat());
        Frame { track: Arc::clone(track), dts, pts: dts, key: true, data }
    };
    (0..(secs * 50.0) as u32).map(packet).collect()
}

/// The sample entry of the only track, by an independent reader.
fn entry(track: &Arc<Track>) -> mp4_atom::Codec {
    let (video, sound) = (track.kind() == TrackKind::Video, track.kind() == TrackKind::Audio);
    let mut rig = Rig::new(&tracks(video.then_some(track), sound.then_some(track)));
    rig.push(if video { pictures(track, 30.0, 60, 30) } else { packets(track, 2.0) }).finish();
    let mut rest = &rig.inits[0].0[..];
    mp4_atom::Ftyp::decode(&mut rest).unwrap();
    let mut moov = mp4_atom::Moov::decode(&mut rest).unwrap();
    let mut entries = moov.trak.remove(0).mdia.minf.stbl.stsd.codecs;
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

#[test]
fn pictures_get_the_sample_entries_of_their_bindings() {
    let mp4_atom::Codec::Hvc1(e) = entry(&hevc()) else { panic!("hvc1, never hev1") };
    assert_eq!((e.visual.width, e.visual.height, e.hvcc.arrays.len()), (320, 180, 3));
    let mp4_atom::Codec::Av01(e) = entry(&av1()) else { panic!("av01") };
    assert_eq!((e.visual.width, e.visual.height), (320, 180));
    assert_eq!(&e.av1c.config_obus[..], &AV1C[4..]);
    let mp4_atom::Codec::Vp09(e) = entry(&vp9()) else { panic!("vp09") };
    assert_eq!((e.visual.width, e.visual.height), (320, 180));
    assert_eq!((e.vpcc.profile, e.vpcc.level, e.vpcc.bit_depth), (0, 11, 8));
}

#[test]
fn sound_gets_the_sample_entries_of_its_encapsulations() {
    let mp4_atom::Codec::Opus(e) = entry(&opus(OPUS)) else { panic!("Opus") };
    assert_eq!((e.dops.output_channel_count, e.dops.pre_skip, e.dops.input_sample_rate), (2, 312, 48_000));
    assert_eq!((e.audio.channel_count, e.audio.sample_rate.integer()), (2, 48_000));
    let mp4_atom::Codec::Flac(e) = entry(&flac(44_100)) else { panic!("fLaC") };
    assert_eq!((e.audio.channel_count, e.audio.sample_size, e.audio.sample_rate.integer()), (2, 24, 44_100));
    let [
        mp4_atom::FlacMetadataBlock::StreamInfo {
            sample_rate,
            num_channels_minus_one,
            maximum_block_size,
            ..
        },
    ] = &e.dfla.blocks[..]
    else {
        panic!("stream information and nothing else")
    };
    assert_eq!((*sample_rate, *num_channels_minus_one, *maximum_block_size), (44_100, 1, 1024));
    // Above what the entry's field holds: a division of it.
    let mp4_atom::Codec::Flac(e) = entry(&flac(96_000)) else { panic!("fLaC") };
    assert_eq!(e.audio.sample_rate.integer(), 48_000);
}

// "Encapsulation of Opus in ISO Base Media File Format" §4.3.2: the mapping table follows a family other than 0.
#[test]
fn surround_keeps_its_channel_mapping() {
    let s = opus(SURROUND);
    let mut rig = Rig::new(&tracks(None, Some(&s)));
    rig.push(packets(&s, 1.0)).finish();
    let entry = &rig.inits[0].1[0];
    assert_eq!((entry.codec, entry.timescale), (*b"Opus", 48_000));
    let dops = b"\0\0\0\x1bdOps\0\x06\x01\x38\0\0\xbb\x80\0\x01\x01\x04\x02\0\x04\x01\x02\x03\x05";
    assert!(entry.entry.ends_with(dops), "{:x?}", entry.entry);
}

// Clause 16, 40: ten packets of 20 ms are what PART-TARGET of 210 ms holds.
#[test]
fn opus_alone_is_cut_in_whole_packets() {
    let o = opus(OPUS);
    let mut rig = Rig::new(&tracks(None, Some(&o)));
    rig.mux.fix_target_duration(2);
    rig.push(packets(&o, 20.0)).finish();
    rig.check_continuous(&[2]);
    rig.check_part_durations(0);
    assert!(rig.parts().all(|p| p.duration == 18_000 && p.independent));
    assert!(rig.runs(2).all(|(_, r)| r.samples.iter().all(|s| s.duration == 960)));
    assert!(rig.warnings.is_empty(), "{:?}", rig.warnings);
}

#[test]
fn opus_packets_of_changing_length_stay_within_the_part_target() {
    let o = opus(OPUS);
    let mut rig = Rig::new(&tracks(None, Some(&o)));
    rig.mux.fix_target_duration(2);
    // 20, 60, 10, 120 ms.
    let mut at = 0;
    for i in 0..400_u32 {
        let (toc, ms): (&[u8], i64) = match i % 4 {
            0 => (&[0xf8], 20),
            1 => (&[0xfb, 3], 60),
            2 => (&[0xf0], 10),
            _ => (&[0xfb, 6], 120),
        };
        let (dts, data) = (Ticks::from_millis(at), Bytes::from([toc, &i.to_be_bytes()].concat()));
        rig.push([Frame { track: Arc::clone(&o), dts, pts: dts, key: true, data }]);
        at += ms;
    }
    rig.finish();
    rig.check_continuous(&[2]);
    assert!(rig.parts().all(|p| p.duration <= PART), "no part is longer than PART-TARGET");
    let durations: Vec<_> = rig.runs(2).flat_map(|(_, r)| &r.samples).map(|s| s.duration / 48).collect();
    assert_eq!((durations.len(), &durations[..4]), (400, &[20, 60, 10, 120][..]));
}

// Clause 42, across codecs.
#[test]
fn another_codec_gets_a_new_init_after_a_discontinuity() {
    let (h264, aac) = (video(0), audio(AAC_48));
    let (av1, opus) = (av1(), opus(OPUS));
    let later = |frames: Vec<Frame>| {
        let by = Ticks::from_millis(4_000);
        frames.into_iter().map(move |f| Frame { dts: f.dts + by, pts: f.pts + by, ..f })
    };
    let mut rig = Rig::new(&tracks(Some(&h264), Some(&aac)));
    rig.push(interleave([pictures(&h264, 30.0, 120, 60), sound(&aac, 4.0)]));
    rig.mux.set_tracks(&tracks(Some(&av1), Some(&opus)));
    rig.push(later(interleave([pictures(&av1, 30.0, 120, 60), packets(&opus, 4.0)]))).finish();
    let codecs = |i: usize| rig.inits[i].1.iter().map(|t| t.codec).collect::<Vec<_>>();
    assert_eq!(codecs(0), [*b"avc1", *b"mp4a"]);
    assert_eq!(codecs(rig.inits.len() - 1), [*b"av01", *b"Opus"]);
    assert!(rig.inits.len() <= 3, "each track changes once at most");
    for s in rig.segments.iter().filter(|s| s.init > 0) {
        let first = rig.segments.iter().position(|o| o.init == s.init).unwrap();
        assert!(rig.segments[first].discontinuity && rig.segments[first].independent);
    }
    let pictures = rig.runs(1).map(|(_, r)| r.samples.len()).sum::<usize>();
    assert_eq!(pictures, 240, "none is lost");
}
