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
    h.jku.is_some()
        || h.jwk.is_some()
        || h.x5u.is_some()
        || h.x5c.is_some()
        || h.extras.inner().contains_key("crit")
}
