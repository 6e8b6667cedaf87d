//! A connection's socket and its RTMP session.

use std::{cell::RefCell, io, time::Duration};

use rtmp::{Output, Session, SessionError, SessionOptions};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

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
    stream: TcpStream,
    pub(crate) session: Session,
    replies: Vec<u8>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, o: SessionOptions) -> Self {
        Self { stream, session: Session::new(o), replies: Vec::new() }
    }

    /// Waits for input and feeds the session with one read of it; returns the bytes read. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Result<usize, Broken> {
        loop {
            if self.stream.readable().await.is_err() {
                return Err(Broken::Disconnected);
            }
            let (stream, session) = (&self.stream, &mut self.session);
            let read = BUFFER.with_borrow_mut(|buffer| {
                let n = stream.try_read(buffer)?;
                Ok((n, session.handle_input(&buffer[..n])))
            });
            match read {
                Ok((0, _)) => return Err(Broken::Disconnected),
                Ok((n, Ok(()))) => return Ok(n),
                Ok((_, Err(e))) => return Err(Broken::Protocol(e)),
                Err(e) if io::Error::kind(&e) == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Broken::Disconnected),
            }
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
        let written = timeout(WRITE_TIMEOUT, self.stream.write_all(&self.replies)).await;
        self.replies.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            _ => Err(Broken::Disconnected),
        }
    }

    /// Writes what is left, says that nothing follows, and waits a little for the peer to close.
    pub(crate) async fn close(mut self) {
        while self.poll().is_some() {}
        if self.flush().await.is_err() || self.stream.shutdown().await.is_err() {
            return;
        }
        let until = Instant::now() + LINGER;
        while let Ok(Ok(())) = timeout_at(until, self.stream.readable()).await {
            let read = BUFFER.with_borrow_mut(|buffer| self.stream.try_read(buffer));
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
