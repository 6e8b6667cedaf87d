//! Answers that are media: parts, segments and inits, from memory or from the store.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use live::Blob;
use media::ObjectName;

use crate::{body::Chunks, cache::CachePolicy, negotiate, range::Slice};

/// Sends an object, a slice of it (206), 304 if the client holds it, or 416.
///
/// RapidRTMP's short names mean other bytes after each publish: no tag, never cached.
pub(crate) fn respond(name: ObjectName, blob: Blob, method: &Method, headers: &HeaderMap) -> Response {
    let short = matches!(name, ObjectName::CurrentInit | ObjectName::NthSegment(_));
    let policy = if short { CachePolicy::Never } else { CachePolicy::Immutable };
    let etag = (!short).then(|| format!("\"{name}\""));
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, policy.value());
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(Ok(value)) = etag.as_deref().map(HeaderValue::from_str) {
        out.insert(header::ETAG, value);
    }
    if etag.as_deref().is_some_and(|e| negotiate::is_held(headers, e)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    // RFC 9110 §14.2: a range is defined for GET alone.
    let slice =
        if *method == Method::GET { Slice::of(headers, blob.len, etag.as_deref()) } else { Slice::Whole };
    fill(&mut response, name, blob, slice);
    response
}

fn fill(response: &mut Response, name: ObjectName, blob: Blob, slice: Slice) {
    let total = blob.len;
    let (status, range, span) = match slice {
        Slice::Whole => (StatusCode::OK, 0..total, None),
        Slice::Part(r) => {
            let span = format!("bytes {}-{}/{total}", r.start, r.end - 1);
            (StatusCode::PARTIAL_CONTENT, r, Some(span))
        }
        Slice::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0, Some(format!("bytes */{total}"))),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    if let Some(Ok(span)) = span.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::CONTENT_RANGE, span);
    }
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        headers.insert(header::CACHE_CONTROL, CachePolicy::Refusal.value());
        headers.remove(header::ETAG);
        return;
    }
    headers.insert(header::CONTENT_TYPE, content_type(name));
    *response.body_mut() = Body::new(Chunks::slice(blob.chunks, range));
}

/// Clause 44.
const fn content_type(name: ObjectName) -> HeaderValue {
    match name {
        ObjectName::Segment { .. } | ObjectName::Part { .. } | ObjectName::NthSegment(_) => {
            HeaderValue::from_static("video/iso.segment")
        }
        _ => HeaderValue::from_static("video/mp4"),
    }
}
