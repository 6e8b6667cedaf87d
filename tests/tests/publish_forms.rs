//! Every way an encoder names a stream and shows its token reaches the right path (design: "One stream, one name").

use std::time::Duration;

use anyhow::Result;
use e2e::{Encoder, Options, Server, eventually, fetch};

const LIVE: Duration = Duration::from_secs(15);

/// Publishes to a URL with ffmpeg's RTMP options and waits for the playlist of `path`.
async fn plays(server: &Server, url: &str, options: &[&str], path: &str) -> Result<()> {
    let publishing = Encoder { seconds: Some(30), ..Encoder::default() }.publish_with(url, options)?;
    let playlist = server.url(&format!("/{path}/index.m3u8"));
    eventually(&format!("{url} plays as {path}"), LIVE, || async {
        fetch(&playlist).await.ok().flatten().filter(|p| p.text.contains("#EXT-X-STREAM-INF"))
    })
    .await;
    publishing.finish().await?;
    Ok(())
}

#[tokio::test]
async fn app_name_and_token_in_the_name() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("demo").await?.token;
    plays(&server, &server.rtmp_url(&format!("/live/demo?token={token}")), &[], "live/demo").await
}

#[tokio::test]
async fn the_publish_url_of_the_api_works_as_it_is() -> Result<()> {
    let server = Server::start().await?;
    let minted = server.api().mint("cam").await?;
    assert_eq!(minted.stream_key, "cam");
    plays(&server, &minted.publish_url, &[], "live/cam").await
}

#[tokio::test]
async fn token_in_the_app_and_an_empty_name() -> Result<()> {
    let server = Server::start().await?;
    // A key with a slash is a full path; the path `live` alone is minted by such a key only.
    let token = mint_path(&server, "live").await?;
    plays(&server, &server.rtmp_url(&format!("/live?token={token}")), &[], "live").await
}

#[tokio::test]
async fn obs_with_server_and_a_key_that_is_only_a_query() -> Result<()> {
    let server = Server::start().await?;
    let token = mint_path(&server, "live").await?;
    let play = format!("?token={token}");
    let options = ["-rtmp_app", "live", "-rtmp_playpath", &play];
    plays(&server, &server.rtmp_url("/live"), &options, "live").await
}

#[tokio::test]
async fn obs_with_the_whole_url_in_server_and_no_key() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("demo").await?.token;
    let app = format!("live/demo?token={token}");
    let options = ["-rtmp_app", &app, "-rtmp_playpath", ""];
    plays(&server, &server.rtmp_url("/live/demo"), &options, "live/demo").await
}

#[tokio::test]
async fn jwt_is_another_name_for_token_and_order_does_not_matter() -> Result<()> {
    let server = Server::start().await?;
    let token = server.api().mint("demo").await?.token;
    let url = server.rtmp_url(&format!("/live/demo?user=x&jwt={token}&pass=y"));
    plays(&server, &url, &[], "live/demo").await
}

#[tokio::test]
async fn a_key_with_a_slash_is_a_full_path() -> Result<()> {
    let server = Server::start().await?;
    let minted = server.api().mint("site/north/cam1").await?;
    plays(&server, &minted.publish_url, &[], "site/north/cam1").await
}

#[tokio::test]
async fn a_trailing_slash_is_nothing() -> Result<()> {
    let server = Options::open().start().await?;
    plays(&server, &server.rtmp_url("/open/cam/"), &[], "open/cam").await
}

/// A token for a path that a stream key cannot name (no slash, not below the app): by the command line.
async fn mint_path(server: &Server, path: &str) -> Result<String> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(std::path::Path::parent).expect("target/PROFILE/deps");
    let out = tokio::process::Command::new(folder.join("rapidrtmp"))
        .args(["mint", path])
        .current_dir(server.folder())
        .env("STORAGE_DIR", server.storage())
        .env("STATE_DIR", server.folder().join("state"))
        .output()
        .await?;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout)?;
    let jwt = text.split(|c: char| c.is_whitespace() || c == '=' || c == '"').find(|w| w.starts_with("eyJ"));
    Ok(jwt.unwrap_or_else(|| panic!("a token in {text:?}")).to_owned())
}
