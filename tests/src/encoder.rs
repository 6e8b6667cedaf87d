//! ffmpeg as a publisher.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use tokio::process::Command;

use crate::{Child, wait::workspace};

const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf";

/// What Debian's ffmpeg sends in FLV.
const H264: &[&str] =
    &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "1M", "-sc_threshold", "0"];
const AAC: &[&str] = &["-c:a", "aac", "-b:a", "96k"];

/// What to encode: a moving test picture with a burned-in clock and a tone, in real time.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// Frames a second, as ffmpeg writes it (`30`, `30000/1001`).
    pub rate: &'static str,
    /// Frames from keyframe to keyframe.
    pub gop: u32,
    /// B-frames in a row.
    pub b_frames: u32,
    /// Pixels.
    pub size: &'static str,
    /// Stop after so many seconds.
    pub seconds: Option<u32>,
    /// With a picture.
    pub video: bool,
    /// With a tone.
    pub audio: bool,
    /// A white flash and a beep together at each full second, instead of test picture and tone.
    pub flash: bool,
    /// Audio samples a second.
    pub sample_rate: u32,
    /// The video encoder and its options.
    pub video_coding: &'static [&'static str],
    /// The audio encoder and its options.
    pub audio_coding: &'static [&'static str],
    /// As fast as frames come in, or faster.
    pub real_time: bool,
    /// With ffmpeg 9 (`make encoder`), which speaks Enhanced RTMP.
    pub enhanced: bool,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            rate: "30",
            gop: 60,
            b_frames: 0,
            size: "640x360",
            seconds: None,
            video: true,
            audio: true,
            flash: false,
            sample_rate: 48_000,
            video_coding: H264,
            audio_coding: AAC,
            real_time: true,
            enhanced: false,
        }
    }
}

/// ffmpeg 9 as `make encoder` installs it.
///
/// # Panics
/// When it is not there.
fn ffmpeg_9() -> PathBuf {
    let folder = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    folder(workspace().join("target/tools/lib"))
        .flat_map(|python| folder(python.join("site-packages/imageio_ffmpeg/binaries")))
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ffmpeg-")))
        .expect("ffmpeg 9 is missing: make encoder")
}

/// A running publisher.
pub struct Publishing {
    /// The ffmpeg process.
    pub child: Child,
}

impl Encoder {
    /// Publishes to an RTMP URL.
    ///
    /// # Errors
    /// When ffmpeg cannot be started.
    pub fn publish(&self, url: &str) -> Result<Publishing> {
        self.publish_with(url, &[])
    }

    /// Publishes with options of the RTMP output (`-rtmp_app`, `-rtmp_playpath`, …).
    ///
    /// # Errors
    /// When ffmpeg cannot be started.
    pub fn publish_with(&self, url: &str, output: &[&str]) -> Result<Publishing> {
        let mut command = if self.enhanced { Command::new(ffmpeg_9()) } else { Command::new("ffmpeg") };
        command.args(["-nostdin", "-hide_banner", "-loglevel", "warning"]);
        if self.real_time {
            command.arg("-re");
        }
        command.args(self.arguments()).args(["-f", "flv"]);
        if self.enhanced {
            command.args(["-rtmp_enhanced_codecs", "hvc1,av01,vp09"]);
        }
        command.args(output).arg(url);
        Ok(Publishing { child: Child::start("ffmpeg", &mut command)? })
    }

    fn arguments(&self) -> Vec<String> {
        let mut a = Vec::new();
        let mut put = |words: &[&str]| a.extend(words.iter().map(|w| (*w).to_owned()));
        if self.video {
            put(&["-f", "lavfi", "-i", &self.picture()]);
        }
        if self.audio {
            put(&["-f", "lavfi", "-i", &self.sound()]);
        }
        if let Some(seconds) = self.seconds {
            put(&["-t", &seconds.to_string()]);
        }
        if self.video {
            put(self.video_coding);
            put(&[
                "-g",
                &self.gop.to_string(),
                "-keyint_min",
                &self.gop.to_string(),
                "-bf",
                &self.b_frames.to_string(),
            ]);
        }
        if self.audio {
            put(self.audio_coding);
        }
        a
    }

    fn picture(&self) -> String {
        let (rate, size) = (self.rate, self.size);
        if self.flash {
            let white = "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.2)'";
            return format!("color=black:size={size}:rate={rate},{white}");
        }
        let clock =
            r"text='%{localtime\:%H\\\:%M\\\:%S} %{pts}':fontsize=32:fontcolor=white:box=1:boxcolor=black";
        format!("testsrc2=size={size}:rate={rate},drawtext=fontfile={FONT}:{clock}:x=20:y=20")
    }

    fn sound(&self) -> String {
        let rate = self.sample_rate;
        if self.flash {
            return format!("aevalsrc='0.7*sin(2*PI*880*t)*lt(mod(t,1),0.2)':s={rate}");
        }
        format!("sine=frequency=440:sample_rate={rate}")
    }
}

impl Publishing {
    /// Holds the publisher still, its connection open.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn pause(&self) -> Result<()> {
        self.child.signal("STOP").await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn resume(&self) -> Result<()> {
        self.child.signal("CONT").await
    }

    /// Ends it as a user does with `q`, and waits.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn finish(mut self) -> Result<Option<i32>> {
        self.child.signal("INT").await?;
        self.child.end(Duration::from_secs(10)).await
    }

    /// The exit status and log of one that ends by itself.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<(Option<i32>, String)> {
        let status = self.child.end(limit).await?;
        Ok((status, self.child.log()))
    }
}
