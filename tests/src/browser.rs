//! Headless Chromium with hls.js or Shaka, driven by `tests/browser/play.mjs`.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::process::{ChildStdin, Command};

use crate::{Child, wait::workspace};

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The server's own player page.
    Player,
    /// An empty page with stock hls.js, whose default is low-latency mode.
    Stock,
    /// An empty page with stock Shaka, whose default is low-latency mode.
    Shaka,
}

/// The player's state, four times a second.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sample {
    /// Seconds since the page was opened.
    pub t: f64,
    /// The media element's position.
    pub current_time: f64,
    /// Seconds behind the live edge, as hls.js counts (stock page only).
    pub latency: Option<f64>,
    /// Seconds between the wall clock and the PROGRAM-DATE-TIME being played (stock page only).
    pub behind: Option<f64>,
    /// Pictures shown.
    pub frames: u64,
    /// Pictures dropped.
    pub dropped: u64,
    /// Mean brightness of the picture now, 0 to 255; 0 before there is one.
    pub luma: f64,
    /// Spread of brightness: near 0 for a flat picture.
    pub contrast: f64,
    /// Bytes of sound decoded.
    pub audio_bytes: u64,
    /// Seconds from the making of each picture shown since the last sample; empty unless the picture holds a clock
    /// ([`publish_clock`](crate::publish_clock)).
    pub glass: Vec<f64>,
    /// Fatal errors of the player so far.
    pub fatal: Vec<String>,
    /// Times the page was loaded.
    pub loads: u64,
}

/// A running browser. Closes when dropped.
pub struct Browser {
    child: Child,
    stdin: Option<ChildStdin>,
    samples: Arc<Mutex<Vec<Sample>>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Browser {
    /// Opens `url`: the page itself, or the playlist for [`Page::Stock`] and [`Page::Shaka`].
    ///
    /// # Errors
    /// When node cannot be started.
    pub fn open(page: Page, url: &str) -> Result<Self> {
        let root = workspace();
        let mut command = Command::new("node");
        command.current_dir(root.join("tests/browser")).arg("play.mjs");
        let mode = match page {
            Page::Player => "player",
            Page::Stock => "stock",
            Page::Shaka => "shaka",
        };
        command.arg(mode).arg(url);
        command.arg(root.join("assets/hls.min.js"));
        let mut child = Child::start("browser", &mut command)?;
        let stdin = child.stdin();
        let mut lines = child.lines()?;
        let samples = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&samples);
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(sample) = serde_json::from_str(&line) {
                    sink.lock().push(sample);
                }
            }
        });
        Ok(Self { child, stdin, samples, reader })
    }

    /// All samples so far.
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().clone()
    }

    /// The newest sample.
    pub fn now(&self) -> Sample {
        self.samples.lock().last().cloned().unwrap_or_default()
    }

    /// Waits until a sample satisfies `wanted`.
    ///
    /// # Errors
    /// After `limit`, with the newest sample and the log.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Sample) -> bool,
    ) -> Result<Sample> {
        let start = tokio::time::Instant::now();
        loop {
            let now = self.now();
            if wanted(&now) {
                return Ok(now);
            }
            let over = start.elapsed() > limit || self.child.has_ended();
            anyhow::ensure!(!over, "the browser within {limit:?}: {what}; now {now:?}\n{}", self.child.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Closes it and gives all samples.
    ///
    /// # Errors
    /// When it does not close.
    pub async fn close(mut self) -> Result<Vec<Sample>> {
        drop(self.stdin.take());
        self.child.end(Duration::from_secs(15)).await.context("closing the browser")?;
        self.reader.abort();
        Ok(self.samples())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script ends Chromium when its stdin closes; give it a moment before it is killed.
        if self.stdin.take().is_some() {
            for _ in 0..60 {
                if self.child.has_ended() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
