//! Publish tokens: JWTs signed with HS256, bound to one path.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use media::StreamPath;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::Secret;

/// A token of ours has about 900 bytes at most (a 515-byte path in base64url and the rest).
const MAX_TOKEN_BYTES: usize = 2048;
/// What the token is for; other kinds of tokens never pass as this one.
const AUDIENCE: &str = "publish";

/// Why credentials were refused. The texts say what to do and repeat nothing that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// No token was shown where one is needed.
    #[error(
        "publishing here needs a token: ask for one with POST /api/v1/publish and append ?token=… to the stream key"
    )]
    Missing,
    /// No token of this server: malformed, altered, signed with another key or algorithm.
    #[error("this is no valid token of this server: ask for a new one with POST /api/v1/publish")]
    Invalid,
    /// A right token for another path.
    #[error("the token is for another stream: publish to the one it was made for, or ask for a new token")]
    WrongPath,
    /// A right token that is not valid yet.
    #[error("the token is not valid yet: check the clocks, or ask for a new one")]
    NotYet,
}

/// A token whose signature, kind and path are right. It may be expired: that still counts for a running stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id (`jti`).
    pub id: Uuid,
    /// When it expires.
    pub expires_at: SystemTime,
    /// It has expired.
    pub expired: bool,
}

/// A fresh token.
#[derive(Clone)]
pub struct Minted {
    /// The token itself: a secret.
    pub token: String,
    /// Its id (`jti`), no secret.
    pub id: Uuid,
    /// When it expires, a whole second.
    pub expires_at: SystemTime,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    path: String,
    aud: String,
    jti: String,
    iat: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
}

/// Mints and checks publish tokens with one key. Pure but for the key; never blocks.
pub struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

impl Tokens {
    /// Tokens signed with this key.
    pub fn new(secret: &Secret) -> Self {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.required_spec_claims = HashSet::from(["exp".to_owned(), "aud".to_owned()]);
        // Times are compared below, against the caller's clock and without leeway.
        rules.validate_exp = false;
        rules.validate_nbf = false;
        Self {
            sign: EncodingKey::from_secret(secret.as_bytes()),
            check: DecodingKey::from_secret(secret.as_bytes()),
            rules,
        }
    }

    /// A token to publish to `path` until `now + ttl`, rounded up to a second.
    pub fn mint(&self, path: &StreamPath, ttl: Duration, now: SystemTime) -> Minted {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = since.saturating_add(ttl);
        let exp = until.as_secs().saturating_add(u64::from(until.subsec_nanos() > 0)).min(MAX_TIME);
        let id = Uuid::new_v4();
        let claims = Claims {
            path: path.to_string(),
            aud: AUDIENCE.to_owned(),
            jti: id.to_string(),
            iat: since.as_secs(),
            exp,
            nbf: None,
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .expect("strings and numbers become JSON, and HMAC takes any key");
        Minted { token, id, expires_at: UNIX_EPOCH + Duration::from_secs(exp) }
    }

    /// Checks a token against the path that it is used for.
    ///
    /// An expired token is no error here: [`Grant::expired`] says so, and the registry knows whether it still
    /// carries a running stream.
    ///
    /// # Errors
    /// [`Denied`], never [`Denied::Missing`].
    pub fn verify(&self, token: &str, path: &StreamPath, now: SystemTime) -> Result<Grant, Denied> {
        let (claims, grant) = self.read(token, now)?;
        if claims.path != path.as_str() {
            return Err(Denied::WrongPath);
        }
        Ok(grant)
    }

    /// Reads a token without using it, for revocation: its path and grant.
    ///
    /// # Errors
    /// [`Denied::Invalid`] or [`Denied::NotYet`].
    pub fn inspect(&self, token: &str, now: SystemTime) -> Result<(StreamPath, Grant), Denied> {
        let (claims, grant) = self.read(token, now)?;
        Ok((StreamPath::parse(&claims.path).map_err(|_| Denied::Invalid)?, grant))
    }

    fn read(&self, token: &str, now: SystemTime) -> Result<(Claims, Grant), Denied> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Denied::Invalid);
        }
        let header = decode_header(token).map_err(|_| Denied::Invalid)?;
        if carries_a_key(&header) {
            return Err(Denied::Invalid);
        }
        let claims = decode::<Claims>(token, &self.check, &self.rules).map_err(|_| Denied::Invalid)?.claims;
        if claims.exp > MAX_TIME {
            return Err(Denied::Invalid);
        }
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if claims.nbf.is_some_and(|nbf| nbf > seconds) {
            return Err(Denied::NotYet);
        }
        let expires_at = UNIX_EPOCH + Duration::from_secs(claims.exp);
        let id = Uuid::try_parse(&claims.jti).map_err(|_| Denied::Invalid)?;
        let grant = Grant { id, expires_at, expired: expires_at <= now };
        Ok((claims, grant))
    }
}

/// The year 9999: later times do not fit everywhere.
const MAX_TIME: u64 = 253_402_300_799;

/// A header that brings or names its own key, or rules that we would have to know (RFC 7515 §4.1.11).
fn carries_a_key(h: &Header) -> bool {
    h.jku.is_some() || h.jwk.is_some() || h.x5u.is_some() || h.x5c.is_some() || h.crit.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn path(s: &str) -> StreamPath {
        StreamPath::parse(s).unwrap()
    }

    fn secret() -> Secret {
        Secret::new("a key of our own").unwrap()
    }

    fn tokens() -> Tokens {
        Tokens::new(&secret())
    }

    /// A token signed with our key, whatever it says.
    fn signed(header: &Header, claims: &serde_json::Value) -> String {
        encode(header, claims, &EncodingKey::from_secret(secret().as_bytes())).unwrap()
    }

    fn claims() -> serde_json::Value {
        serde_json::json!({
            "path": "live/a", "aud": "publish", "exp": NOW + 60, "iat": NOW,
            "jti": "0b5d3c5e-6a0a-4c58-9f2c-0d6a1b1f7e10",
        })
    }

    fn hs256() -> Header {
        Header::new(Algorithm::HS256)
    }

    fn verify(token: &str) -> Result<Grant, Denied> {
        tokens().verify(token, &path("live/a"), at(NOW))
    }

    /// The text of a token with another header, its payload and signature kept.
    fn with_header(token: &str, header: &str) -> String {
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", base64url(header.as_bytes()))
    }

    fn base64url(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0_u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..=chunk.len() {
                out.push(ALPHABET[(word >> (18 - 6 * i) & 63) as usize] as char);
            }
        }
        out
    }

    #[test]
    fn a_minted_token_is_right_for_its_path_until_it_expires() {
        let minted = tokens().mint(&path("live/a"), Duration::from_secs(60), at(NOW));
        let grant = verify(&minted.token).unwrap();
        assert_eq!(grant, Grant { id: minted.id, expires_at: at(NOW + 60), expired: false });
        assert_eq!(minted.expires_at, at(NOW + 60));
        let other = tokens().mint(&path("live/a"), Duration::from_secs(60), at(NOW));
        assert_ne!(other.id, minted.id);
        assert_eq!(tokens().inspect(&minted.token, at(NOW)), Ok((path("live/a"), grant)));
    }

    #[test]
    fn there_is_no_leeway() {
        let token = tokens().mint(&path("live/a"), Duration::from_secs(60), at(NOW)).token;
        let expired = |t| tokens().verify(&token, &path("live/a"), t).unwrap().expired;
        assert!(!expired(at(NOW + 60) - Duration::from_millis(1)));
        assert!(expired(at(NOW + 60)) && expired(at(NOW + 3600)));
    }

    #[test]
    fn a_token_fits_its_bound_at_every_path_and_time() {
        let long = path(&["x".repeat(128), "y".repeat(128), "z".repeat(128), "w".repeat(128)].join("/"));
        let minted = tokens().mint(&long, Duration::MAX, at(NOW));
        assert!(minted.token.len() <= MAX_TOKEN_BYTES / 2, "{}", minted.token.len());
        assert!(!tokens().verify(&minted.token, &long, at(NOW)).unwrap().expired);
    }

    #[test]
    fn a_token_of_another_path_is_refused() {
        let token = tokens().mint(&path("live/b"), Duration::from_secs(60), at(NOW)).token;
        assert_eq!(verify(&token), Err(Denied::WrongPath));
        for other in ["live/A", "live/a/b", "live", "Live/a"] {
            let mut c = claims();
            c["path"] = other.into();
            assert_eq!(verify(&signed(&hs256(), &c)), Err(Denied::WrongPath), "{other}");
        }
    }

    /// limits-and-faults 19; RFC 8725 §3.1: the algorithm is ours to choose, not the token's.
    #[test]
    fn other_algorithms_are_refused() {
        let good = signed(&hs256(), &claims());
        assert!(verify(&good).is_ok());
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None","typ":"JWT"}"#,
            r#"{"alg":"RS256","typ":"JWT"}"#,
            r#"{"alg":"hs256","typ":"JWT"}"#,
            r#"{"typ":"JWT"}"#,
            "{}",
        ] {
            let token = with_header(&good, header);
            assert_eq!(verify(&token), Err(Denied::Invalid), "{header}");
            let unsigned = token.rsplit_once('.').unwrap().0;
            assert_eq!(verify(&format!("{unsigned}.")), Err(Denied::Invalid), "{header}");
            assert_eq!(verify(unsigned), Err(Denied::Invalid), "{header}");
        }
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(verify(&signed(&Header::new(algorithm), &claims())), Err(Denied::Invalid));
        }
    }

    #[test]
    fn keys_that_a_token_brings_are_not_used() {
        let url = Some("https://example.org/keys".to_owned());
        for header in [
            Header { jku: url.clone(), ..hs256() },
            Header { x5u: url, ..hs256() },
            Header { x5c: Some(vec!["AAAA".into()]), ..hs256() },
        ] {
            assert_eq!(verify(&signed(&header, &claims())), Err(Denied::Invalid));
        }
        let critical = Header { crit: Some(vec!["b64".into()]), ..hs256() };
        assert_eq!(verify(&signed(&critical, &claims())), Err(Denied::Invalid));
        let jwk = r#"{"alg":"HS256","jwk":{"kty":"oct","k":"YWFh","alg":"HS256"}}"#;
        let body = base64url(claims().to_string().as_bytes());
        assert_eq!(verify(&format!("{}.{body}.AAAA", base64url(jwk.as_bytes()))), Err(Denied::Invalid));
        // A key id chooses nothing.
        let named = Header { kid: Some("../../dev/null".into()), ..hs256() };
        assert!(verify(&signed(&named, &claims())).is_ok());
    }

    #[test]
    fn altered_tokens_and_foreign_keys_are_refused() {
        let good = signed(&hs256(), &claims());
        for i in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'Q' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(verify(&altered).is_err(), "byte {i}");
        }
        let foreign = Tokens::new(&Secret::new("another key").unwrap());
        let token = foreign.mint(&path("live/a"), Duration::from_secs(60), at(NOW)).token;
        assert_eq!(verify(&token), Err(Denied::Invalid));
    }

    #[test]
    fn claims_that_are_missing_or_odd_are_refused() {
        for missing in ["path", "aud", "exp", "jti", "iat"] {
            let mut c = claims();
            c.as_object_mut().unwrap().remove(missing);
            assert_eq!(verify(&signed(&hs256(), &c)), Err(Denied::Invalid), "{missing}");
        }
        let odd = [
            ("exp", serde_json::json!("soon")),
            ("exp", serde_json::json!(-1)),
            ("exp", serde_json::json!(u64::MAX)),
            ("exp", serde_json::json!(1e300)),
            ("jti", serde_json::json!("x")),
            ("jti", serde_json::json!("x".repeat(500))),
            ("aud", serde_json::json!("read")),
            ("aud", serde_json::json!(["read", "admin"])),
            ("path", serde_json::json!(["live/a"])),
        ];
        for (name, value) in odd {
            let mut c = claims();
            c[name] = value.clone();
            assert_eq!(verify(&signed(&hs256(), &c)), Err(Denied::Invalid), "{name} {value}");
        }
        let mut c = claims();
        c["nbf"] = (NOW + 1).into();
        assert_eq!(verify(&signed(&hs256(), &c)), Err(Denied::NotYet));
        c["nbf"] = NOW.into();
        assert!(verify(&signed(&hs256(), &c)).is_ok());
    }

    #[test]
    fn oversized_and_shapeless_tokens_are_refused() {
        let good = signed(&hs256(), &claims());
        let mut padded = claims();
        padded["x"] = "y".repeat(2048).into();
        let mega = "a".repeat(1 << 20);
        for bad in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "ä.ö.ü",
            &mega,
            &signed(&hs256(), &padded),
            &format!("{good}.{good}"),
        ] {
            assert_eq!(verify(bad), Err(Denied::Invalid), "{} bytes", bad.len());
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        for denied in [Denied::Missing, Denied::Invalid, Denied::WrongPath, Denied::NotYet] {
            let text = denied.to_string();
            assert!(text.contains("ask for") && text.contains("token"), "{text}");
        }
    }
}
