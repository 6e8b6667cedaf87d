//! A connection's socket and its RTMP session.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rtmp::{Output, Session, SessionError, SessionOptions};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout, timeout_at},
};

use crate::wire::Wire;

/// One read. Each thread has one such buffer, so a connection at rest holds none.
const READ: usize = 64 * 1024;
/// Replies are small: a peer that does not take one for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// After the last reply, so that it arrives: a socket closed with unread input resets the connection.
const LINGER: Duration = Duration::from_millis(500);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Why there is nothing more to read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The peer closed, or the connection broke.
    Disconnected,
    /// It broke the protocol, or sent what cannot be used.
    Protocol(SessionError),
}

/// A socket, a session, and the replies on their way between them.
pub(crate) struct Socket {
    wire: Wire,
    pub(crate) session: Session,
    replies: Vec<u8>,
}

impl Socket {
    pub(crate) fn new(wire: Wire, o: SessionOptions) -> Self {
        Self { wire, session: Session::new(o), replies: Vec::new() }
    }

    /// Waits for input and feeds the session with one read of it; returns the bytes read. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Result<usize, Broken> {
        let (wire, session) = (&mut self.wire, &mut self.session);
        let read =
            poll_fn(|cx| read_with(wire, cx, |bytes| (bytes.len(), session.handle_input(bytes)))).await;
        match read {
            Ok((0, _)) | Err(_) => Err(Broken::Disconnected),
            Ok((n, Ok(()))) => Ok(n),
            Ok((_, Err(e))) => Err(Broken::Protocol(e)),
        }
    }

    /// The session's next output that is no reply; replies are kept for [`Socket::flush`].
    pub(crate) fn poll(&mut self) -> Option<Output> {
        loop {
            match self.session.poll_output()? {
                Output::Send(bytes) => self.replies.extend_from_slice(&bytes),
                other => return Some(other),
            }
        }
    }

    /// Writes the replies, in one go.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        if self.replies.is_empty() {
            return Ok(());
        }
        let write = async {
            self.wire.write_all(&self.replies).await?;
            self.wire.flush().await
        };
        let written = timeout(WRITE_TIMEOUT, write).await;
        self.replies.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            _ => Err(Broken::Disconnected),
        }
    }

    /// Writes what is left, says that nothing follows, and waits a little for the peer to close.
    pub(crate) async fn close(mut self) {
        while self.poll().is_some() {}
        let ended = async {
            self.flush().await.is_ok()
                && matches!(timeout(WRITE_TIMEOUT, self.wire.shutdown()).await, Ok(Ok(())))
        };
        if !ended.await {
            return;
        }
        let until = Instant::now() + LINGER;
        let wire = &mut self.wire;
        let mut read = async || poll_fn(|cx| read_with(wire, cx, <[u8]>::len)).await;
        while matches!(timeout_at(until, read()).await, Ok(Ok(1..))) {}
    }
}

/// One read into this thread's buffer, shown to `take`; nothing at the end of the stream.
fn read_with<T>(wire: &mut Wire, cx: &mut Context<'_>, take: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<T>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(wire).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(take(buffer.filled())))
    })
}
