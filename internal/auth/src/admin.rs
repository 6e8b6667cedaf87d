//! Who may call admin routes (contract "Admin").

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use subtle::ConstantTimeEq;
use thiserror::Error;

/// What is asked of an admin call; taken from the request as it came.
#[derive(Clone, Copy, Default)]
pub struct AdminRequest<'a> {
    /// The Bearer value of `Authorization` (see [`bearer`]).
    pub bearer: Option<&'a str>,
    /// `Host`, or HTTP/2's `:authority`.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// Any of `Forwarded`, `X-Forwarded-*`, `Via` is there.
    pub forwarded: bool,
    /// The listener that took the call is bound to a loopback address.
    pub listener_loopback: bool,
}

/// Why an admin call is refused, always with status 401. The text says what to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AdminDenied {
    /// A token is configured, and none came.
    #[error("admin calls need the header 'Authorization: Bearer <ADMIN_TOKEN>'")]
    Missing,
    /// A token is configured, and another came.
    #[error("the bearer value is not this server's ADMIN_TOKEN")]
    Wrong,
    /// No token is configured, and the listener can be reached from elsewhere.
    #[error(
        "admin calls are off: set ADMIN_TOKEN and send it as 'Authorization: Bearer', or bind HTTP_ADDR to 127.0.0.1"
    )]
    NotLoopback,
    /// No token is configured, and the call came under another name than this machine's own.
    #[error(
        "without ADMIN_TOKEN admin calls are taken only at http://localhost or a loopback address: set ADMIN_TOKEN"
    )]
    ForeignHost,
    /// No token is configured, and a web page of another origin calls.
    #[error("without ADMIN_TOKEN admin calls are not taken from pages of another origin: set ADMIN_TOKEN")]
    ForeignOrigin,
    /// No token is configured, and the call came through a proxy.
    #[error("without ADMIN_TOKEN admin calls are not taken through a proxy: set ADMIN_TOKEN")]
    Forwarded,
}

/// The rule of admin calls. Pure.
pub struct AdminRule {
    token: Option<String>,
}

impl AdminRule {
    /// With `ADMIN_TOKEN`; an empty one counts as none.
    pub fn new(token: Option<&str>) -> Self {
        Self { token: token.filter(|t| !t.is_empty()).map(str::to_owned) }
    }

    /// A token is configured, so HTTP may listen everywhere.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// May this admin call be made?
    ///
    /// # Errors
    /// [`AdminDenied`], to be answered with 401.
    pub fn decide(&self, r: &AdminRequest<'_>) -> Result<(), AdminDenied> {
        let Some(token) = &self.token else { return without_token(r) };
        let given = r.bearer.ok_or(AdminDenied::Missing)?;
        if bool::from(given.as_bytes().ct_eq(token.as_bytes())) { Ok(()) } else { Err(AdminDenied::Wrong) }
    }
}

impl fmt::Debug for AdminRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminRule").field("has_token", &self.has_token()).finish()
    }
}

fn without_token(r: &AdminRequest<'_>) -> Result<(), AdminDenied> {
    if !r.listener_loopback {
        return Err(AdminDenied::NotLoopback);
    }
    if r.forwarded {
        return Err(AdminDenied::Forwarded);
    }
    let host = r.host.filter(|h| is_loopback(h)).ok_or(AdminDenied::ForeignHost)?;
    match r.origin {
        Some(origin) if !is_own(origin, host) => Err(AdminDenied::ForeignOrigin),
        _ => Ok(()),
    }
}

/// `localhost`, an address in 127.0.0.0/8, or `[::1]`, each with or without a port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((v6, rest)) => {
            if !v6.parse::<Ipv6Addr>().is_ok_and(|a| a.is_loopback()) {
                return false;
            }
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        None => host.split_once(':').map_or((host, None), |(n, p)| (n, Some(p))),
    };
    let ours =
        name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|a| a.is_loopback());
    ours && port.is_none_or(is_port)
}

fn is_port(s: &str) -> bool {
    s.bytes().all(|b| b.is_ascii_digit()) && s.parse::<u16>().is_ok()
}

/// The page that calls was served under the very name that is called.
fn is_own(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|a| a.eq_ignore_ascii_case(host))
}

/// The token in an `Authorization` header of the Bearer scheme (RFC 6750 §2.1).
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call that the rule without a token allows; each test breaks one clause of it.
    fn local() -> AdminRequest<'static> {
        AdminRequest { host: Some("127.0.0.1:8080"), listener_loopback: true, ..AdminRequest::default() }
    }

    fn open(r: &AdminRequest<'_>) -> Result<(), AdminDenied> {
        AdminRule::new(None).decide(r)
    }

    #[test]
    fn with_a_token_the_bearer_value_decides_alone() {
        let rule = AdminRule::new(Some("s3cret"));
        let call = |bearer| rule.decide(&AdminRequest { bearer, ..AdminRequest::default() });
        assert_eq!(call(Some("s3cret")), Ok(()));
        assert_eq!(call(None), Err(AdminDenied::Missing));
        for wrong in ["", "s3cre", "s3cret ", "S3cret", "s3cret1", "x3cret"] {
            assert_eq!(call(Some(wrong)), Err(AdminDenied::Wrong), "{wrong}");
        }
        let far = AdminRequest {
            bearer: Some("s3cret"),
            host: Some("tv.example.org"),
            origin: Some("https://evil.example"),
            forwarded: true,
            listener_loopback: false,
        };
        assert_eq!(rule.decide(&far), Ok(()));
        // Being local is no substitute.
        assert_eq!(rule.decide(&local()), Err(AdminDenied::Missing));
        assert!(rule.has_token());
    }

    #[test]
    fn an_empty_token_is_none() {
        let rule = AdminRule::new(Some(""));
        assert!(!rule.has_token());
        assert_eq!(rule.decide(&local()), Ok(()));
        let bound_elsewhere = AdminRequest { bearer: Some(""), listener_loopback: false, ..local() };
        assert_eq!(rule.decide(&bound_elsewhere), Err(AdminDenied::NotLoopback));
    }

    #[test]
    fn the_listener_must_be_bound_to_loopback() {
        assert_eq!(open(&local()), Ok(()));
        assert_eq!(
            open(&AdminRequest { listener_loopback: false, ..local() }),
            Err(AdminDenied::NotLoopback)
        );
    }

    #[test]
    fn the_host_must_be_localhost_or_a_loopback_literal() {
        let host = |h: &'static str| open(&AdminRequest { host: Some(h), ..local() });
        for ok in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.8.9.1:1",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]:8080",
        ] {
            assert_eq!(host(ok), Ok(()), "{ok}");
        }
        for bad in [
            "",
            "example.org",
            "localhost.example.org",
            "localhost.",
            "127.0.0.1.nip.io",
            "127.0.0.1.",
            "0.0.0.0",
            "192.168.1.1:8080",
            "2130706433",
            "0x7f.1",
            "127.1",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[::2]:8080",
            "[::ffff:10.0.0.1]",
            "localhost:",
            "localhost:99999",
            "localhost:8080:1",
            "localhost:+80",
            "localhost:80@example.org",
            "user@localhost",
            " localhost",
        ] {
            assert_eq!(host(bad), Err(AdminDenied::ForeignHost), "{bad}");
        }
        assert_eq!(open(&AdminRequest { host: None, ..local() }), Err(AdminDenied::ForeignHost));
    }

    #[test]
    fn the_origin_must_be_absent_or_our_own() {
        let origin = |o: &'static str| open(&AdminRequest { origin: Some(o), ..local() });
        assert_eq!(origin("http://127.0.0.1:8080"), Ok(()));
        assert_eq!(origin("https://127.0.0.1:8080"), Ok(()));
        for bad in [
            "",
            "null",
            "http://127.0.0.1:8081",
            "http://127.0.0.1",
            "http://localhost:8080",
            "http://evil.example",
            "http://127.0.0.1:8080.evil.example",
            "http://127.0.0.1:8080/",
            "file://127.0.0.1:8080",
            "127.0.0.1:8080",
        ] {
            assert_eq!(origin(bad), Err(AdminDenied::ForeignOrigin), "{bad}");
        }
    }

    #[test]
    fn a_proxy_in_between_is_refused() {
        assert_eq!(open(&AdminRequest { forwarded: true, ..local() }), Err(AdminDenied::Forwarded));
    }

    #[test]
    fn refusals_say_what_to_set_and_never_the_secret() {
        use AdminDenied::{ForeignHost, ForeignOrigin, Forwarded, Missing, NotLoopback, Wrong};
        for d in [Missing, Wrong, NotLoopback, ForeignHost, ForeignOrigin, Forwarded] {
            assert!(d.to_string().contains("ADMIN_TOKEN"), "{d}");
        }
        let shown = format!("{:?}", AdminRule::new(Some("s3cret")));
        assert!(!shown.contains("s3cret") && shown.contains("true"));
    }

    /// RFC 9110 §11.1: the scheme is case-insensitive. RFC 6750 §2.1.
    #[test]
    fn bearer_values_are_read() {
        for ok in ["Bearer t0k", "bearer t0k", " BEARER  t0k "] {
            assert_eq!(bearer(ok), Some("t0k"), "{ok}");
        }
        for bad in ["", "Bearer", "Bearer ", "Basic t0k", "t0k", "Bearert0k"] {
            assert_eq!(bearer(bad), None, "{bad}");
        }
    }
}
