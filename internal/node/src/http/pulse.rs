//! What a connection is doing: told by its requests, asked by those who decide when it has done nothing for too long.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Entries above which those that are done are looked for behind one that is not. At most 128 streams (and so some
/// hundred chunks) are under way at once.
const MANY: usize = 512;

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Requests that have begun so far.
    begun: AtomicU64,
    /// Requests that have no answer yet.
    waiting: AtomicU32,
    /// The connection is HTTP/2's: requests share it, and what comes need not be one.
    shared: AtomicBool,
    /// Pieces of HTTP/2 bodies that were handed over to be sent, the oldest first. A piece is gone when it was sent.
    sending: Mutex<VecDeque<(Instant, Weak<()>)>>,
}

/// A request that has no answer yet; drop it when it has.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Pulse>);

/// A piece of a body; dropped by the HTTP/2 library once it is written.
struct Piece {
    bytes: Bytes,
    _unsent: Arc<()>,
}

impl Pulse {
    /// A request's header is complete.
    pub(super) fn begin(self: &Arc<Self>) -> Waiting {
        self.begun.fetch_add(1, Relaxed);
        self.waiting.fetch_add(1, Relaxed);
        Waiting(Arc::clone(self))
    }

    /// HTTP/2 is spoken.
    pub(super) fn share(&self) {
        self.shared.store(true, Relaxed);
    }

    /// Whether HTTP/2 is spoken.
    pub(super) fn is_shared(&self) -> bool {
        self.shared.load(Relaxed)
    }

    /// Requests that have begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// Whether a request has no answer yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    /// The same bytes, watched until the peer's window and the socket have taken them.
    pub(super) fn send(&self, bytes: Bytes) -> Bytes {
        let unsent = Arc::new(());
        let mut sending = self.sending.lock();
        forget_sent(&mut sending);
        sending.push_back((Instant::now(), Arc::downgrade(&unsent)));
        drop(sending);
        Bytes::from_owner(Piece { bytes, _unsent: unsent })
    }

    /// For how long the oldest unsent piece has been so.
    pub(super) fn unsent_for(&self) -> Option<Duration> {
        let mut sending = self.sending.lock();
        forget_sent(&mut sending);
        sending.front().map(|(since, _)| since.elapsed())
    }
}

fn forget_sent(sending: &mut VecDeque<(Instant, Weak<()>)>) {
    let is_sent = |piece: &Weak<()>| piece.strong_count() == 0;
    while sending.front().is_some_and(|(_, piece)| is_sent(piece)) {
        sending.pop_front();
    }
    if sending.len() > MANY {
        sending.retain(|(_, piece)| !is_sent(piece));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_piece_counts_until_its_last_clone_is_gone() {
        let pulse = Pulse::default();
        assert_eq!(pulse.unsent_for(), None);
        let first = pulse.send(Bytes::from_static(b"abc"));
        tokio::time::advance(Duration::from_secs(3)).await;
        let second = pulse.send(Bytes::from_static(b"def"));
        assert_eq!(pulse.unsent_for(), Some(Duration::from_secs(3)));
        let rest = first.slice(1..);
        drop(first);
        assert_eq!(pulse.unsent_for(), Some(Duration::from_secs(3)), "a part of it is still there");
        assert_eq!(&rest[..], b"bc");
        drop(rest);
        assert_eq!(pulse.unsent_for(), Some(Duration::ZERO), "the second is younger");
        drop(second);
        assert_eq!(pulse.unsent_for(), None);
    }

    #[test]
    fn what_is_sent_is_forgotten_behind_what_is_not() {
        let pulse = Pulse::default();
        let _stuck = pulse.send(Bytes::from_static(b"stuck"));
        for _ in 0..10_000 {
            drop(pulse.send(Bytes::from_static(b"sent")));
        }
        assert!(pulse.sending.lock().len() <= MANY + 1);
    }

    #[test]
    fn requests_wait_until_answered() {
        let pulse = Arc::new(Pulse::default());
        let (a, b) = (pulse.begin(), pulse.begin());
        drop(a);
        assert!(pulse.is_waiting());
        drop(b);
        assert!(!pulse.is_waiting());
        assert_eq!(pulse.begun(), 2);
    }
}
