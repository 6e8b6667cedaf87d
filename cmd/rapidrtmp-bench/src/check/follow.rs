//! Follows one media playlist over time, as a low-latency player or as a plain one.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Url;
use tokio::sync::mpsc;

use super::{
    fetch::{Fetcher, Reply},
    finding::{Finding, Findings},
    lint_playlist::lint_playlist,
    lint_reply::{Asked, lint_error, lint_hold, lint_reply},
    lint_update::lint_update,
    media::{Job, new_jobs},
    playlist::Media,
    timing::Timing,
};

/// A stream that was just announced may need this long for its first playlist.
const START: Duration = Duration::from_secs(15);
/// Pause after a failed request, so that a broken server is not hammered.
const RETRY: Duration = Duration::from_millis(500);

/// How a playlist is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// By `_HLS_msn` and `_HLS_part`, if the server offers it.
    Blocking,
    /// By polling every half TARGETDURATION, without directives.
    Polling,
}

/// Where new media is announced.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    pub(crate) queue: mpsc::Sender<Job>,
    /// The multivariant playlist has EXT-X-INDEPENDENT-SEGMENTS.
    pub(crate) promised: bool,
}

/// What following one playlist gave.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) findings: Findings,
    pub(crate) timing: Timing,
    pub(crate) playlists: u64,
    /// Jobs that the media task was too slow for.
    pub(crate) skipped: u64,
    pub(crate) ended: bool,
}

/// The first playlist of a stream, waited for.
pub(crate) async fn first_playlist(fetcher: &Fetcher, url: &Url) -> Result<Reply> {
    let started = Instant::now();
    loop {
        let result = fetcher.get(url).await;
        match result {
            Ok(r) if r.status == 200 => return Ok(r),
            r if started.elapsed() > START => {
                let r = r?;
                anyhow::bail!("{} answers {}", r.place(), r.status);
            }
            _ => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Follows `url` until `until` or the end of the stream. New media goes to `jobs`, never waiting for it.
pub(crate) async fn follow(
    fetcher: &Fetcher,
    url: &Url,
    style: Style,
    jobs: Option<Jobs>,
    until: Instant,
) -> Followed {
    let mut f = Follower { out: Followed::default(), last: None, jobs, base: url.clone() };
    let mut request = url.clone();
    while Instant::now() < until && !f.out.ended {
        let directive = request.query().is_some_and(|q| q.contains("_HLS_msn"));
        match fetcher.get(&request).await {
            Ok(reply) => f.take(&reply, directive),
            Err(e) => f.out.findings.add(Finding::new(8, "a playlist request failed", format!("{e:#}"))),
        }
        request = f.next_request(style);
        let pause = f.pause(style);
        tokio::time::sleep(pause.min(until.saturating_duration_since(Instant::now()))).await;
    }
    f.finish()
}

struct Follower {
    out: Followed,
    /// The playlist before, and whether the request after it may go at once.
    last: Option<(Media, bool)>,
    jobs: Option<Jobs>,
    base: Url,
}

impl Follower {
    fn take(&mut self, reply: &Reply, directive: bool) {
        let target = self.last.as_ref().and_then(|l| l.0.target_duration).unwrap_or(0);
        self.out.findings.extend(lint_reply(reply, Asked::Playlist { directive }, target));
        if directive {
            self.out.findings.extend(lint_hold(reply.took, target, &reply.place()));
        }
        if reply.status != 200 {
            self.refused(reply);
            return;
        }
        let Some(new) = Media::parse(&reply.text()) else {
            self.out.findings.add(Finding::new(
                44,
                "a playlist that does not begin with #EXTM3U",
                reply.place(),
            ));
            return;
        };
        self.out.playlists += 1;
        let old = self.last.as_ref().map(|l| &l.0);
        self.out.findings.extend(self.out.timing.take(old, &new, Instant::now()));
        self.out.findings.extend(lint_playlist(&new, &self.out.timing.prompt));
        if directive {
            self.out.findings.extend(satisfied(reply, &new));
        }
        if let Some(old) = old {
            self.out.findings.extend(lint_update(old, &new));
        }
        if let Some(jobs) = &self.jobs {
            let new_jobs = new_jobs(old, &new, jobs.promised).into_iter();
            let lost = new_jobs.filter(|j| jobs.queue.try_send(j.clone()).is_err());
            self.out.skipped += lost.count() as u64;
        }
        self.out.ended = new.ended();
        self.last = Some((new, true));
    }

    fn refused(&mut self, reply: &Reply) {
        self.out.findings.extend(lint_error(reply));
        if reply.status != 503 {
            let what = format!("a followed playlist answers {}", reply.status);
            self.out.findings.add(Finding::new(8, what, reply.place()));
        }
        if let Some(last) = &mut self.last {
            last.1 = false;
        }
    }

    fn next_request(&self, style: Style) -> Url {
        let mut url = self.base.clone();
        if let Some((m, true)) = &self.last
            && style == Style::Blocking
            && m.control.as_ref().is_some_and(|c| c.can_block_reload)
        {
            let (msn, part) = m.next();
            let mut query = url.query_pairs_mut();
            query.append_pair("_HLS_msn", &msn.to_string());
            if m.is_low_latency() {
                query.append_pair("_HLS_part", &part.to_string());
            }
        }
        url
    }

    fn pause(&self, style: Style) -> Duration {
        match &self.last {
            Some((m, true))
                if style == Style::Blocking && m.control.as_ref().is_some_and(|c| c.can_block_reload) =>
            {
                Duration::ZERO
            }
            Some((m, true)) => Duration::from_millis(500 * m.target_duration.unwrap_or(2).clamp(1, 20)),
            _ => RETRY,
        }
    }

    fn finish(mut self) -> Followed {
        if !self.out.ended {
            self.out.findings.extend(self.out.timing.silence(Instant::now()));
        }
        self.out
    }
}

/// A blocking reload is answered when what it asks for is there (RFC 8216bis §6.2.5.2).
fn satisfied(reply: &Reply, new: &Media) -> Option<Finding> {
    let url = Url::parse(&reply.url).ok()?;
    let value =
        |name: &str| url.query_pairs().find(|(n, _)| n == name).and_then(|(_, v)| v.parse::<u64>().ok());
    let msn = value("_HLS_msn")?;
    let (last, parts) = new.next();
    let there = match value("_HLS_part") {
        Some(part) => last > msn || (last == msn && parts as u64 > part),
        None => last > msn,
    };
    (!there && !new.ended()).then(|| {
        Finding::new(
            19,
            "a blocking reload was answered without what it asked for",
            format!("{}: at {last}.{parts}", reply.place()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    fn asked(query: &str) -> bool {
        let reply = Reply {
            url: format!("http://h/live/media.m3u8?{query}"),
            status: 200,
            headers: std::collections::BTreeMap::default(),
            body: bytes::Bytes::new(),
            took: Duration::ZERO,
        };
        satisfied(&reply, &Media::parse(GOOD).unwrap()).is_none()
    }

    #[test]
    fn clause_19_the_answer_holds_what_was_asked_for() {
        assert!(asked("_HLS_msn=104&_HLS_part=1"));
        assert!(!asked("_HLS_msn=104&_HLS_part=2"));
        assert!(asked("_HLS_msn=103"));
        assert!(!asked("_HLS_msn=104"));
        assert!(asked("_HLS_msn=103&_HLS_part=99"), "past the last part means the next segment");
    }

    #[test]
    fn a_blocking_request_names_what_comes_next() {
        let base = Url::parse("http://h/live/media.m3u8").unwrap();
        let f = Follower {
            out: Followed::default(),
            last: Some((Media::parse(GOOD).unwrap(), true)),
            jobs: None,
            base,
        };
        assert_eq!(f.next_request(Style::Blocking).query(), Some("_HLS_msn=104&_HLS_part=2"));
        assert_eq!(f.next_request(Style::Polling).query(), None);
        assert_eq!(
            (f.pause(Style::Blocking), f.pause(Style::Polling)),
            (Duration::ZERO, Duration::from_secs(1))
        );
    }
}
