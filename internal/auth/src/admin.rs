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
