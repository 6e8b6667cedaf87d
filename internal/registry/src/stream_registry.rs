//! The seam between services and whatever remembers who owns which path.

use std::time::SystemTime;

use async_trait::async_trait;
use media::{Epoch, StreamPath};

use crate::{Checkpoint, Claim, ClaimError, ClaimRequest, Health, Lost, Record, TokenId, Unavailable};

/// Claims, checkpoints and tokens of stream paths. Calls may be made from any task; each is atomic.
#[async_trait]
pub trait StreamRegistry: Send + Sync + 'static {
    /// Claims a path and, in the same atomic step, binds the token to it until [`end`](Self::end).
    ///
    /// A caller that is refused with [`ClaimError::Held`] probes the holder, decides by policy, and may ask again
    /// with `evict`. An evicted holder learns of it by [`Lost::Fenced`].
    ///
    /// # Errors
    /// [`ClaimError`]; nothing has changed then.
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, ClaimError>;

    /// Remembers how far the owner's numbers have come. Numbers never go back, whatever is reported.
    ///
    /// # Errors
    /// [`Lost`]: the caller must stop announcing anything (unless the registry is merely away).
    async fn checkpoint(&self, path: &StreamPath, epoch: Epoch, at: Checkpoint) -> Result<(), Lost>;

    /// The publisher is gone; the playlist stays open, and tokens stay bound. Again is no error.
    ///
    /// # Errors
    /// [`Lost`] when `epoch` is not the path's last claim.
    async fn release(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost>;

    /// The publish was refused after its claim. A path of which nothing was announced since it was free is free again,
    /// and the claim's token is as it was before it; anything else is a [`release`](Self::release), which is also
    /// what a registry does that cannot tell.
    ///
    /// # Errors
    /// [`Lost`] when `epoch` is not the path's last claim.
    async fn abandon(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost> {
        self.release(path, epoch).await
    }

    /// ENDLIST is written: every token bound to the path is spent, the numbers are remembered. Again is no error.
    ///
    /// # Errors
    /// [`Lost`] when `epoch` is not the path's last claim: then somebody publishes again and nothing ends.
    async fn end(&self, path: &StreamPath, epoch: Epoch) -> Result<(), Lost>;

    /// Spends a token, used or not. Returns the un-ended claim that was made with it, for the caller to stop.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn revoke(
        &self,
        token: TokenId,
        expires_at: SystemTime,
    ) -> Result<Option<(StreamPath, Epoch)>, Unavailable>;

    /// What is known of a path; `None` is "nothing", not "ended".
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn look_up(&self, path: &StreamPath) -> Result<Option<Record>, Unavailable>;

    /// Every path that is live or in a gap, ordered by path.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn list(&self) -> Result<Vec<Record>, Unavailable>;

    /// How the registry is. Never fails, never waits for long.
    async fn health(&self) -> Health;
}
