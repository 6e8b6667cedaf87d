//! Who may publish and read where.

use std::time::SystemTime;

use media::{Credentials, PathPattern, StreamPath};

use crate::{Denied, Grant, Tokens};

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
    /// With these tokens; `open_publish` paths (`RAPIDRTMP__AUTH__OPEN_PUBLISH`) need none.
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
