//! ffmpeg as the encoder.

use std::process::{Output, Stdio};

use live::CloseReason;
use media::CodecConfig;
use tokio::{process::Command, task::JoinHandle};

use crate::server::{Server, options, path, record};

/// Two seconds of picture and sound as ffmpeg sends them; `codec` and `target` are its arguments.
fn ffmpeg(codec: &str, target: &[&str]) -> JoinHandle<Output> {
    let inputs = "-nostdin -v error -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine -t 2";
    let mut command = Command::new("ffmpeg");
    command.args(inputs.split(' ')).args(codec.split_whitespace()).args(["-f", "flv"]).args(target);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    tokio::spawn(async move { command.output().await.expect("ffmpeg is installed") })
}

const X264: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a aac -ar 44100 -ac 2";

/// Publishes and checks what arrives at `expect`.
async fn publishes(server: &mut Server, expect: &str, target: &[&str]) {
    let encoder = ffmpeg(X264, target);
    let stream = server.next().await;
    assert_eq!(stream.path(), &path(expect), "{target:?}");
    let got = record(&stream).await;
    let out = encoder.await.unwrap();
    assert!(out.status.success(), "{target:?}: {}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(got.reason, CloseReason::Unpublished);
    let Some(CodecConfig::Avc(avc)) = got.tracks.video.as_ref().map(|t| t.config.clone()) else { panic!() };
    let Some(CodecConfig::Aac(aac)) = got.tracks.audio.as_ref().map(|t| t.config.clone()) else { panic!() };
    assert_eq!((avc.width, avc.height, aac.sample_rate, aac.channels), (320, 180, 44_100, 2));
    assert_eq!(got.tracks.metadata.expect_audio, Some(true));
    assert!((got.tracks.metadata.frame_rate.unwrap() - 25.0).abs() < 0.01);
    let (video, audio) = (got.of(0), got.of(1));
    assert_eq!(video.len(), 50);
    assert!((86..=90).contains(&audio.len()), "{}", audio.len());
    assert_eq!(video.iter().map(|f| u32::from(f.key)).sum::<u32>(), 2);
    assert!(video[0].key && video.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(video.iter().any(|f| f.pts > f.dts), "B-frames have composition times");
    assert!(video.iter().all(|f| media::nal_units(&f.data).is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_url_form_that_ffmpeg_can_say_publishes_to_its_path() {
    let mut server = Server::start(options()).await;
    for (expect, rest) in [
        ("live/demo", "live/demo?token="),
        ("live", "live?token="),
        ("live", "live/?token="),
        ("live/demo", "live/demo/?token="),
        ("a/b/c", "a/b/c?x=1&token="),
    ] {
        let url = server.url(&format!("{rest}{}", server.token(expect)));
        publishes(&mut server, expect, &[&url]).await;
    }
    // As OBS says them: server and key apart.
    let base = server.url("");
    for (expect, app, key) in [
        ("live", "live", "?token=T"),
        ("live/demo", "live", "demo?token=T"),
        ("live/demo", "live/demo?token=T", ""),
        ("live/demo", "live?token=T", "demo"),
    ] {
        let token = server.token(expect);
        let (app, key) = (app.replace("=T", &format!("={token}")), key.replace("=T", &format!("={token}")));
        publishes(&mut server, expect, &["-rtmp_app", &app, "-rtmp_playpath", &key, &base]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_makes_ffmpeg_fail_and_says_why() {
    let server = Server::start(options()).await;
    let other = server.token("live/other");
    for (rest, reason) in [
        ("live/demo", "needs a token"),
        ("live/demo?token=wrong", "no valid token"),
        (&*format!("live/demo?token={other}"), "for another stream"),
        ("open/a:b", "may hold only"),
        ("open/whep", "reserved"),
    ] {
        let out = ffmpeg(X264, &[&server.url(rest)]).await.unwrap();
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{rest}");
        assert!(text.contains(reason), "{rest}: {text}");
    }
    assert!(server.directory.list().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_codecs_are_refused_with_the_flags_that_work() {
    let mut server = Server::start(options()).await;
    let url = server.url("open/demo");
    let out = ffmpeg("", &[&url]).await.unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success());
    let reason = record(&server.next().await).await.reason;
    let CloseReason::Refused(why) = reason else { panic!("{reason:?}: {text}") };
    for word in ["flv1", "mp3", "-c:v libx264 -pix_fmt yuv420p", "-c:a aac"] {
        assert!(why.contains(word), "{why}");
    }
    // One usable track is enough.
    let encoder = ffmpeg("-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a libmp3lame", &[&url]);
    let stream = server.next().await;
    let got = record(&stream).await;
    assert!(encoder.await.unwrap().status.success());
    assert_eq!((got.of(0).len(), got.tracks.audio), (50, None));
    assert!(stream.warnings().iter().any(|w| w.contains("mp3") && w.contains("-c:a aac")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn video_alone_and_audio_alone_publish() {
    let mut server = Server::start(options()).await;
    let url = server.url("open/demo");
    let encoder = ffmpeg("-an -c:v libx264 -preset ultrafast -pix_fmt yuv420p", &[&url]);
    let got = record(&server.next().await).await;
    assert!(encoder.await.unwrap().status.success());
    assert_eq!((got.of(0).len(), got.of(1).len()), (50, 0));
    assert_eq!(got.tracks.metadata.expect_audio, Some(false));
    let encoder = ffmpeg("-vn -c:a aac -ar 48000", &[&url]);
    let got = record(&server.next().await).await;
    assert!(encoder.await.unwrap().status.success());
    assert_eq!(got.of(0).len(), 0);
    assert!(got.of(1).len() > 90);
}
