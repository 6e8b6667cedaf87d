//! Where a request goes: to viewers' service, or to the API.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use futures_util::future::Either;
use http::Request;
use hyper::body::Incoming;
use playback::Viewers;
use tower::ServiceExt;

use super::meter::Meter;

/// The first parts of paths that no stream can have (contract "Paths"), below which the API answers.
const API: [&str; 4] = ["api", "health", "ready", "metrics"];

/// Who answers the requests of a listener. A clone is made for every connection.
pub(crate) trait Answering: Clone + Send + Sync + 'static {
    fn answer(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send + use<Self>;
}

impl Answering for Router {
    fn answer(
        &self,
        peer: SocketAddr,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send + use<> {
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = self.clone();
        async move { router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {}) }
    }
}

/// A node: viewers' requests go straight to their service, past the routes of the API, for they are the many.
#[derive(Clone)]
pub(crate) struct App {
    api: Router,
    viewers: Viewers,
    meter: Arc<Meter>,
}

impl App {
    pub(crate) fn new(api: Router, viewers: Viewers) -> Self {
        Self { api, viewers, meter: Arc::default() }
    }
}

impl Answering for App {
    fn answer(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send + use<> {
        if is_api(request.uri().path()) {
            // Boxed, so that a viewer's waiting request does not reserve what the API needs.
            return Either::Left(Box::pin(self.api.answer(peer, request)));
        }
        let timed = Arc::clone(&self.meter).begin(request.method(), request.uri().path());
        let answer = self.viewers.answer(request, Some(peer.ip()));
        Either::Right(async move {
            let response = answer.await;
            timed.end(response.status());
            response
        })
    }
}

fn is_api(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    path.starts_with('/') && !path.starts_with("//") && API.contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stream_can_be_called_is_the_apis() {
        for path in ["/api", "/api/", "/api/v1/streams", "/health", "/health/x", "/ready", "/metrics"] {
            assert!(is_api(path), "{path}");
        }
        for path in
            ["/", "/live/api", "/healthy/", "/apis", "//api", "api", "*", "/assets/x", "/hls/live/index.m3u8"]
        {
            assert!(!is_api(path), "{path}");
        }
    }
}
