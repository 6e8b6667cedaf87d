//! `check URL`: plays a stream as a low-latency and as a plain player and judges what the server does, clause by clause.
//!
//! The clauses are those of a good HLS origin (draft-pantos-hls-rfc8216bis, Apple's authoring specification and what
//! players need); docs/operations.md lists them.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use reqwest::Url;
use serde::Serialize;
use tokio::sync::mpsc;

mod attributes;
mod boxes;
pub(crate) mod fetch;
mod finding;
mod follow;
mod lint_media;
mod lint_playlist;
mod lint_reply;
mod lint_update;
mod media;
pub(crate) mod multivariant;
pub(crate) mod playlist;
mod probes;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod timing;

use self::{
    fetch::Fetcher,
    finding::{Counted, Finding, Findings},
    follow::{Followed, Jobs, Style, first_playlist, follow},
    lint_reply::{Asked, lint_reply},
    media::{Fetched, fetch_all},
    multivariant::{Multivariant, lint_multivariant},
    playlist::Media,
    timing::percentile,
};

/// Media jobs waiting for the fetcher: a whole window of segments and parts. More are counted and dropped.
const JOBS: usize = 512;

/// Options of `check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The multivariant or media playlist, http:// only.
    url: Url,
    /// How long to watch.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// HTTP/2 by prior knowledge, not HTTP/1.1.
    #[arg(long)]
    h2c: bool,
}

/// Everything that was seen.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    seconds: f64,
    playlists: u64,
    parts: u64,
    segments: u64,
    gaps: u64,
    bytes: u64,
    /// Segments compared byte for byte with their parts.
    compared: u64,
    /// Forward jumps of decode time by more than a frame.
    jumps: u64,
    /// Resources listed faster than they could be fetched.
    skipped: u64,
    ended: bool,
    part_interval_ms: Option<Spread>,
    /// From the end of the newest part, by PROGRAM-DATE-TIME, to its listing here; clocks must agree.
    age_ms: Option<Spread>,
    findings: Vec<Counted>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    fn of(samples: &[f64]) -> Option<Self> {
        Some(Self {
            p50: percentile(samples, 0.5)?,
            p99: percentile(samples, 0.99)?,
            max: percentile(samples, 1.0)?,
        })
    }
}

/// Watches and reports; `Ok(true)` when nothing was found.
///
/// # Errors
/// When the URL never gave a playlist, or the report cannot be printed.
pub(crate) async fn run(o: Options) -> Result<bool> {
    let started = Instant::now();
    let fetcher = Fetcher::new(o.h2c)?;
    let mut findings = Findings::default();
    let (urls, multivariant) = media_playlists(&fetcher, &o.url, &mut findings).await?;
    let promised = multivariant.as_ref().is_some_and(|m| m.independent_segments);
    let until = started + Duration::from_secs(o.seconds.max(1));
    let mut tasks = tokio::task::JoinSet::new();
    for url in urls {
        let fetcher = fetcher.clone();
        tasks.spawn(async move { watch(&fetcher, url, promised, until).await });
    }
    let mut total = Watched::default();
    while let Some(w) = tasks.join_next().await {
        let w = w.context("watching a playlist")??;
        findings.extend_counted(total.add(w));
    }
    if multivariant.is_some() && !promised && total.media.segments > 0 && total.media.dependent == 0 {
        findings.add(Finding::new(29, "EXT-X-INDEPENDENT-SEGMENTS is missing", o.url.path()));
    }
    let report = report(&o, started, &total, findings);
    print(&report, o.json)?;
    Ok(report.findings.is_empty())
}

/// The media playlists behind a URL, and what is wrong with the multivariant one. Without one the URL is the playlist.
async fn media_playlists(
    fetcher: &Fetcher,
    url: &Url,
    findings: &mut Findings,
) -> Result<(Vec<Url>, Option<Multivariant>)> {
    let reply = first_playlist(fetcher, url).await?;
    let Some(m) = Multivariant::parse(&reply.text()) else { return Ok((vec![url.clone()], None)) };
    findings.extend(lint_reply(&reply, Asked::Multivariant, 0));
    findings.extend(lint_multivariant(&m));
    let urls = m.playlists().into_iter().map(|u| url.join(u)).collect::<Result<_, _>>()?;
    Ok((urls, Some(m)))
}

#[derive(Default)]
struct Watched {
    blocking: Followed,
    polling: Followed,
    media: Fetched,
    probes: Vec<Finding>,
}

impl Watched {
    /// Adds the numbers of another rendition; gives back its findings.
    fn add(&mut self, o: Self) -> Vec<Counted> {
        let mut all = o.blocking.findings;
        all.extend(o.probes);
        let mut list = all.sorted();
        list.extend(o.polling.findings.sorted());
        list.extend(o.media.findings.sorted());
        self.blocking.playlists += o.blocking.playlists + o.polling.playlists;
        self.blocking.skipped += o.blocking.skipped;
        self.blocking.ended |= o.blocking.ended;
        self.blocking.timing.part_intervals.extend(o.blocking.timing.part_intervals);
        self.blocking.timing.ages.extend(o.blocking.timing.ages);
        self.media.parts += o.media.parts;
        self.media.segments += o.media.segments;
        self.media.gaps += o.media.gaps;
        self.media.bytes += o.media.bytes;
        self.media.compared += o.media.compared;
        self.media.jumps += o.media.jumps;
        self.media.dependent += o.media.dependent;
        list
    }
}

async fn watch(fetcher: &Fetcher, url: Url, promised: bool, until: Instant) -> Result<Watched> {
    let first = first_playlist(fetcher, &url).await?;
    let media = Media::parse(&first.text()).with_context(|| format!("{} is no playlist", first.place()))?;
    let (queue, receiver) = mpsc::channel(JOBS);
    let fetching = tokio::spawn(fetch_all(fetcher.clone(), Arc::new(url.clone()), receiver));
    let (blocking, polling, probes) = tokio::join!(
        follow(fetcher, &url, Style::Blocking, Some(Jobs { queue, promised }), until),
        follow(fetcher, &url, Style::Polling, None, until),
        probes::probe(fetcher, &url, &media),
    );
    let media = fetching.await.context("fetching media")?;
    Ok(Watched { blocking, polling, media, probes })
}

fn report(o: &Options, started: Instant, w: &Watched, findings: Findings) -> Report {
    Report {
        url: o.url.to_string(),
        seconds: started.elapsed().as_secs_f64(),
        playlists: w.blocking.playlists,
        parts: w.media.parts,
        segments: w.media.segments,
        gaps: w.media.gaps,
        bytes: w.media.bytes,
        compared: w.media.compared,
        jumps: w.media.jumps,
        skipped: w.blocking.skipped,
        ended: w.blocking.ended,
        part_interval_ms: Spread::of(&w.blocking.timing.part_intervals),
        age_ms: Spread::of(&w.blocking.timing.ages),
        findings: findings.sorted(),
    }
}

fn print(r: &Report, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, r)?;
        return Ok(writeln!(out)?);
    }
    for c in &r.findings {
        writeln!(out, "{} (seen {}x)", c.finding, c.count)?;
    }
    writeln!(
        out,
        "{} playlists, {} parts, {} segments ({} compared with their parts), {} gaps, {} jumps, {} bytes in {:.0} s",
        r.playlists, r.parts, r.segments, r.compared, r.gaps, r.jumps, r.bytes, r.seconds
    )?;
    for (name, spread) in [("part interval", r.part_interval_ms), ("age of the newest part", r.age_ms)] {
        if let Some(s) = spread {
            writeln!(out, "{name}: p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms", s.p50, s.p99, s.max)?;
        }
    }
    writeln!(out, "{} findings", r.findings.len())?;
    Ok(())
}
