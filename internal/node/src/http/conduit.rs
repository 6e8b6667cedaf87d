//! The socket of a connection, with a bound on every wait for its peer.
//!
//! It lies below TLS, so that one deadline covers the handshake and the first request's header, and a peer that takes no
//! bytes is seen whatever they mean.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::pulse::Pulse;

/// How long a peer may be waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From its first byte (or from accept) to the end of a request's header.
    pub(super) header: Duration,
    /// Between an answer and the next request.
    pub(super) idle: Duration,
    /// While bytes for it are ready and it takes none.
    pub(super) write: Duration,
}

/// A socket whose peer is waited for with patience, not for ever.
pub(super) struct Conduit {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    patience: Patience,
    /// A request's header has begun to come, or the connection is new.
    in_header: bool,
    /// Since when, or since when nothing was written.
    since: Instant,
    /// Requests that had begun when bytes last came.
    begun: u64,
    /// Since when the peer takes no bytes.
    stuck: Option<Instant>,
    /// Wakes the task at the nearest deadline, or before it.
    alarm: Pin<Box<Sleep>>,
}

impl Conduit {
    pub(super) fn new(stream: TcpStream, patience: Patience, pulse: Arc<Pulse>) -> Self {
        let since = Instant::now();
        let alarm = Box::pin(sleep_until(since + patience.header));
        Self { stream, pulse, patience, in_header: true, since, begun: 0, stuck: None, alarm }
    }

    /// Nothing came: may the peer be waited for?
    fn wait_for_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let begun = self.pulse.begun();
        if begun > 0 && self.pulse.is_shared() {
            // HTTP/2 asks by PING whether its peer lives, and looks itself for connections without requests.
            return Poll::Pending;
        }
        if self.pulse.is_waiting() {
            // Nobody reads again when the answer is written, but all look when the alarm rings.
            return self.until(Instant::now() + self.patience.idle, "idle", cx);
        }
        if begun != self.begun {
            // What came before was a request, and it was answered.
            self.in_header = false;
            self.begun = begun;
        }
        let (within, why) =
            if self.in_header { (self.patience.header, "slow_header") } else { (self.patience.idle, "idle") };
        self.until(self.since + within, why, cx)
    }

    /// Waits for a deadline. An alarm that rings early costs one look; setting it anew for each request would cost more.
    fn until(&mut self, deadline: Instant, why: &'static str, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.alarm.deadline() > deadline {
            self.alarm.as_mut().reset(deadline);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                if why != "idle" {
                    metrics::counter!("rapidrtmp_http_cut_total", "reason" => why).increment(1);
                }
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Bytes were written, or could not be.
    fn wrote<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            self.since = Instant::now();
            return written;
        }
        let since = *self.stuck.get_or_insert_with(Instant::now);
        self.until(since + self.patience.write, "stalled", cx).map(Err)
    }
}

impl AsyncRead for Conduit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() {
            return Poll::Ready(Err(ready!(self.wait_for_bytes(cx))));
        }
        if !self.in_header || self.begun != self.pulse.begun() {
            self.in_header = true;
            self.begun = self.pulse.begun();
            self.since = Instant::now();
        }
        read
    }
}

impl AsyncWrite for Conduit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
