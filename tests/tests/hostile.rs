//! Hostile names and bytes write nothing outside the storage folder and end nothing but themselves.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use e2e::{Encoder, Options, Server, eventually, fetch, get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            out.insert(path);
        }
    }
    out
}

async fn still_works(server: &Server) -> Result<()> {
    let publishing = Encoder::default().publish(&server.rtmp_url("/open/good"))?;
    let media = server.url("/open/good/media.m3u8");
    eventually("a good publisher is served", Duration::from_secs(15), || async {
        fetch(&media).await.ok().flatten()
    })
    .await;
    publishing.finish().await?;
    Ok(())
}

#[tokio::test]
async fn hostile_names_are_refused_and_write_nothing() -> Result<()> {
    // Every path is open: only the name stands between an attacker and the disk.
    let server = Options::default().set("RAPIDRTMP__AUTH__OPEN_PUBLISH", "*").start().await?;
    let before = files(server.folder());
    let long = "x".repeat(4096);
    let names = [
        ("open", "../../evil"),
        ("open", "..%2f..%2fevil"),
        ("open", "..\\..\\evil"),
        ("..", "evil"),
        ("open", "%2e%2e"),
        ("open", "a/../../evil"),
        ("open", "evil.m3u8"),
        ("open", "whip"),
        ("api", "v1"),
        ("open", "a b"),
        ("open", "\u{202e}evil"),
        ("open", &long),
        ("open", "a/b/c/d/e"),
    ];
    for (app, name) in names {
        let options = ["-rtmp_app", app, "-rtmp_playpath", name];
        let mut publishing = Encoder { seconds: Some(3), ..Encoder::default() }
            .publish_with(&server.rtmp_url("/x"), &options)?;
        let (status, log) = publishing.ended(Duration::from_secs(10)).await?;
        assert!(status.is_some_and(|s| s != 0), "{app:?} {name:?} was accepted: {log}");
    }
    let new: Vec<PathBuf> = files(server.folder()).difference(&before).cloned().collect();
    assert!(new.is_empty(), "hostile names wrote {new:?}");
    still_works_under(&server, "good").await
}

async fn still_works_under(server: &Server, path: &str) -> Result<()> {
    let publishing = Encoder::default().publish(&server.rtmp_url(&format!("/open/{path}")))?;
    let media = server.url(&format!("/open/{path}/media.m3u8"));
    eventually("a good publisher is served", Duration::from_secs(15), || async {
        fetch(&media).await.ok().flatten()
    })
    .await;
    publishing.finish().await?;
    let folder = server.storage();
    let outside: Vec<PathBuf> = files(server.folder())
        .into_iter()
        .filter(|f| !f.starts_with(&folder) && !f.starts_with(server.folder().join("state")))
        .collect();
    assert!(outside.is_empty(), "{outside:?} lie outside");
    Ok(())
}

#[tokio::test]
async fn hostile_requests_read_nothing_outside() -> Result<()> {
    let server = Options::open().start().await?;
    std::fs::write(server.folder().join("secret.m4s"), "top secret")?;
    for path in [
        "/open/x/../../secret.m4s",
        "/open/x/..%2f..%2fsecret.m4s",
        "/open/x/%2e%2e/%2e%2e/secret.m4s",
        "/hls/../secret.m4s",
        "/open//x/media.m3u8",
        "/open/x/segment_1_1.m4s%00",
        "/%ff%fe/media.m3u8",
    ] {
        // Sent as it is: an HTTP client would tidy the path first.
        let mut socket = TcpStream::connect(server.http).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await??;
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("top secret") && !answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn garbage_on_the_rtmp_port_is_closed_and_others_are_served() -> Result<()> {
    let server = Options::open().start().await?;
    let cases: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[6; 2000], &[0xff; 5000], b"\x03partial", &[0; 1]];
    for bytes in cases {
        let mut socket = TcpStream::connect(server.rtmp).await?;
        socket.write_all(bytes).await?;
        let mut sink = vec![0; 8192];
        let closed = async {
            while let Ok(n) = socket.read(&mut sink).await {
                if n == 0 {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(8), closed)
            .await
            .expect("closed within the handshake's deadline");
    }
    still_works(&server).await
}

#[tokio::test]
async fn wrong_codecs_are_refused_with_the_way_out() -> Result<()> {
    let server = Options::open().start().await?;
    let mut command = tokio::process::Command::new("ffmpeg");
    // ffmpeg's own defaults for FLV: flv1 and mp3.
    command.args([
        "-nostdin",
        "-loglevel",
        "verbose",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=15",
    ]);
    command.args([
        "-f",
        "lavfi",
        "-i",
        "sine",
        "-t",
        "20",
        "-c:v",
        "flv1",
        "-c:a",
        "libmp3lame",
        "-ar",
        "44100",
    ]);
    command.args(["-f", "flv", &server.rtmp_url("/open/wrong")]);
    let mut child = e2e::Child::start("ffmpeg with its defaults", &mut command)?;
    let status = child.end(Duration::from_secs(15)).await?;
    assert!(status.is_some_and(|s| s != 0), "{}", child.log());
    eventually("the log says what would work", Duration::from_secs(2), || async {
        server.child.log().contains("libx264").then_some(())
    })
    .await;
    assert_eq!(get(&server.url("/open/wrong/media.m3u8")).await?.status(), 404);
    still_works(&server).await
}
