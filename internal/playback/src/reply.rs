//! Short answers: refusals as JSON, redirects.

use std::{borrow::Cow, time::Duration};

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};

use crate::cache::CachePolicy;

/// After how long a client that met a full or unready server may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that gets no representation: a status and one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found")
    }

    pub(crate) fn gone() -> Self {
        Self::new(StatusCode::GONE, "the stream has ended")
    }

    pub(crate) fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

impl From<Refusal> for Response {
    fn from(r: Refusal) -> Self {
        let body = serde_json::json!({ "error": r.text }).to_string();
        let mut response = Self::new(Body::empty());
        *response.status_mut() = r.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if r.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::CACHE_CONTROL, CachePolicy::Unavailable.value());
            headers.insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
        } else {
            headers.insert(header::CACHE_CONTROL, CachePolicy::Refusal.value());
        }
        *response.body_mut() = Body::from(body);
        response
    }
}

/// The page is at `path`, which holds only characters that a URL takes as they are.
pub(crate) fn moved(path: &str, query: Option<&str>) -> Response {
    let location = match query {
        Some(query) => format!("/{path}/?{query}"),
        None => format!("/{path}/"),
    };
    let Ok(location) = HeaderValue::from_str(&location) else { return Refusal::not_found().into() };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CONTENT_LENGTH, 0.into());
    headers.insert(header::CACHE_CONTROL, CachePolicy::Asset.value());
    response
}
