//! One writer, many readers, bounded memory: frame rings, part windows, and the directory of both.
//!
//! A [`Publisher`] pushes frames into a ring that any number of [`Subscriber`]s read; a [`WindowWriter`] adds parts to a
//! [`Window`] that any number of requests read or wait on. Nobody downstream can hold a writer up: a slow reader is told
//! that it lagged, a request is held for a bounded time.

mod answer;
mod close;
mod core;
mod directory;
mod held;
mod rendered;
mod ring;
mod stats;
mod stream;
mod verdict;
mod viewers;
mod waiters;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub use answer::{Object, Unavailable};
pub use close::CloseReason;
pub use directory::{
    Directory, DirectoryOptions, Entry, EntryState, Memory, PublishError, Published, StopSignal,
};
pub use held::Blob;
pub use rendered::Rendered;
pub use ring::{Received, StreamOptions};
pub use stats::StreamStats;
pub use stream::{Publisher, Stream, Subscriber, stream};
pub use viewers::Viewers;
pub use waiters::HeldRequests;
pub use window::{Window, WindowOptions, WindowState};
pub use writer::{ClosedSegment, PlainPlaylists, WindowWriter, window};
