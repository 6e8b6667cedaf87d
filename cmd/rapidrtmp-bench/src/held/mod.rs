//! `held`: many connections that all wait for the same part's playlist, and how soon all of them have it.
//!
//! What a crowd of low-latency players does to an origin: each holds one blocking request (RFC 8216bis §6.2.5.2), and
//! one part answers them all. The figure is the time from the first answer to the last, this program's own work
//! included. With `--pid` it also tells what the answers cost the server and what a waiting connection takes of it.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use reqwest::Url;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

mod process;
mod report;
mod waiter;

use self::{
    process::Process,
    report::{Cost, Report},
    waiter::{Answer, Waiter},
};
use crate::check::{fetch::Fetcher, multivariant::Multivariant, playlist::Media};

/// Connections of one process: as many as one address has ports for, with room.
const MAX_CONNECTIONS: i64 = 20_000;
/// Parts between the one that was seen last and the one that is waited for: time enough to send all requests.
const AHEAD: usize = 3;
/// A round that takes longer than any server may hold a request has failed.
const ROUND: Duration = Duration::from_secs(40);

/// Options of `held`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The multivariant or media playlist of a running LL-HLS stream, http:// only; of several variants the first is
    /// taken.
    url: Url,
    /// Connections, each with one request; each needs an open file (`ulimit -n`).
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=MAX_CONNECTIONS))]
    connections: u32,
    /// Times that all wait and are answered.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The server's process on this machine, whose CPU and memory are to be told.
    #[arg(long)]
    pid: Option<u32>,
    /// Print one JSON object at the end, and no progress.
    #[arg(long)]
    json: bool,
}

/// Holds and reports; `Ok(true)` when every request was answered with what it waited for.
///
/// # Errors
/// The playlist cannot be watched, or connections cannot be made.
pub(crate) async fn run(o: Options) -> Result<bool> {
    let fetcher = Fetcher::player()?;
    let url = media_playlist(&fetcher, &o.url).await?;
    let process = o.pid.map(Process::new).transpose()?;
    let before = process.as_ref().map(Process::memory).transpose()?;
    let (ask, asked) = watch::channel(None);
    let mut waiters = JoinSet::new();
    let (answers, mut answered) = mpsc::channel(o.connections as usize);
    for _ in 0..o.connections {
        let waiter = Waiter::connect(&url).await.context("a connection could not be opened")?;
        waiters.spawn(waiter.run(asked.clone(), answers.clone()));
    }
    let mut report = Report::new(&o.url, o.connections, o.rounds);
    for n in 0..o.rounds {
        let next = ahead(&fetcher, &url).await?;
        let cpu = process.as_ref().map(Process::cpu).transpose()?;
        ask.send_replace(Some(next));
        sleep(Duration::from_millis(200)).await;
        if let (Some(p), Some(before)) = (&process, before) {
            report.memory_when_held(p.memory()?.saturating_sub(before));
        }
        let round = timeout(ROUND, collect(&mut answered, o.connections)).await;
        let round = round.with_context(|| format!("not all were answered in {ROUND:?}"))?;
        report.round(&round);
        if let (Some(p), Some(cpu)) = (&process, cpu) {
            report.cost(Cost { cpu: p.cpu()?.saturating_sub(cpu), answers: o.connections });
        }
        if !o.json {
            let _ = writeln!(std::io::stderr(), "round {} of {}: {}", n + 1, o.rounds, report.last());
        }
    }
    drop(ask);
    while waiters.join_next().await.is_some() {}
    report.print(o.json)?;
    Ok(report.is_good())
}

async fn collect(answered: &mut mpsc::Receiver<Answer>, connections: u32) -> Vec<Answer> {
    let mut round = Vec::with_capacity(connections as usize);
    while round.len() < connections as usize {
        match answered.recv().await {
            Some(answer) => round.push(answer),
            None => break,
        }
    }
    round
}

/// The media playlist behind `url`.
async fn media_playlist(fetcher: &Fetcher, url: &Url) -> Result<Url> {
    ensure!(url.scheme() == "http", "give an http:// URL");
    let reply = fetcher.get(url).await?;
    ensure!(reply.status == 200, "{} answers {}", url.path(), reply.status);
    let text = reply.text();
    let url = Url::parse(&reply.url)?;
    match Multivariant::parse(&text).as_ref().and_then(|m| m.variants.first()) {
        Some((_, uri)) => Ok(url.join(uri)?),
        None => Ok(url),
    }
}

/// A part a little ahead of the edge. A number past the last of its segment means the next segment's first (clause 19),
/// so any is good.
async fn ahead(fetcher: &Fetcher, url: &Url) -> Result<(u64, usize)> {
    let deadline = Instant::now() + ROUND;
    loop {
        let reply = fetcher.get(url).await?;
        let media = Media::parse(&reply.text()).context("no playlist")?;
        ensure!(!media.ended(), "the stream has ended");
        ensure!(media.control.as_ref().is_some_and(|c| c.can_block_reload), "no CAN-BLOCK-RELOAD");
        let (msn, part) = media.next();
        if part > 0 {
            return Ok((msn, part + AHEAD - 1));
        }
        if Instant::now() > deadline {
            bail!("the playlist has no parts");
        }
        sleep(Duration::from_millis(20)).await;
    }
}
