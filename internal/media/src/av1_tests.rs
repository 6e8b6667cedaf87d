use proptest::prelude::*;

use super::*;

// SVT-AV1, 320x180, as ffmpeg 9's flv muxer sends it: the record, and the head of a keyframe.
const RECORD: &[u8] =
    &[0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x02, 0x00, 0x00, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc0, 0x02];
const DELIMITER: &[u8] = &[0x12, 0x00];
const SEQUENCE: &[u8] = &[0x0a, 0x0b, 0x02, 0x00, 0x00, 0x05, 0x21, 0xe7, 0xf6, 0x62, 0x57, 0xc8, 0x02];
const FRAME: &[u8] = &[0x32, 0x03, 0x10, 0x00, 0x86];

fn parse(record: &[u8]) -> Result<Option<Av1Config>, Av1Error> {
    Av1Config::parse(&Bytes::copy_from_slice(record), None)
}

#[test]
fn a_real_record_is_read() {
    let c = parse(RECORD).unwrap().unwrap();
    assert_eq!((c.width, c.height, c.color), (320, 180, None));
    assert_eq!(c.rfc6381(), "av01.0.00M.08");
}

// SVT-AV1, the same picture in 10 bits, BT.2020 with PQ.
#[test]
fn the_colours_of_hdr_are_read() {
    let record = &[
        0x81, 0x00, 0x4c, 0x00, 0x0a, 0x0e, 0x02, 0x00, 0x00, 0x05, 0x21, 0xe7, 0xf6, 0x60, 0x17, 0xc2, 0x84,
        0x88, 0x04, 0x82,
    ];
    let c = parse(record).unwrap().unwrap();
    assert_eq!((c.color, c.rfc6381().as_str()), (Some([9, 16, 9]), "av01.0.00M.10.0.110.09.16.09.0"));
}

#[test]
fn a_record_without_a_sequence_header_waits_for_the_keyframes() {
    assert_eq!(parse(&RECORD[..4]), Ok(None));
    let key = [DELIMITER, SEQUENCE, FRAME].concat();
    let c = Av1Config::parse(&Bytes::from_static(&RECORD[..4]), Some(&key)).unwrap().unwrap();
    assert_eq!((c.width, c.height), (320, 180));
    let bare = Av1Config::parse(&Bytes::from_static(&RECORD[..4]), Some(FRAME));
    assert_eq!(bare, Err(Av1Error::SequenceHeader));
}

// Binding §5: optional fields are there together or not at all.
#[test]
fn codec_strings_follow_the_record_and_the_colours() {
    let mut c = parse(RECORD).unwrap().unwrap();
    c.record = Bytes::from_static(&[0x81, 0x28, 0xcc, 0]);
    assert_eq!(c.rfc6381(), "av01.1.08H.10");
    c.color = Some([9, 16, 9]);
    assert_eq!(c.rfc6381(), "av01.1.08H.10.0.110.09.16.09.0");
    c.record = Bytes::from_static(&[0x81, 0x48, 0x60, 0]);
    assert_eq!(c.rfc6381(), "av01.2.08M.12.0.000.09.16.09.0");
}

#[test]
fn broken_records_are_refused() {
    for n in (0..4).chain(5..RECORD.len()) {
        assert!(parse(&RECORD[..n]).is_err(), "{n}");
    }
    assert_eq!(parse(&[0x80, 0, 0, 0]), Err(Av1Error::Version));
    assert_eq!(parse(&[0x81; MAX_BYTES + 1]), Err(Av1Error::Length));
}

// Binding §2.4: samples have no temporal delimiters.
#[test]
fn delimiters_are_taken_off_without_a_copy() {
    let unit = Bytes::from([DELIMITER, SEQUENCE, FRAME].concat());
    let sample = av1_sample(&unit).unwrap();
    assert_eq!(sample, [SEQUENCE, FRAME].concat());
    assert_eq!(sample.as_ptr(), unit[2..].as_ptr());
    assert_eq!(av1_sample(&sample).unwrap().as_ptr(), sample.as_ptr());
    let two = Bytes::from([DELIMITER, FRAME, DELIMITER, FRAME].concat());
    assert_eq!(av1_sample(&two).unwrap(), [FRAME, FRAME].concat());
    // The last OBU may go without its size, and with an extension.
    let last = Bytes::from_static(&[0x12, 0, 0x34, 0, 1, 2]);
    assert_eq!(av1_sample(&last).unwrap(), [0x34, 0, 1, 2][..]);
    assert_eq!(av1_sample(&Bytes::from_static(&[0x32, 9, 1])), None);
    assert_eq!(av1_sample(&Bytes::from_static(&[0x80])), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        b in prop::collection::vec(any::<u8>(), 0..60),
        at in 0..RECORD.len(),
        flip in any::<u8>(),
    ) {
        let mut near = RECORD.to_vec();
        near[at] ^= flip;
        for record in [near, [&[0x81, 0, 0, 0, 0x08][..], &b].concat(), b.clone()] {
            if let Ok(Some(c)) = Av1Config::parse(&record.into(), Some(&b)) {
                prop_assert!(c.width <= 8192 && c.rfc6381().is_ascii());
            }
        }
        if let Some(sample) = av1_sample(&b.clone().into()) {
            prop_assert!(sample.len() <= b.len());
        }
    }
}
