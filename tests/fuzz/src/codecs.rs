//! Codec configurations and samples: `avcC`, AudioSpecificConfig, NAL units, and those that Enhanced RTMP brings.

use bytes::Bytes;
use media::{
    AacConfig, Av1Config, AvcConfig, CodecConfig, FlacConfig, HevcConfig, HevcSample, OpusConfig, Vp9Config,
    av1_sample, flac_frame_samples, nal_units, opus_packet_samples,
};

/// What is accepted can head a sample entry; the first byte chooses the kind.
pub fn codecs(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let record = Bytes::copy_from_slice(rest);
    match (kind & 0xf0, kind % 3) {
        (0xe0, _) => enhanced(kind & 0xf, &record),
        (_, 0) => avc(&record),
        (_, 1) => aac(&record),
        _ => sample(rest),
    }
}

/// Records, and the keyframe behind the first 32 bytes where one must complete them; then samples.
fn enhanced(kind: u8, data: &Bytes) {
    let at = data.len().min(32);
    let (record, keyframe) = (data.slice(..at), data.slice(at..));
    let config = match kind {
        0 => HevcConfig::parse(data).ok().map(CodecConfig::Hevc),
        1 => Av1Config::parse(data, None).ok().flatten().map(CodecConfig::Av1),
        2 => Av1Config::parse(&record, Some(&keyframe)).ok().flatten().map(CodecConfig::Av1),
        3 => Vp9Config::parse(&data.slice(..data.len().min(12)), &keyframe).ok().map(CodecConfig::Vp9),
        4 => OpusConfig::parse(data).ok().map(CodecConfig::Opus),
        5 => FlacConfig::parse(data).ok().map(CodecConfig::Flac),
        _ => None,
    };
    if let Some(config) = config {
        configured(&config);
    }
    let hevc = HevcSample::read(data);
    assert_eq!(hevc.is_some(), nal_units(data).is_some(), "the same lengths");
    if let Some(sample) = av1_sample(data) {
        assert!(sample.len() <= data.len());
        assert_eq!(av1_sample(&sample).as_ref(), Some(&sample), "no delimiter is left");
    }
    assert!(opus_packet_samples(data).is_none_or(|n| (1..=5_760).contains(&n)));
    assert!(flac_frame_samples(data).is_none_or(|n| (1..=65_536).contains(&n)));
}

/// What heads a sample entry and stands in a playlist.
fn configured(config: &CodecConfig) {
    let text = config.rfc6381();
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'), "{text}");
    if let Some(p) = config.picture() {
        assert!(
            (16..=8192).contains(&p.width) && (16..=8192).contains(&p.height),
            "{}x{}",
            p.width,
            p.height
        );
        assert!(p.frame_rate.is_none_or(|r| (1.0..=1000.0).contains(&r)), "{:?}", p.frame_rate);
    }
    if let Some(s) = config.sound() {
        assert!((8_000..=192_000).contains(&s.sample_rate), "{}", s.sample_rate);
        assert!((1..=8).contains(&s.channels) && s.frame_samples > 0, "{s:?}");
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
