//! When a stream ends (contract: "When a stream ends, and when it does not").

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::{Encoder, Options, Playlist, Server, eventually, fetch, get};

const LIVE: Duration = Duration::from_secs(15);

async fn playing(media: &str) -> Playlist {
    eventually("a playlist with a segment", LIVE, || async {
        fetch(media).await.ok().flatten().filter(|p| !p.segments().is_empty())
    })
    .await
}

#[tokio::test]
async fn stop_disconnects_within_a_second_ends_the_playlist_and_frees_the_key() -> Result<()> {
    let server = Server::start().await?;
    let api = server.api();
    let mut publishing = Encoder::default().publish(&api.mint("demo").await?.publish_url)?;
    let media = server.url("/live/demo/media.m3u8");
    let before = playing(&media).await;
    let asked = Instant::now();
    assert_eq!(api.stop("demo").await?, 200);
    let ended = eventually("ENDLIST", Duration::from_secs(2), || async {
        fetch(&media).await.ok().flatten().filter(Playlist::ended)
    })
    .await;
    assert_eq!(ended.count("EXT-X-PRELOAD-HINT"), 0);
    let (status, log) = publishing.ended(Duration::from_secs(3)).await?;
    assert!(status.is_some_and(|s| s != 0) && asked.elapsed() < Duration::from_secs(2), "{status:?} {log}");
    let again = Encoder::default().publish(&api.mint("demo").await?.publish_url)?;
    let after = eventually("the key again", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| !p.ended() && !p.segments().is_empty())
    })
    .await;
    assert!(after.number("EXT-X-MEDIA-SEQUENCE") >= Some(before.next_msn()), "numbers never go back");
    again.finish().await?;
    assert_eq!(api.stop("no-such-stream").await?, 404);
    Ok(())
}

#[tokio::test]
async fn a_reconnect_is_a_continuation_at_the_same_url() -> Result<()> {
    let server = Options::open().start().await?;
    let media = server.url("/open/x/media.m3u8");
    let first = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let before = playing(&media).await;
    first.finish().await?;
    let second =
        Encoder { rate: "25", gop: 50, ..Encoder::default() }.publish(&server.rtmp_url("/open/x"))?;
    let after = eventually("media after the discontinuity", LIVE, || async {
        let p = fetch(&media).await.ok().flatten()?;
        let (_, rest) = p.text.split_once("#EXT-X-DISCONTINUITY\n")?;
        (rest.contains("#EXT-X-MAP") && rest.contains("#EXTINF")).then_some(p)
    })
    .await;
    assert!(!after.ended());
    assert!(after.number("EXT-X-MEDIA-SEQUENCE") >= before.number("EXT-X-MEDIA-SEQUENCE"));
    for tag in ["EXT-X-TARGETDURATION", "EXT-X-PART-INF", "EXT-X-SERVER-CONTROL"] {
        assert_eq!(after.tag(tag), before.tag(tag), "{tag} changed over a reconnect");
    }
    let shared: Vec<&str> = before.segments().into_iter().filter(|s| after.text.contains(*s)).collect();
    assert!(!shared.is_empty(), "the window goes on");
    second.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_stall_is_told_by_gaps_and_a_lapsed_window_by_the_end() -> Result<()> {
    let server = Options::open().set("RAPIDRTMP__STREAMS__RECONNECT_WINDOW", "6s").start().await?;
    let media = server.url("/open/x/media.m3u8");
    let publishing = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    playing(&media).await;
    publishing.finish().await?;
    eventually("a gap", Duration::from_secs(6), || async {
        fetch(&media).await.ok().flatten().filter(|p| p.count("EXT-X-GAP") > 0)
    })
    .await;
    let end = eventually("the end", Duration::from_secs(15), || async {
        fetch(&media).await.ok().flatten().filter(Playlist::ended)
    })
    .await;
    let last = end.segments().last().map(|s| (*s).to_owned()).unwrap_or_default();
    assert_eq!(get(&server.url(&format!("/open/x/{last}"))).await?.status(), 200, "ended, not gone yet");
    Ok(())
}

#[tokio::test]
async fn another_publisher_takes_over_only_a_stale_or_settled_claim() -> Result<()> {
    let server = Options::open().start().await?;
    let first = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    playing(&media).await;
    // The first claim is younger than ten seconds and sends media: the second is refused.
    let mut second = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let (status, log) = second.ended(Duration::from_secs(8)).await?;
    assert!(status.is_some_and(|s| s != 0), "a young claim is not taken over: {log}");
    first.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_terminated_server_answers_held_requests_and_stops_clean() -> Result<()> {
    let mut server = Options::open().start().await?;
    let _publishing = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    let now = playing(&media).await;
    let held = format!("{media}?_HLS_msn={}", now.next_msn() + 1);
    let waiting = tokio::spawn(async move { get(&held).await.map(|r| r.status().as_u16()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.stop().await?, Some(0));
    let status = tokio::time::timeout(Duration::from_secs(5), waiting).await???;
    assert!(status == 200 || status == 503, "a held request is answered, not cut: {status}");
    Ok(())
}
