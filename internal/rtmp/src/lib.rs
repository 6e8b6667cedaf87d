//! The server side of one RTMP connection: bytes in; bytes, tracks and frames out.
//!
//! No I/O, no runtime, no clock. [`Session`] is fed with what the socket gave and asked for what to do
//! next. Everything a peer can make it hold is bounded by [`SessionOptions`] and the constants of the
//! modules; payloads are copied once, from the input into their message, and shared from then on.
//!
//! The specification cited is "Adobe RTMP 1.0" (December 2012), FLV's is "Video File Format 10.1", and
//! "Enhanced RTMP" is veovera's version 2.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod amf0;
mod chunk;
mod clock;
mod command;
mod config;
mod demux;
mod enhanced;
mod error;
mod event;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod handshake;
mod metadata;
mod session;
mod tag;
mod target;

pub use error::{ChunkError, SessionError};
pub use event::{Event, Output, PublishRequest, Refusal, Warning};
pub use session::{Session, SessionOptions};
