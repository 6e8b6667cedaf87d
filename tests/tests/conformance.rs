//! The origin checklist, clause by clause, by `rapidrtmp-bench check`.

use std::time::Duration;

use anyhow::Result;
use e2e::{Check, Encoder, Options, check, eventually, fetch};

const LIVE: Duration = Duration::from_secs(20);

async fn watch(encoder: &Encoder, seconds: u64) -> Result<Check> {
    let server = Options::open().start().await?;
    let publishing = encoder.publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    eventually("three segments", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.segments().len() >= 3)
    })
    .await;
    let seen = check(&server.url("/open/x/index.m3u8"), seconds).await?;
    publishing.finish().await?;
    Ok(seen)
}

/// Nothing was found, and it was looked at: playlists, parts, segments and their parts.
fn clean(seen: &Check, seconds: f64) {
    assert_eq!(seen.findings(), [] as [String; 0]);
    assert_eq!(seen.status, Some(0));
    let parts = seen.number("parts");
    assert!(parts > 3.5 * seconds, "{parts} parts in {seconds} s: {}", seen.report);
    assert!(seen.number("compared") > seconds / 4.0, "{}", seen.report);
    assert_eq!((seen.number("jumps"), seen.number("skipped")), (0.0, 0.0), "{}", seen.report);
}

#[tokio::test]
async fn twenty_seconds_break_no_clause() -> Result<()> {
    clean(&watch(&Encoder::default(), 20).await?, 20.0);
    Ok(())
}

#[tokio::test]
async fn b_frames_at_a_fractional_rate_break_no_clause() -> Result<()> {
    let encoder =
        Encoder { rate: "24000/1001", gop: 48, b_frames: 2, sample_rate: 44_100, ..Encoder::default() };
    clean(&watch(&encoder, 12).await?, 12.0);
    Ok(())
}

#[tokio::test]
#[ignore = "ten real minutes: make test-long"]
async fn ten_minutes_break_no_clause() -> Result<()> {
    clean(&watch(&Encoder { b_frames: 2, ..Encoder::default() }, 600).await?, 600.0);
    Ok(())
}
