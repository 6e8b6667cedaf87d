//! HTTP/1.1 and HTTP/2, bare (by prior knowledge) and under TLS (by ALPN), with every wait and buffer bounded.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    app::Answering,
    connection::{Connection, Protocols},
};

/// A peer that acknowledges nothing for so long, its window at zero or its cable pulled, is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// After an accept failed for want of descriptors or memory: long enough for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once; the rest wait in the backlog.
    pub(crate) max_connections: usize,
    /// How long a request's header may take.
    pub(crate) header_timeout: Duration,
    /// How long a connection may be without a request.
    pub(crate) idle_timeout: Duration,
    /// After `stop`: how long connections may finish what they are doing.
    pub(crate) grace: Duration,
}

/// A listener, and who is behind it.
pub(crate) struct Entrance<A> {
    pub(crate) listener: TcpListener,
    /// HTTPS, if there is one.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) app: A,
}

/// What connections of all entrances share.
struct Shared {
    protocols: Arc<Protocols>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Serves until `stop`, then lets requests that are under way finish within the grace. The limits are those of all
/// entrances together.
pub(crate) async fn serve<A: Answering>(
    entrances: Vec<Entrance<A>>,
    limits: Limits,
    stop: CancellationToken,
) {
    let shared = Shared {
        protocols: Arc::new(Protocols::new(&limits)),
        slots: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
        tasks: TaskTracker::new(),
        stop,
    };
    join_all(entrances.into_iter().map(|entrance| accept(entrance, &shared))).await;
    shared.tasks.close();
    if tokio::time::timeout(limits.grace, shared.tasks.wait()).await.is_err() {
        tracing::warn!("HTTP connections were cut at the end of the grace");
    }
}

/// Accepts until `stop`, then closes the listener.
async fn accept<A: Answering>(entrance: Entrance<A>, shared: &Shared) {
    loop {
        let accepted = tokio::select! {
            accepted = next(&entrance.listener, &shared.slots) => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok(accepted) => shared.start(&entrance, accepted),
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Shared {
    /// Starts a connection's task.
    fn start<A: Answering>(&self, entrance: &Entrance<A>, (stream, peer, slot): Accepted) {
        prepare(&stream);
        let connection = Connection {
            protocols: Arc::clone(&self.protocols),
            app: entrance.app.clone(),
            peer,
            stop: self.stop.clone(),
            _slot: slot,
        };
        self.tasks.spawn(connection.serve(stream, entrance.tls.clone()));
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

#[cfg(test)]
mod tests {
    use axum::{Router, extract::ConnectInfo, routing::get};
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
        idle_timeout: Duration::from_millis(600),
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

    /// Waits for the end of a connection; how long that took.
    async fn end_after(stream: &mut TcpStream) -> Duration {
        let started = std::time::Instant::now();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        started.elapsed()
    }

    #[tokio::test]
    async fn a_kept_connection_outlives_the_header_timeout_and_ends_when_idle() {
        let (addr, _stop, _task) = start(LIMITS).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let mut answer = [0u8; 512];
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let n = stream.read(&mut answer).await.unwrap();
            assert!(answer[..n].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..n]));
            // Twice the time that a header may take, half of what a connection may be idle.
            tokio::time::sleep(LIMITS.header_timeout * 2).await;
        }
        let idle = end_after(&mut stream).await;
        assert!(idle < Duration::from_secs(5), "{idle:?}");
    }

    #[tokio::test]
    async fn a_second_header_that_never_ends_is_cut_off() {
        let (addr, _stop, _task) = start(Limits { idle_timeout: Duration::from_secs(60), ..LIMITS }).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0u8; 512];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
        stream.write_all(b"GET / HT").await.unwrap();
        let slow = end_after(&mut stream).await;
        assert!(slow < Duration::from_secs(5), "{slow:?}");
    }

    /// RFC 9112 §6.1: what is framed twice is answered once.
    #[tokio::test]
    async fn a_request_hidden_in_a_body_is_never_answered() {
        let (addr, _stop, _task) = start(LIMITS).await;
        let hidden = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";
        for head in [
            format!("content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 5 + hidden.len()),
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n".into(),
            "transfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            "transfer-encoding: identity\r\n\r\n".into(),
            "transfer-encoding: chunked, x\r\n\r\n0\r\n\r\n".into(),
            "content-length: 0\r\ncontent-length: 5\r\n\r\n".into(),
            "content-length: +0\r\n\r\n".into(),
            "content-length: 99999999999999999999\r\n\r\n".into(),
        ] {
            let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{head}{hidden}");
            let answer = String::from_utf8(exchange(addr, request.as_bytes()).await).unwrap();
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?}: {answer}");
        }
    }
}
