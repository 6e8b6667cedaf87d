//! What publishers did: a line of progress each second, a table at the end.

use std::{
    io::Write,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;

use super::Progress;

/// One publisher's sum.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) n: usize,
    /// Without its query.
    pub(crate) url: String,
    pub(crate) seconds: f64,
    pub(crate) tags: u64,
    pub(crate) bytes: u64,
    pub(crate) reconnects: u32,
    /// Milliseconds that a tag left later than it was due: this process or the server was too slow.
    pub(crate) max_late_ms: u64,
    /// Why it ended, unless its time was over.
    pub(crate) error: Option<String>,
}

impl Row {
    /// Counts a tag that was sent.
    pub(crate) fn sent(&mut self, bytes: u64, late: Duration) {
        self.tags += 1;
        self.bytes += bytes;
        self.max_late_ms = self.max_late_ms.max(late.as_millis() as u64);
    }
}

/// Writes progress to stderr each second until it is aborted.
pub(crate) async fn show(p: Arc<Progress>, count: usize) {
    let mut before = 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let bytes = p.bytes.load(Ordering::Relaxed);
        let live = p.live.load(Ordering::Relaxed);
        let rate = (bytes - before) as f64 * 8e-6;
        before = bytes;
        let _ = writeln!(std::io::stderr(), "{live} of {count} publishing, {rate:.1} Mbit/s");
    }
}

/// Prints the table, or all rows as JSON.
pub(crate) fn print(rows: &[Row], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &serde_json::json!({ "publishers": rows }))?;
        return Ok(writeln!(out)?);
    }
    writeln!(
        out,
        "{:>5} {:>8} {:>9} {:>13} {:>5} {:>8}  end",
        "n", "seconds", "tags", "bytes", "again", "late ms"
    )?;
    for r in rows {
        let end = r.error.as_deref().unwrap_or("ok");
        writeln!(
            out,
            "{:>5} {:>8.1} {:>9} {:>13} {:>5} {:>8}  {end} {}",
            r.n, r.seconds, r.tags, r.bytes, r.reconnects, r.max_late_ms, r.url
        )?;
    }
    let failed = rows.iter().filter(|r| r.error.is_some()).count();
    writeln!(out, "{} publishers, {failed} failed", rows.len())?;
    Ok(())
}
