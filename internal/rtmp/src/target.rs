//! What a client calls a stream, to path and credentials (design: "One stream, one name").

use media::{Credentials, StreamPath};

use crate::PublishRequest;

/// What is left of the queries is for hooks; longer ones are cut.
const MAX_QUERY: usize = 4 * 1024;
/// Pairs of one query; later ones are not read.
const MAX_PAIRS: usize = 256;

/// The stream that `connect` and `publish` name together.
///
/// The path is the app's and the name's, joined; without an app, `tcUrl` gives it. Credentials may ride in
/// any of the three queries.
pub(crate) fn request(app: &str, tc_url: &str, name: &str) -> PublishRequest {
    let (app_path, app_query) = split(app);
    let (url_path, url_query) = split(tc_url);
    let (name_path, name_query) = split(name);
    let base = if app_path.is_empty() { url_path } else { app_path };
    let base = base.strip_suffix('/').unwrap_or(base);
    let path = match (base.is_empty(), name_path.is_empty()) {
        (_, true) => decode(base),
        (true, false) => decode(name_path),
        (false, false) => format!("{}/{}", decode(base), decode(name_path)),
    };
    let mut credentials = Credentials::default();
    let mut query = String::new();
    for source in [name_query, app_query, url_query] {
        take_credentials(source, &mut credentials, &mut query);
    }
    PublishRequest { path: StreamPath::parse(&path), credentials, query }
}

/// The app without quotes, scheme, host, query and slashes around it: for logs.
pub(crate) fn app_name(app: &str) -> &str {
    let (path, _) = split(app);
    path.strip_suffix('/').unwrap_or(path)
}

/// Path and query, of a URL or of what comes after its host.
fn split(s: &str) -> (&str, &str) {
    let s = s.trim().trim_matches(['\'', '"']);
    let (path, query) = s.split_once('?').unwrap_or((s, ""));
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_host, path)| path),
        None => path.strip_prefix('/').unwrap_or(path),
    };
    (path, query)
}

/// Credentials that are not given yet go to `credentials`, other pairs to `query`, once each.
fn take_credentials(source: &str, credentials: &mut Credentials, query: &mut String) {
    // A key such as `?token=T` behind an app with a query of its own gives a second '?'.
    for pair in source.split(['&', '?']).filter(|p| !p.is_empty()).take(MAX_PAIRS) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name);
        let slot = match name.as_str() {
            "token" | "jwt" => &mut credentials.token,
            "user" => &mut credentials.user,
            "pass" => &mut credentials.pass,
            _ => {
                let known = query.split('&').any(|p| p == pair);
                if !known && query.len() + pair.len() < MAX_QUERY {
                    if !query.is_empty() {
                        query.push('&');
                    }
                    query.push_str(pair);
                }
                continue;
            }
        };
        if slot.is_none() && !value.is_empty() {
            *slot = Some(decode(value));
        }
    }
}

/// Percent-decoding, once. What is not an escape stays, and `+` too: tokens hold it. What does not decode
/// to UTF-8 holds replacement characters, which no path and no token has.
fn decode(s: &str) -> String {
    let mut out = Vec::with_capacity(s.len());
    let mut rest = s.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some((&[hi, lo], after)) = tail.split_first_chunk::<2>()
            && let (Some(hi), Some(lo)) = (digit(hi), digit(lo))
        {
            out.push(hi << 4 | lo);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use media::InvalidPath;

    use super::*;

    fn path_and_token(app: &str, tc_url: &str, name: &str) -> (String, Option<String>) {
        let r = request(app, tc_url, name);
        (r.path.map_or_else(|e| format!("{e:?}"), |p| p.to_string()), r.credentials.token)
    }

    #[test]
    fn every_form_of_the_design_gives_its_path() {
        let t = || Some("T".to_owned());
        for (app, tc_url, name, path, token) in [
            // ffmpeg rtmp://h/live/demo?token=T, and OBS with key demo?token=T
            ("live", "rtmp://h:1935/live", "demo?token=T", "live/demo", t()),
            // ffmpeg rtmp://h/live?token=T
            ("live?token=T", "rtmp://h:1935/live?token=T", "", "live", t()),
            // OBS, server rtmp://h/live, key ?token=T
            ("live", "rtmp://h/live", "?token=T", "live", t()),
            // the same with a slash behind the server
            ("live/", "rtmp://h/live/", "?token=T", "live", t()),
            ("live/", "rtmp://h/live/", "demo?token=T", "live/demo", t()),
            // the whole URL in OBS's server field, with an empty key
            ("live/demo?token=T", "rtmp://h/live/demo?token=T", "", "live/demo", t()),
            ("live/demo/?token=T", "rtmp://h/live/demo/?token=T", "", "live/demo", t()),
            ("", "rtmp://h/live/demo?token=T", "", "live/demo", t()),
            ("rtmp://h/live/demo?token=T", "rtmp://h/live/demo?token=T", "", "live/demo", t()),
            // quotes
            ("live'", "'rtmp://h/live'", "demo?token=T", "live/demo", t()),
            ("", "\"rtmp://h/live?token=T\"", "", "live", t()),
            // ffmpeg rtmp://h/a/b/c
            ("a/b", "rtmp://h/a/b", "c", "a/b/c", None),
            // the query on the app, the key plain
            ("live?token=T", "rtmp://h/live?token=T", "demo", "live/demo", t()),
            // the query in the URL alone
            ("live", "rtmp://h/live?token=T", "demo", "live/demo", t()),
        ] {
            assert_eq!(path_and_token(app, tc_url, name), (path.to_owned(), token), "{app} {tc_url} {name}");
        }
    }

    #[test]
    fn credentials_are_found_in_any_order_and_the_name_goes_first() {
        let r = request("live?token=app&user=u", "rtmp://h/live?pass=p&x=1", "demo?a=b&jwt=name&c=d");
        assert_eq!(r.credentials.token.as_deref(), Some("name"));
        assert_eq!(r.credentials.user.as_deref(), Some("u"));
        assert_eq!(r.credentials.pass.as_deref(), Some("p"));
        assert_eq!(r.query, "a=b&c=d&x=1");
        let r = request("live?x=1", "rtmp://h/live?x=1", "demo?token=");
        assert_eq!((r.credentials.token, r.query.as_str()), (None, "x=1"));
    }

    #[test]
    fn escapes_are_decoded_once() {
        let r = request("live", "", "d%65mo?tok%65n=a%2Bb%20c+%25%32%35");
        assert_eq!(r.path.unwrap().as_str(), "live/demo");
        assert_eq!(r.credentials.token.as_deref(), Some("a+b c+%25"));
        assert_eq!(request("live", "", "%252e%252e").path, Err(InvalidPath::Character));
        assert_eq!(request("live", "", "50%").path, Err(InvalidPath::Character));
    }

    // limits-and-faults 8.
    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(4096);
        for name in [
            "../x",
            "..",
            "%2e%2e",
            "%2e%2e%2fx",
            "..\\x",
            "..%5cx",
            "a\0b",
            "a%00b",
            "\u{fffd}\u{fffd}",
            "%c0%ae%c0%ae",
            "demo/",
            "demo//",
            "//demo",
            "/etc/passwd/",
            "a b",
            "index.m3u8",
            "whep",
            &long,
        ] {
            assert!(request("live", "rtmp://h/live", name).path.is_err(), "{name:?}");
        }
        assert!(request("", "", "").path.is_err());
        assert!(request("/", "rtmp://h/", "").path.is_err());
        assert!(request("live//", "rtmp://h/live//", "demo").path.is_err());
        assert!(request("../..", "rtmp://h/../..", "demo").path.is_err());
        assert!(request("api", "rtmp://h/api", "v1").path.is_err());
    }

    #[test]
    fn what_is_left_of_a_query_is_bounded() {
        let long = format!("demo?{}", "abcdefgh=1&".repeat(2000));
        assert!(request("live", "", &long).query.len() <= MAX_QUERY);
        let many: String = (0..2000).map(|n| format!("k{n}=1&")).collect();
        assert!(request("live", "", &format!("demo?{many}")).query.len() <= MAX_QUERY);
    }

    #[test]
    fn the_apps_name_holds_no_query() {
        assert_eq!(app_name("live?token=T"), "live");
        assert_eq!(app_name("'live/'"), "live");
        assert_eq!(app_name("rtmp://h/live/x?token=T"), "live/x");
    }
}
