//! Watches an LL-HLS playlist as the quickest player could: a blocking reload and the hinted part always in flight.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::stamp::found;
use crate::check::{
    fetch::{Fetcher, Reply},
    multivariant::Multivariant,
    playlist::Media,
};

/// A stream that just began may need this long for its first playlist.
const START: Duration = Duration::from_secs(30);
/// Pause between looks for the first playlist: how wrong the time to the first part can be.
const LOOK: Duration = Duration::from_millis(5);
/// Pause after a failed request, and between reloads that the server does not hold.
const RETRY: Duration = Duration::from_millis(50);
/// Parts fetched at once when the first playlist comes: more than three segments list.
const MAX_FETCHES: usize = 200;
/// Failures that are kept in words.
const MAX_ERRORS: usize = 16;

/// A part with stamps of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The frame in it that was written last.
    pub(crate) last: u32,
    /// Its last byte was here.
    pub(crate) readable: Instant,
    /// It was asked for by a hint, before it was there.
    pub(crate) hinted: bool,
    /// It was there before the first playlist was read, so when it became readable is not known.
    pub(crate) before: bool,
}

/// Everything a watcher learns.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) seen: Vec<Seen>,
    /// Parts without a stamp: of another publish, or of a server that drops stamps.
    pub(crate) unstamped: u64,
    pub(crate) errors: Vec<String>,
}

enum Event {
    Playlist(Result<Reply>),
    Part { uri: String, hinted: bool, before: bool, at: Instant, result: Result<Reply> },
}

/// One watcher; when its run is cancelled, `out` stands as it is.
pub(crate) struct Watcher {
    fetcher: Fetcher,
    run: u32,
    base: Url,
    /// Parts that were asked for, as long as they are listed or hinted.
    asked: HashSet<String>,
    first: bool,
    /// What came next in the playlist before.
    next: Option<(u64, usize)>,
    tasks: JoinSet<Event>,
    parts: Arc<AtomicU64>,
    pub(crate) out: Watched,
}

impl Watcher {
    /// Waits for the playlist behind `url`, the first variant's where there are several. `parts` counts parts seen.
    ///
    /// # Errors
    /// When there is none within [`START`].
    pub(crate) async fn open(fetcher: Fetcher, url: Url, run: u32, parts: Arc<AtomicU64>) -> Result<Self> {
        let reply = first(&fetcher, &url).await?;
        let at = Url::parse(&reply.url).unwrap_or(url);
        let base = match Multivariant::parse(&reply.text()) {
            Some(m) => at.join(m.playlists().first().context("a multivariant playlist without variants")?)?,
            None => at,
        };
        let (asked, tasks, out) = (HashSet::new(), JoinSet::new(), Watched::default());
        Ok(Self { fetcher, run, base, asked, first: true, next: None, tasks, parts, out })
    }

    /// Watches until the stream ends.
    pub(crate) async fn watch(&mut self) -> Result<()> {
        // A request with directives is answered as soon as there is a part. Without, a server may wait until there is a
        // segment, for players that take a list of parts alone for an empty one.
        self.reload(Some((0, 0)), Duration::ZERO);
        while let Some(event) = self.tasks.join_next().await {
            match event.context("a request")? {
                Event::Part { uri, hinted, before, at, result } => {
                    self.part(&uri, (hinted, before), at, result)
                }
                Event::Playlist(result) => {
                    if self.playlist(result) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes a playlist and asks for the next; `true` when it is the last.
    fn playlist(&mut self, result: Result<Reply>) -> bool {
        let media = match result {
            Ok(r) if r.status == 200 => Media::parse(&r.text()),
            // Refusing directives before anything is known is a server's right.
            Ok(_) if self.first => None,
            Ok(r) => {
                self.error(format!("{} answers {}", r.place(), r.status));
                None
            }
            Err(e) => {
                self.error(format!("{e:#}"));
                None
            }
        };
        let Some(m) = media else {
            self.reload(None, RETRY);
            return false;
        };
        let blocks = m.control.as_ref().is_some_and(|c| c.can_block_reload) && m.is_low_latency();
        // The reload goes first: it is what tells of the part after the hinted one.
        let new = self.next.replace(m.next()) != Some(m.next());
        let pause = if blocks && new { Duration::ZERO } else { RETRY };
        self.reload(blocks.then(|| m.next()), pause);
        let listed: Vec<&str> =
            m.all().flat_map(|s| &s.parts).filter(|p| !p.gap).map(|p| p.uri.as_str()).collect();
        let hint = m.hinted_part();
        self.asked.retain(|uri| listed.contains(&uri.as_str()) || hint == Some(uri));
        for uri in listed {
            self.ask(uri, false);
        }
        if let Some(uri) = hint {
            self.ask(uri, true);
        }
        self.first = false;
        m.ended()
    }

    fn reload(&mut self, next: Option<(u64, usize)>, pause: Duration) {
        let (fetcher, mut url) = (self.fetcher.clone(), self.base.clone());
        if let Some((msn, part)) = next {
            let mut query = url.query_pairs_mut();
            query.append_pair("_HLS_msn", &msn.to_string()).append_pair("_HLS_part", &part.to_string());
        }
        self.tasks.spawn(async move {
            sleep(pause).await;
            Event::Playlist(fetcher.get(&url).await)
        });
    }

    fn ask(&mut self, uri: &str, hinted: bool) {
        if self.asked.contains(uri) || self.tasks.len() >= MAX_FETCHES {
            return;
        }
        let Ok(url) = self.base.join(uri) else { return };
        self.asked.insert(uri.to_owned());
        let (fetcher, uri, before) = (self.fetcher.clone(), uri.to_owned(), self.first && !hinted);
        self.tasks.spawn(async move {
            let result = fetcher.get(&url).await;
            Event::Part { uri, hinted, before, at: Instant::now(), result }
        });
    }

    fn part(&mut self, uri: &str, (hinted, before): (bool, bool), at: Instant, result: Result<Reply>) {
        match result {
            Ok(r) if r.status == 200 => match found(&r.body, self.run).into_iter().max() {
                Some(last) => {
                    self.out.seen.push(Seen { last, readable: at, hinted, before });
                    self.parts.fetch_add(1, Ordering::Relaxed);
                }
                None => self.out.unstamped += 1,
            },
            // A hint may turn out wrong; what is then listed is asked for again.
            Ok(_) if hinted => {
                self.asked.remove(uri);
            }
            Ok(r) => self.error(format!("{} answers {}", r.place(), r.status)),
            Err(e) => self.error(format!("{e:#}")),
        }
    }

    fn error(&mut self, what: String) {
        if self.out.errors.len() < MAX_ERRORS {
            self.out.errors.push(what);
        }
    }
}

/// The first playlist, looked for until it is there.
async fn first(fetcher: &Fetcher, url: &Url) -> Result<Reply> {
    let looking = async {
        loop {
            if let Ok(r) = fetcher.get(url).await
                && r.status == 200
            {
                return r;
            }
            sleep(LOOK).await;
        }
    };
    let reply = timeout(START, looking).await;
    ensure!(reply.is_ok(), "no playlist at {} for {START:?}", url.path());
    Ok(reply?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::samples::GOOD;

    fn watcher() -> Watcher {
        Watcher {
            fetcher: Fetcher::player().unwrap(),
            run: 7,
            // Nothing answers there, and no test waits for it.
            base: Url::parse("http://127.0.0.1:1/live/media.m3u8").unwrap(),
            asked: HashSet::new(),
            first: true,
            next: None,
            tasks: JoinSet::new(),
            parts: Arc::default(),
            out: Watched::default(),
        }
    }

    fn reply(status: u16, body: &'static [u8]) -> Result<Reply> {
        let (url, headers) = ("http://h/x".to_owned(), BTreeMap::new());
        Ok(Reply { url, status, headers, body: body.into(), took: Duration::ZERO })
    }

    #[tokio::test]
    async fn each_part_is_asked_for_once_and_the_hinted_one_too() {
        let mut w = watcher();
        assert!(!w.playlist(reply(200, GOOD.as_bytes())));
        let parts: usize = Media::parse(GOOD).unwrap().all().map(|s| s.parts.len()).sum();
        assert_eq!(w.asked.len(), parts + 1);
        assert!(w.asked.contains("part_7_42.m4s"));
        let tasks = w.tasks.len();
        w.playlist(reply(200, GOOD.as_bytes()));
        assert_eq!(w.tasks.len(), tasks + 1, "only the reload is new");
    }

    #[tokio::test]
    async fn a_hint_that_was_wrong_is_asked_for_again_and_is_no_error() {
        let mut w = watcher();
        w.asked.insert("p".into());
        w.part("p", (true, false), Instant::now(), reply(404, b""));
        assert!(w.asked.is_empty() && w.out.errors.is_empty());
        w.part("p", (false, false), Instant::now(), reply(404, b""));
        assert_eq!(w.out.errors.len(), 1);
    }

    #[tokio::test]
    async fn a_part_counts_by_its_last_stamp() {
        let mut w = watcher();
        let body = b"moof rapidrtmp-stamp:0000000700000002 rapidrtmp-stamp:0000000700000001";
        w.part("p", (true, false), Instant::now(), reply(200, body));
        w.part("q", (false, false), Instant::now(), reply(200, b"moof"));
        assert_eq!((w.out.seen.len(), w.out.seen[0].last, w.out.unstamped), (1, 2, 1));
    }

    #[tokio::test]
    async fn only_the_first_playlist_may_be_refused() {
        let mut w = watcher();
        w.playlist(reply(400, b""));
        assert!(w.out.errors.is_empty());
        w.playlist(reply(200, GOOD.as_bytes()));
        w.playlist(reply(400, b""));
        assert_eq!(w.out.errors.len(), 1);
    }
}
