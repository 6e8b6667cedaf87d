//! Who owns a stream path: claims with an epoch, the numbers a successor starts from, single-use tokens.
//!
//! [`StreamRegistry`] is the seam; [`MemoryRegistry`] serves one node, a shared registry serves many. Both pass
//! the suite in `conformance`. No media bytes pass through here.

mod claim;
#[cfg(test)]
mod conformance;
mod journal;
mod ledger;
mod memory;
mod numbers;
mod stream_registry;

pub use claim::{
    Checkpoint, Claim, ClaimError, ClaimRequest, Health, Holder, Lost, NodeId, PathState, Record, Start,
    TokenGrant, TokenId, Unavailable,
};
pub use memory::{Clock, MemoryRegistry};
pub use numbers::first_numbers;
pub use stream_registry::StreamRegistry;
