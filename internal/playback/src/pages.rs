//! The pages and what they load. Everything is embedded; nothing comes from other sites.

use std::sync::LazyLock;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{cache::CachePolicy, negotiate, reply::Refusal};

/// Scripts and styles of our own only; hls.js runs its transmuxer in a worker made from a blob.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; \
    base-uri 'none'; form-action 'none'";

const HLS_JS_NAME: &str = "hls.min.js";
const HLS_JS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hls.min.js"));
const HLS_JS_GZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hls.min.js.gz"));
const HLS_LICENSE: &str = include_str!(concat!(env!("OUT_DIR"), "/hls.LICENSE"));
const OWN_LICENSE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../LICENSE"));
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Whether hls.js was there when this was built (`make assets`).
pub const HAS_HLS_JS: bool = !HLS_JS.is_empty();

/// A file to send, with the tag of each of its forms.
struct File {
    kind: &'static str,
    plain: Bytes,
    etag: HeaderValue,
    gzip: Option<(Bytes, HeaderValue)>,
}

impl File {
    fn new(kind: &'static str, plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        Self { kind, etag: tag(&plain), plain, gzip: None }
    }
}

static PLAYER: LazyLock<File> = LazyLock::new(|| File::new(HTML, include_str!("../pages/player.html")));
static LIST: LazyLock<File> = LazyLock::new(|| File::new(HTML, include_str!("../pages/list.html")));
static ASSETS: LazyLock<Vec<(&'static str, File)>> = LazyLock::new(|| {
    let mut files = vec![
        ("player.js", File::new(SCRIPT, include_str!("../pages/player.js"))),
        ("list.js", File::new(SCRIPT, include_str!("../pages/list.js"))),
        ("page.css", File::new("text/css; charset=utf-8", include_str!("../pages/page.css"))),
        ("icon.svg", File::new("image/svg+xml", include_str!("../pages/icon.svg"))),
        ("licenses.txt", File::new("text/plain; charset=utf-8", licences())),
    ];
    if HAS_HLS_JS {
        let packed = Bytes::from_static(HLS_JS_GZIP);
        let gzip = Some((packed.clone(), tag(&packed)));
        files.push((HLS_JS_NAME, File { gzip, ..File::new(SCRIPT, HLS_JS) }));
    }
    files
});

/// The page at `/{path}/`.
pub(crate) fn player(headers: &HeaderMap) -> Response {
    page(&PLAYER, headers)
}

/// The page at `/`.
pub(crate) fn list(headers: &HeaderMap) -> Response {
    page(&LIST, headers)
}

fn page(file: &File, headers: &HeaderMap) -> Response {
    let mut response = send(file, headers);
    let out = response.headers_mut();
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    out.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The file at `/assets/{name}`.
///
/// # Errors
/// 404 for other names, and for hls.js with a hint when this was built without it.
pub(crate) fn asset(name: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    match ASSETS.iter().find(|(known, _)| *known == name) {
        Some((_, file)) => Ok(send(file, headers)),
        None if name == HLS_JS_NAME => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "built without hls.js: run `make assets` and build again",
        )),
        None => Err(Refusal::not_found()),
    }
}

/// Our licence, and that of hls.js when it is embedded (Apache-2.0 §4 asks for it).
fn licences() -> String {
    let hls = if HLS_LICENSE.is_empty() {
        "Copyright (c) 2017 Dailymotion, https://github.com/video-dev/hls.js\n\
         Licensed under the Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0\n"
    } else {
        HLS_LICENSE
    };
    let rule = "-".repeat(72);
    let theirs = if HAS_HLS_JS {
        format!("\n{rule}\nhls.js, served as /assets/{HLS_JS_NAME}:\n\n{hls}")
    } else {
        String::new()
    };
    format!("{OWN_LICENSE}{theirs}")
}

fn send(file: &File, headers: &HeaderMap) -> Response {
    let packed = file.gzip.as_ref().filter(|_| negotiate::accepts_gzip(headers));
    let (body, etag) = packed.map_or((&file.plain, &file.etag), |(b, e)| (b, e));
    let held = etag.to_str().is_ok_and(|e| negotiate::is_held(headers, e));
    let mut response = Response::new(if held { Body::empty() } else { Body::from(body.clone()) });
    let out = response.headers_mut();
    out.insert(header::CACHE_CONTROL, CachePolicy::Page.value());
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(header::ETAG, etag.clone());
    if file.gzip.is_some() {
        out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if held {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    out.insert(header::CONTENT_LENGTH, body.len().into());
    if packed.is_some() {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A strong tag from the bytes (64-bit FNV-1a): equal on every node that runs the same build.
fn tag(bytes: &[u8]) -> HeaderValue {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    HeaderValue::from_str(&format!("\"{hash:016x}\"")).expect("quoted hexadecimal is a header value")
}
