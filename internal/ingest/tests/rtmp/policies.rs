//! Tokens, takeover, stop, drain.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ingest::Takeover;
use live::CloseReason;
use media::{PathPattern, PerPath};
use registry::{MemoryRegistry, PathState, TokenId};
use tokio::time::{Instant, timeout};

use crate::{
    client::Client,
    server::{LONG, Server, options, path, record},
};

/// A registry whose claims look 11 s old at once.
fn eleven_seconds_ago() -> Arc<MemoryRegistry> {
    let clock = Arc::new(|| SystemTime::now() - Duration::from_secs(11));
    Arc::new(MemoryRegistry::with_clock(None, clock).unwrap())
}

// Contract "Tokens": of 100 parallel uses exactly one wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_parallel_uses_of_a_token_one_wins() {
    let server = Server::start(options()).await;
    let name = format!("demo?token={}", server.token("live/demo"));
    let tries: Vec<_> = (0..100)
        .map(|_| {
            let (addr, name) = (server.addr, name.clone());
            tokio::spawn(async move {
                let mut c = Client::publish(addr, &name).await?;
                // It sends, or its token could be used again after two seconds.
                c.begin().await;
                Ok::<_, String>(tokio::spawn(c.keep_on()))
            })
        })
        .collect();
    let (mut winners, mut codes) = (Vec::new(), Vec::new());
    for t in tries {
        match t.await.unwrap() {
            Ok(c) => winners.push(c),
            Err(code) => codes.push(code),
        }
    }
    assert_eq!(winners.len(), 1);
    assert!(codes.iter().all(|c| c == "NetStream.Publish.BadName"), "{codes:?}");
    assert_eq!(server.directory.list().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_token_comes_back_after_a_drop_until_its_stream_ends() {
    let mut server = Server::start(options()).await;
    let name = format!("demo?token={}", server.token("live/demo"));
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let mut c = Client::publish(server.addr, &name).await.unwrap();
        let stream = server.next().await;
        epochs.push(stream.epoch());
        c.begin().await;
        drop(c);
        assert_eq!(timeout(LONG, stream.closed()).await.unwrap(), CloseReason::Disconnected);
        // The claim is given back right behind the close.
        while server.registry.look_up(&path("live/demo")).await.unwrap().unwrap().state != PathState::Gap {
            tokio::task::yield_now().await;
        }
    }
    assert!(epochs.windows(2).all(|w| w[0] < w[1]), "{epochs:?}");
    server.registry.end(&path("live/demo"), epochs[2]).await.unwrap();
    let again = Client::publish(server.addr, &name).await.err();
    assert_eq!(again.as_deref(), Some("NetStream.Publish.Unauthorized"));
}

// A half-open publisher: its connection stays, but nothing comes for 2 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_token_replaces_its_silent_connection() {
    let mut server = Server::start(options()).await;
    let name = format!("demo?token={}", server.token("live/demo"));
    let mut first = Client::publish(server.addr, &name).await.unwrap();
    let stream = server.next().await;
    first.begin().await;
    let since = Instant::now();
    let second = loop {
        match Client::publish(server.addr, &name).await {
            Ok(c) => break c,
            Err(code) => assert_eq!(code, "NetStream.Publish.BadName"),
        }
    };
    assert!(since.elapsed() >= Duration::from_millis(1_900), "{:?}", since.elapsed());
    assert_eq!(stream.close_reason(), Some(CloseReason::Replaced));
    assert_eq!(first.end().await, "NetStream.Publish.BadName");
    assert!(server.next().await.is_open());
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_token_takes_over_once_the_claim_is_ten_seconds_old() {
    let name = |s: &Server| format!("demo?token={}", s.token("live/demo"));
    // Young and sending: refused.
    let mut server = Server::start(options()).await;
    let mut first = Client::publish(server.addr, &name(&server)).await.unwrap();
    let stream = server.next().await;
    first.begin().await;
    let mut seen = stream.subscribe();
    while stream.stats().video_frames == 0 {
        timeout(LONG, seen.recv(&mut Vec::new())).await.unwrap();
    }
    let first = tokio::spawn(first.keep_on());
    let second = Client::publish(server.addr, &name(&server)).await.err();
    assert_eq!(second.as_deref(), Some("NetStream.Publish.BadName"));
    first.abort();

    // Older: replaced, and told so.
    let mut server = Server::with_registry(options(), eleven_seconds_ago()).await;
    let mut first = Client::publish(server.addr, &name(&server)).await.unwrap();
    let stream = server.next().await;
    first.begin().await;
    let first = tokio::spawn(first.keep_on());
    let _second = Client::publish(server.addr, &name(&server)).await.unwrap();
    assert_eq!(timeout(LONG, stream.closed()).await.unwrap(), CloseReason::Replaced);
    assert_eq!(first.await.unwrap(), "NetStream.Publish.BadName");
    assert!(server.next().await.epoch() > stream.epoch());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_reject_keeps_the_first() {
    let o = ingest::IngestOptions { takeover: Takeover::Reject.into(), ..options() };
    let mut server = Server::with_registry(o, eleven_seconds_ago()).await;
    let _first = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    let stream = server.next().await;
    let second = Client::publish_in(server.addr, "open", "demo").await.err();
    assert_eq!(second.as_deref(), Some("NetStream.Publish.BadName"));
    assert!(stream.is_open());
}

// A path's own policy: the first rule that matches decides, the rest follow the global one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_path_rejects_while_another_is_taken_over() {
    let rules = vec![
        (PathPattern::parse("open/mine").unwrap(), Takeover::Reject),
        (PathPattern::parse("open/*").unwrap(), Takeover::Takeover),
    ];
    let o = ingest::IngestOptions { takeover: PerPath::new(rules, Takeover::Reject), ..options() };
    let mut server = Server::with_registry(o, eleven_seconds_ago()).await;

    let _first = Client::publish_in(server.addr, "open", "mine").await.unwrap();
    let kept = server.next().await;
    let second = Client::publish_in(server.addr, "open", "mine").await.err();
    assert_eq!(second.as_deref(), Some("NetStream.Publish.BadName"));
    assert!(kept.is_open());

    let _first = Client::publish_in(server.addr, "open", "anyone").await.unwrap();
    let replaced = server.next().await;
    let _second = Client::publish_in(server.addr, "open", "anyone").await.unwrap();
    assert_eq!(timeout(LONG, replaced.closed()).await.unwrap(), CloseReason::Replaced);
    assert!(kept.is_open());
}

// Contract "HTTP"/issue: stop disconnects the publisher within 1 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_and_revocation_disconnect_within_a_second_and_say_why() {
    let mut server = Server::start(options()).await;
    for (reason, code) in [
        (CloseReason::Stopped, "NetStream.Publish.Rejected"),
        (CloseReason::Revoked, "NetStream.Publish.Unauthorized"),
        (CloseReason::Fenced, "NetStream.Publish.BadName"),
    ] {
        let mut c = Client::publish_in(server.addr, "open", "demo").await.unwrap();
        c.begin().await;
        let stream = server.next().await;
        let since = Instant::now();
        stream.close(reason);
        assert_eq!(c.end().await, code);
        assert_eq!(c.end().await, "closed");
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
    assert!(!server.directory.stop(&path("open/demo")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_token_is_refused_and_burns_nothing() {
    let mut server = Server::start(options()).await;
    let minted = server.policy.tokens().mint(&path("live/demo"), Duration::from_secs(60), SystemTime::now());
    server.registry.revoke(TokenId(minted.id.as_u128()), minted.expires_at).await.unwrap();
    let refused = Client::publish(server.addr, &format!("demo?token={}", minted.token)).await.err();
    assert_eq!(refused.as_deref(), Some("NetStream.Publish.Unauthorized"));
    let fresh = server.token("live/demo");
    let wrong_name = Client::publish(server.addr, &format!("other?token={fresh}")).await.err();
    assert_eq!(wrong_name.as_deref(), Some("NetStream.Publish.Unauthorized"));
    assert!(Client::publish(server.addr, &format!("demo?token={fresh}")).await.is_ok());
    server.next().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_streams_than_allowed() {
    let server = Server::start(ingest::IngestOptions { max_streams: 1, ..options() }).await;
    let _first = Client::publish_in(server.addr, "open", "a").await.unwrap();
    let second = Client::publish_in(server.addr, "open", "b").await.err();
    assert_eq!(second.as_deref(), Some("NetStream.Publish.Rejected"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_the_publishers_and_ends() {
    let mut server = Server::start(options()).await;
    let mut c = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    c.begin().await;
    let stream = server.next().await;
    server.cancel.cancel();
    assert_eq!(c.end().await, "NetStream.Unpublish.Success");
    timeout(LONG, server.serving).await.unwrap().unwrap();
    assert_eq!(record(&stream).await.reason, CloseReason::Draining);
    let state = server.registry.look_up(&path("open/demo")).await.unwrap().unwrap().state;
    assert_eq!(state, PathState::Gap);
}

// Contract "Tokens": a refused publish burns nothing, and a codec is a reason to refuse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_that_nobody_can_play_burns_no_token() {
    let mut server = Server::start(options()).await;
    let (live, name) = (path("live/demo"), format!("demo?token={}", server.token("live/demo")));
    let mut c = Client::publish(server.addr, &name).await.unwrap();
    let stream = server.next().await;
    c.send_unusable().await;
    assert_eq!(c.end().await, "NetStream.Publish.Rejected");
    let free = async {
        while server.registry.look_up(&live).await.unwrap().unwrap().state == PathState::Live {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, free).await.expect("the path is free again");
    // What the lane of that publish says when its time is over.
    server.registry.end(&live, stream.epoch()).await.unwrap();
    assert!(Client::publish(server.addr, &name).await.is_ok());
}
