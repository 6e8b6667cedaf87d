//! Liveness, readiness, dependencies, metrics, ping.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Json, extract::State, response::IntoResponse};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// An answer to a ping.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pong {
    #[schema(example = "pong")]
    message: &'static str,
    /// Unix seconds.
    time: u64,
}

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Healthy {
    #[schema(example = "healthy")]
    status: &'static str,
    /// Unix seconds.
    time: u64,
}

/// Whether this node should get traffic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    /// `ok`, or what is wrong, by part and dependency.
    checks: BTreeMap<&'static str, String>,
    /// Unix seconds.
    time: u64,
}

/// What this node depends on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    /// All of them answer.
    ok: bool,
    /// `ok`, or what is wrong, by dependency.
    dependencies: BTreeMap<&'static str, String>,
    /// The names of those that are down.
    down: Vec<&'static str>,
    /// Set when something is down: the same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Answers, so that a client can see that the API is there.
#[utoipa::path(get, path = "/api/ping", tag = "status", responses((status = 200, body = Pong)))]
pub(crate) async fn ping() -> impl IntoResponse {
    Json(Pong { message: "pong", time: unix_seconds() })
}

/// The process lives.
#[utoipa::path(get, path = "/health", tag = "status", responses((status = 200, body = Healthy)))]
pub(crate) async fn health() -> impl IntoResponse {
    Json(Healthy { status: "healthy", time: unix_seconds() })
}

/// Whether this node should get traffic: not before its first complete start, while it drains, or when a part of
/// its own is broken. A shared dependency that fails later is told in `checks` with status 200.
#[utoipa::path(
    get, path = "/ready", tag = "status",
    responses((status = 200, body = Ready), (status = 503, description = "Not ready", body = Ready)),
)]
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let report = api.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: report.ready, checks: report.checks, time: unix_seconds() }))
}

/// What this node depends on, and whether it answers.
#[utoipa::path(
    get, path = "/api/v1/dependencies", tag = "status",
    responses(
        (status = 200, description = "All answer", body = Dependencies),
        (status = 503, description = "Names what is down", body = Dependencies),
    ),
)]
pub(crate) async fn dependencies(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let all = api.health.dependencies();
    let down: Vec<&str> = all.iter().filter(|(_, (up, _))| !up).map(|(d, _)| *d).collect();
    let status = if down.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let error = (!down.is_empty()).then(|| format!("down: {}", down.join(", ")));
    let dependencies = all.into_iter().map(|(d, (_, state))| (d, state)).collect();
    (status, Json(Dependencies { ok: down.is_empty(), dependencies, down, error }))
}

/// Metrics in Prometheus' text form.
#[utoipa::path(
    get, path = "/metrics", tag = "status",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    api.gauges();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render())
}
