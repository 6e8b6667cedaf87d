//! `http_requests_total` and `http_request_duration_seconds`, by route template.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::{Method, StatusCode};
use media::{ObjectName, RenditionName};
use metrics::{Counter, Histogram, SharedString};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// What viewers' URLs are, as labels.
const KINDS: [&str; 10] = [
    "/",
    "/assets/{name}",
    "/{path}/",
    "/{path}/index.m3u8",
    "/{path}/media.m3u8",
    "/{path}/audio_{k}.m3u8",
    "/{path}/init.mp4",
    "/{path}/segment.m4s",
    "/{path}/part.m4s",
    "unknown",
];

/// Counts a request of the API and times it to the start of its body.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method(request.method());
    let path = template(&request);
    let response = next.run(request).await;
    counter(method, path.clone(), class(response.status())).increment(1);
    histogram(method, path).record(started.elapsed());
    response
}

fn counter(method: &'static str, path: impl Into<SharedString>, status: &'static str) -> Counter {
    metrics::counter!("rapidrtmp_http_requests_total", "method" => method, "path" => path.into(), "status" => status)
}

fn histogram(method: &'static str, path: impl Into<SharedString>) -> Histogram {
    metrics::histogram!("rapidrtmp_http_request_duration_seconds", "method" => method, "path" => path.into())
}

/// The handles for viewers' requests: each is looked up once, not with every request.
#[derive(Default)]
pub(crate) struct Meter([[OfKind; KINDS.len()]; METHODS.len()]);

#[derive(Default)]
struct OfKind {
    requests: [OnceLock<Counter>; CLASSES.len()],
    duration: OnceLock<Histogram>,
}

/// A viewer's request that is being answered.
pub(crate) struct Timed {
    meter: Arc<Meter>,
    started: Instant,
    method: usize,
    kind: usize,
}

impl Meter {
    /// Begins to time a request.
    pub(crate) fn begin(self: Arc<Self>, name: &Method, path: &str) -> Timed {
        let (method, kind) = (place(&METHODS, method(name)), place(&KINDS, of_stream(path)));
        Timed { meter: self, started: Instant::now(), method, kind }
    }
}

impl Timed {
    /// The answer's body may start.
    pub(crate) fn end(self, status: StatusCode) {
        let class = place(&CLASSES, class(status));
        let (method, kind) = (METHODS[self.method], KINDS[self.kind]);
        let handles = &self.meter.0[self.method][self.kind];
        handles.requests[class].get_or_init(|| counter(method, kind, CLASSES[class])).increment(1);
        handles.duration.get_or_init(|| histogram(method, kind)).record(self.started.elapsed());
    }
}

/// Where a label stands in its table; the last place is for whatever is not there.
fn place<const N: usize>(table: &[&str; N], label: &str) -> usize {
    table.iter().position(|l| *l == label).unwrap_or(N - 1)
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
        assert!(labels.iter().all(|l| KINDS.contains(l)), "each has its place");
    }

    #[test]
    fn a_viewers_request_is_counted_and_timed_under_its_labels() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let meter = Arc::new(Meter::default());
        metrics::with_local_recorder(&recorder, || {
            for status in [StatusCode::OK, StatusCode::OK, StatusCode::NOT_FOUND] {
                Arc::clone(&meter).begin(&Method::GET, "/live/x/media.m3u8").end(status);
            }
        });
        let text = recorder.handle().render();
        for line in [
            r#"rapidrtmp_http_requests_total{method="GET",path="/{path}/media.m3u8",status="2xx"} 2"#,
            r#"rapidrtmp_http_requests_total{method="GET",path="/{path}/media.m3u8",status="4xx"} 1"#,
            r#"rapidrtmp_http_request_duration_seconds_count{method="GET",path="/{path}/media.m3u8"} 3"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
