//! Names, writes, reads and expires a stream's objects in object storage; local disk is one such store.
//!
//! [`SegmentStore`] is a node's store, [`StreamWriter`] a stream's bounded queue into it. A caller is never made to
//! wait by a full, slow or vanished store: bytes wait within bounds, then make way, and health and metrics show it.
//! What playlists say is the caller's matter; here they are objects that are written after those they name.

mod backend;
mod health;
mod inventory;
mod queue;
mod segment_store;
mod worker;
mod writer;

pub use health::StoreHealth;
pub use inventory::Completion;
pub use segment_store::{SegmentStore, StoreError, StoreOptions};
pub use writer::StreamWriter;
