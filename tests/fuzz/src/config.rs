//! The configuration file and the environment.

use std::{path::PathBuf, time::Duration};

use node::config::{KEYS, ListenAddr, Sources, load, parse_duration};

/// Stands where a file holds a secret.
const PLANTED: &str = "planted-5ecret";

/// Any text is a configuration or an error that says where; never one that shows a secret. The first byte chooses
/// between a file and the value of one variable.
pub fn config(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest).into_owned();
    if kind % 2 == 0 { file(&text) } else { variable(usize::from(kind / 2), &text) }
}

fn file(text: &str) {
    let planted = text.replace('@', PLANTED);
    let sources =
        Sources { file: Some((PathBuf::from("rapidrtmp.toml"), planted.clone())), ..Sources::default() };
    match load(&sources) {
        // What holds of every configuration that is let through.
        Ok(c) => {
            assert!(c.hls.part_target <= c.hls.segment_target);
            assert!(c.hls.window > 0);
            assert!(!format!("{c:?}").contains(PLANTED) || !is_secret(&planted));
        }
        Err(e) => {
            let shown = e.to_string();
            assert!(!shown.contains(PLANTED) || !is_secret(&planted), "{shown}");
        }
    }
}

/// The planted text stands behind a setting that is secret, and nowhere else.
fn is_secret(text: &str) -> bool {
    text.lines().filter(|l| l.contains(PLANTED)).all(|l| {
        let (name, rest) = l.split_once('=').unwrap_or((l, ""));
        let name = name.trim();
        !name.contains(PLANTED)
            && rest.contains(PLANTED)
            && KEYS.iter().any(|k| k.secret && k.parts().1 == name)
    })
}

fn variable(which: usize, value: &str) {
    let key = &KEYS[which % KEYS.len()];
    let sources = Sources { env: vec![(key.variable(), value.to_owned())], ..Sources::default() };
    if let Err(e) = load(&sources) {
        let shown = e.to_string();
        assert!(!key.secret || value.len() < 8 || !shown.contains(value), "an error shows a secret");
    }
    if let Ok(time) = parse_duration(value) {
        assert!(std::time::Instant::now().checked_add(time).is_some(), "{time:?} fits no clock");
        let again = parse_duration(&format!("{}ms", time.as_millis())).expect("a duration");
        assert!(time.abs_diff(again) <= Duration::from_millis(1), "{time:?} and {again:?}");
    }
    if let Ok(addr) = value.parse::<ListenAddr>() {
        assert_eq!(addr.to_string().parse::<ListenAddr>().ok(), Some(addr));
    }
}
