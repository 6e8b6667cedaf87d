//! The registry of a single node.

use std::{path::Path, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use media::{Epoch, StreamPath};
use parking_lot::Mutex;

use crate::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Health, Lost, Record, StreamRegistry, TokenId, Unavailable,
    journal::Journal,
    ledger::{Change, Ledger},
};

/// Where the time comes from; injected by tests.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A registry in this process's memory. Spent and bound token ids and the highest discontinuity sequence survive a
/// restart where a state directory is given; paths do not, their other numbers are safe by the clock. No call waits
/// for anything.
pub struct MemoryRegistry {
    ledger: Arc<Mutex<Ledger>>,
    journal: Option<Journal>,
    clock: Clock,
}

impl MemoryRegistry {
    /// Opens the registry, reading `{state_dir}/tokens` (made 0600 if missing; blocks for one small file).
    ///
    /// # Errors
    /// The state directory cannot be read or written.
    pub fn open(state_dir: Option<&Path>) -> std::io::Result<Self> {
        Self::with_clock(state_dir, Arc::new(SystemTime::now))
    }

    /// As [`open`](Self::open), on another clock.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_clock(state_dir: Option<&Path>, clock: Clock) -> std::io::Result<Self> {
        let remembered = state_dir.map(Journal::read).transpose()?.unwrap_or_default();
        let ledger = Arc::new(Mutex::new(Ledger::new(remembered, clock())));
        let journal = match state_dir {
            Some(dir) => Some(Journal::start(dir, Arc::clone(&ledger), Arc::clone(&clock))?),
            None => None,
        };
        Ok(Self { ledger, journal, clock })
    }

    /// Writes changes down; the ledger is still locked, so that the journal has them in their order.
    fn note(&self, changes: impl IntoIterator<Item = Change>) {
        if let Some(journal) = &self.journal {
            changes.into_iter().for_each(|c| journal.append(c));
        }
    }
}

#[async_trait]
impl StreamRegistry for MemoryRegistry {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, ClaimError> {
        let mut ledger = self.ledger.lock();
        let (claim, changes) = ledger.claim(request, (self.clock)())?;
        self.note(changes);
        Ok(claim)
    }

    async fn checkpoint(&self, path: &StreamPath, epoch: Epoch, at: Checkpoint) -> Result<(), Lost> {
        let mut ledger = self.ledger.lock();
        let risen = ledger.checkpoint(path, epoch, at)?;
        self.note(risen);
        Ok(())
    }

    async fn release(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        self.ledger.lock().release(path, epoch)
    }

    async fn abandon(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        let mut ledger = self.ledger.lock();
        let freed = ledger.abandon(path, epoch, (self.clock)())?;
        self.note(freed);
        Ok(())
    }

    async fn end(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        let mut ledger = self.ledger.lock();
        let spent = ledger.end(path, epoch, (self.clock)())?;
        self.note(spent);
        Ok(())
    }

    async fn revoke(
        &self,
        token: TokenId,
        expires_at: SystemTime,
    ) -> Result<Option<(StreamPath, Epoch)>, Unavailable> {
        let mut ledger = self.ledger.lock();
        let (claim, change) = ledger.revoke(token, expires_at, (self.clock)())?;
        self.note([change]);
        Ok(claim)
    }

    async fn look_up(&self, path: &StreamPath) -> Result<Option<Record>, Unavailable> {
        Ok(self.ledger.lock().look_up(path))
    }

    async fn list(&self) -> Result<Vec<Record>, Unavailable> {
        Ok(self.ledger.lock().list())
    }

    async fn health(&self) -> Health {
        let (paths, tokens) = self.ledger.lock().sizes();
        Health { reachable: true, problem: self.journal.as_ref().and_then(Journal::problem), paths, tokens }
    }
}

#[cfg(test)]
mod tests;
