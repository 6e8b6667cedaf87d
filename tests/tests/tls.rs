//! RTMPS and HTTPS on the real binary: ffmpeg and curl check the certificate against an authority of the test's own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::{Authority, Encoder, Options, Pair, Playlist, Server, curl, eventually, fetch, get};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIVE: Duration = Duration::from_secs(15);
/// Files are looked at every two seconds, and what does not work is told at the second look.
const NOTICED: Duration = Duration::from_secs(12);

struct Site {
    folder: TempDir,
    authority: Authority,
    pair: Pair,
    server: Server,
}

impl Site {
    async fn open(options: Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new(folder.path(), "first")?;
        let pair = Pair::in_folder(folder.path());
        authority.sign(&pair, 90)?;
        let server = pair.serve(options).start().await?;
        Ok(Self { folder, authority, pair, server })
    }

    /// Publishes `open/x` over RTMPS; the encoder refuses any other certificate.
    fn publish(&self) -> Result<e2e::Publishing> {
        let authority = self.authority.file.display().to_string();
        let options = ["-tls_verify", "1", "-ca_file", &authority];
        Encoder::default().publish_with(&self.server.rtmps_url("/open/x"), &options)
    }

    /// What curl makes of a GET over HTTPS: its exit status, and version and status of the answer.
    async fn get(&self, authority: &Authority, path: &str, version: &str) -> Result<(Option<i32>, String)> {
        let (file, url) = (authority.file.display().to_string(), self.server.https_url(path));
        curl(&["--cacert", &file, version, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", &url])
            .await
    }

    async fn playing(&self) -> Playlist {
        let media = self.server.url("/open/x/media.m3u8");
        eventually("a playlist with a segment", LIVE, || async {
            fetch(&media).await.ok().flatten().filter(|p| !p.segments().is_empty())
        })
        .await
    }

    async fn metric(&self, name: &str) -> Result<f64> {
        let text = get(&self.server.url("/metrics")).await?.text().await?;
        let line = text.lines().find(|l| l.starts_with(name) && l.as_bytes().get(name.len()) == Some(&b' '));
        Ok(line.and_then(|l| l.rsplit(' ').next()).with_context(|| name.to_owned())?.parse()?)
    }
}

#[tokio::test]
async fn a_stream_comes_over_rtmps_and_goes_out_over_https() -> Result<()> {
    let site = Site::open(Options::open()).await?;
    let publishing = site.publish()?;
    site.playing().await;
    let media = "/open/x/media.m3u8";
    assert_eq!(site.get(&site.authority, media, "--http2").await?, (Some(0), "2 200".into()));
    assert_eq!(site.get(&site.authority, media, "--http1.1").await?, (Some(0), "1.1 200".into()));
    assert_eq!(
        site.get(&site.authority, "/open/x/", "--http2").await?,
        (Some(0), "2 200".into()),
        "the page"
    );
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let (file, url) = (site.authority.file.display().to_string(), site.server.https_url(media));
        let max = if version == "--tlsv1.2" { "1.2" } else { "1.3" };
        let (status, body) = curl(&["--cacert", &file, version, "--tls-max", max, &url]).await?;
        assert!(status == Some(0) && body.starts_with("#EXTM3U"), "{version}: {status:?} {body}");
    }
    let stranger = Authority::new(site.folder.path(), "stranger")?;
    assert_eq!(
        site.get(&stranger, media, "--http2").await?.0,
        Some(60),
        "who does not know it does not trust it"
    );
    let authority = site.authority.file.display().to_string();
    let arguments = ["-tls_verify", "1", "-ca_file", authority.as_str()];
    let _log = e2e::decode_with(&site.server.https_url("/open/x/index.m3u8"), 3, &arguments).await?;
    let in_days = (site.metric("rapidrtmp_tls_certificate_expiry_timestamp_seconds").await?
        - std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64())
        / 86_400.0;
    assert!((89.9..90.1).contains(&in_days), "{in_days}");
    publishing.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_replaced_under_a_running_stream() -> Result<()> {
    let site = Site::open(Options::open()).await?;
    let mut publishing = site.publish()?;
    let before = site.playing().await;
    let mut old = site.authority.connect(site.server.https.context("https")?, &["http/1.1"]).await?;

    let second = Authority::new(site.folder.path(), "second")?;
    second.sign(&site.pair, 60)?;
    let media = "/open/x/media.m3u8";
    eventually("new connections see the new certificate", NOTICED, || async {
        (site.get(&second, media, "--http2").await.ok()?.0 == Some(0)).then_some(())
    })
    .await;
    assert_eq!(site.get(&site.authority, media, "--http2").await?.0, Some(60), "the old one is gone");
    assert_eq!(site.metric("rapidrtmp_tls_reload_failures_total").await?, 0.0);

    std::fs::write(&site.pair.cert, "no certificate at all")?;
    eventually("a bad file is told", NOTICED, || async {
        (site.metric("rapidrtmp_tls_reload_failures_total").await.ok()? == 1.0).then_some(())
    })
    .await;
    assert!(site.server.child.log().contains("holds no certificate"), "{}", site.server.child.log());
    assert_eq!(
        site.get(&second, media, "--http2").await?,
        (Some(0), "2 200".into()),
        "the last good one stays"
    );

    // SIGHUP looks at once, and an expired one is as bad as none.
    second.sign(&site.pair, -1)?;
    site.server.child.signal("HUP").await?;
    eventually("an expired one is refused", NOTICED, || async {
        site.server.child.log().contains("expired on").then_some(())
    })
    .await;

    // Who was connected before is served as if nothing had happened.
    old.write_all(b"GET /open/x/media.m3u8 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    old.read_to_string(&mut answer).await.context("an answer, and an end that TLS confirms")?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!publishing.child.has_ended(), "{}", publishing.child.log());
    let after = eventually("the stream goes on", LIVE, || async {
        Some(site.playing().await).filter(|p| p.next_msn() > before.next_msn() + 1)
    })
    .await;
    assert_eq!((after.count("EXT-X-DISCONTINUITY"), after.count("EXT-X-GAP")), (0, 0), "{}", after.text);
    publishing.finish().await?;
    Ok(())
}

#[tokio::test]
async fn held_requests_share_one_connection_under_tls() -> Result<()> {
    let site = Site::open(Options::open()).await?;
    let publishing = site.publish()?;
    let now = site.playing().await;
    let authority = site.authority.file.display().to_string();
    // Thirty different URLs that wait for parts of the segment after the next, over one connection.
    let msn = now.next_msn() + 1;
    let mut arguments: Vec<String> =
        ["--cacert", &authority, "--http2", "--parallel", "--parallel-max", "30"].map(Into::into).to_vec();
    for part in 0..30 {
        let url = site.server.https_url(&format!("/open/x/media.m3u8?_HLS_msn={msn}&_HLS_part={}", part % 3));
        let format = "%{num_connects} %{http_version} %{http_code}\n";
        arguments.extend([url, "-o".into(), "/dev/null".into(), "-w".into(), format.into()]);
    }
    let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (status, text) = curl(&borrowed).await?;
    assert_eq!(status, Some(0), "{text}");
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(' ').collect()).collect();
    assert_eq!(lines.len(), 30, "{text}");
    assert!(lines.iter().all(|l| l[1..] == ["2", "200"]), "{text}");
    let connections: u32 = lines.iter().map(|l| l[0].parse().unwrap_or(99)).sum();
    assert_eq!(connections, 1, "{text}");
    publishing.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_stop_answers_over_tls_and_ends_in_good_form() -> Result<()> {
    let mut site = Site::open(Options::open()).await?;
    let mut publishing = site.publish()?;
    let now = site.playing().await;
    let mut held = site.authority.connect(site.server.https.context("https")?, &["http/1.1"]).await?;
    let query = format!("_HLS_msn={}", now.next_msn() + 1);
    let request = format!("GET /open/x/media.m3u8?{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    held.write_all(request.as_bytes()).await?;
    eventually("the request is held", LIVE, || async {
        (site.metric("rapidrtmp_held_requests").await.ok()? >= 1.0).then_some(())
    })
    .await;
    let reading = tokio::spawn(async move {
        let mut answer = Vec::new();
        // An end that TLS does not confirm (close_notify, RFC 8446 §6.1) is an error here.
        held.read_to_end(&mut answer).await.map(|_| answer)
    });
    assert_eq!(site.server.stop().await?, Some(0));
    let answer = tokio::time::timeout(Duration::from_secs(5), reading).await???;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    publishing.child.end(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_closed_in_time() -> Result<()> {
    let site = Site::open(Options::open().set("RAPIDRTMP__HTTP__HEADER_TIMEOUT", "1s")).await?;
    let close = async |addr, opening: &[u8]| -> Result<Duration> {
        let started = Instant::now();
        let mut socket = tokio::net::TcpStream::connect(addr).await?;
        socket.write_all(opening).await?;
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = tokio::time::timeout(Duration::from_secs(15), socket.read_to_end(&mut rest)).await?;
        Ok(started.elapsed())
    };
    let (https, rtmps) = (site.server.https.context("https")?, site.server.rtmps.context("rtmps")?);
    // The first bytes of a ClientHello that says it is longer (RFC 8446 §5.1).
    let half = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
    let (web, web_half, rtmp, rtmp_half, garbage) = tokio::join!(
        close(https, &[]),
        close(https, &half),
        close(rtmps, &[]),
        close(rtmps, &half),
        close(rtmps, b"\x03plain RTMP is not spoken here"),
    );
    for (name, took, limit) in [
        ("https", web?, 4),
        ("https, half a hello", web_half?, 4),
        ("rtmps", rtmp?, 8),
        ("rtmps, half a hello", rtmp_half?, 8),
        ("garbage", garbage?, 4),
    ] {
        assert!(took < Duration::from_secs(limit), "{name}: {took:?}");
    }
    assert!(site.metric("rapidrtmp_tls_handshake_failures_total").await? >= 5.0);
    Ok(())
}

/// Contract "Admin": the rule is that of the listener that took the call.
#[tokio::test]
async fn https_on_the_network_has_no_admin_without_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path(), "first")?;
    let pair = Pair::in_folder(folder.path());
    authority.sign(&pair, 90)?;
    let file = authority.file.display().to_string();
    let post =
        ["--cacert", &file, "-o", "/dev/null", "-w", "%{http_code}", "--json", r#"{"streamKey":"demo"}"#];
    for (addr, expected) in [("127.0.0.1:0", "200"), (":0", "401")] {
        let server = pair.serve(Options::default()).set("HTTPS_ADDR", addr).start().await?;
        let url = server.https_url("/api/v1/publish");
        let mut arguments = post.to_vec();
        arguments.push(&url);
        assert_eq!(curl(&arguments).await?.1, expected, "HTTPS_ADDR={addr}");
        let minted = server.api().mint("demo").await?;
        assert!(minted.publish_url.starts_with("rtmp://"), "HTTP is on loopback still");
    }
    Ok(())
}
