//! Independent players find both tracks, decode without a word, and keep time.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Encoder, Options, Publishing, Server, decode, eventually, fetch, play, probe};

const LIVE: Duration = Duration::from_secs(20);

async fn stream(encoder: Encoder) -> Result<(Server, Publishing, String)> {
    let server = Options::open().start().await?;
    let publishing = encoder.publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    eventually("three segments", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.segments().len() >= 3)
    })
    .await;
    let index = server.url("/open/x/index.m3u8");
    Ok((server, publishing, index))
}

#[tokio::test]
async fn ffprobe_finds_both_tracks_and_ffmpeg_decodes_in_silence() -> Result<()> {
    let (_server, _publishing, index) = stream(Encoder::default()).await?;
    let found = probe(&index).await?;
    assert_eq!(
        (found.codec("video").as_deref(), found.codec("audio").as_deref()),
        (Some("h264"), Some("aac"))
    );
    decode(&index, 6, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn b_frames_and_fractional_rates_decode_in_silence() -> Result<()> {
    let encoder =
        Encoder { rate: "30000/1001", gop: 60, b_frames: 2, sample_rate: 44_100, ..Encoder::default() };
    let (_server, _publishing, index) = stream(encoder).await?;
    decode(&index, 6, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn sound_alone_plays() -> Result<()> {
    let (_server, _publishing, index) = stream(Encoder { video: false, ..Encoder::default() }).await?;
    let found = probe(&index).await?;
    assert_eq!((found.codec("video"), found.codec("audio").as_deref()), (None, Some("aac")));
    decode(&index, 4, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_picture_alone_plays() -> Result<()> {
    let (_server, _publishing, index) = stream(Encoder { audio: false, ..Encoder::default() }).await?;
    let found = probe(&index).await?;
    assert_eq!((found.codec("video").as_deref(), found.codec("audio")), (Some("h264"), None));
    decode(&index, 4, &[]).await?;
    Ok(())
}

/// Times that ffmpeg's filters print as `name:seconds` or `name: seconds`.
fn times(log: &str, name: &str) -> Vec<f64> {
    let number = |rest: &str| {
        let text: String =
            rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        text.parse().ok()
    };
    log.split(&format!("{name}:")).skip(1).filter_map(number).collect()
}

#[tokio::test]
async fn flash_and_beep_stay_together() -> Result<()> {
    let (_server, _publishing, index) =
        stream(Encoder { flash: true, b_frames: 2, ..Encoder::default() }).await?;
    let filters = ["-vf", "blackdetect=d=0.3:pix_th=0.3", "-af", "silencedetect=noise=-35dB:d=0.3"];
    let log = decode(&index, 7, &filters).await?;
    let (flashes, beeps) = (times(&log, "black_end"), times(&log, "silence_end"));
    let mut offsets = Vec::new();
    for flash in &flashes {
        let nearest = beeps.iter().map(|b| b - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        offsets.push(nearest.context("beeps in the sound")?);
    }
    assert!(offsets.len() >= 3, "flashes {flashes:?}, beeps {beeps:?}");
    assert!(offsets.iter().all(|o| o.abs() < 0.05), "A/V offsets {offsets:?} s");
    Ok(())
}

#[tokio::test]
async fn durations_are_true() -> Result<()> {
    let server = Options::open().start().await?;
    let mut publishing =
        Encoder { seconds: Some(8), ..Encoder::default() }.publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    eventually("a playlist", LIVE, || async { fetch(&media).await.ok().flatten() }).await;
    assert_eq!(publishing.ended(Duration::from_secs(20)).await?.0, Some(0));
    assert_eq!(server.api().stop("open/x").await?, 200);
    let last = eventually("the end", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(e2e::Playlist::ended)
    });
    let last = last.await;
    let mut sum = 0.0;
    let mut gap = false;
    for line in last.text.lines() {
        gap |= line == "#EXT-X-GAP";
        if let Some(d) = line.strip_prefix("#EXTINF:") {
            sum += if gap { 0.0 } else { d.trim_end_matches(',').parse::<f64>()? };
            gap = false;
        }
    }
    assert!((sum - 8.0).abs() < 0.05, "8 s were published, {sum:.3} s are listed:\n{}", last.text);
    Ok(())
}

/// ffmpeg plays on over what `trouble` does. It may say that it skips a gap; it must not fail to decode.
async fn crosses<T>(index: &str, seconds: u32, trouble: impl Future<Output = Result<T>>) -> Result<()> {
    let (played, kept) = tokio::join!(play(index, seconds, &[]), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        trouble.await
    });
    let _kept = kept?;
    let errors: Vec<String> =
        played?.lines().filter(|l| l.contains("[error]")).map(ToOwned::to_owned).collect();
    assert_eq!(errors, [] as [String; 0]);
    Ok(())
}

#[tokio::test]
async fn ffmpeg_crosses_a_reconnect() -> Result<()> {
    let (server, publishing, index) = stream(Encoder::default()).await?;
    crosses(&index, 14, async {
        publishing.finish().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Encoder::default().publish(&server.rtmp_url("/open/x"))
    })
    .await
}

#[tokio::test]
async fn ffmpeg_crosses_a_stall() -> Result<()> {
    let (_server, publishing, index) = stream(Encoder::default()).await?;
    crosses(&index, 16, async {
        publishing.pause().await?;
        tokio::time::sleep(Duration::from_secs(6)).await;
        publishing.resume().await
    })
    .await
}

#[tokio::test]
async fn ffmpeg_crosses_a_takeover() -> Result<()> {
    let (server, mut first, index) = stream(Encoder::default()).await?;
    crosses(&index, 16, async {
        eventually("the claim has settled", LIVE, || async {
            server.api().stream("open/x").await.ok()??["duration"].as_f64().filter(|d| *d > 11.0)
        })
        .await;
        let second = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
        first.ended(Duration::from_secs(8)).await?;
        Ok(second)
    })
    .await
}

#[tokio::test]
async fn rapidrtmp_names_work() -> Result<()> {
    let (server, _publishing, _) = stream(Encoder::default()).await?;
    for (name, kind) in [
        ("/open/x/init.mp4", "video/mp4"),
        ("/open/x/segment_0.m4s", "video/"),
        ("/hls/open/x/index.m3u8", "application/vnd.apple.mpegurl"),
    ] {
        let r = e2e::get(&server.url(name)).await?;
        assert_eq!(r.status(), 200, "{name}");
        let given = r.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert!(given.starts_with(kind), "{name}: {given}");
    }
    Ok(())
}
