//! Who asks: a CMCD session, else an address with its User-Agent (contract, "HTTP").

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;

/// CTA-5004 §3.1 bounds a session id.
const MAX_SID_BYTES: usize = 64;
const CMCD_SESSION: HeaderName = HeaderName::from_static("cmcd-session");

/// Turns requests into viewer keys. Keyed at random, so that nobody can choose a key that another viewer has.
#[derive(Debug, Default)]
pub(crate) struct Identities(RandomState);

impl Identities {
    /// The viewer's key. Neither address nor session id is kept.
    pub(crate) fn key(&self, headers: &HeaderMap, query: &str, address: Option<IpAddr>) -> u64 {
        if let Some(sid) = session_id(headers, query) {
            return self.0.hash_one(("sid", sid));
        }
        let agent = headers.get(header::USER_AGENT).map_or(&[][..], |v| v.as_bytes());
        self.0.hash_one(("address", address, agent))
    }
}

/// CMCD's `sid`: in the `CMCD-Session` header, else in the `CMCD` parameter of the query.
fn session_id(headers: &HeaderMap, query: &str) -> Option<String> {
    let sent = headers.get_all(CMCD_SESSION).iter().filter_map(|v| v.to_str().ok());
    for value in sent {
        if let Some(sid) = sid_of(value) {
            return Some(sid);
        }
    }
    let value = query.split('&').find_map(|p| p.strip_prefix("CMCD="))?;
    sid_of(&percent_decode_str(value).decode_utf8().ok()?)
}

/// Finds `sid="…"` among comma-separated keys; a comma or quote inside another key's string is no separator.
fn sid_of(cmcd: &str) -> Option<String> {
    let mut rest = cmcd;
    loop {
        let (pair, tail) = next_pair(rest);
        if let Some(value) = pair.trim().strip_prefix("sid=") {
            let sid = value.trim().trim_matches('"');
            return (!sid.is_empty() && sid.len() <= MAX_SID_BYTES).then(|| sid.to_owned());
        }
        rest = tail?;
    }
}

/// Splits at the first comma outside a quoted string.
fn next_pair(s: &str) -> (&str, Option<&str>) {
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in s.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return (&s[..i], Some(&s[i + 1..])),
            _ => {}
        }
    }
    (s, None)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_session_id_is_found_wherever_players_put_it() {
        let none = HeaderMap::new();
        for query in [
            "CMCD=sid%3D%22abc%22",
            "_HLS_msn=1&CMCD=br%3D3200%2Csid%3D%22abc%22%2Cot%3Dv",
            "CMCD=cid%3D%22a%2Csid%3D1%22%2Csid%3D%22abc%22",
            "CMCD=cid%3D%22q%5C%22%2Csid%3Dx%22%2C%20sid%3D%22abc%22",
        ] {
            assert_eq!(session_id(&none, query).as_deref(), Some("abc"), "{query}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CMCD_SESSION, HeaderValue::from_static("cid=\"x\",sid=\"abc\""));
        assert_eq!(session_id(&headers, "").as_deref(), Some("abc"));
        let long = format!("CMCD=sid%3D%22{}%22", "x".repeat(65));
        for query in ["", "CMCD=", "CMCD=sid%3D%22%22", "CMCD=rsid%3D%22a%22", "CMCD=%ff", &long] {
            assert_eq!(session_id(&none, query), None, "{query}");
        }
    }

    #[test]
    fn a_viewer_is_a_session_or_an_address_with_its_agent() {
        let ids = Identities::default();
        let [a, b] = [1, 2].map(|n| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n))));
        let mut vlc = HeaderMap::new();
        vlc.insert(header::USER_AGENT, HeaderValue::from_static("VLC"));
        let none = HeaderMap::new();
        assert_eq!(ids.key(&vlc, "", a), ids.key(&vlc, "_HLS_msn=1", a));
        assert_ne!(ids.key(&vlc, "", a), ids.key(&vlc, "", b));
        assert_ne!(ids.key(&vlc, "", a), ids.key(&none, "", a));
        assert_eq!(ids.key(&vlc, "CMCD=sid%3D%22s%22", a), ids.key(&none, "CMCD=sid%3D%22s%22", b));
    }
}
