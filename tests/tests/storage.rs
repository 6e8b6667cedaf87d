//! The storage folder plays from any static file server, and its loss never stops live playback.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Child, Encoder, Options, decode, eventually, fetch, get};
use tokio::process::Command;

const LIVE: Duration = Duration::from_secs(20);

/// Python's static file server over a folder; the port it took.
async fn serve(folder: &std::path::Path) -> Result<(Child, u16)> {
    let mut command = Command::new("python3");
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(folder);
    let mut child = Child::start("http.server", &mut command)?;
    let line = child.lines()?.next_line().await?.context("a first line")?;
    let port =
        line.split("port ").nth(1).and_then(|r| r.split_whitespace().next()).context("a port")?.parse()?;
    Ok((child, port))
}

/// Puts a file where the folder was: every write fails, for root as well. The server writes meanwhile, and may make the
/// folder anew once it is away; it is moved, not emptied, since a walk would race with the writer too.
fn lose(folder: &std::path::Path) -> Result<()> {
    let mut written = Ok(());
    for away in 0..20 {
        std::fs::rename(folder, folder.with_extension(away.to_string()))?;
        written = std::fs::write(folder, "no folder");
        if written.is_ok() {
            break;
        }
    }
    written.context("the server makes the folder faster than it can be taken away")
}

#[tokio::test]
async fn the_folder_plays_from_a_static_server() -> Result<()> {
    let server = Options::open().start().await?;
    let _publishing = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let folder = server.storage().join("open/x");
    eventually("a stored playlist of four segments", LIVE, || async {
        let text = std::fs::read_to_string(folder.join("media.m3u8")).ok()?;
        (text.matches("#EXTINF").count() >= 4).then_some(())
    })
    .await;
    let stored = std::fs::read_to_string(folder.join("media.m3u8"))?;
    for tag in ["#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-SKIP", "CAN-BLOCK-RELOAD"] {
        assert!(!stored.contains(tag), "a stored playlist is plain: {stored}");
    }
    for uri in stored.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        assert!(folder.join(uri).exists(), "{uri} is listed before it is there");
    }
    let (_http, port) = serve(&server.storage()).await?;
    decode(&format!("http://127.0.0.1:{port}/open/x/index.m3u8"), 6, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn old_segments_leave_the_folder() -> Result<()> {
    let server =
        Options::open().set("HLS_MAX_SEGMENTS", "5").set("HLS_SEGMENT_DURATION", "1s").start().await?;
    let _publishing = Encoder { gop: 30, ..Encoder::default() }.publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    let first = eventually("a segment", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| !p.segments().is_empty())
    })
    .await;
    let oldest = server.storage().join("open/x").join(first.segments()[0]);
    eventually("the oldest segment is stored", LIVE, || async { oldest.exists().then_some(()) }).await;
    eventually("and expires", Duration::from_secs(40), || async { (!oldest.exists()).then_some(()) }).await;
    let count = std::fs::read_dir(server.storage().join("open/x"))?.count();
    assert!(count < 25, "{count} files are kept");
    Ok(())
}

#[tokio::test]
async fn a_lost_disk_does_not_stop_playback_and_shows_in_a_metric() -> Result<()> {
    let server = Options::open().start().await?;
    let _publishing = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    eventually("a segment", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| !p.segments().is_empty())
    })
    .await;
    lose(&server.storage())?;
    let now = fetch(&media).await?.context("the playlist")?.next_msn();
    let later = eventually("three more segments", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.next_msn() >= now + 3)
    })
    .await;
    for uri in later.segments().iter().rev().take(3) {
        assert_eq!(get(&server.url(&format!("/open/x/{uri}"))).await?.status(), 200, "{uri}");
    }
    eventually("the metric", Duration::from_secs(10), || async {
        let text = server.api().get("/metrics").await.ok()?.text().await.ok()?;
        text.lines()
            .filter(|l| l.starts_with("rapidrtmp_store_errors_total"))
            .any(|l| l.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).is_some_and(|n| n > 0.0))
            .then_some(())
    })
    .await;
    Ok(())
}
