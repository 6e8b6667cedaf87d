//! Frames to init segments, parts and segments (CMAF, ISO/IEC 23000-19, for HLS); reads them back.
//!
//! No I/O, no runtime, no clock: times come in as arguments.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod audio;
mod boxes;
mod cadence;
mod init;
mod muxer;
mod output;
mod part;
pub mod read;
mod start;
#[cfg(test)]
mod tests;
mod video;

pub use boxes::gap_segment;
pub use muxer::Muxer;
pub use output::{MuxError, MuxWarning, MuxerOptions, Output};
