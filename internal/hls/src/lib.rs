//! The timeline of parts and segments, every kind of playlist, and the blocking rules (draft-pantos-hls-rfc8216bis).
//!
//! No I/O, no runtime, no clock: the same changes always give the same text. A [`Timeline`] is changed by one owner, who
//! learns the names of what it adds; readers render it, or ask [`Edge::decide`] whether their request must wait.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod directives;
mod edge;
mod lines;
mod render;
mod settings;
mod timeline;
mod variant;

#[cfg(test)]
mod tests;

pub use directives::{DirectiveError, Directives};
pub use edge::{Decision, Edge};
pub use settings::{InvalidSettings, Settings};
pub use timeline::{Retired, Segment, Timeline};
pub use variant::{Variant, VideoRange};
