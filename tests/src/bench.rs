//! `rapidrtmp-bench check` as a judge.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::{Child, wait::binary};

/// The checker's report.
#[derive(Clone, Debug)]
pub struct Check {
    /// Exit status: 0 clean, 1 findings.
    pub status: Option<i32>,
    /// The JSON report.
    pub report: Value,
}

impl Check {
    /// A number of the report.
    pub fn number(&self, name: &str) -> f64 {
        self.report[name].as_f64().unwrap_or(f64::NAN)
    }

    /// The findings as the command line prints them.
    pub fn findings(&self) -> Vec<String> {
        let list = self.report["findings"].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|f| format!("clause {}: {} ({}x), {}", f["clause"], f["what"], f["count"], f["where"]))
            .collect()
    }
}

/// Watches a playlist for `seconds`.
///
/// # Errors
/// When the checker gives no report.
pub async fn check(url: &str, seconds: u64) -> Result<Check> {
    let mut command = Command::new(binary("rapidrtmp-bench"));
    command.args(["check", url, "--json", "--seconds", &seconds.to_string()]);
    let mut child = Child::start("rapidrtmp-bench", &mut command)?;
    let mut lines = child.lines()?;
    let limit = Duration::from_secs(seconds + 60);
    let line = tokio::time::timeout(limit, lines.next_line()).await.context("the checker hangs")??;
    let status = child.end(Duration::from_secs(10)).await?;
    let line = line.with_context(|| format!("no report: {}", child.log()))?;
    Ok(Check { status, report: serde_json::from_str(&line)? })
}

/// Publishes to one URL from `count` publishers at once, all with the same token; the JSON report.
///
/// # Errors
/// When there is no report.
pub async fn publish_many(url: &str, token: &str, count: u32, seconds: u64) -> Result<Value> {
    let mut command = Command::new(binary("rapidrtmp-bench"));
    command.args(["publish", url, "--token", token, "--json", "--stagger", "0"]);
    command.args(["--count", &count.to_string(), "--seconds", &seconds.to_string()]);
    let mut child = Child::start("rapidrtmp-bench", &mut command)?;
    let mut lines = child.lines()?;
    let limit = Duration::from_secs(seconds + 30);
    let line = tokio::time::timeout(limit, lines.next_line()).await.context("the publishers hang")??;
    child.end(Duration::from_secs(10)).await?;
    Ok(serde_json::from_str(&line.with_context(|| format!("no report: {}", child.log()))?)?)
}
