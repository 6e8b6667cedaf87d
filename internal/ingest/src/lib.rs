//! Encoder sockets into [`live::Stream`]s.
//!
//! [`Ingest`] accepts RTMP connections, one task each, asks [`auth::Policy`] and the registry who may publish,
//! and pushes frames. A connection that misbehaves, or panics, ends alone.

mod admission;
mod connection;
mod doorway;
mod meters;
mod options;
mod pace;
mod publishing;
mod running;
mod server;
mod socket;
mod wire;

pub use options::{IngestOptions, Takeover};
pub use server::Ingest;
