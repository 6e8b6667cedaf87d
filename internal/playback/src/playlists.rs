//! Answers that are playlists: one rendering and one compression for everybody who waits.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use live::{Rendered, Unavailable};

use crate::{cache::CachePolicy, negotiate, reply::Refusal};

/// Clause 44: not `x-mpegURL`, which validators refuse.
const TYPE: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// Sends a rendering, compressed if the client takes that, or 304 if it holds it already.
pub(crate) fn respond(rendered: &Rendered, policy: CachePolicy, headers: &HeaderMap) -> Response {
    let gzip = negotiate::accepts_gzip(headers);
    // A strong tag names bytes, so each coding has its own (RFC 9110 §8.8.3.3).
    let etag = format!("\"{}{}\"", rendered.etag(), if gzip { "-gz" } else { "" });
    let held = negotiate::is_held(headers, &etag);
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, policy.value());
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    out.insert(header::AGE, HeaderValue::from_static("0"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, etag);
    }
    if held {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let body = if gzip { rendered.gzip() } else { rendered.plain() };
    out.insert(header::CONTENT_TYPE, TYPE);
    out.insert(header::CONTENT_LENGTH, body.len().into());
    if gzip {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = Body::from(body);
    response
}

impl From<Unavailable> for Refusal {
    fn from(why: Unavailable) -> Self {
        match why {
            Unavailable::BadRequest(text) => Self::new(StatusCode::BAD_REQUEST, text),
            Unavailable::NotFound => Self::not_found(),
            Unavailable::TooManyWaiters => Self::unavailable("too many requests are waiting"),
            Unavailable::TimedOut => Self::unavailable("the stream did not advance in time"),
            Unavailable::NotReady => Self::new(StatusCode::NOT_FOUND, "the stream has no media yet"),
            Unavailable::Gone => Self::gone(),
        }
    }
}
