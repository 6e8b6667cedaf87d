//! `publish`: any number of RTMP publishers in one process, each in real time.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

mod bits;
pub(crate) mod client;
pub(crate) mod clip;
mod flv;
pub(crate) mod generate;
mod publisher;
mod report;
pub(crate) mod target;

use self::{
    clip::Clip,
    generate::{Picture, generate},
    publisher::Publisher,
    report::Row,
    target::Target,
};

/// Publishers in one process: within an ordinary limit of open files.
const MAX_COUNT: usize = 10_000;

/// Options of `publish`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// `rtmp://host[:port]/app/name[?token=T]`; every n in braces becomes the publisher's number, from 0.
    url: String,
    /// Publishers.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Stop after this many seconds; 0: never.
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// An FLV file to play in a loop, instead of the picture made here.
    #[arg(long)]
    file: Option<PathBuf>,
    /// A token, put into the query; n in braces as in the URL.
    #[arg(long)]
    token: Option<String>,
    /// Base URL of a RapidRTMP API (`http://127.0.0.1:8080`) that mints each publisher's token.
    #[arg(long, conflicts_with = "token")]
    api: Option<reqwest::Url>,
    /// Connect again when the connection is lost or refused.
    #[arg(long)]
    reconnect: bool,
    /// Milliseconds between the starts of two publishers.
    #[arg(long, default_value_t = 20)]
    stagger: u64,
    /// Width and height of the picture made here, multiples of 16.
    #[arg(long, default_value = "320x176", value_parser = size)]
    size: (u32, u32),
    /// Its frames a second.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Its seconds from keyframe to keyframe.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    gop: u32,
    /// Its bit/s.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(..=100_000_000))]
    bitrate: u32,
    /// Print one JSON object at the end, and no progress.
    #[arg(long)]
    json: bool,
}

/// Reads `WIDTHxHEIGHT` of a picture that can be made here.
pub(crate) fn size(text: &str) -> Result<(u32, u32), String> {
    let (w, h) = text.split_once('x').ok_or("give WIDTHxHEIGHT")?;
    let side = |s: &str| s.parse().ok().filter(|n| n % 16 == 0 && (16..=1920).contains(n));
    side(w).zip(side(h)).ok_or_else(|| "give multiples of 16 up to 1920".to_owned())
}

/// What all publishers count together.
#[derive(Debug, Default)]
struct Progress {
    live: AtomicUsize,
    bytes: AtomicU64,
}

/// Publishes and reports; `Ok(true)` when no publisher failed.
///
/// # Errors
/// When the clip or a URL cannot be used.
pub(crate) async fn run(o: Options) -> Result<bool> {
    ensure!((1..=MAX_COUNT).contains(&o.count), "--count must be 1 to {MAX_COUNT}");
    let clip = Arc::new(clip(&o)?);
    let until = (o.seconds > 0).then(|| Instant::now() + Duration::from_secs(o.seconds));
    let progress = Arc::new(Progress::default());
    let (interrupt, interrupted) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for n in 0..o.count {
        let publisher = Publisher {
            n,
            target: target(&o, n).await?,
            clip: Arc::clone(&clip),
            until,
            interrupted: interrupted.clone(),
            reconnect: o.reconnect,
            progress: Arc::clone(&progress),
        };
        tasks.spawn(publisher.run());
        sleep(Duration::from_millis(if n + 1 < o.count { o.stagger } else { 0 })).await;
    }
    let shown = (!o.json).then(|| tokio::spawn(report::show(Arc::clone(&progress), o.count)));
    let rows = collect(tasks, &interrupt).await?;
    if let Some(task) = shown {
        task.abort();
    }
    report::print(&rows, o.json)?;
    Ok(rows.iter().all(|r| r.error.is_none()))
}

/// All rows; an interrupt ends the publishers that still run.
async fn collect(mut tasks: JoinSet<Row>, interrupt: &watch::Sender<bool>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    loop {
        tokio::select! {
            row = tasks.join_next() => match row {
                Some(row) => rows.push(row.context("a publisher")?),
                None => break,
            },
            Ok(()) = tokio::signal::ctrl_c() => {
                interrupt.send_replace(true);
            }
        }
    }
    rows.sort_by_key(|r| r.n);
    Ok(rows)
}

fn clip(o: &Options) -> Result<Clip> {
    if let Some(path) = &o.file {
        let file = std::fs::read(path).with_context(|| path.display().to_string())?;
        return flv::read(&file.into()).with_context(|| path.display().to_string());
    }
    let (width, height) = o.size;
    Ok(generate(Picture { width, height, fps: o.fps, gop: o.gop, bitrate: o.bitrate }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Minted {
    publish_url: String,
}

async fn target(o: &Options, n: usize) -> Result<Target> {
    let url = o.url.replace("{n}", &n.to_string());
    if let Some(api) = &o.api {
        let t = Target::parse(&url, n)?;
        let path = if t.name.is_empty() { t.app } else { format!("{}/{}", t.app, t.name) };
        let body = serde_json::json!({ "streamKey": path.strip_prefix("live/").unwrap_or(&path) });
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer =
            client.post(api.join("/api/v1/publish")?).json(&body).send().await?.error_for_status()?;
        return Target::parse(&answer.json::<Minted>().await?.publish_url, n);
    }
    match &o.token {
        Some(t) => Target::parse(&format!("{url}{}token={t}", if url.contains('?') { '&' } else { '?' }), n),
        None => Target::parse(&url, n),
    }
}
