//! Tokens, and what carries them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::{Denied, Secret, Tokens, bearer};
use media::StreamPath;

/// Signed once with [`KEY`], for `live/demo`.
const TOKEN: &str = include_str!("../token.txt");
const KEY: &str = "a key that only this test knows";
const NOW: u64 = 1_800_000_000;

/// No text but the token itself passes. Input is a token, or, behind a first byte of 1, changes to a right one:
/// positions (two bytes) and what to put there.
pub fn tokens(data: &[u8]) {
    let tokens = Tokens::new(&Secret::new(KEY).expect("long enough"));
    let path = StreamPath::parse("live/demo").expect("a path");
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let right = TOKEN.trim_end();
    let shown = match data.split_first() {
        Some((1, changes)) => changed(right, changes),
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    match tokens.verify(&shown, &path, now) {
        Ok(_) => assert_eq!(shown, right, "a token that nobody signed"),
        Err(e) => assert!(shown != right && e != Denied::Missing, "{e}"),
    }
    assert_eq!(tokens.inspect(&shown, now).is_ok(), shown == right);
    assert_eq!(tokens.inspect(&shown, SystemTime::UNIX_EPOCH).is_ok(), shown == right);
    if let Some(token) = bearer(&shown) {
        assert!(shown.trim().ends_with(token) && !token.is_empty() && token.len() < shown.len());
    }
}

fn changed(token: &str, changes: &[u8]) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for c in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([c[0], c[1]])) % bytes.len();
        match c[2] {
            0 => bytes.truncate(at.max(1)),
            b => bytes[at] = b,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
