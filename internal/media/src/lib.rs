//! The nouns everything else passes along, and the reading of codec headers.
//!
//! No I/O, no runtime, no clock: the same bytes and numbers always give the same answer.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod aac;
mod av1;
mod avc;
mod bits;
mod credentials;
mod flac;
mod frame;
mod hevc;
mod object;
mod opus;
mod path;
mod pattern;
mod ticks;
mod track;
mod vp9;

pub use aac::{AacConfig, AacError};
pub use av1::{Av1Config, Av1Error, av1_sample};
pub use avc::{AvcConfig, AvcError, nal_units};
pub use credentials::Credentials;
pub use flac::{FlacConfig, FlacError, flac_frame_samples};
pub use frame::Frame;
pub use hevc::{HevcConfig, HevcError, HevcSample};
pub use object::{ObjectName, RenditionName};
pub use opus::{OpusConfig, OpusError, opus_packet_samples};
pub use path::{InvalidPath, StreamPath};
pub use pattern::{InvalidPattern, PathPattern, PerPath};
pub use ticks::{Cursor, Epoch, Msn, Ticks};
pub use track::{CodecConfig, ColorInfo, Metadata, Picture, Sound, Track, TrackKind, Tracks};
pub use vp9::{Vp9Config, Vp9Error, vp9_keyframe_size};
