//! The admin API, and the state of the node over HTTP.

mod docs;
mod error;
mod guard;
mod publish;
mod status;
mod streams;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{AdminRule, Policy};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use live::Directory;
use media::{Epoch, StreamPath};
use parking_lot::Mutex;
use registry::{NodeId, StreamRegistry};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use docs::openapi;
pub(crate) use error::ApiError;
pub(crate) use streams::Seen;

use crate::{health::Health, metrics::Metrics};

/// No request of the API needs more.
const MAX_BODY: usize = 64 * 1024;

/// What the handlers share.
pub(crate) struct Api {
    pub(crate) app: String,
    pub(crate) publish_prefix: String,
    pub(crate) default_expiration: Duration,
    pub(crate) max_expiration: Duration,
    pub(crate) allow_origins: Vec<String>,
    pub(crate) admin: AdminRule,
    pub(crate) policy: Arc<Policy>,
    pub(crate) registry: Arc<dyn StreamRegistry>,
    pub(crate) directory: Directory,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    /// This node's name.
    pub(crate) node: NodeId,
    /// What publishes were like, by path; paths that are gone from the directory are forgotten.
    pub(crate) seen: Mutex<HashMap<StreamPath, Seen>>,
}

impl Api {
    /// Ends a stream now: its publisher is disconnected, its playlist gets ENDLIST, its token is spent.
    async fn end(&self, path: &StreamPath, epoch: Epoch) {
        self.directory.stop(path);
        if let Err(e) = self.registry.end(path, epoch).await {
            // Fenced or unknown: somebody else already decided, and the stop of this node stands.
            tracing::debug!(%path, %epoch, error = %e, "a stopped stream was not this claim's any more");
        }
    }
}

/// Every route of the API, for one listener; anything else goes to `viewers`. `loopback`: the listener is bound to a
/// loopback address, so that admin calls may come without a token.
pub(crate) fn router(api: Arc<Api>, viewers: Router, loopback: bool) -> Router {
    let guarded = guard::Guarded { api: Arc::clone(&api), loopback };
    let admin = Router::new()
        .route("/api/v1/publish", post(publish::publish))
        .route("/api/v1/tokens/revoke", post(publish::revoke))
        .route("/api/v1/streams/{key}/stop", post(streams::stop))
        .route_layer(middleware::from_fn(guard::in_time))
        .route_layer(middleware::from_fn_with_state(guarded, guard::admin));
    let open = Router::new()
        .route("/api/ping", get(status::ping))
        .route("/api/v1/streams", get(streams::list))
        .route("/api/v1/streams/{key}", get(streams::get))
        .route("/api/v1/dependencies", get(status::dependencies))
        .route("/api/openapi.json", get(document))
        .route("/api", axum::routing::any(not_found))
        .route("/api/", axum::routing::any(not_found))
        .route("/api/{*rest}", axum::routing::any(not_found))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics));
    admin
        .merge(open)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), guard::cross_origin))
        .with_state(api)
        .fallback_service(viewers)
        .layer(middleware::from_fn(crate::http::measure))
}

async fn document() -> Response {
    ([(http::header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}

async fn not_found() -> ApiError {
    ApiError::not_found("there is no such API route; see /api/openapi.json")
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} is not allowed here; see /api/openapi.json", request.method()),
    )
}

fn rfc3339(t: SystemTime) -> String {
    OffsetDateTime::from(t)
        .replace_nanosecond(0)
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .expect("times of tokens and streams lie between 1970 and 9999")
}
