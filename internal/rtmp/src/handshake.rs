//! The handshake (RTMP §5.2), plain and with digests.
//!
//! `rml_rtmp`'s, which answers both kinds; an encrypted one (version 6) is refused.

use rml_rtmp::handshake::{Handshake as Inner, HandshakeProcessResult, PeerType};

use crate::SessionError;

/// Version, C1 and C2: all that a handshake takes from the peer.
const MAX_BYTES: usize = 1 + 2 * 1536;

/// The server's side of a handshake.
pub(crate) struct Handshake {
    inner: Inner,
    taken: usize,
}

/// What a step gave.
pub(crate) struct Step {
    /// To be sent; may be empty.
    pub(crate) reply: Vec<u8>,
    /// The handshake is complete.
    pub(crate) done: bool,
}

impl Handshake {
    pub(crate) fn new() -> Self {
        Self { inner: Inner::new(PeerType::Server), taken: 0 }
    }

    /// Takes what belongs to the handshake off the front of `input`.
    pub(crate) fn feed(&mut self, input: &mut &[u8]) -> Result<Step, SessionError> {
        let (ours, rest) = input.split_at(input.len().min(MAX_BYTES - self.taken));
        self.taken += ours.len();
        *input = rest;
        if self.taken == ours.len() && ours.first().is_some_and(|version| *version != 3) {
            return Err(SessionError::Handshake);
        }
        match self.inner.process_bytes(ours) {
            Ok(HandshakeProcessResult::InProgress { response_bytes }) => {
                Ok(Step { reply: response_bytes, done: false })
            }
            Ok(HandshakeProcessResult::Completed { response_bytes, .. }) => {
                Ok(Step { reply: response_bytes, done: true })
            }
            Err(_) => Err(SessionError::Handshake),
        }
    }
}
