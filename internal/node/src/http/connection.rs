//! One connection, from accept to its end: TLS if the listener has it, then HTTP/1.1 or HTTP/2.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::{HeaderValue, header};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    app::Answering,
    conduit::{Conduit, Patience},
    frames::{Metered, PREFACE},
    pulse::Pulse,
    replayed::Replayed,
    server::Limits,
    tracked::Tracked,
};

/// A header longer than this gets 431: names and tokens of ours are far shorter.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Streams of one HTTP/2 connection: a player needs a handful, a proxy shares connections.
const MAX_H2_STREAMS: u32 = 128;
/// Streams a peer may open and reset before we hang up (rapid reset, CVE-2023-44487).
const MAX_H2_RESETS: usize = 32;
/// What one HTTP/2 stream may buffer for a slow reader. Segments go out from shared memory, so this is small.
const H2_SEND_BUFFER: usize = 64 * 1024;
/// What a peer may send before somebody reads it, a stream and all streams together: bodies are those of the API.
const H2_RECEIVE_WINDOW: u32 = 65_535;
/// How often a silent HTTP/2 peer is asked whether it lives.
const H2_PING: Duration = Duration::from_secs(20);
/// A peer for which bytes are ready and that takes none for so long is gone, or means ill.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How often an HTTP/2 connection is looked at for being idle or stuck.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How connections are served.
pub(super) struct Protocols {
    patience: Patience,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(limits: &Limits) -> Self {
        let patience =
            Patience { header: limits.header_timeout, idle: limits.idle_timeout, write: WRITE_PATIENCE };
        let mut http1 = http1::Builder::new();
        // Deadlines are the conduit's: hyper has one for a request's header and for the time before it.
        http1.max_buf_size(MAX_HEADER_BYTES).header_read_timeout(None);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_H2_STREAMS)
            .max_header_list_size(MAX_HEADER_BYTES as u32)
            .max_pending_accept_reset_streams(MAX_H2_RESETS)
            .max_local_error_reset_streams(MAX_H2_RESETS)
            .max_send_buf_size(H2_SEND_BUFFER)
            .initial_stream_window_size(H2_RECEIVE_WINDOW)
            .initial_connection_window_size(H2_RECEIVE_WINDOW)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING);
        Self { patience, http1, http2 }
    }
}

/// What a connection needs.
pub(super) struct Connection<A> {
    pub(super) protocols: Arc<Protocols>,
    pub(super) app: A,
    pub(super) peer: SocketAddr,
    pub(super) stop: CancellationToken,
    /// Its place among the connections that may be.
    pub(super) _slot: OwnedSemaphorePermit,
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl<A: Answering> Connection<A> {
    /// Serves the connection to its end, or lets what is under way end after `stop`.
    pub(super) async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let peer = self.peer;
        let pulse = Arc::new(Pulse::default());
        let conduit = Conduit::new(stream, self.protocols.patience, Arc::clone(&pulse));
        // Boxed apart, so that a connection holds what its own version needs, and the opening nothing once it is over.
        let ended = match tls {
            None => match Box::pin(self.bare(conduit)).await {
                Ok((io, true)) => Box::pin(self.http2(io, pulse)).await,
                Ok((io, false)) => Box::pin(self.http1(io, pulse)).await,
                Err(e) => Err(e.into()),
            },
            Some(tls) => match Box::pin(self.secure(conduit, tls)).await {
                Ok(io) if io.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    Box::pin(self.http2(io, pulse)).await
                }
                Ok(io) => Box::pin(self.http1(io, pulse)).await,
                Err(e) => Err(e.into()),
            },
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "HTTP connection ended early");
        }
    }

    /// Without TLS the first bytes tell whether it is HTTP/2 (RFC 9113 §3.3: prior knowledge).
    async fn bare(&self, mut conduit: Conduit) -> io::Result<(Replayed, bool)> {
        let mut first = [0; PREFACE.len()];
        let mut have = 0;
        while have < first.len() && first[..have] == PREFACE[..have] {
            let n = tokio::select! {
                n = conduit.read(&mut first[have..]) => n?,
                () = self.stop.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            if n == 0 {
                break;
            }
            have += n;
        }
        Ok((Replayed::new(first, have, conduit), first == *PREFACE))
    }

    /// The TLS handshake, whose ALPN tells the version. The conduit bounds its time.
    async fn secure(&self, conduit: Conduit, tls: TlsAcceptor) -> io::Result<Box<TlsStream<Conduit>>> {
        let shaken = tokio::select! {
            shaken = tls.accept(conduit) => shaken,
            () = self.stop.cancelled() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        shaken.map(Box::new).inspect_err(|_| {
            metrics::counter!("rapidrtmp_tls_handshake_failures_total").increment(1);
        })
    }

    async fn http1(self, io: impl AsyncRead + AsyncWrite + Unpin, pulse: Arc<Pulse>) -> Ended {
        let (app, peer) = (self.app, self.peer);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            // hyper takes the length away that came beside it: a message so framed must be the last one
            // (RFC 9112 §6.1).
            let last = request.headers().contains_key(header::TRANSFER_ENCODING);
            let waiting = pulse.begin();
            app.answer(peer, request).map(move |mut response| {
                drop(waiting);
                if last {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            })
        });
        let mut connection = pin!(self.protocols.http1.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            ended = &mut connection => return Ok(ended?),
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }

    async fn http2(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        pulse: Arc<Pulse>,
    ) -> Ended {
        let (app, peer, watched) = (self.app, self.peer, Arc::clone(&pulse));
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (waiting, pulse) = (pulse.begin(), Arc::clone(&pulse));
            app.answer(peer, request).map(move |response| {
                drop(waiting);
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, pulse)))
            })
        });
        watched.share();
        let io = TokioIo::new(Metered::new(io));
        let mut connection = pin!(self.protocols.http2.serve_connection(io, service));
        tokio::select! {
            ended = &mut connection => return Ok(ended?),
            () = self.stop.cancelled() => {}
            done = unused(&watched, self.protocols.patience) => done?,
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = &mut connection => Ok(ended?),
            stuck = stuck(&watched, self.protocols.patience) => Err(stuck.into()),
        }
    }
}

/// Returns once an HTTP/2 connection has had nothing to do for its time, which ends it in good form; an error ends it
/// at once.
async fn unused(pulse: &Pulse, patience: Patience) -> io::Result<()> {
    let idle = async {
        let (mut begun, mut since) = (0, Instant::now());
        loop {
            sleep(LOOK_EVERY.min(patience.idle)).await;
            if pulse.is_waiting() || pulse.begun() != begun || pulse.unsent_for().is_some() {
                (begun, since) = (pulse.begun(), Instant::now());
            } else if since.elapsed() >= patience.idle {
                return;
            }
        }
    };
    tokio::select! {
        () = idle => Ok(()),
        stuck = stuck(pulse, patience) => Err(stuck),
    }
}

/// Returns once the peer has left a piece of a body lying for too long.
async fn stuck(pulse: &Pulse, patience: Patience) -> io::Error {
    while pulse.unsent_for().is_none_or(|time| time < patience.write) {
        sleep(LOOK_EVERY).await;
    }
    metrics::counter!("rapidrtmp_http_cut_total", "reason" => "stalled").increment(1);
    io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")
}
