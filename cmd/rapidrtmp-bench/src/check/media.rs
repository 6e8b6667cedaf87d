//! Fetches what a playlist lists, in its order, and hands it to the verifier.

use std::sync::Arc;

use reqwest::Url;
use tokio::sync::mpsc;

use super::{
    fetch::{Fetcher, Reply},
    finding::{Finding, Findings},
    lint_media::{Listed, Verifier},
    lint_reply::{Asked, lint_error, lint_reply},
    playlist::{Media, Segment},
};

/// One thing to fetch.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// A part or segment, its bytes still empty.
    Listed { what: Listed, whole: bool, gap: bool },
    /// A segment or part that has just left the playlist and must still be there.
    Removed { uri: String },
}

/// What the media task gave.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) findings: Findings,
    pub(crate) parts: u64,
    pub(crate) segments: u64,
    pub(crate) gaps: u64,
    pub(crate) bytes: u64,
    pub(crate) compared: u64,
    pub(crate) jumps: u64,
    /// Segments that do not open with a sync sample.
    pub(crate) dependent: u64,
}

/// What `new` lists that `old` did not, in order, then what left it. `promised`: the multivariant playlist says that all
/// segments are independent.
pub(crate) fn new_jobs(old: Option<&Media>, new: &Media, promised: bool) -> Vec<Job> {
    let seen = old.map_or((0, 0), Media::next);
    let mut jobs = Vec::new();
    for s in new.all() {
        for (i, p) in s.parts.iter().enumerate() {
            if (s.msn, i) >= seen && !p.gap {
                let mut what = listed(s, &p.uri, p.duration, p.independent);
                what.index = i;
                jobs.push(Job::Listed { what, whole: false, gap: false });
            }
        }
        if let Some(uri) = &s.uri
            && (old.is_none() || s.msn >= seen.0)
        {
            // Without parts to tell, only EXT-X-INDEPENDENT-SEGMENTS promises it.
            let independent = s.parts.first().map_or(promised, |p| p.independent);
            let mut what = listed(s, uri, s.duration, independent);
            what.parts = s.parts.iter().map(|p| p.uri.clone()).collect();
            jobs.push(Job::Listed { what, whole: true, gap: s.gap });
        }
    }
    for s in old.iter().flat_map(|o| &o.segments) {
        let now = new.segments.iter().find(|n| n.msn == s.msn);
        if now.is_none() && s.msn < new.first_msn() {
            jobs.extend(s.uri.clone().map(|uri| Job::Removed { uri }));
        }
        if now.is_none_or(|n| n.parts.is_empty()) {
            jobs.extend(s.parts.last().map(|p| Job::Removed { uri: p.uri.clone() }));
        }
    }
    jobs
}

fn listed(s: &Segment, uri: &str, duration: f64, independent: bool) -> Listed {
    Listed {
        msn: s.msn,
        index: 0,
        uri: uri.to_owned(),
        map: s.map.clone().unwrap_or_default(),
        duration,
        independent,
        discontinuity: s.discontinuity,
        bytes: bytes::Bytes::new(),
        parts: Vec::new(),
    }
}

/// Works through `jobs` until the sender is gone.
pub(crate) async fn fetch_all(fetcher: Fetcher, base: Arc<Url>, mut jobs: mpsc::Receiver<Job>) -> Fetched {
    let mut out = Fetched::default();
    let mut verifier = Verifier::default();
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Removed { uri } => removed(&fetcher, &base, &uri, &mut out).await,
            Job::Listed { what, whole, gap } => {
                take(&fetcher, &base, what, (whole, gap), &mut verifier, &mut out).await;
            }
        }
    }
    out.compared = verifier.compared;
    out.jumps = verifier.jumps;
    out.dependent = verifier.dependent;
    out
}

async fn take(
    fetcher: &Fetcher,
    base: &Url,
    mut what: Listed,
    (whole, gap): (bool, bool),
    verifier: &mut Verifier,
    out: &mut Fetched,
) {
    if !what.map.is_empty()
        && !verifier.has_init(&what.map)
        && let Some(reply) = get(fetcher, base, &what.map, Asked::Init, out).await
    {
        out.findings.extend(verifier.init(&what.map, &reply.body));
    }
    let Some(reply) = get(fetcher, base, &what.uri, Asked::Media, out).await else { return };
    out.bytes += reply.body.len() as u64;
    what.bytes = reply.body;
    match (whole, gap) {
        (_, true) => out.gaps += 1,
        (true, false) => {
            out.segments += 1;
            out.findings.extend(verifier.segment(&what));
        }
        (false, false) => {
            out.parts += 1;
            out.findings.extend(verifier.part(&what));
        }
    }
}

async fn removed(fetcher: &Fetcher, base: &Url, uri: &str, out: &mut Fetched) {
    let Ok(url) = base.join(uri) else { return };
    match fetcher.get(&url).await {
        Ok(r) if r.status == 200 => {}
        Ok(r) => {
            let at = format!("{uri}: {}", r.status);
            out.findings.add(Finding::new(
                6,
                "an entry that has just left the playlist cannot be fetched",
                at,
            ));
        }
        Err(e) => out.findings.add(Finding::new(6, "a request for a removed entry failed", format!("{e:#}"))),
    }
}

async fn get(fetcher: &Fetcher, base: &Url, uri: &str, asked: Asked, out: &mut Fetched) -> Option<Reply> {
    let Ok(url) = base.join(uri) else {
        out.findings.add(Finding::new(8, "a URI that cannot be resolved", uri));
        return None;
    };
    match fetcher.get(&url).await {
        Ok(r) if r.status == 200 => {
            out.findings.extend(lint_reply(&r, asked, 0));
            Some(r)
        }
        Ok(r) => {
            out.findings.extend(lint_error(&r));
            out.findings.add(Finding::new(
                8,
                "a listed resource cannot be fetched",
                format!("{uri}: {}", r.status),
            ));
            None
        }
        Err(e) => {
            out.findings.add(Finding::new(8, "a request for a listed resource failed", format!("{e:#}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    fn names(jobs: &[Job]) -> Vec<String> {
        jobs.iter()
            .map(|j| match j {
                Job::Listed { what, .. } => what.uri.clone(),
                Job::Removed { uri } => format!("-{uri}"),
            })
            .collect()
    }

    #[test]
    fn everything_is_fetched_once_parts_before_their_segment() {
        let first = Media::parse(GOOD).unwrap();
        let all = names(&new_jobs(None, &first, true));
        assert_eq!(all.len(), 4 + 10 + 10 + 2);
        assert_eq!((all[1].as_str(), all[12].as_str()), ("segment_7_101.m4s", "segment_7_102.m4s"));
        assert_eq!(names(&new_jobs(Some(&first), &first, true)), [] as [&str; 0]);
        let hint = "#EXT-X-PRELOAD-HINT";
        let closed = format!(
            "#EXT-X-PART:DURATION=0.2,URI=\"part_7_42.m4s\"\n#EXTINF:0.6,\nsegment_7_104.m4s\n{hint}"
        );
        let second = Media::parse(&GOOD.replace(hint, &closed)).unwrap();
        assert_eq!(names(&new_jobs(Some(&first), &second, true)), ["part_7_42.m4s", "segment_7_104.m4s"]);
    }

    #[test]
    fn what_left_is_asked_for_once_more() {
        let first = Media::parse(GOOD).unwrap();
        let mut second = first.clone();
        second.segments.remove(0);
        second.media_sequence = Some(101);
        second.segments[1].parts.clear();
        assert_eq!(names(&new_jobs(Some(&first), &second, true)), ["-segment_7_100.m4s", "-part_7_29.m4s"]);
    }
}
