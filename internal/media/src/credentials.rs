//! What a client shows to prove who it is.

use std::fmt;

/// Credentials taken off a name or a request. `Debug` shows which were given, never their text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A token: query `token` or `jwt`, or a Bearer value.
    pub token: Option<String>,
    /// A user name: query `user`.
    pub user: Option<String>,
    /// Its password: query `pass`.
    pub pass: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |o: &Option<String>| if o.is_some() { "given" } else { "none" };
        f.debug_struct("Credentials")
            .field("token", &shown(&self.token))
            .field("user", &shown(&self.user))
            .field("pass", &shown(&self.pass))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_every_secret() {
        let c = Credentials { token: Some("s3cret".into()), user: Some("u5er".into()), pass: None };
        let shown = format!("{c:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("u5er") && shown.contains("given"));
    }
}
