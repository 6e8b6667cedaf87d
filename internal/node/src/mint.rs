//! Minting a token outside the server, with the key that the server uses.

use std::time::{Duration, SystemTime};

use auth::Tokens;
use media::StreamPath;

use crate::{config::Config, error::NodeError};

/// A publish token for `path` (a full path, such as `live/demo` or `live`), signed with the key of this configuration; lasts `expires`, or as configured.
/// Blocks for one small file.
///
/// # Errors
/// The path or the time cannot be used, or the signing key cannot be read or made.
pub fn mint(config: &Config, path: &str, expires: Option<Duration>) -> Result<String, MintError> {
    let path = StreamPath::parse(path)?;
    let ttl = expires.unwrap_or(config.auth.default_token_expiration);
    if ttl.is_zero() {
        return Err(MintError::Expires);
    }
    let secret = auth::load_secret(config.signing_secret(), &config.node.state_dir)
        .map_err(|source| NodeError::State { dir: config.node.state_dir.display().to_string(), source })?;
    let ttl = ttl.min(config.auth.max_token_expiration);
    Ok(Tokens::new(&secret).mint(&path, ttl, SystemTime::now()).token)
}

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// No stream path.
    #[error(transparent)]
    Path(#[from] media::InvalidPath),
    /// No time at all.
    #[error("--expires must be above 0")]
    Expires,
    /// The key.
    #[error(transparent)]
    Key(#[from] NodeError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    #[test]
    fn what_is_minted_is_what_the_server_takes() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state").display().to_string();
        let config = load(&Sources { env: vec![("STATE_DIR".into(), state)], ..Sources::default() }).unwrap();
        let token = mint(&config, "live/demo", Some(Duration::from_secs(1_000_000))).unwrap();
        let tokens = Tokens::new(&auth::load_secret(None, &config.node.state_dir).unwrap());
        let path = StreamPath::parse("live/demo").unwrap();
        let grant = tokens.verify(&token, &path, SystemTime::now()).unwrap();
        assert!(grant.expires_at <= SystemTime::now() + Duration::from_secs(86_401), "capped");
        assert!(mint(&config, "../x", None).is_err());
        assert!(mint(&config, "x", Some(Duration::ZERO)).is_err());
    }
}
