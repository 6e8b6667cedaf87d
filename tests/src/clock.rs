//! A clock that machines read: each picture holds the time at which it was made (`tests/browser/code.mjs` reads it).

use std::fmt::Write;

use anyhow::Result;
use tokio::process::Command;

use crate::{Child, Publishing};

/// Pixels of a square: large enough to survive H.264.
const SQUARE: u32 = 32;
const COLUMNS: u32 = 8;
const TIME_BITS: u32 = 40;
/// The lowest bits stand there once more, inverted, so that another picture is not taken for a clock.
const CHECK_BITS: u32 = 8;
const SOUND: &str = "sine=frequency=440:sample_rate=44100";

/// Publishes 720p30 at 2.5 Mbit/s with sound, a keyframe every 2 s, as encoders for low latency do, with the clock in the
/// upper left.
///
/// # Errors
/// When ffmpeg cannot be started.
pub fn publish_clock(url: &str) -> Result<Publishing> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "warning"]);
    // One input: ffmpeg reads several ahead of their time, in threads, and pictures would be old when they leave.
    command.args(["-re", "-f", "lavfi", "-i", &format!("{}[out0];{SOUND}[out1]", picture())]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]);
    command.args([
        "-b:v",
        "2500k",
        "-maxrate",
        "2500k",
        "-bufsize",
        "2500k",
        "-g",
        "60",
        "-sc_threshold",
        "0",
    ]);
    command.args(["-c:a", "aac", "-b:a", "128k", "-f", "flv", url]);
    Ok(Publishing { child: Child::start("clock", &mut command)? })
}

/// The filter: microseconds of the wall clock as timestamps while the squares are drawn, frames' own afterwards.
fn picture() -> String {
    let mut out = "testsrc2=size=1280x720:rate=30,settb=1/1000000,setpts=RTCTIME".to_owned();
    let (w, h) = (COLUMNS * SQUARE, (TIME_BITS + CHECK_BITS) / COLUMNS * SQUARE);
    let _ = write!(out, ",drawbox=x=0:y=0:w={w}:h={h}:color=black:t=fill");
    for square in 0..TIME_BITS + CHECK_BITS {
        let (bit, wanted) = if square < TIME_BITS { (square, 1) } else { (square - TIME_BITS, 0) };
        let (x, y) = (square % COLUMNS * SQUARE, square / COLUMNS * SQUARE);
        let divisor = 1_u64 << bit;
        let _ = write!(
            out,
            ",drawbox=x={x}:y={y}:w={SQUARE}:h={SQUARE}:color=white:t=fill:\
             enable='eq(mod(floor(floor(t*1000)/{divisor}),2),{wanted})'"
        );
    }
    out.push_str(",setpts=N/30/TB");
    out
}
