//! HTTP as a player does it, with everything that a lint wants to see kept.

use std::{
    collections::BTreeMap,
    io::Read,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::{Method, Url};

/// Longer than any held request may take (3 x TARGETDURATION of 10 s), so that a reply is always judged.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Redirects that a player follows: some servers look whether cookies work.
const MAX_REDIRECTS: usize = 5;
/// Larger than any part, segment or playlist (segment_max 64 MiB).
const MAX_BODY: usize = 64 << 20;

/// An answer, body decoded.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) url: String,
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    /// From sending the request to the last byte.
    pub(crate) took: Duration,
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Path and query, for findings.
    pub(crate) fn place(&self) -> String {
        Url::parse(&self.url).map_or_else(
            |_| self.url.clone(),
            |u| match u.query() {
                Some(q) => format!("{}?{q}", u.path()),
                None => u.path().to_owned(),
            },
        )
    }
}

/// A client that leaves compression to us, so that it is seen.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher(reqwest::Client);

impl Fetcher {
    /// One over HTTP/1.1, or over HTTP/2 by prior knowledge; it follows no redirect, so that they are seen too.
    pub(crate) fn new(h2: bool) -> Result<Self> {
        Self::with(h2, reqwest::redirect::Policy::none())
    }

    /// One that follows redirects as players do, over HTTP/1.1.
    pub(crate) fn player() -> Result<Self> {
        Self::with(false, reqwest::redirect::Policy::limited(MAX_REDIRECTS))
    }

    fn with(h2: bool, redirects: reqwest::redirect::Policy) -> Result<Self> {
        let builder = reqwest::Client::builder()
            .redirect(redirects)
            .no_gzip()
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(concat!("rapidrtmp-bench/", env!("CARGO_PKG_VERSION")));
        let builder = if h2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
        Ok(Self(builder.build().context("HTTP client")?))
    }

    /// GET with `Accept-Encoding: gzip`.
    pub(crate) async fn get(&self, url: &Url) -> Result<Reply> {
        self.send(Method::GET, url, &[("accept-encoding", "gzip")]).await
    }

    /// GET that keeps nothing: gives each piece of the body away, as it came. The status.
    pub(crate) async fn pieces(&self, url: &Url, mut take: impl FnMut(&[u8])) -> Result<u16> {
        let mut response =
            self.0.get(url.clone()).send().await.with_context(|| format!("GET {}", url.path()))?;
        while let Some(chunk) = response.chunk().await.with_context(|| format!("body of {}", url.path()))? {
            take(&chunk);
        }
        Ok(response.status().as_u16())
    }

    /// Any request.
    pub(crate) async fn send(&self, method: Method, url: &Url, headers: &[(&str, &str)]) -> Result<Reply> {
        let started = Instant::now();
        let mut request = self.0.request(method, url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.with_context(|| format!("GET {}", url.path()))?;
        let path = url.path();
        let status = response.status().as_u16();
        let url = response.url().to_string();
        let headers: BTreeMap<String, String> = response
            .headers()
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.with_context(|| format!("body of {path}"))? {
            anyhow::ensure!(
                body.len() + chunk.len() <= MAX_BODY,
                "the body of {path} is over {MAX_BODY} bytes"
            );
            body.extend_from_slice(&chunk);
        }
        let took = started.elapsed();
        if headers.get("content-encoding").is_some_and(|e| e == "gzip") && !body.is_empty() {
            body = gunzip(&body).with_context(|| format!("gzip of {path}"))?;
        }
        Ok(Reply { url, status, headers, body: body.into(), took })
    }
}

fn gunzip(data: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(data).take(MAX_BODY as u64).read_to_end(&mut out)?;
    Ok(out)
}
