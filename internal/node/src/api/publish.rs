//! Publish tokens: issue and revoke.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::Denied;
use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use live::CloseReason;
use media::StreamPath;
use registry::TokenId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Api, ApiError, error::ErrorBody, rfc3339};

/// A request for a publish token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishRequest {
    /// The stream: without `/` it lies below the app (`live` by default), with `/` it is a full path.
    stream_key: String,
    /// Seconds that the token lasts. Absent or 0: the default. Longer than the maximum: the maximum.
    #[serde(default)]
    #[schema(value_type = Option<u64>, example = 3600)]
    expires_in: Option<Value>,
}

/// A publish token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishResponse {
    /// Where to publish, the token included.
    #[schema(example = "rtmp://localhost:1935/live/demo?token=…")]
    publish_url: String,
    /// As asked for.
    stream_key: String,
    /// The token: a secret.
    token: String,
    /// When it expires (RFC 3339).
    expires_at: String,
}

/// Issues a publish token.
#[utoipa::path(
    post, path = "/api/v1/publish", tag = "tokens", request_body = PublishRequest,
    responses(
        (status = 200, description = "A token", body = PublishResponse),
        (status = 400, description = "Bad JSON, a bad key, or an expiresIn that is no whole number ≥ 0", body = ErrorBody),
        (status = 401, description = "No admin", body = ErrorBody),
    ),
    security(("admin" = []), ()),
)]
pub(crate) async fn publish(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<PublishResponse>, ApiError> {
    let request: PublishRequest = read_json(&body?)?;
    let path = StreamPath::from_stream_key(&api.app, &request.stream_key)
        .map_err(|e| ApiError::bad_request(format!("streamKey: {e}")))?;
    let ttl = lifetime(request.expires_in.as_ref(), api.default_expiration, api.max_expiration)?;
    let minted = api.policy.tokens().mint(&path, ttl, SystemTime::now());
    tracing::info!(%path, token_id = %minted.id, "publish token issued");
    Ok(Json(PublishResponse {
        publish_url: format!("{}/{path}?token={}", api.publish_prefix, minted.token),
        stream_key: request.stream_key,
        token: minted.token,
        expires_at: rfc3339(minted.expires_at),
    }))
}

/// Contract "Tokens": absent or 0 is the default; negative, fractional or no number is an error; the cap caps.
fn lifetime(given: Option<&Value>, default: Duration, cap: Duration) -> Result<Duration, ApiError> {
    let seconds = match given {
        None | Some(Value::Null) => 0,
        Some(Value::Number(n)) => match (n.as_u64(), n.as_f64()) {
            (Some(seconds), _) => seconds,
            // A whole number too large for 64 bits.
            (None, Some(huge)) if huge >= u64::MAX as f64 && !n.is_i64() => u64::MAX,
            _ => return Err(ApiError::bad_request("expiresIn must be a whole number of seconds, 0 or more")),
        },
        Some(_) => return Err(ApiError::bad_request("expiresIn must be a number of seconds")),
    };
    Ok(if seconds == 0 { default } else { Duration::from_secs(seconds).min(cap) })
}

/// Which token to revoke: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevokeRequest {
    /// The token itself.
    #[serde(default)]
    token: Option<String>,
    /// Its id (`jti`, a UUID).
    #[serde(default)]
    token_id: Option<String>,
}

/// A token that is worth nothing any more.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevokeResponse {
    message: &'static str,
    /// Its id.
    token_id: String,
    /// The stream that was stopped, if the token was in use.
    stream_key: Option<String>,
}

/// Revokes a publish token, used or not; a stream published with it is stopped.
#[utoipa::path(
    post, path = "/api/v1/tokens/revoke", tag = "tokens", request_body = RevokeRequest,
    responses(
        (status = 200, description = "Revoked", body = RevokeResponse),
        (status = 400, description = "Neither a token nor an id of this server", body = ErrorBody),
        (status = 401, description = "No admin", body = ErrorBody),
        (status = 503, description = "The registry is not reachable", body = ErrorBody),
    ),
    security(("admin" = []), ()),
)]
pub(crate) async fn revoke(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<RevokeResponse>, ApiError> {
    let request: RevokeRequest = read_json(&body?)?;
    let (id, expires_at) = which(&api, &request)?;
    let running = api.registry.revoke(TokenId(id.as_u128()), expires_at).await?;
    let mut stream_key = None;
    if let Some((path, epoch)) = running {
        if let Some(stream) = api.directory.stream(&path).filter(|s| s.epoch() == epoch) {
            stream.close(CloseReason::Revoked);
        }
        api.end(&path, epoch).await;
        stream_key = Some(path.stream_key(&api.app).to_owned());
    }
    tracing::info!(token_id = %id, stream_key = stream_key.as_deref(), "publish token revoked");
    Ok(Json(RevokeResponse { message: "token revoked", token_id: id.to_string(), stream_key }))
}

fn which(api: &Api, request: &RevokeRequest) -> Result<(Uuid, SystemTime), ApiError> {
    let now = SystemTime::now();
    match (&request.token, &request.token_id) {
        (Some(token), None) => match api.policy.tokens().inspect(token, now) {
            Ok((_, grant)) => Ok((grant.id, grant.expires_at)),
            Err(Denied::NotYet) => {
                Err(ApiError::bad_request("token: not valid yet; revoke it by its tokenId"))
            }
            Err(_) => Err(ApiError::bad_request("token: this is no token of this server")),
        },
        // Nobody says when it expires; no token of ours lasts longer than this.
        (None, Some(id)) => match Uuid::try_parse(id) {
            Ok(id) => Ok((id, now + api.max_expiration)),
            Err(_) => Err(ApiError::bad_request("tokenId: this is no UUID")),
        },
        _ => Err(ApiError::bad_request("give one of token and tokenId")),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    // Serde would read the fields from an array, too.
    if body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        return Err(ApiError::bad_request("the body is not the JSON expected: it must be an object"));
    }
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request(format!("the body is not the JSON expected: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_follow_the_contract() {
        let of = |json: &str| {
            let v: Value = serde_json::from_str(json).unwrap();
            lifetime(Some(&v), Duration::from_secs(3600), Duration::from_secs(86_400))
                .map(|d| d.as_secs())
                .ok()
        };
        for (json, seconds) in [
            ("0", Some(3600)),
            ("60", Some(60)),
            ("86400", Some(86_400)),
            ("90000", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("-1", None),
            ("1.5", None),
            ("-99999999999999999999999", None),
            ("\"60\"", None),
            ("true", None),
            ("[]", None),
        ] {
            assert_eq!(of(json), seconds, "{json}");
        }
        assert_eq!(
            lifetime(None, Duration::from_secs(7), Duration::from_secs(9)).unwrap(),
            Duration::from_secs(7)
        );
    }

    #[test]
    fn a_body_is_an_object() {
        let read = |body: &'static str| read_json::<PublishRequest>(&Bytes::from_static(body.as_bytes()));
        assert!(read(" {\"streamKey\":\"demo\"}").is_ok());
        for body in ["[\"demo\",60]", " [\"demo\"]", "\"demo\"", "null", ""] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
