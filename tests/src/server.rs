//! The server under test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{Api, Child, wait::binary};

/// The first line must be there within this, on a busy machine too.
const START: Duration = Duration::from_secs(15);

/// Settings of a server, as environment variables over the harness's own.
#[derive(Clone, Debug, Default)]
pub struct Options {
    variables: Vec<(String, String)>,
    open_files: Option<u32>,
}

impl Options {
    /// With one more variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so many file descriptors and no more.
    #[must_use]
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// The program, with its descriptors limited if they are.
    fn command(&self) -> Command {
        let program = binary("rapidrtmp");
        let Some(limit) = self.open_files else { return Command::new(program) };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(program);
        command
    }

    /// With publishing under `open/` free of tokens.
    #[must_use]
    pub fn open() -> Self {
        Self::default().set("RAPIDRTMP__AUTH__OPEN_PUBLISH", "open/*")
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(self) -> Result<Server> {
        Server::on(tempfile::tempdir()?, self).await
    }
}

/// A running server with folders of its own.
pub struct Server {
    /// The process.
    pub child: Child,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    /// Where it takes RTMP.
    pub rtmp: SocketAddr,
    /// Where it serves HTTPS, if it does.
    pub https: Option<SocketAddr>,
    /// Where it takes RTMPS, if it does.
    pub rtmps: Option<SocketAddr>,
    folder: Option<TempDir>,
    options: Options,
}

impl Server {
    /// One on its defaults, but for folders and ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        Options::default().start().await
    }

    async fn on(folder: TempDir, options: Options) -> Result<Self> {
        let mut command = options.command();
        command
            .arg("serve")
            .current_dir(folder.path())
            .env("HTTP_ADDR", "127.0.0.1:0")
            .env("RTMP_ADDR", "127.0.0.1:0")
            .env("STORAGE_DIR", folder.path().join("streams"))
            .env("STATE_DIR", folder.path().join("state"))
            .envs(options.variables.iter().cloned());
        let mut child = Child::start("rapidrtmp", &mut command)?;
        let mut lines = child.lines()?;
        let first = tokio::time::timeout(START, lines.next_line()).await.context("no line on stdout")??;
        let Some(first) = first else {
            child.end(START).await?;
            anyhow::bail!("the server ended: {}", child.log());
        };
        let address = |name: &str| -> Result<Option<SocketAddr>> {
            let value = first.split_whitespace().find_map(|w| w.strip_prefix(name));
            value.map(str::parse).transpose().with_context(|| first.clone())
        };
        let (http, rtmp) = (address("http=")?.context("http=")?, address("rtmp=")?.context("rtmp=")?);
        let (https, rtmps) = (address("https=")?, address("rtmps=")?);
        anyhow::ensure!(first.starts_with("listening "), "first line: {first}");
        Ok(Self { child, http, rtmp, https, rtmps, folder: Some(folder), options })
    }

    /// Stops it in good form, waits for its end and starts it again on the same folders.
    ///
    /// # Errors
    /// When it does not stop within its drain time or does not come up.
    pub async fn restart(mut self) -> Result<Self> {
        let status = self.stop().await?;
        anyhow::ensure!(status == Some(0), "a clean stop ends with 0, not {status:?}");
        let folder = self.folder.take().context("the folder is kept")?;
        Self::on(folder, self.options.clone()).await
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<Option<i32>> {
        self.child.signal("TERM").await?;
        self.child.end(Duration::from_secs(15)).await
    }

    /// The folder that holds `streams` and `state`.
    ///
    /// # Panics
    /// Never while the server lives.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("only restart() takes it").path()
    }

    /// The storage folder.
    pub fn storage(&self) -> PathBuf {
        self.folder().join("streams")
    }

    /// An HTTP URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// An RTMP URL.
    pub fn rtmp_url(&self, path: &str) -> String {
        format!("rtmp://{}{path}", self.rtmp)
    }

    /// An HTTPS URL, by the name that the test's certificates have.
    pub fn https_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https.map_or(0, |a| a.port()))
    }

    /// An RTMPS URL, by the same name.
    pub fn rtmps_url(&self, path: &str) -> String {
        format!("rtmps://localhost:{}{path}", self.rtmps.map_or(0, |a| a.port()))
    }

    /// Its API.
    pub fn api(&self) -> Api {
        Api::new(self.url(""))
    }
}
