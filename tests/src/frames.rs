//! HTTP/2 by hand: frames that no library would send (RFC 9113 §4, §6; RFC 7541 for the few header fields).

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Frame types.
pub const DATA: u8 = 0;
/// Frame types.
pub const HEADERS: u8 = 1;
/// Frame types.
pub const RST_STREAM: u8 = 3;
/// Frame types.
pub const SETTINGS: u8 = 4;
/// Frame types.
pub const PING: u8 = 6;
/// Frame types.
pub const CONTINUATION: u8 = 9;
/// Flags.
pub const END_STREAM: u8 = 1;
/// Flags.
pub const ACK: u8 = 1;
/// Flags.
pub const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// The header block of a request: method GET or POST, scheme, path, authority, none of them indexed.
///
/// # Panics
/// For a path of 127 bytes or more.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    let mut out = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86];
    for (name, value) in [(0x04, path), (0x01, "localhost")] {
        assert!(value.len() < 127, "its length takes one byte");
        out.extend([name, value.len() as u8]);
        out.extend(value.as_bytes());
    }
    out
}

/// A connection of HTTP/2 that does as it is told.
pub struct Raw {
    /// The socket.
    pub socket: TcpStream,
}

impl Raw {
    /// Connects and sends the preface and SETTINGS with these (identifier, value) pairs.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn open(addr: SocketAddr, settings: &[(u16, u32)]) -> Result<Self> {
        let mut socket = TcpStream::connect(addr).await?;
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, v)| [&id.to_be_bytes()[..], &v.to_be_bytes()].concat()).collect();
        first.extend(frame(SETTINGS, 0, 0, &payload));
        socket.write_all(&first).await?;
        Ok(Self { socket })
    }

    /// Sends what `next` makes, for ever, reading what comes; until the server closes or `limit` is over. Whether it
    /// closed, and how often something was sent.
    pub async fn flood(self, limit: Duration, mut next: impl FnMut(u32) -> Vec<u8>) -> (bool, u32) {
        let (mut read, mut write) = self.socket.into_split();
        let mut sent = 0;
        let sending = async {
            loop {
                if write.write_all(&next(sent)).await.is_err() {
                    return;
                }
                sent += 1;
            }
        };
        let reading = async {
            let mut sink = vec![0; 64 << 10];
            while matches!(read.read(&mut sink).await, Ok(1..)) {}
        };
        let closed = async {
            tokio::select! { () = sending => {}, () = reading => {} }
        };
        let closed = tokio::time::timeout(limit, closed).await.is_ok();
        (closed, sent)
    }

    /// Answers PINGs and takes everything else as it comes, giving no window; until the server closes or `limit` is
    /// over.
    ///
    /// # Errors
    /// When the server still holds the connection.
    pub async fn until_closed(mut self, limit: Duration) -> Result<()> {
        let reading = async {
            let mut head = [0; 9];
            while self.socket.read_exact(&mut head).await.is_ok() {
                let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                let mut payload = vec![0; length];
                if self.socket.read_exact(&mut payload).await.is_err() {
                    return;
                }
                let pong = frame(PING, ACK, 0, &payload);
                if head[3] == PING && head[4] & ACK == 0 && self.socket.write_all(&pong).await.is_err() {
                    return;
                }
            }
        };
        Ok(tokio::time::timeout(limit, reading).await?)
    }
}
