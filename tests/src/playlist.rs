//! Playlists as text, looked at by tag.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Client, Response};

/// A media playlist's text.
#[derive(Clone, Debug)]
pub struct Playlist {
    /// The text.
    pub text: String,
}

/// GETs a URL.
///
/// # Errors
/// When the request fails; any status is an answer.
pub async fn get(url: &str) -> Result<Response> {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    client.get(url).send().await.with_context(|| url.to_owned())
}

/// GETs a playlist; `None` for any status but 200.
///
/// # Errors
/// When the request fails.
pub async fn fetch(url: &str) -> Result<Option<Playlist>> {
    let r = get(url).await?;
    if r.status() != 200 {
        return Ok(None);
    }
    Ok(Some(Playlist { text: r.text().await? }))
}

impl Playlist {
    /// Value of the first tag of that name.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|l| l.strip_prefix('#')?.strip_prefix(name)?.strip_prefix(':'))
    }

    /// A tag's value as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.tag(name)?.parse().ok()
    }

    /// How often a tag stands there.
    pub fn count(&self, name: &str) -> usize {
        let is = |l: &&str| {
            l.strip_prefix('#').and_then(|l| l.strip_prefix(name)).is_some_and(|r| !r.starts_with('-'))
        };
        self.text.lines().filter(is).count()
    }

    /// URIs of complete segments.
    pub fn segments(&self) -> Vec<&str> {
        self.text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect()
    }

    /// The number after the last complete segment's.
    pub fn next_msn(&self) -> u64 {
        self.number("EXT-X-MEDIA-SEQUENCE").unwrap_or(0) + self.segments().len() as u64
    }

    /// Whether the stream is over.
    pub fn ended(&self) -> bool {
        self.text.lines().any(|l| l == "#EXT-X-ENDLIST")
    }
}
