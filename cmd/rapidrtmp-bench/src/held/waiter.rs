//! One connection that waits: HTTP/1.1 by hand, so that this program's own work stays small beside the server's.

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    time::Instant,
};

/// Larger than a playlist with its header.
const MAX_REPLY: usize = 256 * 1024;

/// What a request was answered with, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Instant,
    /// 200, and all of the body came.
    pub(crate) good: bool,
}

/// One connection.
pub(crate) struct Waiter {
    stream: TcpStream,
    path: String,
    host: String,
}

impl Waiter {
    pub(crate) async fn connect(url: &Url) -> Result<Self> {
        let host = url.host_str().context("the URL has no host")?;
        let port = url.port_or_known_default().context("the URL has no port")?;
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, path: url.path().to_owned(), host: format!("{host}:{port}") })
    }

    /// Sends a request for each part that is asked for, until nobody asks.
    pub(crate) async fn run(
        mut self,
        mut asked: watch::Receiver<Option<(u64, usize)>>,
        answers: mpsc::Sender<Answer>,
    ) {
        let mut reply = Vec::new();
        while asked.changed().await.is_ok() {
            let Some((msn, part)) = *asked.borrow_and_update() else { continue };
            let good = self.exchange(msn, part, &mut reply).await.unwrap_or(false);
            if answers.send(Answer { at: Instant::now(), good }).await.is_err() {
                return;
            }
        }
    }

    async fn exchange(&mut self, msn: u64, part: usize, reply: &mut Vec<u8>) -> Result<bool> {
        let request = format!(
            "GET {}?_HLS_msn={msn}&_HLS_part={part} HTTP/1.1\r\nhost: {}\r\naccept-encoding: gzip\r\n\r\n",
            self.path, self.host
        );
        self.stream.write_all(request.as_bytes()).await?;
        reply.clear();
        loop {
            if let Some(whole) = whole(reply) {
                return Ok(reply.len() == whole && reply.starts_with(b"HTTP/1.1 200 "));
            }
            anyhow::ensure!(reply.len() < MAX_REPLY, "the answer is too long");
            anyhow::ensure!(self.stream.read_buf(reply).await? > 0, "the connection was closed");
        }
    }
}

/// How long the reply is in all, once its header is there and all of it came.
fn whole(reply: &[u8]) -> Option<usize> {
    let end = reply.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&reply[..end]).ok()?;
    let length = head.lines().find_map(|l| {
        let (name, value) = l.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (reply.len() >= end + length).then_some(end + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_with_the_last_byte_of_its_body() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(whole(reply), Some(reply.len()));
        for n in 0..reply.len() {
            assert_eq!(whole(&reply[..n]), None, "{n}");
        }
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\n\r\nabc"), None, "without a length nothing is known");
    }
}
