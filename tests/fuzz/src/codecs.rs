//! Codec configurations: `avcC`, AudioSpecificConfig, and the NAL units of a sample.

use bytes::Bytes;
use media::{AacConfig, AvcConfig, nal_units};

/// What is accepted can head a sample entry; the first byte chooses the kind.
pub fn codecs(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let record = Bytes::copy_from_slice(rest);
    match kind % 3 {
        0 => avc(&record),
        1 => aac(&record),
        _ => sample(rest),
    }
}

fn avc(record: &Bytes) {
    let Ok(c) = AvcConfig::parse(record) else { return };
    assert_eq!(c.record, record, "kept as it was sent");
    assert!((16..=8192).contains(&c.width) && (16..=8192).contains(&c.height), "{}x{}", c.width, c.height);
    assert!(c.frame_rate.is_none_or(|r| (1.0..=1000.0).contains(&r)), "{:?}", c.frame_rate);
    let text = c.rfc6381();
    let hex = text.strip_prefix("avc1.").expect("RFC 6381 §3.3");
    assert!(hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
    assert!(record.len() <= 64 * 1024);
    // Nothing is read past what the record gives.
    for n in 0..record.len().min(64) {
        let _cut = AvcConfig::parse(&record.slice(..n));
    }
}

fn aac(asc: &Bytes) {
    let Ok(c) = AacConfig::parse(asc) else { return };
    assert_eq!(c.asc, asc, "kept as it was sent");
    assert!((7_350..=96_000).contains(&c.sample_rate), "{}", c.sample_rate);
    assert!(matches!(c.frame_samples, 960 | 1024), "{}", c.frame_samples);
    assert!(matches!(c.object_type, 1..=5 | 29), "{}", c.object_type);
    assert!(c.channels < 16);
    assert_eq!(c.rfc6381(), format!("mp4a.40.{}", c.object_type));
}

fn sample(data: &[u8]) {
    let Some(units) = nal_units(data) else { return };
    let mut bytes = 0;
    for (kind, nal) in units {
        assert_eq!(Some(kind), nal.first().map(|h| h & 0x1f));
        bytes += 4 + nal.len();
    }
    assert!(bytes <= data.len(), "units overlap: {bytes} of {}", data.len());
}
