//! What stands before handlers: the admin rule, and answers to pages of other origins.

use std::{sync::Arc, time::Duration};

use auth::{AdminRequest, bearer};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{Api, ApiError};

/// How long a browser may keep the answer to a preflight.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("86400");

/// How long an admin call may take, its body included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers 408 to a call that takes too long: a body may come byte by byte for ever.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(CALL_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request took more than 10 s").into_response()
        }
    }
}

/// What the admin rule is decided with.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) api: Arc<Api>,
    /// The listener that took the call is bound to a loopback address.
    pub(super) loopback: bool,
}

/// Lets admin calls through, or answers 401 with what to do (contract "Admin").
pub(super) async fn admin(State(guarded): State<Guarded>, request: Request, next: Next) -> Response {
    match guarded.api.admin.decide(&describe(&request, guarded.loopback)) {
        Ok(()) => next.run(request).await,
        Err(denied) => {
            metrics::counter!("rapidrtmp_admin_denied_total").increment(1);
            tracing::warn!(method = %request.method(), path = request.uri().path(), reason = ?denied, "admin call refused");
            ApiError::new(StatusCode::UNAUTHORIZED, denied.to_string()).into_response()
        }
    }
}

fn describe(request: &Request, listener_loopback: bool) -> AdminRequest<'_> {
    let headers = request.headers();
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    AdminRequest {
        bearer: only(headers, &header::AUTHORIZATION).and_then(bearer),
        host: only(headers, &header::HOST).or(authority.filter(|_| !headers.contains_key(header::HOST))),
        // One that we cannot read is a foreign one.
        origin: headers.get(header::ORIGIN).map(|_| only(headers, &header::ORIGIN).unwrap_or("unreadable")),
        forwarded: headers
            .keys()
            .any(|n| n == header::FORWARDED || n == header::VIA || n.as_str().starts_with("x-forwarded-")),
        listener_loopback,
    }
}

/// A header's value if it stands there once and is text.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Says on every answer, errors included, which pages may read it, and answers preflights.
pub(super) async fn cross_origin(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let any = api.allow_origins.iter().any(|o| o == "*");
    let asking = request.headers().get(header::ORIGIN).cloned();
    let listed = |o: &HeaderValue| {
        o.to_str().is_ok_and(|o| api.allow_origins.iter().any(|a| a.eq_ignore_ascii_case(o)))
    };
    let allowed = if any { Some(HeaderValue::from_static("*")) } else { asking.filter(listed) };
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    // Tokens are secrets, and the state of a moment is old in the next.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if !any {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Some(allowed) = allowed else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if preflight {
        let methods = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = HeaderValue::from_static("authorization, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    }
    response
}
