//! The words of a claim: what is asked, what is granted, and why it is refused.

use std::{fmt, sync::Arc, time::SystemTime};

use media::{Epoch, Msn, StreamPath};
use thiserror::Error;

/// A node's name within the cluster. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A node's name as configured or made at start.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token's id (its `jti`, a UUID, as a number). It is no secret: the token cannot be made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u128);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A token whose signature and path were found right; whether it may still be used is the registry's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// The token's id.
    pub id: TokenId,
    /// When it expires.
    pub expires_at: SystemTime,
    /// It has expired: it is worth something only on the live path that it is bound to.
    pub expired: bool,
}

/// A request to own a path.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The path.
    pub path: StreamPath,
    /// The node that will own it.
    pub node: NodeId,
    /// The token that the publisher showed; `None` where the path needs none.
    pub grant: Option<TokenGrant>,
    /// Replace exactly this holder (compare and set): the caller has probed it and decided by policy.
    pub evict: Option<Epoch>,
}

/// Where the numbers of a claim's first segment stand (contract "When a stream ends": numbers never go back).
///
/// Nothing known of the path: [`first_numbers`](crate::first_numbers), but `dseq` above all that the registry ever
/// started or heard of, on any path. Known: one after the last checkpoint. The owner of a window that is still in
/// memory goes on from the window, which is never behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Media sequence number of the next segment to open.
    pub msn: Msn,
    /// Discontinuity number of that segment.
    pub dseq: u64,
    /// TARGETDURATION in seconds that the path's last playlist was served with, if any.
    pub target_duration: Option<u32>,
    /// The playlist goes on (no ENDLIST was written since the last publish); otherwise a new one begins.
    pub continues: bool,
}

/// A granted claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The path.
    pub path: StreamPath,
    /// Higher than every epoch that this path ever had; fences every older owner.
    pub epoch: Epoch,
    /// Where the numbers go on.
    pub start: Start,
}

/// The present owner of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its epoch, to be named in [`ClaimRequest::evict`].
    pub epoch: Epoch,
    /// The node to probe.
    pub node: NodeId,
    /// Since when.
    pub claimed_at: SystemTime,
    /// It publishes with the very token that the refused request showed.
    pub same_token: bool,
}

/// Why a claim was refused. A refused claim changes nothing and burns no token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// Somebody publishes here.
    #[error("the path is already being published")]
    Held(Holder),
    /// The stream that this token was used for has ended, or the token was revoked.
    #[error("the token is spent: its stream has ended, or it was revoked; ask for a new one")]
    TokenSpent,
    /// The token has expired and is not bound to this live path.
    #[error("the token has expired; ask for a new one")]
    TokenExpired,
    /// The token is in use on another path.
    #[error("the token is already in use for another stream; ask for a new one")]
    TokenBoundElsewhere,
    /// The registry cannot answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The registry cannot answer (not reachable, or one of its bounds is reached). The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the stream registry is not available: {0}")]
pub struct Unavailable(pub String);

/// The caller's claim is not the path's present one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// A higher epoch owns the path, or its stream was ended.
    #[error("the claim was fenced by epoch {0}")]
    Fenced(Epoch),
    /// Nothing is known of the path; claim it again.
    #[error("the registry knows nothing of this path")]
    Missing,
    /// The registry cannot answer; a running stream goes on.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What the owner reports when it opens segment `msn`, before that segment's first part is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The segment just opened.
    pub msn: Msn,
    /// Its discontinuity number.
    pub dseq: u64,
    /// TARGETDURATION in seconds, once it is fixed.
    pub target_duration: Option<u32>,
}

/// What a path is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// A publisher is connected.
    Live,
    /// The publisher is gone, the playlist stays open.
    Gap,
    /// ENDLIST is written.
    Ended,
}

/// All that is known of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The path.
    pub path: StreamPath,
    /// The epoch of its last claim.
    pub epoch: Epoch,
    /// The node that made it.
    pub node: NodeId,
    /// What the path is doing.
    pub state: PathState,
    /// When the last claim was granted.
    pub claimed_at: SystemTime,
    /// What that claim was told to start from.
    pub start: Start,
    /// The last checkpoint, over all claims; `None` if no segment was ever opened.
    pub checkpoint: Option<Checkpoint>,
}

/// How the registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// It answers claims.
    pub reachable: bool,
    /// What is wrong, if something is; no secret in it.
    pub problem: Option<String>,
    /// Paths known, ended ones included.
    pub paths: usize,
    /// Token ids remembered.
    pub tokens: usize,
}
