//! What every parser promises of any bytes at all: no panic, and more than that.
//!
//! Each target is one function of bytes that panics where a promise is broken. cargo-fuzz calls it with what libFuzzer
//! makes up (`make fuzz`), and `tests/corpus.rs` with what is kept in `corpus/` (`make test`).

mod codecs;
mod config;
mod fmp4;
mod names;
mod query;
mod tokens;

pub use codecs::codecs;
pub use config::config;
pub use fmp4::fmp4;
pub use names::names;
pub use query::query;
pub use rtmp::fuzz::{amf0, chunks, session, tags};
pub use tokens::tokens;

/// A target.
pub type Target = fn(&[u8]);

/// All of them, named as their folders in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("amf0", amf0),
    ("chunks", chunks),
    ("codecs", codecs),
    ("config", config),
    ("fmp4", fmp4),
    ("names", names),
    ("query", query),
    ("session", session),
    ("tags", tags),
    ("tokens", tokens),
];
