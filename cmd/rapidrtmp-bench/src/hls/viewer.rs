//! One viewer: follows a playlist as a player does and fetches what it lists, one request at a time on one connection.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use reqwest::Url;
use time::OffsetDateTime;
use tokio::time::sleep;

use super::{
    Shared,
    buffer::Buffer,
    objects::Digest,
    plan::{Position, Unit, hold_back, plan},
};
use crate::check::{fetch::Fetcher, multivariant::Multivariant, playlist::Media};

/// Pause after a failed request.
const RETRY: Duration = Duration::from_millis(500);
/// Latency samples of one viewer: one a second, ten minutes of them.
const MAX_SAMPLES: usize = 600;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Kinds of failure that are told apart.
const MAX_KINDS: usize = 16;

/// How a viewer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// With parts and blocking reloads where the playlist offers them.
    Offered,
    /// With parts and blocking reloads; it is a failure when there are none.
    LowLatency,
    /// Whole segments, by polling.
    Plain,
}

/// What a viewer counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) playlists: u64,
    /// Parts and segments.
    pub(crate) media: u64,
    pub(crate) gaps: u64,
    pub(crate) bytes: u64,
    /// Objects whose bytes were not what another viewer was given.
    pub(crate) mismatches: u64,
    /// Times that what was to come next had left the playlist.
    pub(crate) lost: u64,
    pub(crate) stalls: u64,
    pub(crate) stalled: Duration,
    /// From joining to the first media.
    pub(crate) first_media: Option<Duration>,
    /// Milliseconds behind live of what is played, by PROGRAM-DATE-TIME.
    pub(crate) latencies: Vec<f64>,
    /// How often each kind of failure was met.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// One viewer; when its run is cancelled, `finish` tells what it had.
pub(crate) struct Viewer {
    fetcher: Fetcher,
    base: Url,
    style: Style,
    shared: Arc<Shared>,
    joined: Instant,
    position: Option<Position>,
    map: Option<String>,
    buffer: Buffer,
    sampled: Option<Instant>,
    tally: Tally,
}

impl Viewer {
    pub(crate) fn new(base: Url, style: Style, shared: Arc<Shared>) -> Result<Self> {
        let joined = Instant::now();
        Ok(Self {
            fetcher: Fetcher::player()?,
            base,
            style,
            shared,
            joined,
            position: None,
            map: None,
            buffer: Buffer::new(joined),
            sampled: None,
            tally: Tally::default(),
        })
    }

    /// Watches until the stream ends.
    pub(crate) async fn watch(&mut self) {
        let mut before: Option<(u64, usize)> = None;
        let mut ask = None;
        loop {
            let media = match self.playlist(ask).await {
                Ok(Some(m)) => m,
                Ok(None) => continue,
                Err(kind) => {
                    self.error(kind);
                    ask = None;
                    sleep(RETRY).await;
                    continue;
                }
            };
            let low_latency = self.style != Style::Plain && media.is_low_latency();
            if self.style == Style::LowLatency && !low_latency {
                self.error("playlist: no parts".into());
            }
            self.take(&media, low_latency).await;
            if media.ended() {
                return;
            }
            let blocks = low_latency && media.control.as_ref().is_some_and(|c| c.can_block_reload);
            ask = blocks.then(|| media.next());
            let changed = before.replace(media.next()) != Some(media.next());
            match (blocks, changed) {
                (true, true) => {}
                // Answered without anything new: not to be asked in a tight loop.
                (true, false) => sleep(RETRY).await,
                (false, _) => sleep(poll_pause(&media, changed)).await,
            }
        }
    }

    /// What was counted.
    pub(crate) fn finish(mut self) -> Tally {
        if self.buffer.playing().is_some() {
            self.shared.playing.fetch_sub(1, Ordering::Relaxed);
        }
        self.buffer.advance(Instant::now());
        self.tally.stalls = self.buffer.stalls;
        self.tally.stalled = self.buffer.stalled;
        self.tally
    }

    /// A media playlist; `None` when it was the multivariant one, whose first variant is then followed.
    async fn playlist(&mut self, ask: Option<(u64, usize)>) -> Result<Option<Media>, String> {
        let mut url = self.base.clone();
        if let Some((msn, part)) = ask {
            let mut query = url.query_pairs_mut();
            query.append_pair("_HLS_msn", &msn.to_string()).append_pair("_HLS_part", &part.to_string());
        }
        let reply = self.fetcher.get(&url).await.map_err(|e| format!("playlist: {}", e.root_cause()))?;
        if reply.status != 200 {
            return Err(format!("playlist: status {}", reply.status));
        }
        self.tally.playlists += 1;
        let text = reply.text();
        if let Some(m) = Multivariant::parse(&text) {
            let at = Url::parse(&reply.url).unwrap_or(url);
            let first = m.playlists().first().and_then(|u| at.join(u).ok());
            self.base = first.ok_or("playlist: no variant")?;
            return Ok(None);
        }
        Media::parse(&text).map(Some).ok_or_else(|| "playlist: not one".to_owned())
    }

    /// Fetches what is new in a playlist.
    async fn take(&mut self, m: &Media, parts: bool) {
        let p = plan(m, parts, self.position);
        self.tally.lost += u64::from(p.lost);
        if self.position.is_none() {
            // Half of what it joins behind live is enough to begin with; a plain player begins with one segment.
            let enough = if parts { hold_back(m, true) / 2.0 } else { 0.0 };
            self.buffer.start_at(Duration::try_from_secs_f64(enough).unwrap_or_default());
        }
        for unit in p.units {
            if let Err(e) = self.unit(&unit).await {
                self.error(e);
            }
            self.position = Some(unit.next);
        }
    }

    async fn unit(&mut self, unit: &Unit) -> Result<(), String> {
        if unit.gap {
            self.tally.gaps += 1;
        } else {
            if unit.map.is_some() && unit.map != self.map {
                self.fetch(unit.map.as_deref().unwrap_or_default()).await?;
                self.map.clone_from(&unit.map);
            }
            self.fetch(&unit.uri).await?;
            self.tally.media += 1;
            self.shared.media.fetch_add(1, Ordering::Relaxed);
            self.tally.first_media.get_or_insert_with(|| self.joined.elapsed());
        }
        self.play(unit, Instant::now());
        Ok(())
    }

    async fn fetch(&mut self, uri: &str) -> Result<(), String> {
        let url = self.base.join(uri).context("URI").map_err(|e| format!("media: {e}"))?;
        let mut crc = flate2::Crc::new();
        let mut bytes = 0;
        let status = self.fetcher.pieces(&url, |piece| {
            crc.update(piece);
            bytes += piece.len() as u64;
        });
        let status = status.await.map_err(|e| format!("media: {}", e.root_cause()))?;
        if status != 200 {
            return Err(format!("media: status {status}"));
        }
        self.tally.bytes += bytes;
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        if !self.shared.objects.is_same(url.as_str(), Digest { bytes, crc: crc.sum() }) {
            self.tally.mismatches += 1;
        }
        Ok(())
    }

    /// Puts a unit into the buffer and looks how far behind live the picture is.
    fn play(&mut self, unit: &Unit, now: Instant) {
        let (was, stalls) = (self.buffer.playing().is_some(), self.buffer.stalls);
        self.buffer.add(Duration::try_from_secs_f64(unit.seconds).unwrap_or_default(), now);
        self.shared.stalls.fetch_add(self.buffer.stalls - stalls, Ordering::Relaxed);
        let level = self.buffer.playing();
        match (was, level.is_some()) {
            (false, true) => _ = self.shared.playing.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.shared.playing.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        let due = self.sampled.is_none_or(|s| now.saturating_duration_since(s) >= SAMPLE_EVERY);
        if let (Some(level), Some(end), true) =
            (level, unit.end, due && self.tally.latencies.len() < MAX_SAMPLES)
        {
            let behind = (OffsetDateTime::now_utc() - end).as_seconds_f64() + level.as_secs_f64();
            self.tally.latencies.push(behind * 1000.0);
            self.sampled = Some(now);
        }
    }

    fn error(&mut self, kind: String) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        if self.tally.errors.len() < MAX_KINDS || self.tally.errors.contains_key(&kind) {
            *self.tally.errors.entry(kind).or_default() += 1;
        }
    }
}

/// A target duration after a playlist that changed, half of it after one that did not (RFC 8216 §6.3.4).
fn poll_pause(m: &Media, changed: bool) -> Duration {
    let target = m.target_duration.unwrap_or(2).clamp(1, 60);
    Duration::from_millis(if changed { 1000 * target } else { 500 * target })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    fn viewer() -> Viewer {
        let url = Url::parse("http://h/live/media.m3u8").unwrap();
        Viewer::new(url, Style::Offered, Arc::default()).unwrap()
    }

    #[test]
    fn latency_is_age_of_the_newest_media_and_what_is_buffered_before_it() {
        let mut v = viewer();
        let mut unit = plan(&Media::parse(GOOD).unwrap(), true, None).units.remove(0);
        unit.end = Some(OffsetDateTime::now_utc() - Duration::from_secs(2));
        unit.seconds = 1.0;
        let now = v.joined;
        v.play(&unit, now);
        v.play(&unit, now);
        assert_eq!(v.tally.latencies.len(), 1, "one sample a second");
        assert!((3000.0..3500.0).contains(&v.tally.latencies[0]), "{:?}", v.tally.latencies);
        assert_eq!(v.shared.playing.load(Ordering::Relaxed), 1);
        v.play(&unit, now + Duration::from_secs(5));
        assert_eq!(v.shared.stalls.load(Ordering::Relaxed), 1);
        let shared = Arc::clone(&v.shared);
        assert_eq!((v.finish().stalls, shared.playing.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn kinds_of_failure_are_bounded() {
        let mut v = viewer();
        for n in 0..40 {
            v.error(format!("media: status {n}"));
        }
        v.error("media: status 0".into());
        assert_eq!((v.tally.errors.len(), v.tally.errors["media: status 0"]), (MAX_KINDS, 2));
        assert_eq!(v.shared.errors.load(Ordering::Relaxed), 41);
    }

    #[test]
    fn polling_follows_the_target_duration() {
        let m = Media::parse(GOOD).unwrap();
        assert_eq!(poll_pause(&m, true), Duration::from_secs(2));
        assert_eq!(poll_pause(&m, false), Duration::from_secs(1));
    }
}
