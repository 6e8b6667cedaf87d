//! Publishes stamped frames in real time and keeps when each was written.

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::stamp::stamped;
use crate::publish::{
    client::{Connection, PublishError},
    clip::Clip,
    target::Target,
};

/// What a publish gave.
#[derive(Debug)]
pub(crate) struct Published {
    /// Before the TCP connection was asked for.
    pub(crate) connecting: Instant,
    /// When the last byte of each frame was given to the socket, by the frame's number.
    pub(crate) written: Vec<Instant>,
    /// Why it ended, unless its time was over.
    pub(crate) error: Option<PublishError>,
}

/// Publishes for `length`, which counts from the start of the first frame.
pub(crate) async fn publish(target: Target, clip: Clip, run: u32, length: Duration) -> Published {
    let mut out = Published { connecting: Instant::now(), written: Vec::new(), error: None };
    out.error = play(&target, &clip, run, length, &mut out.written).await.err();
    out
}

async fn play(
    target: &Target,
    clip: &Clip,
    run: u32,
    length: Duration,
    written: &mut Vec<Instant>,
) -> Result<(), PublishError> {
    let mut c = Connection::open(target).await?;
    for h in &clip.headers {
        c.tag(h, 0).await?;
    }
    let start = tokio::time::Instant::now();
    for number in 0..u32::MAX {
        let (tag, time) = clip.at(u64::from(number));
        let after = Duration::from_millis(time);
        if after >= length {
            break;
        }
        let mut tag = tag.clone();
        tag.data = stamped(&tag, run, number);
        // Until the frame is due the server is listened to.
        if let Ok(e) = timeout_at(start + after, c.watch()).await {
            return Err(e);
        }
        c.tag(&tag, time).await?;
        written.push(Instant::now());
    }
    c.close().await
}
