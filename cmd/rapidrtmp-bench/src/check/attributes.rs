//! Attribute lists of tags (RFC 8216bis §4.2).

use std::collections::BTreeMap;

/// The attributes of one tag; quotes are taken off strings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Reads `NAME=value,NAME="va,lue"`. A name without `=` is kept with an empty value.
    pub(crate) fn parse(text: &str) -> Self {
        let mut map = BTreeMap::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, tail) = rest.split_once('=').unwrap_or((rest, ""));
            let (value, tail) = match tail.strip_prefix('"') {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                    (value, after.strip_prefix(',').unwrap_or(after))
                }
                None => tail.split_once(',').unwrap_or((tail, "")),
            };
            map.insert(name.trim().to_owned(), value.to_owned());
            rest = tail;
        }
        Self(map)
    }

    /// The value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value as a finite decimal number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok().filter(|n: &f64| n.is_finite())
    }

    /// Whether it is `YES`.
    pub(crate) fn yes(&self, name: &str) -> bool {
        self.get(name) == Some("YES")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_may_hold_commas() {
        let a = Attributes::parse(r#"BANDWIDTH=1,CODECS="avc1.64001f,mp4a.40.2",FRAME-RATE=29.970,X=YES"#);
        assert_eq!(a.get("CODECS"), Some("avc1.64001f,mp4a.40.2"));
        assert_eq!(a.number("FRAME-RATE"), Some(29.97));
        assert!(a.yes("X") && !a.yes("BANDWIDTH"));
        assert_eq!(Attributes::parse("BROKEN=\"no end").get("BROKEN"), Some("no end"));
    }
}
