//! `onMetaData` (FLV 10.1 §E.5), with and without `@setDataFrame`.

use media::{ColorInfo, Metadata};

use crate::amf0::Value;

const MAX_ENTRIES: usize = 32;
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 256;
/// No encoder sends more: 1 Gbit/s, in kbit/s.
const MAX_KBITS: f64 = 1e6;

/// The metadata of a data message; `None` when it is another one.
pub(crate) fn read(values: &[Value]) -> Option<Metadata> {
    let values = match values {
        [Value::String(s), rest @ ..] if s == "@setDataFrame" => rest,
        all => all,
    };
    let [Value::String(name), object @ Value::Object(properties), ..] = values else { return None };
    if name != "onMetaData" {
        return None;
    }
    let (video, audio) = (announces(object, "videocodecid"), announces(object, "audiocodecid"));
    // Encoders that name one codec name both when there are two.
    let other = |mine: Option<bool>, other: Option<bool>| mine.or(other.and(Some(false)));
    Some(Metadata {
        expect_video: other(video, audio),
        expect_audio: other(audio, video),
        frame_rate: ["framerate", "videoframerate"]
            .iter()
            .find_map(|n| object.get(n)?.as_number())
            .filter(|r| *r > 0.0 && *r <= 1000.0),
        video_bitrate: bitrate(object, "videodatarate"),
        audio_bitrate: bitrate(object, "audiodatarate"),
        color: None,
        entries: properties.iter().filter_map(entry).take(MAX_ENTRIES).collect(),
    })
}

/// The colours in a metadata frame's `[name, value]` pairs (Enhanced RTMP 2, "Metadata Frame"): `None` when there is no
/// `colorInfo`, an inner `None` when it says nothing.
pub(crate) fn color(values: &[Value]) -> Option<Option<ColorInfo>> {
    let (_, info) =
        values.iter().zip(values.iter().skip(1)).find(|(n, _)| n.as_str() == Some("colorInfo"))?;
    let config = info.get("colorConfig");
    let code = |name| {
        let number = config?.get(name)?.as_number()?;
        (number.fract() == 0.0 && (0.0..=255.0).contains(&number)).then_some(number as u8)
    };
    let color = ColorInfo {
        bit_depth: code("bitDepth").filter(|bits| (8..=16).contains(bits)),
        primaries: code("colorPrimaries"),
        transfer: code("transferCharacteristics"),
        matrix: code("matrixCoefficients"),
    };
    Some((color != ColorInfo::default()).then_some(color))
}

fn announces(object: &Value, name: &str) -> Option<bool> {
    match object.get(name)? {
        Value::Number(n) => Some(*n != 0.0),
        Value::String(s) => Some(!s.is_empty() && s != "none"),
        Value::Null | Value::Undefined => Some(false),
        _ => None,
    }
}

fn bitrate(object: &Value, name: &str) -> Option<u64> {
    let kbits = object.get(name)?.as_number()?;
    (kbits > 0.0 && kbits <= MAX_KBITS).then_some((kbits * 1000.0) as u64)
}

fn entry((name, value): &(String, Value)) -> Option<(String, String)> {
    let text = match value {
        Value::Number(n) => n.to_string(),
        Value::Boolean(b) => b.to_string(),
        Value::String(s) => s.clone(),
        _ => return None,
    };
    (name.len() <= MAX_NAME && text.len() <= MAX_VALUE).then(|| (name.clone(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(properties: &[(&str, Value)]) -> Value {
        Value::Object(properties.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect())
    }

    fn string(s: &str) -> Value {
        Value::String(s.into())
    }

    #[test]
    fn both_forms_are_read() {
        let o = object(&[
            ("videocodecid", Value::Number(7.0)),
            ("audiocodecid", string("mp4a")),
            ("framerate", Value::Number(29.97)),
            ("videodatarate", Value::Number(2500.0)),
            ("encoder", string("Lavf59")),
        ]);
        let m = read(&[string("@setDataFrame"), string("onMetaData"), o.clone()]).unwrap();
        assert_eq!(Some(&m), read(&[string("onMetaData"), o]).as_ref());
        assert_eq!((m.expect_video, m.expect_audio), (Some(true), Some(true)));
        assert_eq!((m.frame_rate, m.video_bitrate, m.audio_bitrate), (Some(29.97), Some(2_500_000), None));
        assert!(m.entries.contains(&("encoder".into(), "Lavf59".into())));
    }

    #[test]
    fn what_is_announced_is_worth_waiting_for() {
        let m = read(&[string("onMetaData"), object(&[("videocodecid", Value::Number(7.0))])]).unwrap();
        assert_eq!((m.expect_video, m.expect_audio), (Some(true), Some(false)));
        let both = object(&[("videocodecid", Value::Number(0.0)), ("audiocodecid", Value::Number(10.0))]);
        let m = read(&[string("onMetaData"), both]).unwrap();
        assert_eq!((m.expect_video, m.expect_audio), (Some(false), Some(true)));
        let m = read(&[string("onMetaData"), object(&[("width", Value::Number(1.0))])]).unwrap();
        assert_eq!((m.expect_video, m.expect_audio), (None, None));
    }

    #[test]
    fn colours_are_read_within_their_bounds() {
        let config = |c: &[(&str, Value)]| object(&[("colorConfig", object(c)), ("hdrCll", object(&[]))]);
        let number = Value::Number;
        let hdr = config(&[
            ("bitDepth", number(10.0)),
            ("colorPrimaries", number(9.0)),
            ("transferCharacteristics", number(16.0)),
            ("matrixCoefficients", number(9.0)),
        ]);
        let c = color(&[string("colorInfo"), hdr]).unwrap().unwrap();
        assert_eq!((c.bit_depth, c.primaries, c.transfer, c.matrix), (Some(10), Some(9), Some(16), Some(9)));
        let absurd = config(&[
            ("bitDepth", number(99.0)),
            ("colorPrimaries", number(256.0)),
            ("transferCharacteristics", number(f64::NAN)),
            ("matrixCoefficients", number(0.5)),
        ]);
        for nothing in [absurd, config(&[]), object(&[]), Value::Undefined] {
            assert_eq!(color(&[string("colorInfo"), nothing]), Some(None));
        }
        assert_eq!(color(&[string("other"), object(&[])]), None);
        assert_eq!(color(&[string("colorInfo")]), None);
        assert_eq!(color(&[]), None);
    }

    #[test]
    fn others_and_absurd_values_are_left_out() {
        assert_eq!(read(&[string("onCuePoint"), object(&[])]), None);
        assert_eq!(read(&[string("@setDataFrame")]), None);
        assert_eq!(read(&[]), None);
        let mut p = vec![("framerate", Value::Number(f64::NAN)), ("videodatarate", Value::Number(-1.0))];
        p.push(("audiodatarate", Value::Number(f64::INFINITY)));
        let long = "x".repeat(300);
        p.push((&long, Value::Null));
        p.push(("long", string(&long)));
        let m = read(&[string("onMetaData"), object(&p)]).unwrap();
        assert_eq!((m.frame_rate, m.video_bitrate, m.audio_bitrate), (None, None, None));
        assert!(!m.entries.iter().any(|(_, v)| v.len() > MAX_VALUE));
        let many: Vec<_> = (0..100).map(|n| (format!("k{n}"), Value::Number(1.0))).collect();
        let m = read(&[string("onMetaData"), Value::Object(many)]).unwrap();
        assert_eq!(m.entries.len(), MAX_ENTRIES);
    }
}
