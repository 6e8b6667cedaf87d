//! Limits, faults and abuse (limits-and-faults.md, its numbers).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ingest::IngestOptions;
use live::CloseReason;
use media::{Epoch, StreamPath};
use metrics_exporter_prometheus::PrometheusBuilder;
use registry::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Health, Lost, MemoryRegistry, Record, StreamRegistry,
    TokenId, Unavailable,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    client::Client,
    server::{LONG, Server, options, record},
};

const SHORT: Duration = Duration::from_millis(300);

/// Waits until the server closes.
async fn closed(mut socket: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(n) = timeout(LONG, socket.read(&mut buffer)).await.expect("closed in time") {
        if n == 0 {
            return;
        }
    }
}

// 1, 2: the deadline is one for the whole handshake, not for each read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_and_slow_handshakes_are_closed() {
    let server = Server::start(IngestOptions { handshake_timeout: SHORT, ..options() }).await;
    let since = Instant::now();
    closed(TcpStream::connect(server.addr).await.unwrap()).await;
    assert!(since.elapsed() >= SHORT);
    let slow = TcpStream::connect(server.addr).await.unwrap();
    let (read, mut write) = slow.into_split();
    let drip = tokio::spawn(async move {
        let mut byte = 3;
        while write.write_all(&[byte]).await.is_ok() {
            byte = 0;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    timeout(LONG, drip).await.expect("a total deadline").unwrap();
    drop(read);
}

// 1: many silent connections of one address leave room for those that speak.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_take_places_only_for_a_while() {
    let o = IngestOptions { max_pending_per_ip: 2, handshake_timeout: Duration::from_secs(3), ..options() };
    let server = Server::start(o).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }
    let since = Instant::now();
    // The third waits for a place, for no longer than its own handshake may take: it is closed then.
    closed(TcpStream::connect(server.addr).await.unwrap()).await;
    assert!(since.elapsed() >= Duration::from_secs(2));
    for s in silent {
        closed(s).await;
    }
    assert!(Client::publish_in(server.addr, "open", "demo").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_never_publishes_is_closed() {
    let server = Server::start(IngestOptions { publish_timeout: SHORT, ..options() }).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let mut hello = vec![0; 1 + 2 * 1536];
    hello[0] = 3;
    socket.write_all(&hello).await.unwrap();
    closed(socket).await;
}

// 3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_closed_and_the_others_go_on() {
    let mut server = Server::start(options()).await;
    let mut good = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    good.begin().await;
    let stream = server.next().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[6; 1537], &[0x16, 3, 1, 2, 0]] {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        closed(socket).await;
    }
    let mut torn = Client::publish_in(server.addr, "open", "torn").await.unwrap();
    torn.socket.write_all(&[0xff; 5000]).await.unwrap();
    assert_eq!(record(&server.next().await).await.reason, CloseReason::Disconnected);
    assert!(stream.is_open());
}

// 12.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_without_media_is_idle() {
    let mut server = Server::start(IngestOptions { idle_timeout: SHORT, ..options() }).await;
    let mut c = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    c.begin().await;
    let stream = server.next().await;
    let since = Instant::now();
    assert_eq!(timeout(LONG, stream.closed()).await.unwrap(), CloseReason::Idle);
    assert!(since.elapsed() >= SHORT / 2);
    assert_eq!(c.end().await, "NetStream.Publish.Rejected");
}

// Contract "Time, cuts and parts": media too far ahead of the clock is not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_faster_than_real_time_is_held_back_and_warned() {
    let o = IngestOptions { max_ahead: Duration::from_secs(1), ..options() };
    let mut server = Server::start(o).await;
    let mut c = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    let stream = server.next().await;
    let since = Instant::now();
    let sender = tokio::spawn(async move {
        c.send_config().await;
        for n in 0..=100 {
            c.send_frame(n * 40, n % 25 == 0, 20_000).await;
        }
        c
    });
    let mut reader = stream.subscribe();
    while stream.stats().video_frames < 101 {
        timeout(LONG, reader.recv(&mut Vec::new())).await.unwrap();
    }
    // 4 s of media, 1 s ahead at most, and what one read holds.
    assert!(since.elapsed() >= Duration::from_millis(2_700), "{:?}", since.elapsed());
    assert!(stream.warnings().iter().any(|w| w.contains("-re")));
    sender.await.unwrap();
}

// What an encoder sends in one go (after a stall, or without -re) is left out by nobody. One thread: a reader runs
// only when the connection waits.
#[tokio::test]
async fn a_burst_comes_no_faster_than_a_reader_takes_it() {
    let mut server = Server::start(options()).await;
    let mut c = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    let stream = server.next().await;
    let reading = tokio::spawn(async move { record(&stream).await });
    c.send_config().await;
    for n in 0..225 {
        c.send_frame(n * 40, n % 25 == 0, 100).await;
    }
    drop(c);
    assert_eq!(reading.await.unwrap().frames.len(), 225);
}

/// A registry with a bug.
struct Buggy(MemoryRegistry);

#[async_trait]
impl StreamRegistry for Buggy {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, ClaimError> {
        assert_ne!(request.path.as_str(), "open/boom", "injected");
        self.0.claim(request).await
    }
    async fn checkpoint(&self, path: &StreamPath, epoch: Epoch, at: Checkpoint) -> Result<(), Lost> {
        self.0.checkpoint(path, epoch, at).await
    }
    async fn release(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        self.0.release(path, epoch).await
    }
    async fn end(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        self.0.end(path, epoch).await
    }
    async fn revoke(
        &self,
        token: TokenId,
        expires_at: std::time::SystemTime,
    ) -> Result<Option<(StreamPath, Epoch)>, Unavailable> {
        self.0.revoke(token, expires_at).await
    }
    async fn look_up(&self, path: &StreamPath) -> Result<Option<Record>, Unavailable> {
        self.0.look_up(path).await
    }
    async fn list(&self) -> Result<Vec<Record>, Unavailable> {
        self.0.list().await
    }
    async fn health(&self) -> Health {
        self.0.health().await
    }
}

// 59.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_one_session_ends_only_that_one() {
    let o = IngestOptions { max_streams: 2, ..options() };
    let registry = Arc::new(Buggy(MemoryRegistry::open(None).unwrap()));
    let mut server = Server::with_registry(o, registry).await;
    let mut good = Client::publish_in(server.addr, "open", "demo").await.unwrap();
    let stream = server.next().await;
    for _ in 0..3 {
        assert_eq!(Client::publish_in(server.addr, "open", "boom").await.err().as_deref(), Some("closed"));
    }
    good.begin().await;
    assert!(stream.is_open());
    // It holds no place either.
    assert!(Client::publish_in(server.addr, "open", "other").await.is_ok());
}

// One thread, so that the recorder of this test sees every handle.
#[tokio::test]
async fn every_metric_lives() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut server = Server::start(options()).await;
    let mut c = Client::publish_in(server.addr, "live", &format!("demo?token={}", server.token("live/demo")))
        .await
        .unwrap();
    let stream = server.next().await;
    c.begin().await;
    c.send_frame(40, false, 100).await;
    let mut reader = stream.subscribe();
    while stream.stats().video_frames < 2 {
        timeout(LONG, reader.recv(&mut Vec::new())).await.unwrap();
    }
    assert!(handle.render().contains("rapidrtmp_active_streams 1"));
    assert!(Client::publish(server.addr, "demo").await.is_err());
    drop(c);
    server.cancel.cancel();
    timeout(LONG, server.serving).await.unwrap().unwrap();
    let text = handle.render();
    for line in [
        "rapidrtmp_active_streams 0",
        "rapidrtmp_total_streams 1",
        "rapidrtmp_streams_started_total 1",
        "rapidrtmp_streams_stopped_total 1",
        "rapidrtmp_keyframes_total 1",
        "rapidrtmp_rtmp_connections_total 2",
        "rapidrtmp_rtmp_disconnects_total 2",
        "rapidrtmp_rtmp_errors_total 0",
        "rapidrtmp_rtmp_bytes_received_total ",
        "rapidrtmp_auth_failures_total 1",
        "rapidrtmp_frames_received_total{stream_key=\"demo\",type=\"video\"} 2",
        "rapidrtmp_frames_dropped_total{stream_key=\"demo\",reason=\"no_track\"} 0",
        "rapidrtmp_stream_duration_seconds_count 1",
        "rapidrtmp_frame_size_bytes_count{type=\"video\"} 2",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
