//! Paths, objects, patterns, and the ways in which publishers write them.

use media::{ObjectName, PathPattern, StreamPath};

/// A name is read as it is written, and no name leaves its folder.
pub fn names(data: &[u8]) {
    rtmp::fuzz::names(data);
    let text = String::from_utf8_lossy(data);
    let text = text.as_ref();
    if let Ok(path) = StreamPath::parse(text) {
        assert_eq!(path.as_str(), text);
        let parts: Vec<&str> = text.split('/').collect();
        assert!((1..=4).contains(&parts.len()));
        for part in parts {
            assert!((1..=128).contains(&part.len()) && part != "." && part != "..");
            assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.~-".contains(&b)));
            // No object of another stream, so no stream's folder can be mistaken for an object.
            assert_eq!(ObjectName::parse(part), None);
        }
        if text.contains('/') {
            assert_eq!(StreamPath::from_stream_key("live", path.stream_key("live")).as_ref(), Ok(&path));
        }
    }
    if let Some(object) = ObjectName::parse(text) {
        assert_eq!(object.to_string(), text, "an object has one name");
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)));
    }
    if let Ok(pattern) = PathPattern::parse(text) {
        assert_eq!(pattern.to_string(), text);
        let below = text.strip_suffix('*').map_or_else(|| text.to_owned(), |t| format!("{t}x"));
        if let Ok(path) = StreamPath::parse(&below) {
            assert!(pattern.matches(&path), "{pattern} and {path}");
        }
    }
}
