//! ffprobe and ffmpeg as independent players.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::Child;

/// ffmpeg 5 reads the init section of any live fMP4 playlist again after each reload, and says so.
const HARMLESS: &str = "Found duplicated MOOV Atom. Skipped it";

/// What ffprobe finds in a stream.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The whole answer.
    pub json: Value,
}

impl Probe {
    /// Codec names by type (`video`, `audio`).
    pub fn codec(&self, kind: &str) -> Option<String> {
        let streams = self.json["streams"].as_array()?;
        let stream = streams.iter().find(|s| s["codec_type"] == kind)?;
        stream["codec_name"].as_str().map(ToOwned::to_owned)
    }
}

async fn output(name: &'static str, command: &mut Command, limit: Duration) -> Result<(String, String)> {
    let mut child = Child::start(name, command)?;
    let mut lines = child.lines()?;
    let reading = async {
        let mut out = String::new();
        while let Some(line) = lines.next_line().await? {
            out.push_str(&line);
            out.push('\n');
        }
        anyhow::Ok(out)
    };
    let out = tokio::time::timeout(limit, reading)
        .await
        .with_context(|| format!("{name} takes over {limit:?}"))??;
    let status = child.end(limit).await?;
    let log = child.log();
    ensure!(status == Some(0), "{name} ended with {status:?}: {log}");
    Ok((out, log))
}

/// Streams and format of a URL or file.
///
/// # Errors
/// When ffprobe says anything of level error.
pub async fn probe(url: &str) -> Result<Probe> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json", "-show_streams", "-show_format"]).arg(url);
    let (out, log) = output("ffprobe", &mut command, Duration::from_secs(30)).await?;
    ensure!(log.trim().is_empty(), "ffprobe complains: {log}");
    Ok(Probe { json: serde_json::from_str(&out)? })
}

/// Plays `seconds` of a URL or file to its end, whatever ffmpeg says meanwhile; its log, each line with its level.
///
/// # Errors
/// When it cannot go on, or takes far longer than the media.
pub async fn play(url: &str, seconds: u32, arguments: &[&str]) -> Result<String> {
    play_with(url, seconds, &[], arguments).await
}

async fn play_with(url: &str, seconds: u32, input: &[&str], arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]).args(input);
    command.args(["-i", url, "-t", &seconds.to_string()]).args(arguments);
    // Frames keep their times: a guessed frame rate would make two of them one, and an error of that.
    command.args(["-fps_mode", "vfr", "-f", "null", "-"]);
    let limit = Duration::from_secs(u64::from(seconds) + 40);
    Ok(output("ffmpeg player", &mut command, limit).await?.1)
}

/// Plays like [`play`], and makes sure that nothing was said at level warning or above.
///
/// # Errors
/// As [`play`], and with what ffmpeg complains of.
pub async fn decode(url: &str, seconds: u32, arguments: &[&str]) -> Result<String> {
    content(play(url, seconds, arguments).await?)
}

/// Plays like [`decode`], with options of the input (`-ca_file`, …).
///
/// # Errors
/// As [`decode`].
pub async fn decode_with(url: &str, seconds: u32, input: &[&str]) -> Result<String> {
    content(play_with(url, seconds, input, &[]).await?)
}

/// The log, if nothing in it is a complaint.
fn content(log: String) -> Result<String> {
    let bad: Vec<&str> = log
        .lines()
        .filter(|l| l.contains("[warning]") || l.contains("[error]") || l.contains("[fatal]"))
        .filter(|l| !l.contains(HARMLESS))
        .collect();
    ensure!(bad.is_empty(), "ffmpeg complains: {}", bad.join("\n"));
    Ok(log)
}
