//! The nouns everything else passes along, and the reading of codec headers.
//!
//! No I/O, no runtime, no clock: the same bytes and numbers always give the same answer.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod aac;
mod avc;
mod credentials;
mod frame;
mod object;
mod path;
mod pattern;
mod ticks;
mod track;

pub use aac::{AacConfig, AacError};
pub use avc::{AvcConfig, AvcError, nal_units};
pub use credentials::Credentials;
pub use frame::Frame;
pub use object::{ObjectName, RenditionName};
pub use path::{InvalidPath, StreamPath};
pub use pattern::{InvalidPattern, PathPattern, PerPath};
pub use ticks::{Cursor, Epoch, Msn, Ticks};
pub use track::{CodecConfig, Metadata, Track, TrackKind, Tracks};
