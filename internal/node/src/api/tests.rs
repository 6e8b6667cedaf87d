//! The API over its router, as clients see it.

use auth::{Secret, Tokens};
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response, header};
use live::{CloseReason, DirectoryOptions, Published, Publisher, Stream, StreamOptions};
use media::{Frame, Ticks, Track, Tracks};
use registry::{ClaimRequest, MemoryRegistry, TokenGrant, TokenId};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

struct Bench {
    api: Arc<Api>,
    loopback: bool,
    _published: Published,
}

fn bench_with(admin_token: Option<&str>, loopback: bool) -> Bench {
    let tokens = Tokens::new(&Secret::new("a test key").unwrap());
    let (directory, published) = Directory::new(DirectoryOptions::default());
    let api = Api {
        app: "live".into(),
        publish_prefix: "rtmp://localhost:1935".into(),
        default_expiration: Duration::from_secs(3600),
        max_expiration: Duration::from_secs(86_400),
        allow_origins: vec!["*".into()],
        admin: AdminRule::new(admin_token),
        policy: Arc::new(Policy::new(tokens, Vec::new())),
        registry: Arc::new(MemoryRegistry::open(None).unwrap()),
        directory,
        health: Health::default(),
        metrics: Metrics::install(),
        node: NodeId::new("test-node"),
        seen: Default::default(),
    };
    Bench { api: Arc::new(api), loopback, _published: published }
}

fn bench() -> Bench {
    bench_with(None, true)
}

impl Bench {
    async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Response<Body> {
        let viewers = Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "for viewers") });
        router(Arc::clone(&self.api), viewers, self.loopback)
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap()
    }

    async fn json(&self, method: Method, uri: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(uri).header("host", "localhost:8080");
        read(self.send(request, body.to_owned()).await).await
    }

    /// Publishes a path for real: claim, stream, a track and a frame.
    async fn live(&self, path: &str, grant: Option<TokenGrant>) -> (Publisher, Stream) {
        let path = StreamPath::parse(path).unwrap();
        let claim = self
            .api
            .registry
            .claim(ClaimRequest { path: path.clone(), node: NodeId::new("test-node"), grant, evict: None })
            .await
            .unwrap();
        let (mut publisher, stream) = live::stream(path, claim.epoch, StreamOptions::default());
        let asc = media::AacConfig::parse(&Bytes::from_static(&[0x12, 0x10])).unwrap();
        let track = Arc::new(Track { id: 1, config: media::CodecConfig::Aac(asc) });
        let mut tracks = Tracks { audio: Some(Arc::clone(&track)), ..Tracks::default() };
        tracks.metadata.entries.push(("encoder".into(), "a test".into()));
        publisher.set_tracks(tracks);
        publisher.warn("keyframes are far apart".into());
        let data = Bytes::from_static(b"sound");
        publisher.push(Frame { track, dts: Ticks::ZERO, pts: Ticks::ZERO, key: true, data }).unwrap();
        self.api.directory.publish(stream.clone()).await.unwrap();
        (publisher, stream)
    }
}

async fn read(response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn is_error(answer: &(u16, Value), status: u16) -> bool {
    answer.0 == status
        && answer.1.as_object().is_some_and(|o| o.len() == 1)
        && answer.1["error"].as_str().is_some_and(|e| !e.is_empty())
}

#[tokio::test]
async fn ping_answers_as_rapidrtmp() {
    let (status, body) = bench().json(Method::GET, "/api/ping", "").await;
    assert_eq!((status, &body["message"]), (200, &json!("pong")));
    assert!(body["time"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn a_token_is_issued_that_the_policy_takes() {
    let b = bench();
    let (status, body) =
        b.json(Method::POST, "/api/v1/publish", r#"{"streamKey": "demo", "expiresIn": 90000}"#).await;
    assert_eq!(status, 200, "{body}");
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["expiresAt", "publishUrl", "streamKey", "token"]);
    let token = body["token"].as_str().unwrap();
    assert_eq!(body["publishUrl"], format!("rtmp://localhost:1935/live/demo?token={token}"));
    let path = StreamPath::parse("live/demo").unwrap();
    let grant = b.api.policy.tokens().verify(token, &path, SystemTime::now()).unwrap();
    let left = grant.expires_at.duration_since(SystemTime::now()).unwrap().as_secs();
    assert!((86_390..=86_400).contains(&left), "capped at 24 h: {left}");
    assert_eq!(body["expiresAt"], rfc3339(grant.expires_at));

    let (_, body) = b.json(Method::POST, "/api/v1/publish", r#"{"streamKey": "cams/door"}"#).await;
    assert!(body["publishUrl"].as_str().unwrap().starts_with("rtmp://localhost:1935/cams/door?token="));
}

#[tokio::test]
async fn every_error_has_one_shape() {
    let b = bench();
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"streamKey": 7}"#,
        r#"{"streamKey": ""}"#,
        r#"{"streamKey": "../x"}"#,
        r#"{"streamKey": "a", "expiresIn": -1}"#,
        r#"{"streamKey": "a", "expiresIn": 1.5}"#,
        r#"{"streamKey": "a", "expiresIn": "60"}"#,
        "\u{0}",
    ] {
        let answer = b.json(Method::POST, "/api/v1/publish", body).await;
        assert!(is_error(&answer, 400), "{body}: {answer:?}");
    }
    let large = format!(r#"{{"streamKey": "{}"}}"#, "a".repeat(MAX_BODY));
    assert!(is_error(&b.json(Method::POST, "/api/v1/publish", &large).await, 413));
    for uri in ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v1/publish/x", "/api/v1/streams/a/b"] {
        for method in [Method::GET, Method::POST] {
            assert!(is_error(&b.json(method, uri, "").await, 404), "{uri}");
        }
    }
    for (method, uri) in [
        (Method::GET, "/api/v1/publish"),
        (Method::DELETE, "/api/v1/publish"),
        (Method::POST, "/api/ping"),
        (Method::POST, "/api/v1/streams"),
        (Method::GET, "/api/v1/streams/a/stop"),
        (Method::PUT, "/api/v1/streams/a"),
    ] {
        let answer = b.json(method.clone(), uri, "").await;
        assert!(is_error(&answer, 405), "{method} {uri}: {answer:?}");
    }
    assert!(is_error(&b.json(Method::GET, "/api/v1/streams/absent", "").await, 404));
    assert!(is_error(&b.json(Method::POST, "/api/v1/streams/absent/stop", "").await, 404));
    assert!(is_error(&b.json(Method::GET, "/api/v1/streams/%00", "").await, 404));
    assert!(is_error(&b.json(Method::GET, "/api/v1/streams/%ff", "").await, 400));
}

const ADMIN_CALLS: [(&str, &str, u16); 3] = [
    ("/api/v1/publish", r#"{"streamKey": "demo"}"#, 200),
    ("/api/v1/tokens/revoke", r#"{"tokenId": "67e55044-10b1-426f-9247-bb680e5fe0c8"}"#, 200),
    ("/api/v1/streams/absent/stop", "", 404),
];

/// Contract "Admin", without a token: loopback listener, local Host, own Origin, no proxy.
#[tokio::test]
async fn without_a_token_admin_calls_are_local_only() {
    let local = bench();
    let remote = bench_with(None, false);
    for (uri, body, status) in ADMIN_CALLS {
        let call = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(Method::POST).uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request
        };
        for headers in [
            &[("host", "localhost:8080")][..],
            &[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")],
            &[("host", "[::1]:8080")],
        ] {
            assert_eq!(local.send(call(headers), body).await.status(), status, "{uri} {headers:?}");
            let answer = remote.send(call(headers), body).await;
            assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
            let answer = read(answer).await;
            assert!(is_error(&answer, 401), "{uri} {headers:?}");
            assert!(answer.1["error"].as_str().unwrap().contains("ADMIN_TOKEN"), "it says what to set");
        }
        for headers in [
            &[][..],
            &[("host", "evil.example")],
            &[("host", "localhost:8080"), ("host", "localhost:8080")],
            &[("host", "localhost:8080"), ("origin", "http://evil.example")],
            &[("host", "localhost:8080"), ("origin", "null")],
            &[("host", "localhost:8080"), ("x-forwarded-for", "127.0.0.1")],
            &[("host", "localhost:8080"), ("x-forwarded-anything", "1")],
            &[("host", "localhost:8080"), ("forwarded", "for=127.0.0.1")],
            &[("host", "localhost:8080"), ("via", "1.1 proxy")],
        ] {
            assert_eq!(local.send(call(headers), body).await.status(), 401, "{uri} {headers:?}");
        }
    }
}

#[tokio::test]
async fn with_a_token_admin_calls_need_it_from_anywhere() {
    let b = bench_with(Some("right"), false);
    for (uri, body, status) in ADMIN_CALLS {
        let call = || Request::builder().method(Method::POST).uri(uri).header("host", "stream.example");
        let with = |value: &str| call().header("authorization", value);
        assert_eq!(b.send(with("Bearer right"), body).await.status(), status, "{uri}");
        assert_eq!(b.send(with("Bearer wrong"), body).await.status(), 401);
        assert_eq!(b.send(with("Basic right"), body).await.status(), 401);
        assert_eq!(b.send(call(), body).await.status(), 401);
        assert_eq!(b.send(call().header("host", "localhost"), body).await.status(), 401);
        let twice = with("Bearer right").header("authorization", "Bearer right");
        assert_eq!(b.send(twice, body).await.status(), 401);
    }
    for uri in ["/api/ping", "/api/v1/streams", "/health", "/metrics"] {
        let answer = b.send(Request::builder().uri(uri), "").await;
        assert_eq!(answer.status(), 200, "{uri} is open");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn a_live_stream_is_described_in_full() {
    let b = bench();
    let (_publisher, stream) = b.live("live/demo", None).await;
    let (_other, _) = b.live("cams/door", None).await;
    let (status, list) = b.json(Method::GET, "/api/v1/streams", "").await;
    assert_eq!((status, &list["total"]), (200, &json!(2)));
    assert_eq!(list["streams"][0]["streamKey"], "cams/door", "in order of paths");
    let (status, info) = b.json(Method::GET, "/api/v1/streams/demo", "").await;
    assert_eq!(status, 200);
    for key in [
        "streamKey",
        "path",
        "active",
        "state",
        "viewers",
        "startedAt",
        "duration",
        "videoCodec",
        "audioCodec",
        "resolution",
        "bitrate",
        "node",
        "epoch",
        "warnings",
        "metadata",
    ] {
        assert!(info.get(key).is_some(), "{key} is always there");
    }
    assert_eq!(info["path"], "live/demo");
    assert_eq!((&info["active"], &info["state"]), (&json!(true), &json!("live")));
    assert_eq!((&info["audioCodec"], &info["videoCodec"]), (&json!("aac"), &Value::Null));
    assert_eq!(info["node"], "test-node");
    assert_eq!(info["epoch"], stream.epoch().0);
    assert_eq!(info["warnings"], json!(["keyframes are far apart"]));
    assert_eq!(info["metadata"], json!({"encoder": "a test"}));
    for key in ["live%2Fdemo", "cams%2Fdoor"] {
        assert_eq!(b.json(Method::GET, &format!("/api/v1/streams/{key}"), "").await.0, 200, "{key}");
    }
}

#[tokio::test]
async fn stop_disconnects_and_frees_the_key_at_once() {
    let b = bench();
    let path = StreamPath::parse("live/demo").unwrap();
    let minted = b.api.policy.tokens().mint(&path, Duration::from_secs(60), SystemTime::now());
    let grant =
        TokenGrant { id: TokenId(minted.id.as_u128()), expires_at: minted.expires_at, expired: false };
    let (mut publisher, stream) = b.live("live/demo", Some(grant)).await;
    let (status, body) = b.json(Method::POST, "/api/v1/streams/demo/stop", "").await;
    assert_eq!((status, body), (200, json!({"message": "stream stopped", "streamKey": "demo"})));
    assert_eq!(stream.close_reason(), Some(CloseReason::Stopped));
    let track = stream.tracks().audio.unwrap();
    let frame = Frame { track, dts: Ticks(1), pts: Ticks(1), key: true, data: Bytes::from_static(b"x") };
    assert_eq!(publisher.push(frame), Err(CloseReason::Stopped));
    let claim = |grant| ClaimRequest { path: path.clone(), node: NodeId::new("n"), grant, evict: None };
    assert!(b.api.registry.claim(claim(Some(grant))).await.is_err(), "its token is spent");
    assert!(b.api.registry.claim(claim(None)).await.is_ok(), "the key is free");
    assert!(is_error(&b.json(Method::POST, "/api/v1/streams/demo/stop", "").await, 404));
}

#[tokio::test]
async fn revoking_a_token_stops_its_stream() {
    let b = bench();
    let path = StreamPath::parse("live/demo").unwrap();
    for by_id in [true, false] {
        let minted = b.api.policy.tokens().mint(&path, Duration::from_secs(60), SystemTime::now());
        let grant =
            TokenGrant { id: TokenId(minted.id.as_u128()), expires_at: minted.expires_at, expired: false };
        let (_publisher, stream) = b.live("live/demo", Some(grant)).await;
        let body =
            if by_id { json!({"tokenId": minted.id.to_string()}) } else { json!({"token": minted.token}) };
        let (status, answer) = b.json(Method::POST, "/api/v1/tokens/revoke", &body.to_string()).await;
        assert_eq!((status, &answer["streamKey"]), (200, &json!("demo")));
        assert_eq!(answer["tokenId"], minted.id.to_string());
        assert_eq!(stream.close_reason(), Some(CloseReason::Revoked));
        let request =
            ClaimRequest { path: path.clone(), node: NodeId::new("n"), grant: Some(grant), evict: None };
        assert!(b.api.registry.claim(request).await.is_err());
    }
    for body in ["{}", r#"{"token": "x"}"#, r#"{"tokenId": "x"}"#, r#"{"token": "x", "tokenId": "y"}"#] {
        assert!(is_error(&b.json(Method::POST, "/api/v1/tokens/revoke", body).await, 400), "{body}");
    }
}

/// Contract "HTTP": what each of the three says, and when.
#[tokio::test]
async fn health_ready_and_dependencies() {
    let b = bench();
    let (status, body) = b.json(Method::GET, "/health", "").await;
    assert_eq!((status, &body["status"]), (200, &json!("healthy")));
    assert!(body["time"].is_u64());
    assert_eq!(b.json(Method::GET, "/ready", "").await.0, 503, "before the start");
    b.api.health.started();
    let (status, body) = b.json(Method::GET, "/ready", "").await;
    assert_eq!((status, &body["ready"]), (200, &json!(true)));
    assert_eq!(body["checks"]["streamManager"], "ok");
    assert_eq!(b.json(Method::GET, "/api/v1/dependencies", "").await.0, 200);
    b.api.health.probed("registry", Some("connection refused".into()));
    let (status, body) = b.json(Method::GET, "/ready", "").await;
    assert_eq!((status, &body["checks"]["registry"]), (200, &json!("unreachable for 0s")));
    let (status, body) = b.json(Method::GET, "/api/v1/dependencies", "").await;
    assert_eq!((status, &body["down"]), (503, &json!(["registry"])));
    assert!(body["error"].as_str().unwrap().contains("registry"));
    b.api.health.draining();
    assert_eq!(b.json(Method::GET, "/ready", "").await.0, 503);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_class() {
    let b = bench();
    let (_publisher, _stream) = b.live("live/demo", None).await;
    for key in ["demo", "x1", "x2"] {
        b.json(Method::GET, &format!("/api/v1/streams/{key}"), "").await;
    }
    b.json(Method::GET, "/live/demo/segment_3.m4s", "").await;
    let answer = b.send(Request::builder().uri("/metrics"), "").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.into()).unwrap();
    for line in [
        r#"rapidrtmp_http_requests_total{method="GET",path="/api/v1/streams/{key}",status="2xx"}"#,
        r#"rapidrtmp_http_requests_total{method="GET",path="/api/v1/streams/{key}",status="4xx"}"#,
        r#"rapidrtmp_http_requests_total{method="GET",path="/{path}/segment.m4s",status="4xx"}"#,
        r#"rapidrtmp_http_request_duration_seconds_count{method="GET",path="/api/v1/streams/{key}"}"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("x1"), "no label holds what clients chose");
}

#[tokio::test]
async fn pages_of_other_origins_may_read_what_is_allowed() {
    let mut b = bench();
    let ask = |method: Method, uri: &str, origin: &str| {
        Request::builder().method(method).uri(uri).header("origin", origin)
    };
    let allowed = |r: &Response<Body>| r.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
    for uri in ["/api/ping", "/api/v1/streams", "/api/v1/streams/absent", "/api/v1/publish"] {
        let answer = b.send(ask(Method::GET, uri, "https://a.example"), "").await;
        assert_eq!(allowed(&answer).unwrap(), "*", "{uri}: errors too");
    }
    let preflight = b.send(ask(Method::OPTIONS, "/api/v1/publish", "https://a.example"), "").await;
    assert_eq!(preflight.status(), 204);
    assert!(preflight.headers().contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));
    let answer = b.send(ask(Method::GET, "/live/demo/", "https://a.example"), "").await;
    assert_eq!(allowed(&answer), None, "viewers' answers are the viewers' service's to mark");

    Arc::get_mut(&mut b.api).unwrap().allow_origins = vec!["https://a.example".into()];
    let answer = b.send(ask(Method::GET, "/api/ping", "https://a.example"), "").await;
    assert_eq!(allowed(&answer).unwrap(), "https://a.example");
    assert_eq!(answer.headers()[header::VARY], "Origin");
    let answer = b.send(ask(Method::GET, "/api/ping", "https://b.example"), "").await;
    assert_eq!(allowed(&answer), None);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_all_the_same() {
    let b = bench();
    let request = Request::builder().method("POST").uri("/api/v1/publish").header("host", "localhost:8080");
    let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
    let (status, answer) = read(b.send(request.header("content-type", "application/json"), body).await).await;
    assert_eq!(status, 408, "{answer}");
}
