//! What is written is what is read.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::gap_segment;

fn av(secs: f64) -> Rig {
    let (v, a) = (video(0), audio(AAC_48));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    rig.push(interleave([pictures(&v, 30.0, (secs * 30.0) as usize, 60), sound(&a, secs)])).finish();
    rig
}

/// Clause 35: a segment is the concatenation of its parts.
#[test]
fn a_segment_reads_as_its_parts_one_after_the_other() {
    let rig = av(9.0);
    assert!(rig.segments.len() >= 4);
    for s in &rig.segments {
        let bytes = s.bytes();
        let whole = read::fragments(&bytes, &rig.inits[0].1).unwrap();
        assert_eq!(whole.len(), s.parts.len());
        for (f, p) in whole.iter().zip(&s.parts) {
            assert_eq!(f.sequence, p.fragment.sequence);
            for (a, b) in f.runs.iter().zip(&p.fragment.runs) {
                assert_eq!((a.tfdt, a.samples.len()), (b.tfdt, b.samples.len()));
                for (x, y) in a.samples.iter().zip(&b.samples) {
                    assert_eq!(bytes[x.data.clone()], p.data[y.data.clone()]);
                }
            }
        }
        let kinds = read::box_kinds(&bytes).unwrap();
        assert_eq!(&kinds[..3], [*b"styp", *b"moof", *b"mdat"]);
    }
}

#[test]
fn every_frame_comes_out_once_and_in_order() {
    let rig = av(9.0);
    for (track, kind) in [(1, "0 "), (2, "1 ")] {
        let texts: Vec<String> = rig
            .runs(track)
            .flat_map(|(p, r)| {
                r.samples.iter().map(|s| String::from_utf8(p.data[s.data.clone()].to_vec()).unwrap())
            })
            .collect();
        let times: Vec<i64> = texts
            .iter()
            .map(|t| t.strip_prefix(kind).unwrap().split(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(times.len(), if track == 1 { 270 } else { sound(&audio(AAC_48), 9.0).len() });
    }
}

#[test]
fn large_keyframes_and_bursts_take_one_allocation() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    let key = Bytes::from(vec![7; 1 << 20]);
    for f in pictures(&v, 30.0, 120, 1) {
        rig.push([Frame { data: key.clone(), ..f }]);
    }
    rig.finish();
    for p in rig.parts() {
        let n = p.fragment.runs[0].samples.len();
        assert!(p.independent && p.data.len() < (n << 20) + 512);
        assert!(p.fragment.runs[0].samples.iter().all(|s| s.is_sync() && s.size() == 1 << 20));
    }
}

#[test]
fn a_gap_segment_is_a_styp_box_only() {
    assert_eq!(read::box_kinds(&gap_segment()).unwrap(), [*b"styp"]);
}

#[test]
fn an_absurd_frame_is_refused_and_an_empty_one_passed_over() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    let big = Frame { data: vec![0; (64 << 20) + 1].into(), ..frame(&v, 0, 0, true) };
    assert!(matches!(rig.push_one(big), Err(MuxError::FrameTooLarge(_))));
    rig.push([Frame { data: Bytes::new(), ..frame(&v, 0, 0, true) }]);
    assert!(rig.inits.is_empty());
}

/// The `mp4` crate, which shares no code with the writer, agrees about the init segment.
#[test]
fn another_reader_reads_the_init_segment() {
    let rig = av(3.0);
    let init = &rig.inits[0].0;
    let mp4 = mp4::Mp4Reader::read_header(Cursor::new(&init[..]), init.len() as u64).unwrap();
    assert!(mp4.moov.mvex.is_some());
    let v = &mp4.tracks()[&1];
    assert_eq!((v.width(), v.height(), v.timescale()), (1280, 720, 90_000));
    assert_eq!(v.sequence_parameter_set().unwrap(), SPS);
    assert_eq!(v.picture_parameter_set().unwrap(), PPS);
    let a = &mp4.tracks()[&2];
    assert_eq!(a.timescale(), 48_000);
    assert_eq!(a.sample_freq_index().unwrap().freq(), 48_000);
    assert_eq!(a.audio_profile().unwrap(), mp4::AudioObjectType::AacLowComplexity);
    // mp4-atom's own decoder, for every box down to the two trex.
    let mut rest = &init[..];
    mp4_atom::Ftyp::decode_from(&mut rest);
    let moov = <mp4_atom::Moov as mp4_atom::Decode>::decode(&mut rest).unwrap();
    assert_eq!(moov.mvex.unwrap().trex.len(), 2);
}

trait DecodeFrom: mp4_atom::Decode {
    fn decode_from(data: &mut &[u8]) {
        Self::decode(data).unwrap();
    }
}

impl DecodeFrom for mp4_atom::Ftyp {}

#[test]
fn the_configurations_are_the_senders_bytes() {
    let v = video(9);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    rig.push(pictures(&v, 30.0, 10, 10));
    let CodecConfig::Avc(c) = &v.config else { unreachable!() };
    let entry = &rig.inits[0].1[0].entry;
    assert!(entry.ends_with(&c.record));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Hostile bytes: an error or a result, in bounded time.
    #[test]
    fn the_reader_survives_mutations(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<proptest::sample::Index>(),
        in_init in any::<bool>(),
    ) {
        let rig = av(0.5);
        let mut init = rig.inits[0].0.to_vec();
        let mut segment = rig.segments[0].bytes();
        let target = if in_init { &mut init } else { &mut segment };
        for (at, value) in changes {
            let i = at.index(target.len());
            target[i] = value;
        }
        target.truncate(cut.index(target.len()) + 1);
        let tracks = read::init(&init).unwrap_or_else(|_| rig.inits[0].1.clone());
        for f in read::fragments(&segment, &tracks).unwrap_or_default() {
            for s in f.runs.iter().flat_map(|r| &r.samples) {
                prop_assert!(s.data.end <= segment.len());
                let _ = (s.pts(), s.size());
            }
        }
    }

    #[test]
    fn the_reader_survives_noise(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read::init(&data);
        let _ = read::fragments(&data, &[]);
        let _ = read::box_kinds(&data);
    }
}
