//! Players that nobody here wrote start on a stream that is one segment old, and decode it.

use std::time::Duration;

use anyhow::Result;
use e2e::{Child, Encoder, Options, Publishing, Server, eventually, fetch};
use tokio::process::Command;

const LIVE: Duration = Duration::from_secs(20);
/// Two seconds of media and the start of a program.
const STARTS: Duration = Duration::from_secs(20);

/// A server and a publisher whose first segment has just been listed; the URL that plays it.
async fn one_segment_old() -> Result<(Server, Publishing, String)> {
    let server = Options::open().start().await?;
    let publishing = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    let listed = eventually("a segment", LIVE, || async {
        fetch(&media).await.ok().flatten().map(|p| p.segments().len()).filter(|n| *n > 0)
    })
    .await;
    assert_eq!(listed, 1, "the stream is older");
    let url = server.url("/open/x/index.m3u8");
    Ok((server, publishing, url))
}

/// Runs a player that ends by itself after so many pictures of a stream that does not end.
async fn plays(name: &'static str, command: &mut Command) -> Result<String> {
    let mut player = Child::start(name, command)?;
    let mut lines = player.lines()?;
    let words = tokio::spawn(async move {
        let mut all = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            all.push_str(&line);
            all.push('\n');
        }
        all
    });
    let status = player.end(STARTS).await?;
    let words = words.await?;
    assert_eq!(status, Some(0), "{name}: {}{words}", player.log());
    Ok(words)
}

#[tokio::test]
async fn ffmpeg_starts_on_one_segment() -> Result<()> {
    let (_server, _publishing, url) = one_segment_old().await?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-i", &url, "-frames:v", "60", "-progress", "pipe:1"]);
    let words = plays("ffmpeg", ffmpeg.args(["-f", "null", "-"])).await?;
    assert!(words.contains("frame=60\n"), "{words}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs players that make test does not install: make test-long"]
async fn mpv_starts_on_one_segment() -> Result<()> {
    let (_server, _publishing, url) = one_segment_old().await?;
    let mut mpv = Command::new("mpv");
    mpv.args(["--no-config", "--vo=null", "--ao=null", "--frames=60", "--no-terminal"]);
    plays("mpv", mpv.arg(&url)).await?;
    Ok(())
}

/// VLC transcodes what it decoded into a file, which ffprobe counts.
#[tokio::test]
#[ignore = "needs players that make test does not install: make test-long"]
async fn vlc_starts_on_one_segment() -> Result<()> {
    let (_server, _publishing, url) = one_segment_old().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("seen.ts");
    // VLC does not run as root.
    let mut chmod = Command::new("chmod");
    anyhow::ensure!(chmod.arg("0777").arg(folder.path()).status().await?.success());
    let root = std::process::Command::new("id").arg("-u").output()?.stdout == b"0\n";
    let mut vlc = Command::new(if root { "runuser" } else { "cvlc" });
    if root {
        vlc.args(["-u", "nobody", "--", "cvlc"]);
    }
    let out = format!(
        "#transcode{{vcodec=mp2v,vb=800,acodec=none}}:std{{access=file,mux=ts,dst={}}}",
        file.display()
    );
    vlc.args(["-I", "dummy", "--no-color", "--sout", &out, "--run-time=6", &url, "vlc://quit"]);
    plays("vlc", vlc.env("HOME", folder.path())).await?;
    let mut count = Command::new("ffprobe");
    count.args(["-v", "error", "-count_frames", "-select_streams", "v", "-of", "csv=p=0"]);
    let seen = count.args(["-show_entries", "stream=nb_read_frames"]).arg(&file).output().await?;
    let seen = String::from_utf8_lossy(&seen.stdout)
        .lines()
        .next()
        .and_then(|n| n.trim_matches(',').parse::<u32>().ok());
    assert!(seen.is_some_and(|n| n > 60), "{seen:?} pictures");
    Ok(())
}
