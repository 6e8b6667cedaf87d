//! From a [`live::Stream`] through [`cmaf`] into its window and the store: one task per path, which outlives the
//! path's publishers.
//!
//! A path's lane takes successive publishes, cuts their frames into parts and segments, states silence by GAP
//! segments, and ends the playlist when nobody comes back (contract.md "When a stream ends"). It calls downwards
//! only: a slow store or registry never holds media up.

mod broadcast;
mod checkpoints;
mod clock;
mod equipment;
mod lane;
mod lanes;
mod meters;
mod options;
mod publish;
mod reach;
mod shelf;
mod variant;

#[cfg(test)]
mod tests;

pub use lanes::Packager;
pub use options::{Cutting, PackagerOptions, WallClock};
