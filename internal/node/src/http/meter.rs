//! `http_requests_total` and `http_request_duration_seconds`, by route template.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{Method, StatusCode};
use media::{ObjectName, RenditionName};

/// Counts a request and times it to the start of its body.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method(request.method());
    let path = template(&request);
    let response = next.run(request).await;
    metrics::counter!("rapidrtmp_http_requests_total", "method" => method, "path" => path.clone(), "status" => class(response.status()))
        .increment(1);
    metrics::histogram!("rapidrtmp_http_request_duration_seconds", "method" => method, "path" => path)
        .record(started.elapsed());
    response
}

/// Methods are free text in HTTP, labels are not.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

fn template(request: &Request) -> String {
    match request.extensions().get::<MatchedPath>() {
        Some(matched) => matched.as_str().to_owned(),
        None => of_stream(request.uri().path()).to_owned(),
    }
}

/// Objects of streams have no route each: what they are is in the last part of the name.
fn of_stream(path: &str) -> &'static str {
    if path == "/" {
        return "/";
    }
    if path.starts_with("/assets/") {
        return "/assets/{name}";
    }
    if path.starts_with("/api/") {
        return "unknown";
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return "/{path}/";
    }
    match ObjectName::parse(name) {
        Some(ObjectName::Index) => "/{path}/index.m3u8",
        Some(ObjectName::Playlist(RenditionName::Media)) => "/{path}/media.m3u8",
        Some(ObjectName::Playlist(RenditionName::Audio(_))) => "/{path}/audio_{k}.m3u8",
        Some(ObjectName::Init { .. } | ObjectName::CurrentInit) => "/{path}/init.mp4",
        Some(ObjectName::Segment { .. } | ObjectName::NthSegment(_)) => "/{path}/segment.m4s",
        Some(ObjectName::Part { .. }) => "/{path}/part.m4s",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_the_labels_are_few() {
        let mut labels: Vec<&str> = (0..500)
            .flat_map(|i| {
                [
                    of_stream(&format!("/live/{i}/segment_{i}_{i}.m4s")),
                    of_stream(&format!("/live/{i}/media.m3u8")),
                    of_stream(&format!("/{i}")),
                    of_stream(&format!("/api/v1/{i}")),
                    of_stream(&format!("/x{i}/")),
                ]
            })
            .collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels, ["/{path}/", "/{path}/media.m3u8", "/{path}/segment.m4s", "unknown"]);
        assert_eq!(method(&Method::from_bytes(b"FROBNICATE").unwrap()), "other");
    }
}
