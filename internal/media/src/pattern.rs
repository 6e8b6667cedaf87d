//! Sets of paths, and values that differ by path.

use std::fmt;

use thiserror::Error;

use crate::StreamPath;

/// A set of paths: a path means itself, `live/*` every path below `live`, `*` all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    /// Everything below; the text ends with `/`.
    Below(String),
    Exactly(StreamPath),
}

/// Text that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a path pattern is a stream path, a stream path followed by '/*', or '*'")]
pub struct InvalidPattern;

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`InvalidPattern`].
    pub fn parse(s: &str) -> Result<Self, InvalidPattern> {
        if s == "*" {
            return Ok(Self(Pattern::All));
        }
        let (path, below) = s.strip_suffix("/*").map_or((s, false), |p| (p, true));
        let path = StreamPath::parse(path).map_err(|_| InvalidPattern)?;
        Ok(Self(if below { Pattern::Below(format!("{path}/")) } else { Pattern::Exactly(path) }))
    }

    /// The path is in the set.
    pub fn matches(&self, path: &StreamPath) -> bool {
        match &self.0 {
            Pattern::All => true,
            Pattern::Below(prefix) => path.as_str().starts_with(prefix),
            Pattern::Exactly(p) => p == path,
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::All => f.write_str("*"),
            Pattern::Below(prefix) => write!(f, "{prefix}*"),
            Pattern::Exactly(path) => path.fmt(f),
        }
    }
}

/// A value for every path: that of the first rule whose pattern matches, else the one for the rest. Rules are whole
/// values, so whoever makes them has merged them with the rest's already.
///
/// A look-up walks the rules; ask once per publish, not per frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerPath<T> {
    rules: Vec<(PathPattern, T)>,
    rest: T,
}

impl<T> PerPath<T> {
    /// With these rules, strongest first; `rest` is for paths that none of them matches.
    pub const fn new(rules: Vec<(PathPattern, T)>, rest: T) -> Self {
        Self { rules, rest }
    }

    /// The value of a path.
    pub fn of(&self, path: &StreamPath) -> &T {
        self.rules.iter().find(|(p, _)| p.matches(path)).map_or(&self.rest, |(_, value)| value)
    }
}

impl<T> From<T> for PerPath<T> {
    /// The same value for every path.
    fn from(value: T) -> Self {
        Self::new(Vec::new(), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(s: &str) -> StreamPath {
        StreamPath::parse(s).unwrap()
    }

    fn pattern(s: &str) -> PathPattern {
        PathPattern::parse(s).unwrap()
    }

    #[test]
    fn patterns_mean_a_path_all_below_or_all() {
        let matches = |p: &str, of: &str| pattern(p).matches(&path(of));
        assert!(matches("*", "live") && matches("*", "a/b/c"));
        assert!(matches("live/*", "live/a") && matches("live/*", "live/a/b"));
        assert!(
            !matches("live/*", "live") && !matches("live/*", "liver/a") && !matches("live/*", "a/live/b")
        );
        assert!(
            matches("live/a", "live/a") && !matches("live/a", "live/ab") && !matches("live/a", "live/a/b")
        );
        for bad in
            ["", "/", "/*", "**", "live/**", "live/*/a", "li*", "live/a*", "api/*", "live/", "live/x.ts"]
        {
            assert_eq!(PathPattern::parse(bad), Err(InvalidPattern), "{bad}");
        }
    }

    #[test]
    fn patterns_show_as_they_were_written() {
        for text in ["*", "live/*", "live/a"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let values = PerPath::new(vec![(pattern("live/a"), 1), (pattern("live/*"), 2)], 0);
        assert_eq!((values.of(&path("live/a")), values.of(&path("live/b"))), (&1, &2));
        assert_eq!(values.of(&path("cam/a")), &0);
        let shadowed = PerPath::new(vec![(pattern("*"), 1), (pattern("live/a"), 2)], 0);
        assert_eq!(shadowed.of(&path("live/a")), &1);
        assert_eq!(PerPath::from(7).of(&path("live/a")), &7);
    }
}
