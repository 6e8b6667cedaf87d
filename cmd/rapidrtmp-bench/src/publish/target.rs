//! Where to publish: an RTMP URL, split as encoders do.

use std::fmt;

use anyhow::{Result, ensure};
use reqwest::Url;

/// A parsed RTMP URL. `Display` leaves the query out: it holds credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// First part of the path; with the query when there is no name.
    pub(crate) app: String,
    /// The rest of the path and the query.
    pub(crate) name: String,
}

impl Target {
    /// Reads `rtmp://host[:port]/app[/name][?query]`, after `{n}` became the publisher's number.
    ///
    /// # Errors
    /// When it is no RTMP URL with an application.
    pub(crate) fn parse(template: &str, n: usize) -> Result<Self> {
        let url = Url::parse(&template.replace("{n}", &n.to_string()))?;
        ensure!(url.scheme() == "rtmp", "the URL must begin with rtmp://");
        let path = url.path().trim_start_matches('/');
        let query = url.query().map(|q| format!("?{q}")).unwrap_or_default();
        let (app, name) = path.split_once('/').unwrap_or((path, ""));
        ensure!(!app.is_empty(), "the URL names no application: rtmp://host/app/name");
        let (app, name) = if name.is_empty() {
            (format!("{app}{query}"), String::new())
        } else {
            (app.to_owned(), format!("{name}{query}"))
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port: url.port().unwrap_or(1935), app, name })
    }

    /// The `tcUrl` of the connect command.
    pub(crate) fn tc_url(&self) -> String {
        format!("rtmp://{}:{}/{}", self.host, self.port, self.app)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = |s: &str| s.split('?').next().unwrap_or_default().to_owned();
        write!(f, "rtmp://{}:{}/{}", self.host, self.port, public(&self.app))?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", public(&self.name)) }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_split_as_encoders_do() {
        let t = Target::parse("rtmp://h:1936/live/demo{n}?token=T{n}", 7).unwrap();
        assert_eq!((t.app.as_str(), t.name.as_str(), t.port), ("live", "demo7?token=T7", 1936));
        assert_eq!(t.tc_url(), "rtmp://h:1936/live");
        let t = Target::parse("rtmp://h/live?token=T", 0).unwrap();
        assert_eq!((t.app.as_str(), t.name.as_str(), t.port), ("live?token=T", "", 1935));
        let t = Target::parse("rtmp://[::1]/a/b/c", 0).unwrap();
        assert_eq!((t.host.as_str(), t.name.as_str()), ("::1", "b/c"));
        assert!(Target::parse("http://h/live", 0).is_err() && Target::parse("rtmp://h/", 0).is_err());
    }

    #[test]
    fn credentials_are_not_shown() {
        for url in ["rtmp://h/live/demo?token=s3cret", "rtmp://h/live?token=s3cret"] {
            let t = Target::parse(url, 0).unwrap();
            assert!(!format!("{t} {t:?}").contains("s3cret"));
        }
    }
}
