//! A socket whose first bytes were read to see what is spoken, and are to be read again.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{conduit::Conduit, frames::PREFACE};

/// The first bytes, then the socket.
pub(super) struct Replayed {
    first: [u8; PREFACE.len()],
    /// Of `first`, what is to be read yet.
    from: usize,
    to: usize,
    conduit: Conduit,
}

impl Replayed {
    /// `first` up to `have` was read from the conduit.
    pub(super) const fn new(first: [u8; PREFACE.len()], have: usize, conduit: Conduit) -> Self {
        Self { first, from: 0, to: have, conduit }
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let again = (self.to - self.from).min(buf.remaining());
        if again == 0 {
            return Pin::new(&mut self.conduit).poll_read(cx, buf);
        }
        buf.put_slice(&self.first[self.from..self.from + again]);
        self.from += again;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conduit).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conduit).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.conduit.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conduit).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conduit).poll_shutdown(cx)
    }
}
