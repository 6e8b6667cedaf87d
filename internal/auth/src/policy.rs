//! Who may publish and read where.

use std::time::SystemTime;

use media::{Credentials, StreamPath};
use thiserror::Error;

use crate::{Denied, Grant, Tokens};

/// A set of paths (`RAPIDRTMP__AUTH__OPEN_PUBLISH`): a path means itself, `live/*` every path below `live`, `*` all.
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

/// A publish that the credentials allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The token that the registry must bind; `None` where the path is open and none was shown.
    pub grant: Option<Grant>,
}

/// Decides what credentials allow. Pure; never blocks.
pub struct Policy {
    tokens: Tokens,
    open_publish: Vec<PathPattern>,
}

impl Policy {
    /// With these tokens; `open_publish` paths need none.
    pub fn new(tokens: Tokens, open_publish: Vec<PathPattern>) -> Self {
        Self { tokens, open_publish }
    }

    /// The tokens, to mint and inspect.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// May these credentials publish to `path`? A token that is shown must be right, on an open path too.
    ///
    /// # Errors
    /// [`Denied`], with a text for the encoder's user.
    pub fn publish(&self, path: &StreamPath, c: &Credentials, now: SystemTime) -> Result<Publish, Denied> {
        match c.token.as_deref().filter(|t| !t.is_empty()) {
            Some(token) => Ok(Publish { grant: Some(self.tokens.verify(token, path, now)?) }),
            None if self.open_publish.iter().any(|p| p.matches(path)) => Ok(Publish { grant: None }),
            None => Err(Denied::Missing),
        }
    }

    /// May these credentials watch `path`? Every path is open to anonymous readers.
    ///
    /// # Errors
    /// [`Denied`]; none today.
    pub fn read(&self, _path: &StreamPath, _c: &Credentials, _now: SystemTime) -> Result<(), Denied> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Secret;

    fn path(s: &str) -> StreamPath {
        StreamPath::parse(s).unwrap()
    }

    fn policy(open: &[&str]) -> Policy {
        let tokens = Tokens::new(&Secret::new("key").unwrap());
        Policy::new(tokens, open.iter().map(|p| PathPattern::parse(p).unwrap()).collect())
    }

    fn with(token: &str) -> Credentials {
        Credentials { token: Some(token.to_owned()), ..Credentials::default() }
    }

    #[test]
    fn patterns_mean_a_path_all_below_or_all() {
        let matches = |pattern: &str, p: &str| PathPattern::parse(pattern).unwrap().matches(&path(p));
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
    fn publishing_needs_a_token_except_on_open_paths() {
        let (none, now) = (Credentials::default(), SystemTime::now());
        let p = policy(&["open/*"]);
        assert_eq!(p.publish(&path("live/a"), &none, now), Err(Denied::Missing));
        assert_eq!(p.publish(&path("live/a"), &with(""), now), Err(Denied::Missing));
        assert_eq!(p.publish(&path("open/a"), &none, now), Ok(Publish { grant: None }));
        let user = Credentials { user: Some("u".into()), pass: Some("p".into()), token: None };
        assert_eq!(p.publish(&path("live/a"), &user, now), Err(Denied::Missing));

        let minted = p.tokens().mint(&path("live/a"), Duration::from_secs(60), now);
        let publish = p.publish(&path("live/a"), &with(&minted.token), now).unwrap();
        assert_eq!(publish.grant.unwrap().id, minted.id);
    }

    #[test]
    fn a_token_that_is_shown_must_be_right_on_an_open_path_too() {
        let now = SystemTime::now();
        let p = policy(&["*"]);
        let minted = p.tokens().mint(&path("live/a"), Duration::from_secs(60), now);
        assert_eq!(p.publish(&path("live/b"), &with(&minted.token), now), Err(Denied::WrongPath));
        assert_eq!(p.publish(&path("live/b"), &with("x"), now), Err(Denied::Invalid));
        assert!(p.publish(&path("live/a"), &with(&minted.token), now).unwrap().grant.is_some());
    }

    #[test]
    fn everybody_may_watch() {
        assert!(policy(&[]).read(&path("live/a"), &Credentials::default(), SystemTime::now()).is_ok());
    }
}
