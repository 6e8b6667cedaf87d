//! The session.

use crate::{Output, Refusal, SessionError};

/// Bounds of one connection.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Longest message of any kind but video, in bytes.
    pub max_message: usize,
    /// Longest video message, in bytes.
    pub max_video_message: usize,
    /// What unfinished messages may hold together, in bytes.
    pub max_buffered: usize,
    /// Chunk streams a peer may open.
    pub max_chunk_streams: usize,
    /// How many bytes each side may send before it wants an acknowledgement.
    pub window_ack_size: u32,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            max_message: 4 << 20,
            max_video_message: 16 << 20,
            max_buffered: 24 << 20,
            max_chunk_streams: 16,
            window_ack_size: 2_500_000,
        }
    }
}

/// The server side of one connection.
pub struct Session {
    _options: SessionOptions,
}

impl Session {
    /// A session that waits for the handshake.
    pub fn new(options: SessionOptions) -> Self {
        Self { _options: options }
    }
    /// Takes bytes as read from the peer.
    ///
    /// # Errors
    /// [`SessionError`]; drain [`Session::poll_output`] then, which may hold a refusal, and close.
    pub fn handle_input(&mut self, _data: &[u8]) -> Result<(), SessionError> {
        Ok(())
    }
    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }
    /// Answers the pending publish with `NetStream.Publish.Start`.
    pub fn accept_publish(&mut self) {}
    /// Answers the pending publish with an error, then closes.
    pub fn reject_publish(&mut self, _refusal: Refusal, _description: &str) {}
    /// Ends a running publish from the server's side, then closes.
    pub fn end_publish(&mut self, _refusal: Option<Refusal>, _description: &str) {}
    /// Whether the handshake is complete.
    pub fn has_handshaken(&self) -> bool {
        false
    }
    /// All bytes taken so far.
    pub fn bytes_received(&self) -> u64 {
        0
    }
}
