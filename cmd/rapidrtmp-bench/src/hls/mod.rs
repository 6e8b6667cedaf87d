//! `hls`: any number of viewers of one stream, low-latency or plain, who verify that all are given the same.
//!
//! Each viewer is a player with a connection of its own (HTTP/1.1, kept alive) and a buffer that real time drains. It
//! joins as far behind live as the playlist asks for, then takes every part, or segment, in order. Parts are fetched
//! when they are listed, as hls.js does; `latency` measures hinted ones.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use reqwest::Url;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

mod buffer;
mod objects;
mod plan;
mod report;
mod viewer;

use self::{
    objects::Objects,
    report::Report,
    viewer::{Style, Tally, Viewer},
};

/// Viewers in one process: as many as one address has ports for, with room.
const MAX_VIEWERS: i64 = 20_000;

/// Options of `hls`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The multivariant or media playlist, http:// only; of several variants the first is watched.
    url: Url,
    /// Viewers; each needs an open file (`ulimit -n`).
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_VIEWERS))]
    viewers: u32,
    /// Watch parts by blocking reload; without --ll and --plain only where the playlist has parts.
    #[arg(long, conflicts_with = "plain")]
    ll: bool,
    /// Watch whole segments by polling.
    #[arg(long)]
    plain: bool,
    /// How long to watch, from the first viewer on.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Milliseconds between two viewers' joining.
    #[arg(long, default_value_t = 1)]
    stagger: u64,
    /// Print one JSON object at the end, and no progress.
    #[arg(long)]
    json: bool,
}

/// What all viewers share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    objects: Objects,
    playing: AtomicU64,
    media: AtomicU64,
    bytes: AtomicU64,
    stalls: AtomicU64,
    errors: AtomicU64,
}

/// Watches and reports; `Ok(true)` when every viewer got the same media without a failure.
///
/// # Errors
/// When a client cannot be made or the report cannot be printed.
pub(crate) async fn run(o: Options) -> Result<bool> {
    let started = Instant::now();
    let until = started + Duration::from_secs(o.seconds);
    let shared = Arc::new(Shared::default());
    let shown = (!o.json).then(|| tokio::spawn(show(Arc::clone(&shared), o.viewers)));
    let style = match (o.ll, o.plain) {
        (true, _) => Style::LowLatency,
        (_, true) => Style::Plain,
        _ => Style::Offered,
    };
    let mut viewers = JoinSet::new();
    for n in 0..o.viewers {
        if Instant::now() >= until {
            break;
        }
        let viewer = Viewer::new(o.url.clone(), style, Arc::clone(&shared))?;
        viewers.spawn(view(viewer, until));
        sleep(Duration::from_millis(if n + 1 < o.viewers { o.stagger } else { 0 })).await;
    }
    let mut tallies = Vec::new();
    while let Some(tally) = viewers.join_next().await {
        tallies.push(tally.context("a viewer")?);
    }
    if let Some(task) = shown {
        task.abort();
    }
    let mut url = o.url;
    url.set_query(None);
    let report = Report::of(url.to_string(), started.elapsed().as_secs_f64(), tallies);
    report.print(o.json)?;
    Ok(report.is_good())
}

async fn view(mut viewer: Viewer, until: Instant) -> Tally {
    // Its time being over is how most viewers end.
    let _ = timeout_at(until, viewer.watch()).await;
    viewer.finish()
}

/// Writes progress to stderr each second until it is aborted.
async fn show(s: Arc<Shared>, viewers: u32) {
    let mut before = 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let bytes = count(&s.bytes);
        let rate = (bytes - before) as f64 * 8e-6;
        before = bytes;
        let _ = writeln!(
            std::io::stderr(),
            "{} of {viewers} playing, {} parts or segments, {rate:.1} Mbit/s, {} stalls, {} errors",
            count(&s.playing),
            count(&s.media),
            count(&s.stalls),
            count(&s.errors)
        );
    }
}
