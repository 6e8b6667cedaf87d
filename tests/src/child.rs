//! A child process whose words are kept.

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{ChildStdin, ChildStdout, Command},
};

/// Log kept of one process; the rest is counted, not stored.
const MAX_LOG: usize = 512 << 10;

/// A running program. Dropping it kills it; if the test is failing, its log is shown.
pub struct Child {
    name: &'static str,
    process: tokio::process::Child,
    log: Arc<Mutex<String>>,
    reader: Option<tokio::task::JoinHandle<()>>,
}

impl Child {
    /// Starts a program with stdin and stdout piped, stderr kept.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = process.stderr.take().context("stderr is piped")?;
        let reader = Some(tokio::spawn(keep(stderr, Arc::clone(&log))));
        Ok(Self { name, process, log, reader })
    }

    /// Its stdout by lines; once.
    ///
    /// # Errors
    /// The second time.
    pub fn lines(&mut self) -> Result<Lines<BufReader<ChildStdout>>> {
        Ok(BufReader::new(self.process.stdout.take().context("stdout was taken")?).lines())
    }

    /// Its stdin; once. Dropping it closes the pipe.
    pub const fn stdin(&mut self) -> Option<ChildStdin> {
        self.process.stdin.take()
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Waits for its end; the exit status, if it has one. Its log is complete then.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub async fn end(&mut self, limit: Duration) -> Result<Option<i32>> {
        let status = tokio::time::timeout(limit, self.process.wait())
            .await
            .with_context(|| format!("{} still runs after {limit:?}", self.name))??;
        if let Some(reader) = self.reader.take() {
            // A grandchild may hold the pipe; what came within a second is enough.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        Ok(status.code())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }

    /// Its memory in use now (`VmRSS`), in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64> {
        let pid = self.process.id().with_context(|| format!("{} has ended", self.name))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| line.to_owned())?;
        Ok(kib << 10)
    }

    /// Sends a signal by name (`STOP`, `CONT`, `TERM`, `INT`, `KILL`).
    ///
    /// # Errors
    /// When it has ended or `kill` fails.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let pid = self.process.id().with_context(|| format!("{} has ended", self.name))?;
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().await?;
        anyhow::ensure!(status.success(), "kill -{name} {pid}");
        Ok(())
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        if std::thread::panicking() {
            let log = self.log.lock();
            let from = log.char_indices().rev().nth(6000).map_or(0, |(i, _)| i);
            let text = format!("--- {} said:\n{}\n---\n", self.name, &log[from..]);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
    }
}

async fn keep(stderr: impl AsyncRead + Unpin, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock();
        if log.len() < MAX_LOG {
            log.push_str(&line);
            log.push('\n');
        }
    }
}
