//! RTMP byte by byte, for what no encoder would send.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// Message type ids (RTMP §5.4, §6.2, §7.1).
pub const SET_CHUNK_SIZE: u8 = 1;
/// Audio.
pub const AUDIO: u8 = 8;
/// Video.
pub const VIDEO: u8 = 9;
/// An AMF0 command.
pub const COMMAND: u8 = 20;

/// Our chunks hold any message that is meant to arrive.
const CHUNK_SIZE: u32 = 0xff_ffff;
/// An answer is there within this, on a busy machine too.
const ANSWER: Duration = Duration::from_secs(10);

/// x264's, 1280x720.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// A connection past its handshake.
pub struct RawPublisher {
    /// The socket; closing it is an end without a goodbye.
    pub socket: TcpStream,
    received: Vec<u8>,
}

impl RawPublisher {
    /// Connects and shakes hands; chunks may have any size from then on.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(to: SocketAddr) -> Result<Self> {
        let mut socket = TcpStream::connect(to).await?;
        let mut hello = vec![0; 1 + 1536];
        hello[0] = 3;
        socket.write_all(&hello).await?;
        let mut answer = vec![0; 1 + 2 * 1536];
        tokio::time::timeout(ANSWER, socket.read_exact(&mut answer)).await??;
        socket.write_all(&answer[1..=1536]).await?;
        let mut c = Self { socket, received: Vec::new() };
        c.send(SET_CHUNK_SIZE, 0, &CHUNK_SIZE.to_be_bytes()).await?;
        Ok(c)
    }

    /// Connects and publishes; an error when it is refused.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn publish(to: SocketAddr, app: &str, name: &str) -> Result<Self> {
        let mut c = Self::connect(to).await?;
        c.send(COMMAND, 0, &connect(app)).await?;
        c.send(COMMAND, 0, &command("publish", &[NULL, &string(name), &string("live")])).await?;
        let until = Instant::now() + ANSWER;
        while !c.has("NetStream.Publish.Start") {
            if !c.read(until).await? {
                bail!("refused: {}", String::from_utf8_lossy(&c.received));
            }
        }
        Ok(c)
    }

    /// Sends a message at time 0.
    ///
    /// # Errors
    /// When the server has closed.
    pub async fn send(&mut self, kind: u8, time: u32, payload: &[u8]) -> Result<()> {
        let mut bytes = header(2 + kind % 32, time, payload.len(), kind);
        bytes.extend(payload);
        Ok(self.socket.write_all(&bytes).await?)
    }

    /// Sends what an encoder sends first, and a keyframe.
    ///
    /// # Errors
    /// When the server has closed.
    pub async fn begin(&mut self) -> Result<()> {
        self.send(VIDEO, 0, &avc_config()).await?;
        self.send(VIDEO, 0, &avc_frame(true, 1000)).await
    }

    /// Waits until the server closes; what it said since the last call, as text.
    ///
    /// # Errors
    /// When it has not closed within `limit`.
    pub async fn closed(&mut self, limit: Duration) -> Result<String> {
        let until = Instant::now() + limit;
        while self.read(until).await? {}
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned())
    }

    fn has(&self, text: &str) -> bool {
        self.received.windows(text.len()).any(|w| w == text.as_bytes())
    }

    /// Reads once; `false` at the end.
    async fn read(&mut self, until: Instant) -> Result<bool> {
        let mut buffer = [0; 4096];
        match timeout_at(until, self.socket.read(&mut buffer)).await? {
            Ok(0) | Err(_) => Ok(false),
            Ok(n) => {
                self.received.extend_from_slice(&buffer[..n]);
                Ok(true)
            }
        }
    }
}

/// A type 0 chunk header (RTMP §5.3.1.2.1) of message stream 1.
pub fn header(chunk_stream: u8, time: u32, length: usize, kind: u8) -> Vec<u8> {
    let mut b = vec![chunk_stream & 0x3f];
    b.extend(&time.to_be_bytes()[1..]);
    b.extend(&(length as u32).to_be_bytes()[1..]);
    b.push(kind);
    b.extend(1_u32.to_le_bytes());
    b
}

/// An AVC sequence header.
pub fn avc_config() -> Vec<u8> {
    let mut b = vec![0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, SPS.len() as u8];
    b.extend(SPS);
    b.extend([1, 0, PPS.len() as u8]);
    b.extend(PPS);
    b
}

/// A frame of one NAL unit with `size` bytes.
pub fn avc_frame(key: bool, size: usize) -> Vec<u8> {
    let mut b = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    b.extend((size as u32).to_be_bytes());
    b.push(if key { 0x65 } else { 0x41 });
    b.resize(9 + size, 0x80);
    b
}

/// AMF0 null.
pub const NULL: &[u8] = &[5];

/// An AMF0 string.
pub fn string(s: &str) -> Vec<u8> {
    let mut b = vec![2];
    b.extend((s.len() as u16).to_be_bytes());
    b.extend(s.as_bytes());
    b
}

/// A command's name, its transaction 1, and its arguments.
pub fn command(name: &str, arguments: &[&[u8]]) -> Vec<u8> {
    let mut b = string(name);
    b.push(0);
    b.extend(1_f64.to_be_bytes());
    arguments.iter().for_each(|a| b.extend(*a));
    b
}

/// `connect` to an app.
pub fn connect(app: &str) -> Vec<u8> {
    let mut object = vec![3, 0, 3];
    object.extend(b"app");
    object.extend(string(app));
    object.extend([0, 0, 9]);
    command("connect", &[&object])
}
