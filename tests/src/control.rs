//! The control stream: it runs beside an attack or a fault, and must not notice.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use reqwest::Client;
use tokio::{process::Command, task::JoinHandle};

use crate::{Child, Server, eventually, fetch, wait::binary};

/// The default PART-TARGET; others OK means that p99 of the intervals between parts stays below twice this.
const PART_TARGET: Duration = Duration::from_millis(210);
/// A stream has its first part within this, on a busy machine too.
const START: Duration = Duration::from_secs(15);

/// A publisher on `open/control`, and a viewer that reads every part of it the moment that it is listed.
pub struct Control {
    publisher: Child,
    viewer: JoinHandle<Result<()>>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

/// How parts came.
#[derive(Clone, Debug)]
pub struct Cadence {
    /// Parts read.
    pub parts: usize,
    /// 99th percentile (nearest rank) of the time from part to part.
    pub p99: Duration,
    /// The longest of these times.
    pub longest: Duration,
}

impl Control {
    /// Begins, once the viewer reads parts. The server must let `open/*` publish.
    ///
    /// # Errors
    /// When the stream does not begin.
    pub async fn start(server: &Server) -> Result<Self> {
        let mut command = Command::new(binary("rapidrtmp-bench"));
        command.args(["publish", &server.rtmp_url("/open/control"), "--json"]);
        let publisher = Child::start("the control stream", &mut command)?;
        let media = server.url("/open/control/media.m3u8");
        let hint = eventually("the control stream's first part", START, || async {
            // A plain request would wait for the first segment.
            let playlist = fetch(&format!("{media}?_HLS_msn=0")).await.ok().flatten()?;
            Some(playlist.tag("EXT-X-PRELOAD-HINT")?.split_once("URI=\"part_")?.1.to_owned())
        })
        .await;
        let name = hint.strip_suffix(".m4s\"").with_context(|| hint.clone())?;
        let (epoch, seq) = name.split_once('_').with_context(|| hint.clone())?;
        let (base, seq) = (server.url(&format!("/open/control/part_{epoch}_")), seq.parse()?);
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let viewer = tokio::spawn(watch(base, seq, Arc::clone(&arrivals)));
        let seen = Arc::clone(&arrivals);
        eventually("the control stream's viewer", START, || async {
            (!seen.lock().is_empty()).then_some(())
        })
        .await;
        Ok(Self { publisher, viewer, arrivals })
    }

    /// Parts read so far.
    pub fn parts(&self) -> usize {
        self.arrivals.lock().len()
    }

    /// Waits for so many more parts.
    ///
    /// # Errors
    /// When the viewer was refused one.
    pub async fn more(&mut self, parts: usize) -> Result<()> {
        let wanted = self.parts() + parts;
        while self.parts() < wanted {
            tokio::select! {
                over = &mut self.viewer => over??,
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
        Ok(())
    }

    /// Ends it; how it went, from the first part on.
    ///
    /// # Errors
    /// When its publisher was disconnected or its viewer was refused a part.
    pub async fn finish(mut self) -> Result<Cadence> {
        ensure!(!self.publisher.has_ended(), "the control stream was cut off: {}", self.publisher.log());
        ensure!(!self.viewer.is_finished(), "the viewer ended: {:?}", self.viewer.await);
        self.viewer.abort();
        let now = Instant::now();
        self.publisher.signal("INT").await?;
        self.publisher.end(Duration::from_secs(10)).await?;
        let mut arrivals = self.arrivals.lock().clone();
        // A part that is overdue counts as if it came now.
        arrivals.push(now);
        let mut between: Vec<Duration> = arrivals.windows(2).map(|w| w[1] - w[0]).collect();
        between.sort();
        let rank = (between.len() * 99).div_ceil(100);
        let longest = *between.last().context("no part came")?;
        Ok(Cadence { parts: between.len(), p99: between[rank - 1], longest })
    }
}

impl Cadence {
    /// "Others OK" of the faults' list.
    ///
    /// # Panics
    /// When it is not.
    pub fn assert_kept(&self) {
        assert!(self.parts >= 10, "{self:?}");
        assert!(self.p99 < 2 * PART_TARGET, "{self:?}");
    }
}

/// Reads part after part; each request is held until its part is there.
async fn watch(base: String, first: u64, arrivals: Arc<Mutex<Vec<Instant>>>) -> Result<()> {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    for seq in first.. {
        let answer = client.get(format!("{base}{seq}.m4s")).send().await?;
        ensure!(answer.status() == 200, "part {seq}: {}", answer.status());
        let bytes = answer.bytes().await?;
        ensure!(bytes.len() > 100, "part {seq} has {} bytes", bytes.len());
        arrivals.lock().push(Instant::now());
    }
    Ok(())
}
