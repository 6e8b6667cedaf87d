//! Single questions whose answer a clause fixes, asked once of a live playlist.

use std::time::Duration;

use reqwest::{Method, Url};

use super::{
    fetch::{Fetcher, Reply},
    finding::Finding,
    lint_reply::lint_error,
    playlist::Media,
};

/// An answer that must not be held comes within this.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Asks everything that fits the playlist `m` at `url`.
pub(crate) async fn probe(fetcher: &Fetcher, url: &Url, m: &Media) -> Vec<Finding> {
    let mut p = Probe { fetcher, url, found: Vec::new() };
    if m.control.as_ref().is_some_and(|c| c.can_block_reload) && !m.ended() {
        p.directives(m).await;
        p.hinted(m).await;
    }
    p.skip(m).await;
    p.queries().await;
    p.validator().await;
    p.methods().await;
    if let Some(s) = m.segments.iter().rev().find(|s| !s.gap)
        && let Some(uri) = &s.uri
    {
        p.ranges(uri).await;
        p.absent(uri).await;
    }
    p.found
}

struct Probe<'a> {
    fetcher: &'a Fetcher,
    url: &'a Url,
    found: Vec<Finding>,
}

impl Probe<'_> {
    async fn ask(&mut self, query: &str) -> Option<Reply> {
        let mut url = self.url.clone();
        url.set_query(Some(query));
        self.send(Method::GET, &url, &[("accept-encoding", "gzip")]).await
    }

    async fn send(&mut self, method: Method, url: &Url, headers: &[(&str, &str)]) -> Option<Reply> {
        let result = self.fetcher.send(method, url, headers).await;
        result.map_err(|e| self.found.push(Finding::new(8, "a request failed", format!("{e:#}")))).ok()
    }

    async fn refuses(&mut self, clause: u8, what: &str, query: &str) {
        let Some(r) = self.ask(query).await else { return };
        if r.status == 400 {
            self.found.extend(lint_error(&r));
        } else {
            self.found.push(Finding::new(clause, what, format!("{}: {}", r.place(), r.status)));
        }
    }

    async fn directives(&mut self, m: &Media) {
        let (msn, _) = m.next();
        if let Some(r) = self.ask(&format!("_HLS_msn={}&_HLS_part=0", m.first_msn())).await
            && (r.status != 200 || r.took > AT_ONCE)
        {
            let at = format!("{}: {} after {:.1?}", r.place(), r.status, r.took);
            self.found.push(Finding::new(20, "a stale directive is not answered at once with 200", at));
        }
        self.refuses(21, "a far future _HLS_msn is not refused with 400", &format!("_HLS_msn={}", msn + 20))
            .await;
        self.refuses(21, "_HLS_part without _HLS_msn is not refused with 400", "_HLS_part=0").await;
        for bad in ["abc", "-1", "", "1.5", "99999999999999999999999"] {
            self.refuses(21, "a malformed _HLS_msn is not refused with 400", &format!("_HLS_msn={bad}"))
                .await;
        }
        self.refuses(
            21,
            "a malformed _HLS_part is not refused with 400",
            &format!("_HLS_msn={msn}&_HLS_part=x"),
        )
        .await;
        let twice = format!("_HLS_msn={msn}&_HLS_msn={msn}");
        self.refuses(50, "a directive given twice is not refused with 400", &twice).await;
    }

    /// The hinted part is held back until it is whole, then sent.
    async fn hinted(&mut self, m: &Media) {
        let mut hint = m.hinted_part().map(ToOwned::to_owned);
        // The epoch may end under our hands once; a second time is no accident.
        for attempt in 0..2 {
            let Some(url) = hint.take().and_then(|h| self.url.join(&h).ok()) else { return };
            let Some(r) = self.send(Method::GET, &url, &[]).await else { return };
            if r.status == 200 && !r.body.is_empty() {
                return;
            }
            if attempt == 1 {
                let at = format!("{}: {}, {} bytes", r.place(), r.status, r.body.len());
                self.found.push(Finding::new(25, "the hinted part is not sent when it is whole", at));
                return;
            }
            let Some(list) = self.ask("").await else { return };
            hint = Media::parse(&list.text()).and_then(|m| m.hinted_part().map(ToOwned::to_owned));
        }
    }

    async fn skip(&mut self, m: &Media) {
        let Some(r) = self.ask("_HLS_skip=YES").await else { return };
        let Some(delta) = Media::parse(&r.text()) else {
            self.found.push(Finding::new(24, "_HLS_skip=YES gives no playlist", format!("{}", r.status)));
            return;
        };
        let limit = m.control.as_ref().and_then(|c| c.can_skip_until);
        self.found.extend(lint_delta(m, &delta, limit));
    }

    async fn queries(&mut self) {
        if let Some(r) = self.ask("unknown=1&other").await
            && r.status != 200
        {
            self.found.push(Finding::new(
                50,
                "an unknown query parameter is not ignored",
                r.status.to_string(),
            ));
        }
    }

    /// If-None-Match with the current ETag gives 304. A live playlist may change in between, so a few tries.
    async fn validator(&mut self) {
        let url = self.url.clone();
        for _ in 0..10 {
            let Some(first) = self.send(Method::GET, &url, &[]).await else { return };
            let Some(etag) = first.header("etag").map(ToOwned::to_owned) else { return };
            let Some(second) = self.send(Method::GET, &url, &[("if-none-match", &etag)]).await else {
                return;
            };
            if second.status == 304 {
                return;
            }
            if second.header("etag") == Some(&etag) {
                let at = format!("{}: {} with {etag}", second.place(), second.status);
                self.found.push(Finding::new(46, "If-None-Match with the current ETag gives no 304", at));
                return;
            }
        }
    }

    async fn methods(&mut self) {
        let url = self.url.clone();
        if let Some(r) = self.send(Method::HEAD, &url, &[]).await
            && (r.status != 200 || !r.body.is_empty())
        {
            self.found.push(Finding::new(
                48,
                "HEAD of a playlist is not answered like GET",
                r.status.to_string(),
            ));
        }
        let preflight = [("origin", "http://player.example"), ("access-control-request-method", "GET")];
        if let Some(r) = self.send(Method::OPTIONS, &url, &preflight).await {
            if r.status != 204 {
                self.found.push(Finding::new(48, "OPTIONS is not answered with 204", r.status.to_string()));
            }
            if r.header("access-control-allow-origin").is_none()
                || r.header("access-control-max-age").is_none()
            {
                self.found.push(Finding::new(
                    48,
                    "a preflight answer lacks Allow-Origin or Max-Age",
                    r.place(),
                ));
            }
        }
    }

    async fn ranges(&mut self, uri: &str) {
        let Ok(url) = self.url.join(uri) else { return };
        if let Some(r) = self.send(Method::GET, &url, &[("range", "bytes=0-15")]).await {
            self.found.extend(lint_range(&r));
        }
        if let Some(r) = self.send(Method::GET, &url, &[("range", "bytes=99999999999-")]).await
            && r.status != 416
        {
            self.found.push(Finding::new(
                47,
                "a range past the end is not refused with 416",
                r.status.to_string(),
            ));
        }
    }

    async fn absent(&mut self, uri: &str) {
        let name = uri.rsplit_once('/').map_or(uri, |u| u.1);
        let Ok(url) = self.url.join(&format!("absent_{name}")) else { return };
        let Some(r) = self.send(Method::GET, &url, &[]).await else { return };
        self.found.extend(lint_error(&r));
        if r.status != 404 {
            self.found.push(Finding::new(
                51,
                "an absent object is not answered with 404",
                r.status.to_string(),
            ));
        }
        if r.took > AT_ONCE {
            self.found.push(Finding::new(25, "a name that is not hinted is held", format!("{:.1?}", r.took)));
        }
    }
}

/// A delta update against the full playlist it was asked after.
fn lint_delta(full: &Media, delta: &Media, can_skip_until: Option<f64>) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(limit) = can_skip_until else {
        if delta.skipped.is_some() {
            found.push(Finding::new(24, "EXT-X-SKIP without CAN-SKIP-UNTIL", "_HLS_skip=YES"));
        }
        return found;
    };
    if delta.skipped.is_some() && delta.seconds() + 0.001 < limit {
        let at = format!("{:.3} s of {limit}", delta.seconds());
        found.push(Finding::new(24, "a delta update skips segments younger than CAN-SKIP-UNTIL", at));
    }
    for s in &delta.segments {
        let before = full.segments.iter().find(|f| f.msn == s.msn);
        if before.is_some_and(|b| b.uri != s.uri || b.discontinuity != s.discontinuity) {
            found.push(Finding::new(
                24,
                "a delta update numbers its segments differently",
                format!("msn {}", s.msn),
            ));
            break;
        }
    }
    found
}

fn lint_range(r: &Reply) -> Option<Finding> {
    let right = r.status == 206
        && r.body.len() == 16
        && r.header("content-range").is_some_and(|c| c.starts_with("bytes 0-15/"));
    (!right).then(|| {
        let at =
            format!("{}: {}, {} bytes, {:?}", r.place(), r.status, r.body.len(), r.header("content-range"));
        Finding::new(47, "a single range is not answered with its 206", at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    #[test]
    fn clause_24_deltas_keep_what_is_young_and_every_number() {
        let full = Media::parse(GOOD).unwrap();
        let (head, rest) = GOOD.split_once("#EXT-X-MAP").unwrap();
        let (_, rest) = rest.split_once("segment_7_100.m4s\n").unwrap();
        let read = |n: u32| Media::parse(&format!("{head}#EXT-X-SKIP:SKIPPED-SEGMENTS={n}\n{rest}")).unwrap();
        assert_eq!(lint_delta(&full, &read(1), Some(6.0)), []);
        assert_eq!(lint_delta(&full, &read(1), Some(6.5)).len(), 1);
        assert_eq!(lint_delta(&full, &read(2), Some(6.0)).len(), 1);
        assert_eq!(lint_delta(&full, &read(1), None).len(), 1);
    }

    #[test]
    fn clause_47_single_ranges() {
        let mut r = Reply {
            url: "http://h/x".into(),
            status: 206,
            headers: [("content-range".to_owned(), "bytes 0-15/100".to_owned())].into(),
            body: vec![0; 16].into(),
            took: Duration::ZERO,
        };
        assert!(lint_range(&r).is_none());
        r.status = 200;
        assert_eq!(lint_range(&r).unwrap().clause, 47);
    }
}
