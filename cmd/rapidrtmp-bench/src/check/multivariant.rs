//! The multivariant playlist (RFC 8216bis §4.4.6).

use super::{attributes::Attributes, finding::Finding};

/// A multivariant playlist: its variants and the URIs of its alternative renditions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Multivariant {
    pub(crate) variants: Vec<(Attributes, String)>,
    pub(crate) renditions: Vec<String>,
    pub(crate) independent_segments: bool,
}

impl Multivariant {
    /// Reads one; `None` when the text holds no EXT-X-STREAM-INF.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut out = Self::default();
        let mut pending = None;
        for line in text.lines().map(str::trim) {
            if let Some(a) = line.strip_prefix("#EXT-X-STREAM-INF:") {
                pending = Some(Attributes::parse(a));
            } else if let Some(a) = line.strip_prefix("#EXT-X-MEDIA:") {
                out.renditions.extend(Attributes::parse(a).get("URI").map(ToOwned::to_owned));
            } else if line == "#EXT-X-INDEPENDENT-SEGMENTS" {
                out.independent_segments = true;
            } else if !line.is_empty()
                && !line.starts_with('#')
                && let Some(a) = pending.take()
            {
                out.variants.push((a, line.to_owned()));
            }
        }
        (!out.variants.is_empty()).then_some(out)
    }

    /// URIs of all media playlists, each once.
    pub(crate) fn playlists(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for uri in
            self.variants.iter().map(|v| v.1.as_str()).chain(self.renditions.iter().map(String::as_str))
        {
            if !out.contains(&uri) {
                out.push(uri);
            }
        }
        out
    }
}

/// Every clause that it breaks.
pub(crate) fn lint_multivariant(m: &Multivariant) -> Vec<Finding> {
    let mut found = Vec::new();
    for (a, uri) in &m.variants {
        let mut missing =
            |name: &str| found.push(Finding::new(29, format!("{name} is missing or wrong"), uri));
        let codecs = a.get("CODECS").unwrap_or("");
        let video = codecs.split(',').any(|c| is_video(c.trim()));
        if codecs.is_empty()
            || codecs.split(',').any(|c| c.trim().starts_with("avc3") || c.trim().starts_with("hev1"))
        {
            missing("CODECS");
        }
        if a.number("BANDWIDTH").is_none_or(|b| b < 1.0) {
            missing("BANDWIDTH");
        }
        if a.number("AVERAGE-BANDWIDTH").is_none_or(|b| b < 1.0) {
            missing("AVERAGE-BANDWIDTH");
        }
        if video && !a.get("RESOLUTION").is_some_and(is_resolution) {
            missing("RESOLUTION");
        }
        if video && a.number("FRAME-RATE").is_none_or(|r| r <= 0.0) {
            missing("FRAME-RATE");
        }
        if let (Some(b), Some(average)) = (a.number("BANDWIDTH"), a.number("AVERAGE-BANDWIDTH"))
            && average > b
        {
            found.push(Finding::new(30, "AVERAGE-BANDWIDTH is above BANDWIDTH", uri));
        }
    }
    let scored = m.variants.iter().filter(|(a, _)| a.get("SCORE").is_some()).count();
    if scored != 0 && scored != m.variants.len() {
        found.push(Finding::new(29, "SCORE on some variants only", "variants"));
    }
    found
}

fn is_video(codec: &str) -> bool {
    ["avc", "hvc", "hev", "av01", "vp09"].iter().any(|p| codec.starts_with(p))
}

fn is_resolution(text: &str) -> bool {
    text.split_once('x').is_some_and(|(w, h)| w.parse::<u32>().is_ok() && h.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::NONE;

    const GOOD: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1800000,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=30.000\nmedia.m3u8\n";

    fn with(from: &str, to: &str) -> Vec<u8> {
        assert!(GOOD.contains(from), "{from}");
        let m = Multivariant::parse(&GOOD.replacen(from, to, 1)).unwrap();
        lint_multivariant(&m).iter().map(|f| f.clause).collect()
    }

    #[test]
    fn a_good_one_is_clean_and_read() {
        let m = Multivariant::parse(GOOD).unwrap();
        assert_eq!(lint_multivariant(&m), []);
        assert_eq!((m.playlists(), m.independent_segments), (vec!["media.m3u8"], true));
        assert!(Multivariant::parse("#EXTM3U\n#EXTINF:2,\na.m4s\n").is_none());
    }

    #[test]
    fn clause_29_each_attribute_is_needed() {
        for (from, to) in [
            ("BANDWIDTH=2000000,", ""),
            (",RESOLUTION=1280x720", ""),
            ("RESOLUTION=1280x720", "RESOLUTION=720p"),
            (",FRAME-RATE=30.000", ""),
            ("avc1", "avc3"),
            (",CODECS=\"avc1.64001f,mp4a.40.2\"", ""),
        ] {
            assert_eq!(with(from, to), [29], "{from}");
        }
        assert_eq!(with("AVERAGE-BANDWIDTH=1800000,", ""), [29]);
        assert_eq!(with("avc1.64001f,", ""), NONE, "audio alone needs no picture size");
    }

    #[test]
    fn clause_30_the_average_is_below_the_peak() {
        assert_eq!(with("AVERAGE-BANDWIDTH=1800000", "AVERAGE-BANDWIDTH=2800000"), [30]);
    }
}
