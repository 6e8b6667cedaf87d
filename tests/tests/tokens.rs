//! Who may publish, and how often (contract: "Tokens").

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use e2e::{Encoder, Options, Publishing, Server, eventually, fetch};
use reqwest::Method;
use serde_json::{Value, json};

const LIVE: Duration = Duration::from_secs(15);

async fn live(server: &Server, key: &str) {
    let api = server.api();
    eventually(&format!("{key} is live"), LIVE, || async {
        api.live().await.ok().filter(|l| l.iter().any(|k| k == key))
    })
    .await;
}

/// ffmpeg is turned away: it exits non-zero.
async fn refused(server: &Server, name: &str) -> Result<()> {
    let mut publishing = Encoder::default().publish(&server.rtmp_url(name))?;
    let (status, log) = publishing.ended(Duration::from_secs(10)).await?;
    assert!(status.is_some_and(|s| s != 0), "{name} was not refused: {status:?} {log}");
    Ok(())
}

async fn publish(server: &Server, name: &str) -> Result<Publishing> {
    Encoder::default().publish(&server.rtmp_url(name))
}

#[tokio::test]
async fn without_a_right_token_nothing_is_published() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("demo").await?.token;
    refused(&server, "/live/demo").await?;
    refused(&server, "/live/demo?token=nonsense").await?;
    refused(&server, &format!("/live/other?token={token}")).await?;
    let forged = Server::start().await?.api().mint("demo").await?.token;
    refused(&server, &format!("/live/demo?token={forged}")).await?;
    assert!(server.api().live().await?.is_empty());
    // None of this burnt the token.
    let _publishing = publish(&server, &format!("/live/demo?token={token}")).await?;
    live(&server, "demo").await;
    Ok(())
}

#[tokio::test]
async fn an_expired_token_is_refused() -> Result<()> {
    let server = Server::start().await?;
    let r = server.api().post("/api/v1/publish", &json!({ "streamKey": "demo", "expiresIn": 1 })).await?;
    let token = r.json::<e2e::Minted>().await?.token;
    // Its lifetime is what is tested: it has to pass.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    refused(&server, &format!("/live/demo?token={token}")).await
}

#[tokio::test]
async fn a_token_is_spent_by_stop_but_not_by_a_drop() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("demo").await?.token;
    let name = format!("/live/demo?token={token}");
    let mut first = publish(&server, &name).await?;
    live(&server, "demo").await;
    first.child.kill().await?;
    let mut second = publish(&server, &name).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!second.child.has_ended(), "the same token publishes again after a drop: {}", second.child.log());
    live(&server, "demo").await;
    assert_eq!(server.api().stop("demo").await?, 200);
    let (status, _) = second.ended(Duration::from_secs(5)).await?;
    assert!(status.is_some_and(|s| s != 0), "stop disconnects the publisher");
    refused(&server, &name).await
}

#[tokio::test]
async fn spent_tokens_stay_spent_over_a_restart_and_others_stay_good() -> Result<()> {
    let server = Server::start().await?;
    let spent = server.api().mint("demo").await?.token;
    let fresh = server.api().mint("demo").await?.token;
    let mut publishing = publish(&server, &format!("/live/demo?token={spent}")).await?;
    live(&server, "demo").await;
    assert_eq!(server.api().stop("demo").await?, 200);
    publishing.ended(Duration::from_secs(5)).await?;
    let server = server.restart().await?;
    refused(&server, &format!("/live/demo?token={spent}")).await?;
    let _publishing = publish(&server, &format!("/live/demo?token={fresh}")).await?;
    live(&server, "demo").await;
    Ok(())
}

#[tokio::test]
async fn of_a_hundred_parallel_uses_one_wins() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("race").await?.token;
    let url = server.rtmp_url("/live/race");
    let report = e2e::publish_many(&url, &token, 100, 8).await?;
    let rows = report["publishers"].as_array().cloned().unwrap_or_default();
    assert_eq!(rows.len(), 100);
    let winners: Vec<_> = rows.iter().filter(|r| r["error"].is_null()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let codes: std::collections::BTreeSet<&str> =
        rows.iter().filter_map(|r| r["error"].as_str()?.split(':').next()).collect();
    assert!(codes.iter().all(|c| c.starts_with("NetStream.Publish.")), "{codes:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_api_refuses_to_mint() -> Result<()> {
    let server = Server::start().await?;
    for bad in [
        json!({}),
        json!({ "streamKey": "" }),
        json!({ "streamKey": "../x" }),
        json!({ "streamKey": "x", "expiresIn": -1 }),
        json!({ "streamKey": "x", "expiresIn": 1.5 }),
        json!({ "streamKey": "x", "expiresIn": "soon" }),
    ] {
        let r = server.api().post("/api/v1/publish", &bad).await?;
        assert_eq!(r.status(), 400, "{bad}");
        assert!(r.json::<Value>().await?["error"].is_string(), "{bad}");
    }
    let r =
        server.api().post("/api/v1/publish", &json!({ "streamKey": "x", "expiresIn": 999_999_999 })).await?;
    assert_eq!(r.status(), 200, "above the cap: capped and reported");
    Ok(())
}

/// Every text file below a folder, and every name.
fn texts(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(texts(&path))
        } else {
            out.push((path.clone(), Vec::new()))
        }
        if let Some(file) = out.last_mut().filter(|f| f.0 == path) {
            file.1 = std::fs::read(&path).unwrap_or_default();
        }
    }
    out
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

// limits-and-faults 22: secrets are planted wherever one can be shown, and looked for wherever anything is written.
#[tokio::test]
async fn fault_22_no_planted_secret_is_shown_anywhere() -> Result<()> {
    let (admin, wrong) = ("planted-admin-5ecret", "planted-wrong-5ecret");
    let server = Options::default()
        .set("RAPIDRTMP__LOG__FILTER", "trace")
        .set("ADMIN_TOKEN", admin)
        .set("AUTH_SECRET", "planted-signing-5ecret")
        .set("HTTP_ADDR", "127.0.0.1:0")
        .start()
        .await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let call = async |method: Method, path: &str, bearer: &str, body: Value| {
        let request = client.request(method, server.url(path)).bearer_auth(bearer).json(&body);
        let answer = request.send().await?;
        let headers = format!("{:?}", answer.headers());
        anyhow::Ok(headers + &answer.text().await?)
    };
    let mint = json!({ "streamKey": "demo" });
    let minted = call(Method::POST, "/api/v1/publish", admin, mint.clone()).await?;
    let (_, body) =
        minted.split_once('{').and_then(|_| minted.rsplit_once("\"token\":\"")).context("a token")?;
    let token = body.split('"').next().unwrap_or_default().to_owned();
    let signature = token.rsplit('.').next().unwrap_or_default().to_owned();
    assert!(signature.len() > 20, "{token}");
    // Everything but the answer that hands the token out.
    let mut said = vec![
        call(Method::POST, "/api/v1/publish", wrong, mint).await?,
        call(Method::POST, "/api/v1/publish", admin, json!({ "streamKey": token })).await?,
        call(Method::POST, "/api/v1/publish", admin, json!({ "streamKey": "x", "expiresIn": token })).await?,
    ];
    refused(&server, &format!("/live/other?token={token}")).await?;
    refused(&server, &format!("/live/demo?token={wrong}&pass={wrong}")).await?;
    refused(&server, &format!("/live/a..b//x?token={token}&user={wrong}")).await?;
    let mut publishing = publish(&server, &format!("/live/demo?token={token}")).await?;
    let media = server.url("/live/demo/media.m3u8");
    eventually("it plays", LIVE, || async { fetch(&media).await.ok().flatten() }).await;
    refused(&server, &format!("/live/demo?token={token}")).await?;
    for path in ["/api/v1/streams", "/api/v1/streams/demo", "/metrics", "/live/demo/index.m3u8"] {
        said.push(call(Method::GET, path, admin, Value::Null).await?);
    }
    said.push(call(Method::GET, &format!("/live/demo/index.m3u8?token={token}"), wrong, Value::Null).await?);
    said.push(call(Method::POST, "/api/v1/streams/demo/stop", wrong, Value::Null).await?);
    said.push(call(Method::POST, "/api/v1/streams/demo/stop", admin, Value::Null).await?);
    publishing.ended(Duration::from_secs(5)).await?;
    refused(&server, &format!("/live/demo?token={token}")).await?;
    said.push(call(Method::GET, "/metrics", admin, Value::Null).await?);
    said.push(server.child.log());
    assert!(said.iter().all(|s| !s.is_empty()) && server.child.log().contains("DEBUG"), "it was looked at");
    let files = texts(server.folder());
    assert!(files.len() > 3, "{files:?}");
    for secret in [admin, wrong, "planted-signing-5ecret", &signature] {
        for s in &said {
            assert!(!s.contains(secret), "{secret} is shown: {s}");
        }
        for (file, bytes) in &files {
            assert!(!holds(bytes, secret), "{} holds {secret}", file.display());
            assert!(!file.to_string_lossy().contains(secret), "{}", file.display());
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_log_and_no_metric_shows_a_token() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("demo").await?.token;
    refused(&server, &format!("/live/other?token={token}")).await?;
    let _publishing = publish(&server, &format!("/live/demo?token={token}")).await?;
    live(&server, "demo").await;
    let metrics = server.api().get("/metrics").await?.text().await?;
    let signature = token.rsplit('.').next().unwrap_or(&token);
    assert!(!server.child.log().contains(signature), "the log shows a token");
    assert!(!metrics.contains(signature), "a metric shows a token");
    Ok(())
}
