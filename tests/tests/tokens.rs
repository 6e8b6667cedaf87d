//! Who may publish, and how often (contract: "Tokens").

use std::time::Duration;

use anyhow::Result;
use e2e::{Encoder, Publishing, Server, eventually};
use serde_json::json;

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
        assert!(r.json::<serde_json::Value>().await?["error"].is_string(), "{bad}");
    }
    let r =
        server.api().post("/api/v1/publish", &json!({ "streamKey": "x", "expiresIn": 999_999_999 })).await?;
    assert_eq!(r.status(), 200, "above the cap: capped and reported");
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
