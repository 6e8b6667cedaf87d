use proptest::prelude::*;

use super::*;

// x265, 320x180 (coded as 320x184), Main@2, 30 fps, B-frames, as ffmpeg 9's flv muxer sends it.
const HEAD: &[u8] =
    &[1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f];
const REAL_VPS: &[u8] = &[
    0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0x95, 0x90,
    9,
];
const REAL_SPS: &[u8] = &[
    0x42, 0x01, 0x01, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 0x08, 0x0c, 0x1f,
    0x3e, 0x59, 0x59, 0x12, 0x93, 0x0b, 0xc0, 0x5a, 2, 0, 0, 3, 0, 2, 0, 0, 3, 0, 0x3c, 0x10,
];
const REAL_PPS: &[u8] = &[0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89];

/// A record of arrays with one NAL unit each.
fn record(sets: &[(u8, &[u8])]) -> Bytes {
    let mut b = HEAD.to_vec();
    b.push(sets.len() as u8);
    for (kind, nal) in sets {
        b.extend([0x80 | kind, 0, 1]);
        b.extend((nal.len() as u16).to_be_bytes());
        b.extend(*nal);
    }
    b.into()
}

fn real() -> Bytes {
    record(&[(VPS, REAL_VPS), (SPS, REAL_SPS), (PPS, REAL_PPS)])
}

#[test]
fn a_real_record_is_read() {
    let c = HevcConfig::parse(&real()).unwrap();
    assert_eq!((c.width, c.height, c.frame_rate, c.max_reorder), (320, 180, Some(30.0), 2));
    assert_eq!((c.rfc6381().as_str(), c.transfer), ("hvc1.1.6.L60.90", None));
}

// x265, the same picture in 10 bits, BT.2020 with PQ.
#[test]
fn the_transfer_function_of_hdr_is_read() {
    let sps = &[
        0x42, 0x01, 0x01, 0x02, 0x20, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3c, 0xa0, 0x0a, 0x08, 0x0c,
        0x1f, 0x3b, 0x65, 0x95, 0x95, 0x29, 0x30, 0xbc, 0x05, 0xa8, 0x48, 0x80, 0x48, 0x20, 0, 0, 3, 0, 0x20,
        0, 0, 3, 3, 0x21,
    ];
    let c = HevcConfig::parse(&record(&[(VPS, REAL_VPS), (SPS, sps), (PPS, REAL_PPS)])).unwrap();
    assert_eq!((c.transfer, c.frame_rate, c.width, c.height), (Some(16), Some(25.0), 320, 180));
}

// ISO/IEC 14496-15 §E.3, its examples and the parts that can be left out.
#[test]
fn codec_strings_follow_the_records_head() {
    let mut head = real().to_vec();
    let mut with = |profile: u8, flags: [u8; 4], constraints: [u8; 6], level: u8| {
        head[1] = profile;
        head[2..6].copy_from_slice(&flags);
        head[6..12].copy_from_slice(&constraints);
        head[12] = level;
        HevcConfig::parse(&Bytes::copy_from_slice(&head)).unwrap().rfc6381()
    };
    assert_eq!(with(1, [0x60, 0, 0, 0], [0xb0, 0, 0, 0, 0, 0], 93), "hvc1.1.6.L93.B0");
    assert_eq!(with(0x82, [0x20, 0, 0, 0], [0; 6], 150), "hvc1.B2.4.L150");
    assert_eq!(with(0x22, [0x20, 0, 0, 0], [0xb0, 0, 0x10, 0, 0, 0], 153), "hvc1.2.4.H153.B0.0.10");
}

#[test]
fn broken_records_are_refused_at_every_length() {
    let whole = real();
    for n in 0..whole.len() {
        assert!(HevcConfig::parse(&whole.slice(..n)).is_err(), "{n}");
    }
    assert_eq!(HevcConfig::parse(&record(&[(SPS, REAL_SPS), (PPS, REAL_PPS)])), Err(HevcError::ParameterSet));
    assert_eq!(HevcConfig::parse(&record(&[(VPS, REAL_VPS), (SPS, REAL_SPS)])), Err(HevcError::ParameterSet));
    assert_eq!(HevcConfig::parse(&vec![1; MAX_BYTES + 1].into()), Err(HevcError::Length));
    let mut other = whole.to_vec();
    other[21] = 0x0d;
    assert_eq!(HevcConfig::parse(&other.clone().into()), Err(HevcError::NalLength(2)));
    other[0] = 0;
    assert_eq!(HevcConfig::parse(&other.into()), Err(HevcError::Version));
}

// What comes behind the size may be cut off: the picture is still known.
#[test]
fn a_vui_that_cannot_be_read_is_left_out() {
    let c = HevcConfig::parse(&record(&[(VPS, REAL_VPS), (SPS, &REAL_SPS[..31]), (PPS, REAL_PPS)])).unwrap();
    assert_eq!((c.width, c.height, c.frame_rate), (320, 180, None));
}

#[test]
fn samples_say_what_they_are() {
    let read = |kinds: &[u8]| {
        let sample: Vec<u8> = kinds.iter().flat_map(|k| [0, 0, 0, 3, k << 1, 1, 0x80]).collect();
        HevcSample::read(&sample).unwrap()
    };
    assert_eq!(read(&[19]), HevcSample { picture: true, key: true, skipped_leading: false });
    assert_eq!(read(&[32, 33, 34, 21]), HevcSample { picture: true, key: true, skipped_leading: false });
    assert_eq!(read(&[8]), HevcSample { picture: true, key: false, skipped_leading: true });
    assert_eq!(read(&[1]), HevcSample { picture: true, ..HevcSample::default() });
    assert_eq!(read(&[39, 40]), HevcSample::default());
    assert_eq!(HevcSample::read(&[0, 0, 0, 9, 1]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        sps in prop::collection::vec(any::<u8>(), 0..80),
        at in 0..REAL_SPS.len(),
        flip in any::<u8>(),
    ) {
        let _ = HevcConfig::parse(&record(&[(VPS, REAL_VPS), (SPS, &sps), (PPS, REAL_PPS)]));
        let mut near = REAL_SPS.to_vec();
        near[at] ^= flip;
        if let Ok(c) = HevcConfig::parse(&record(&[(VPS, REAL_VPS), (SPS, &near), (PPS, REAL_PPS)])) {
            prop_assert!(c.width <= 8192 && c.rfc6381().is_ascii());
        }
        let _ = HevcConfig::parse(&sps.clone().into());
        let _ = HevcSample::read(&sps);
    }
}
