//! Which other sites' pages may read our answers (Fetch standard, "CORS protocol").

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The methods that viewers use.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";
/// What a page may read beside the safelisted headers (clause 48).
const EXPOSED: &str = "Age, ETag, Date, Content-Length, Content-Range, Retry-After";
/// What a player may send that needs leave.
const ALLOWED: &str = "Range, If-Range, If-None-Match, CMCD-Session, CMCD-Object, CMCD-Request, CMCD-Status";
/// A day; browsers cap it themselves (Chromium at two hours).
const PREFLIGHT_SECONDS: &str = "86400";

/// The sites whose pages may read streams from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Any site; answers then do not depend on who asks.
    #[default]
    Any,
    /// These origins, such as `https://example.org`, compared without regard to case.
    Only(Vec<String>),
}

impl Origins {
    /// Adds what lets the asking page read this answer.
    pub(crate) fn allow(&self, asking: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let allowed = match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Only(list) => {
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                asking.filter(|o| is_listed(list, o)).cloned()
            }
        };
        if let Some(origin) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

fn is_listed(list: &[String], origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|o| list.iter().any(|l| l.eq_ignore_ascii_case(o)))
}

/// Answers OPTIONS, as preflight or plain.
pub(crate) fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
    response
}
