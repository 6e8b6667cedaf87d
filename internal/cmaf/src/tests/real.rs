//! What ffmpeg makes, through the muxer, back into ffmpeg.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::*;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("cmaf-real-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && errors.is_empty(), "{program} {args:?}: {errors}");
    String::from_utf8(out.stdout).unwrap()
}

/// Twelve seconds of 29.97 fps H.264 with B-frames and 44.1 kHz AAC.
fn make_flv(path: &Path) {
    let source = "testsrc2=size=320x180:rate=30000/1001:duration=12";
    let sine = "sine=frequency=440:sample_rate=44100:duration=12";
    let path = path.to_str().unwrap();
    let inputs = ["-v", "error", "-y", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", sine];
    let coding =
        ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "60", "-threads", "1", "-c:a", "aac"];
    run("ffmpeg", &[&inputs[..], &coding, &["-f", "flv", path]].concat());
}

/// The frames of an FLV file, with their tracks.
fn parse_flv(data: &[u8]) -> (Tracks, Vec<Frame>) {
    let mut tracks = tracks(None, None);
    let mut frames = Vec::new();
    let mut at = 13;
    while at + 11 <= data.len() {
        let size = u32::from_be_bytes([0, data[at + 1], data[at + 2], data[at + 3]]) as usize;
        let ms = u32::from_be_bytes([data[at + 7], data[at + 4], data[at + 5], data[at + 6]]);
        let body = Bytes::copy_from_slice(&data[at + 11..at + 11 + size]);
        let dts = Ticks::from_millis(i64::from(ms));
        match (data[at], body.get(1)) {
            (9, Some(0)) => {
                let config = CodecConfig::Avc(AvcConfig::parse(&body.slice(5..)).unwrap());
                tracks.video = Some(Arc::new(Track { id: 0, config }));
            }
            (9, Some(1)) => {
                let cts = i32::from_be_bytes([body[2], body[3], body[4], 0]) >> 8;
                let pts = dts + Ticks::from_millis(i64::from(cts));
                let (key, track) = (body[0] >> 4 == 1, tracks.video.clone().unwrap());
                frames.push(Frame { track, dts, pts, key, data: body.slice(5..) });
            }
            (8, Some(0)) => {
                let config = CodecConfig::Aac(AacConfig::parse(&body.slice(2..)).unwrap());
                tracks.audio = Some(Arc::new(Track { id: 1, config }));
            }
            (8, Some(1)) => {
                let track = tracks.audio.clone().unwrap();
                frames.push(Frame { track, dts, pts: dts, key: true, data: body.slice(2..) });
            }
            _ => {}
        }
        at += 11 + size + 4;
    }
    (tracks, frames)
}

fn mux(tracks: &Tracks, frames: Vec<Frame>) -> (Rig, Vec<u8>) {
    let mut rig = Rig::new(tracks);
    rig.push(frames).finish();
    assert_eq!(rig.inits.len(), 1);
    let mut file = rig.inits[0].0.to_vec();
    for s in &rig.segments {
        file.extend(s.bytes());
    }
    (rig, file)
}

#[test]
fn ffmpeg_decodes_what_it_encoded() {
    let scratch = Scratch::new();
    make_flv(&scratch.file("in.flv"));
    let (tracks, frames) = parse_flv(&std::fs::read(scratch.file("in.flv")).unwrap());
    let pictures = frames.iter().filter(|f| f.track.id == 0).count();
    assert!(frames.iter().any(|f| f.pts > f.dts), "with B-frames");

    let (rig, file) = mux(&tracks, frames.clone());
    rig.check_continuous(&[1, 2]);
    rig.check_part_durations(0);
    let path = scratch.file("av.mp4");
    std::fs::write(&path, file).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(run("ffmpeg", &["-v", "error", "-xerror", "-i", path, "-f", "null", "-"]), "");
    let entries = "stream=codec_name,codec_type,nb_read_packets,duration";
    let probed =
        run("ffprobe", &["-v", "error", "-count_packets", "-show_entries", entries, "-of", "csv=p=0", path]);
    let lines: Vec<Vec<&str>> = probed.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(lines.iter().map(|l| (l[0], l[1])).collect::<Vec<_>>(), [("h264", "video"), ("aac", "audio")]);
    for l in &lines {
        let secs: f64 = l[2].parse().unwrap();
        assert!((secs - 12.0).abs() < 0.15, "{l:?}");
    }
    assert_eq!(lines[0][3], pictures.to_string());

    for keep in [0, 1] {
        let mut tracks = tracks.clone();
        if keep == 0 {
            tracks.audio = None
        } else {
            tracks.video = None
        }
        let (_, file) = mux(&tracks, frames.iter().filter(|f| f.track.id == keep).cloned().collect());
        let path = scratch.file("one.mp4");
        std::fs::write(&path, file).unwrap();
        run("ffmpeg", &["-v", "error", "-xerror", "-i", path.to_str().unwrap(), "-f", "null", "-"]);
    }
}
