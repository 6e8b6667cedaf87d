//! `latency`: publishes stamped frames and measures when each part of them can be read.
//!
//! Frames are matched to parts by stamps inside the samples, not by time, so that it holds for any server that carries
//! samples through. Publisher and reader are one process: there is one clock.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use clap::Args;
use reqwest::Url;

mod publisher;
pub(crate) mod report;
mod stamp;
mod watcher;

use self::{publisher::publish, report::Report, watcher::Watcher};
use crate::{
    check::fetch::Fetcher,
    publish::{
        generate::{Picture, generate},
        size,
        target::Target,
    },
};

/// After the publish, for what is still on its way.
const GRACE: Duration = Duration::from_secs(1);

/// Options of `latency`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// `rtmp://host[:port]/app/name[?token=T]`.
    rtmp: String,
    /// The multivariant or media playlist of that stream; of several variants the first is watched. The multivariant one
    /// finds the first part sooner: a media playlist that is asked for plainly may wait for its first segment.
    hls: Url,
    /// How long to publish.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Width and height of the picture, multiples of 16.
    #[arg(long, default_value = "320x176", value_parser = size)]
    size: (u32, u32),
    /// Frames a second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Seconds from keyframe to keyframe.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    gop: u32,
    /// Video bit/s.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(..=100_000_000))]
    bitrate: u32,
    /// Print one JSON object at the end, and no progress.
    #[arg(long)]
    json: bool,
}

/// Measures and reports; `Ok(true)` when parts were measured and nothing failed.
///
/// # Errors
/// When a URL cannot be used or there never was a playlist.
pub(crate) async fn run(o: Options) -> Result<bool> {
    let target = Target::parse(&o.rtmp, 0)?;
    let (width, height) = o.size;
    let clip = generate(Picture { width, height, fps: o.fps, gop: o.gop, bitrate: o.bitrate });
    let run = run_number();
    let rtmp = target.to_string();
    let parts = Arc::new(AtomicU64::new(0));
    let publishing = tokio::spawn(publish(target, clip, run, Duration::from_secs(o.seconds)));
    let shown = (!o.json).then(|| tokio::spawn(show(Arc::clone(&parts))));
    let mut watcher = None;
    let watching = async {
        let w = Watcher::open(Fetcher::player()?, o.hls.clone(), run, parts).await?;
        watcher.insert(w).watch().await
    };
    let published = until_over(publishing, watching).await;
    if let Some(task) = shown {
        task.abort();
    }
    let mut hls = o.hls.clone();
    hls.set_query(None);
    let watched = watcher.map(|w| w.out).unwrap_or_default();
    let report = Report::of(rtmp, hls.to_string(), &published?, watched);
    report.print(o.json)?;
    Ok(report.is_good())
}

/// Watches until the publish is over and what it left behind was seen.
async fn until_over<T>(
    publishing: tokio::task::JoinHandle<T>,
    watching: impl Future<Output = Result<()>>,
) -> Result<T> {
    let over = async {
        let published = publishing.await.context("the publisher");
        tokio::time::sleep(GRACE).await;
        published
    };
    let mut over = std::pin::pin!(over);
    tokio::select! {
        published = &mut over => published,
        watched = watching => {
            watched?;
            over.await
        }
    }
}

/// Tells the stamps of this run from those of another.
fn run_number() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.subsec_nanos() ^ (now.as_secs() as u32).rotate_left(16) ^ std::process::id()
}

/// Writes progress to stderr each second until it is aborted.
async fn show(parts: Arc<AtomicU64>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let _ = writeln!(std::io::stderr(), "{} parts seen", parts.load(Ordering::Relaxed));
    }
}
