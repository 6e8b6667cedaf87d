//! HTTP/1.1 and HTTP/2, bare (by prior knowledge) and under TLS (by ALPN), with every wait and buffer bounded.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use futures_util::future::join_all;
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::opening::Opening;

/// A header longer than this gets 431: names and tokens of ours are far shorter.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Streams of one HTTP/2 connection: a player needs a handful, a proxy shares connections.
const MAX_H2_STREAMS: u32 = 128;
/// Streams a peer may open and reset before we hang up (rapid reset, CVE-2023-44487).
const MAX_H2_RESETS: usize = 32;
/// What one HTTP/2 stream may buffer for a slow reader. Segments go out from shared memory, so this is small.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// A peer that acknowledges nothing for so long, its window at zero or its cable pulled, is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How often a silent HTTP/2 peer is asked whether it lives.
const H2_PING: Duration = Duration::from_secs(20);
/// After an accept failed for want of descriptors or memory: long enough for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once; the rest wait in the backlog.
    pub(crate) max_connections: usize,
    /// How long a request's header may take.
    pub(crate) header_timeout: Duration,
    /// After `stop`: how long connections may finish what they are doing.
    pub(crate) grace: Duration,
}

/// A listener, and who is behind it.
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    /// HTTPS, if there is one.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) app: Router,
}

/// What connections of all entrances share.
struct Shared {
    limits: Limits,
    builder: Builder<TokioExecutor>,
    slots: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

/// Serves until `stop`, then lets requests that are under way finish within the grace. The limits are those of all
/// entrances together.
pub(crate) async fn serve(entrances: Vec<Entrance>, limits: Limits, stop: CancellationToken) {
    let shared = Shared {
        limits,
        builder: builder(&limits),
        slots: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
        graceful: GracefulShutdown::new(),
    };
    join_all(entrances.into_iter().map(|entrance| accept(entrance, &shared, &stop))).await;
    if tokio::time::timeout(limits.grace, shared.graceful.shutdown()).await.is_err() {
        tracing::warn!("HTTP connections were cut at the end of the grace");
    }
}

/// Accepts until `stop`, then closes the listener.
async fn accept(entrance: Entrance, shared: &Shared, stop: &CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = next(&entrance.listener, &shared.slots) => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok(accepted) => shared.start(&entrance, accepted, stop),
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Shared {
    /// Starts a connection's task.
    fn start(&self, entrance: &Entrance, (stream, peer, slot): Accepted, stop: &CancellationToken) {
        prepare(&stream);
        let app = entrance.app.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone().oneshot(request)
        });
        let (builder, watcher) = (self.builder.clone(), self.graceful.watcher());
        let (within, tls, stop) = (self.limits.header_timeout, entrance.tls.clone(), stop.clone());
        tokio::spawn(async move {
            let ended = match tls {
                None => {
                    let io = TokioIo::new(Opening::new(stream, within));
                    watcher.watch(builder.serve_connection(io, service).into_owned()).await
                }
                Some(tls) => {
                    let Some(stream) = secure(&tls, stream, peer, within, &stop).await else { return };
                    let io = TokioIo::new(Opening::new(stream, within));
                    watcher.watch(builder.serve_connection(io, service).into_owned()).await
                }
            };
            if let Err(e) = ended {
                tracing::debug!(%peer, error = %e, "HTTP connection ended early");
            }
            drop(slot);
        });
    }
}

/// The TLS handshake, in its time.
async fn secure(
    tls: &TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    within: Duration,
    stop: &CancellationToken,
) -> Option<Box<TlsStream<TcpStream>>> {
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(within, tls.accept(stream)) => shaken,
        () = stop.cancelled() => return None,
    };
    match shaken {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(e)) => {
            metrics::counter!("rapidrtmp_tls_handshake_failures_total").increment(1);
            tracing::debug!(%peer, error = %e, "no TLS");
            None
        }
        Err(_) => {
            metrics::counter!("rapidrtmp_tls_handshake_failures_total").increment(1);
            tracing::debug!(%peer, "the TLS handshake took too long");
            None
        }
    }
}

type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn next(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    Ok((stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()), slot))
}

fn prepare(stream: &TcpStream) {
    // Either can fail only on a connection that is already dead, which serving it will show.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEADER_BYTES)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_H2_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_pending_accept_reset_streams(MAX_H2_RESETS)
        .max_local_error_reset_streams(MAX_H2_RESETS)
        .max_send_buf_size(H2_SEND_BUFFER)
        .keep_alive_interval(H2_PING)
        .keep_alive_timeout(H2_PING);
    builder
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(limits: Limits) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let app = Router::new()
            .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }));
        let task = tokio::spawn(serve(vec![Entrance { listener, tls: None, app }], limits, stop.clone()));
        (addr, stop, task)
    }

    const LIMITS: Limits = Limits {
        max_connections: 2,
        header_timeout: Duration::from_millis(200),
        grace: Duration::from_millis(500),
    };

    async fn exchange(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good as an end.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn answers_http1_and_knows_the_peer() {
        let (addr, _stop, _task) = start(LIMITS).await;
        let answer = exchange(addr, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("127.0.0.1:"), "{text}");
    }

    #[tokio::test]
    async fn answers_http2_with_prior_knowledge() {
        let (addr, _stop, _task) = start(LIMITS).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // RFC 9113 §3.4: the preface, then SETTINGS; the server's own SETTINGS is type 4 on stream 0.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut head = [0u8; 9];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!((head[3], &head[5..9]), (4, &[0u8; 4][..]));
    }

    #[tokio::test]
    async fn a_header_that_never_ends_is_cut_off() {
        let (addr, _stop, _task) = start(LIMITS).await;
        let answer = exchange(addr, b"GET / HTTP/1.1\r\nhost: x\r\n").await;
        let text = String::from_utf8(answer).unwrap();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_or_half_a_preface_is_cut_off() {
        let (addr, _stop, _task) = start(LIMITS).await;
        for half in ["", "PRI * HTTP/2"] {
            let answer = exchange(addr, half.as_bytes()).await;
            assert_eq!(answer, b"", "closed without an answer");
        }
    }

    #[tokio::test]
    async fn a_huge_header_is_refused() {
        let (addr, _stop, _task) = start(LIMITS).await;
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "a".repeat(64 * 1024));
        let answer = exchange(addr, request.as_bytes()).await;
        let text = String::from_utf8(answer).unwrap();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    }

    #[tokio::test]
    async fn stopping_closes_idle_connections_and_returns() {
        let (addr, stop, task) = start(Limits { header_timeout: Duration::from_secs(60), ..LIMITS }).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut first = [0u8; 8];
        stream.read_exact(&mut first).await.unwrap();
        stop.cancel();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        task.await.unwrap();
        assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
    }
}
