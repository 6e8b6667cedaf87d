//! End-to-end harness: the real binaries, real encoders, a real browser, on loopback and with free ports.
//!
//! Every process is ended by its handle, every wait has a bound, and what a process said is shown when a test fails.

mod api;
mod bench;
mod browser;
mod child;
mod clock;
mod control;
mod encoder;
pub mod frames;
mod media;
mod playlist;
pub mod rtmp;
mod server;
mod tls;
mod wait;

pub use api::{Api, Minted};
pub use bench::{Check, check, publish_many};
pub use browser::{Browser, Page, Sample};
pub use child::Child;
pub use clock::publish_clock;
pub use control::{Cadence, Control};
pub use encoder::{Encoder, Publishing};
pub use media::{Probe, decode, decode_with, play, probe};
pub use playlist::{Playlist, fetch, get};
pub use server::{Options, Server};
pub use tls::{Authority, Pair, curl};
pub use wait::{eventually, workspace};
