//! The HTTP API as scripts use it.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::{Value, json};

/// A client of one server's API.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    client: Client,
}

/// Answer of `POST /api/v1/publish`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Minted {
    /// Where to publish, the token in its query.
    pub publish_url: String,
    /// The key asked for.
    pub stream_key: String,
    /// The token.
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
}

impl Api {
    /// A client of the server at `base` (`http://host:port`).
    ///
    /// # Panics
    /// Never: the client has no TLS to set up.
    pub fn new(base: String) -> Self {
        Self { base, client: Client::builder().no_proxy().build().expect("a plain client") }
    }

    /// Mints a token for a stream key.
    ///
    /// # Errors
    /// Any answer but 200 with the four fields.
    pub async fn mint(&self, key: &str) -> Result<Minted> {
        let r = self.post("/api/v1/publish", &json!({ "streamKey": key })).await?;
        ensure!(r.status() == 200, "mint: {}", r.status());
        Ok(r.json().await?)
    }

    /// POSTs JSON.
    ///
    /// # Errors
    /// When the request fails; any status is an answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Response> {
        Ok(self.client.post(format!("{}{path}", self.base)).json(body).send().await?)
    }

    /// GETs.
    ///
    /// # Errors
    /// When the request fails; any status is an answer.
    pub async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.client.get(format!("{}{path}", self.base)).send().await?)
    }

    /// StreamInfo, or `None` for 404.
    ///
    /// # Errors
    /// Any other answer.
    pub async fn stream(&self, key: &str) -> Result<Option<Value>> {
        let r = self.get(&format!("/api/v1/streams/{}", key.replace('/', "%2F"))).await?;
        match r.status().as_u16() {
            200 => Ok(Some(r.json().await?)),
            404 => Ok(None),
            other => anyhow::bail!("stream {key}: {other}"),
        }
    }

    /// Keys of the streams in state live.
    ///
    /// # Errors
    /// Any answer but the documented one.
    pub async fn live(&self) -> Result<Vec<String>> {
        let list: Value = self.get("/api/v1/streams").await?.error_for_status()?.json().await?;
        let streams = list["streams"].as_array().context("streams")?;
        Ok(streams.iter().filter_map(|s| s["streamKey"].as_str().map(ToOwned::to_owned)).collect())
    }

    /// Stops a stream; the status.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn stop(&self, key: &str) -> Result<u16> {
        let path = format!("/api/v1/streams/{}/stop", key.replace('/', "%2F"));
        Ok(self.client.post(format!("{}{path}", self.base)).send().await?.status().as_u16())
    }
}
