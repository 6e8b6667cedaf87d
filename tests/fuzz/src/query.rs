//! The query of a playlist request.

use std::time::{Duration, SystemTime};

use hls::{Decision, DirectiveError, Directives, Settings, Timeline};
use media::{Epoch, Ticks};

/// The canonical form reads as the query did, and the answer to it is one of the three that the rules know. The first
/// byte is how far the stream is.
pub fn query(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let query = String::from_utf8_lossy(rest);
    let d = match Directives::parse(&query) {
        Ok(d) => d,
        Err(e) => {
            let twice = query.matches("_HLS_").count() > 1;
            assert!(e != DirectiveError::Duplicate || twice, "{query:?} gives nothing twice");
            return;
        }
    };
    let key = d.to_string();
    assert_eq!(Directives::parse(&key), Ok(d));
    assert_eq!(Directives::parse(&format!("z=1&{key}&a=2")), Ok(d), "others are ignored");
    let timeline = timeline(*first);
    let edge = timeline.edge();
    match timeline.decide(&d) {
        Decision::Now => {}
        Decision::Wait(until) => {
            assert!(until >= edge.next && until.msn <= edge.next.msn + 2, "{until:?} at {edge:?}");
            assert!(!edge.ended && d.blocks());
        }
        Decision::BadRequest(why) => {
            assert!(!why.is_empty() && d.msn.is_some_and(|m| m >= edge.next.msn), "{d:?} at {edge:?}");
        }
    }
    let text = timeline.render_media(d.skip);
    assert!(text.starts_with("#EXTM3U\n") && text.ends_with('\n'));
}

/// `n / 8` segments and `n % 8` parts.
fn timeline(n: u8) -> Timeline {
    let mut t = Timeline::new(Settings::default(), u64::from(n) * 1000, 0, None);
    t.begin_epoch(Epoch(1));
    t.set_init(0);
    let part = Ticks::from_millis(200);
    let mut date = SystemTime::UNIX_EPOCH;
    for segment in 0..=n / 8 {
        t.open_segment(date, false);
        let parts = if segment < n / 8 { 10 } else { n % 8 };
        for p in 0..parts {
            t.push_part(part, p == 0, 1000);
        }
        date += Duration::from_secs(2);
    }
    if n == u8::MAX {
        t.end();
    }
    t
}
