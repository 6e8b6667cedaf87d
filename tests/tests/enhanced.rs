//! Enhanced RTMP from an encoder that nobody here wrote (ffmpeg 9), to players that nobody here wrote.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Browser, Encoder, Options, Page, Server, check, decode, eventually, fetch, get, probe};

const LIVE: Duration = Duration::from_secs(20);
const HEVC: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-x265-params",
    "log-level=error:open-gop=0:scenecut=0",
];
const AV1: &[&str] = &["-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p"];
const VP9: &[&str] =
    &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p", "-b:v", "1M"];
const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "96k"];
const FLAC: &[&str] = &["-c:a", "flac"];

fn encoder() -> Encoder {
    Encoder { enhanced: true, size: "320x180", ..Encoder::default() }
}

/// Six seconds, sent as fast as they are encoded, and stopped: what players then find in the playlist.
struct Recorded {
    server: Server,
    info: serde_json::Value,
    index: String,
}

async fn record(encoder: Encoder) -> Result<Recorded> {
    let server = Options::open().start().await?;
    let six = Encoder { seconds: Some(6), real_time: false, ..encoder };
    let mut publishing = six.publish(&server.rtmp_url("/open/x"))?;
    let info = eventually("both tracks", LIVE, || async {
        let info = server.api().stream("open/x").await.ok()??;
        (!info["videoCodec"].is_null() && !info["audioCodec"].is_null()).then_some(info)
    })
    .await;
    let (status, log) = publishing.ended(LIVE).await?;
    anyhow::ensure!(status == Some(0), "the encoder ended with {status:?}: {log}");
    // The encoder is done when its socket has taken all, the server when it has read all.
    eventually("all is read", LIVE, || async {
        let info = server.api().stream("open/x").await.ok()??;
        (info["active"] == false).then_some(())
    })
    .await;
    assert_eq!(server.api().stop("open/x").await?, 200);
    let index = get(&server.url("/open/x/index.m3u8")).await?.text().await?;
    Ok(Recorded { server, info, index })
}

impl Recorded {
    /// Independent tools find these codecs, decode without a word, and find six seconds, but for the delay of B-frames and
    /// the priming of sound.
    async fn holds(&self, [video, audio]: [&str; 2], codecs: &str) -> Result<()> {
        assert_eq!(
            (self.info["videoCodec"].as_str(), self.info["audioCodec"].as_str()),
            (Some(video), Some(audio))
        );
        assert_eq!(self.info["resolution"], "320x180");
        assert_eq!(self.info["warnings"].as_array().map(Vec::len), Some(0), "{}", self.info);
        let attributes = format!("CODECS=\"{codecs}\",RESOLUTION=320x180,FRAME-RATE=30.000\n");
        assert!(self.index.contains(&attributes), "{attributes} in {}", self.index);
        let index = self.server.url("/open/x/index.m3u8");
        let found = probe(&index).await?;
        assert_eq!(
            (found.codec("video").as_deref(), found.codec("audio").as_deref()),
            (Some(video), Some(audio))
        );
        decode(&index, 10, &[]).await?;
        let media = fetch(&self.server.url("/open/x/media.m3u8")).await?.context("the playlist")?;
        let listed: f64 = media
            .text
            .lines()
            .filter_map(|l| l.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse::<f64>().ok())
            .sum();
        assert!((listed - 6.0).abs() < 0.1, "6 s were published, {listed:.3} s are listed:\n{}", media.text);
        Ok(())
    }
}

#[tokio::test]
async fn hevc_with_b_frames_and_aac() -> Result<()> {
    let encoder = Encoder { video_coding: HEVC, b_frames: 2, ..encoder() };
    record(encoder).await?.holds(["hevc", "aac"], "hvc1.1.6.L60.90,mp4a.40.2").await
}

#[tokio::test]
async fn av1_and_opus() -> Result<()> {
    let encoder = Encoder { video_coding: AV1, audio_coding: OPUS, ..encoder() };
    record(encoder).await?.holds(["av1", "opus"], "av01.0.00M.08,Opus").await
}

#[tokio::test]
async fn vp9_and_opus() -> Result<()> {
    let encoder = Encoder { video_coding: VP9, audio_coding: OPUS, ..encoder() };
    record(encoder).await?.holds(["vp9", "opus"], "vp09.00.11.08,Opus").await
}

#[tokio::test]
async fn h264_and_flac() -> Result<()> {
    record(Encoder { audio_coding: FLAC, ..encoder() })
        .await?
        .holds(["h264", "flac"], "avc1.42C014,fLaC")
        .await
}

/// Enhanced RTMP 2, "Multitrack Streaming", as ffmpeg 9 sends two sound tracks.
#[tokio::test]
async fn of_two_sound_tracks_the_first_is_carried_and_a_warning_says_so() -> Result<()> {
    let two = &["-map", "0", "-map", "1", "-map", "1", "-c:a", "aac", "-b:a", "96k"];
    let server = Options::open().start().await?;
    let _publishing = Encoder { audio_coding: two, ..encoder() }.publish(&server.rtmp_url("/open/x"))?;
    eventually("the warning", LIVE, || async {
        let info = server.api().stream("open/x").await.ok()??;
        info["warnings"].to_string().contains("only audio track 0 is used").then_some(())
    })
    .await;
    let media = server.url("/open/x/media.m3u8");
    eventually("a segment", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| !p.segments().is_empty())
    })
    .await;
    let found = probe(&server.url("/open/x/index.m3u8")).await?;
    assert_eq!(found.json["streams"].as_array().map(Vec::len), Some(2), "{:?}", found.json);
    Ok(())
}

/// Live, in real time: no clause of the origin checklist is broken, and Chromium plays where `browser` says that it can.
async fn live(encoder: Encoder, browser: bool) -> Result<()> {
    let server = Options::open().start().await?;
    let _publishing = encoder.publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    eventually("three segments", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.segments().len() >= 3)
    })
    .await;
    let index = server.url("/open/x/index.m3u8");
    let seen = check(&index, 12).await?;
    assert_eq!(seen.findings(), [] as [String; 0]);
    assert!(seen.number("parts") > 3.5 * 12.0, "{}", seen.report);
    if browser {
        let mut browser = Browser::open(Page::Stock, &index)?;
        let limit = Duration::from_secs(30);
        let end =
            browser.until("five seconds play", limit, |s| s.current_time > 5.0 && s.frames > 100).await?;
        browser.close().await?;
        assert!(end.luma > 10.0 && end.contrast > 10.0, "no picture: {end:?}");
        assert!(end.audio_bytes > 1_000, "no sound: {end:?}");
        assert!(end.fatal.is_empty(), "hls.js gave up: {end:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "half a minute: make test-long"]
async fn hevc_and_aac_live() -> Result<()> {
    // Chromium's H.265 hangs on the machine's hardware.
    live(Encoder { video_coding: HEVC, b_frames: 2, ..encoder() }, false).await
}

#[tokio::test]
#[ignore = "half a minute: make test-long"]
async fn av1_and_opus_live_in_chromium() -> Result<()> {
    live(Encoder { video_coding: AV1, audio_coding: OPUS, ..encoder() }, true).await
}

#[tokio::test]
#[ignore = "half a minute: make test-long"]
async fn vp9_and_opus_live_in_chromium() -> Result<()> {
    live(Encoder { video_coding: VP9, audio_coding: OPUS, ..encoder() }, true).await
}

#[tokio::test]
#[ignore = "half a minute: make test-long"]
async fn h264_and_flac_live_in_chromium() -> Result<()> {
    live(Encoder { audio_coding: FLAC, ..encoder() }, true).await
}
